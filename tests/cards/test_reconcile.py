"""A new preference becomes a card, or more evidence for its twin."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefmem import Evidence, Preference
from prefmem.cards.reconcile import reconcile
from prefmem.types import Card, Change, UserKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def meet(preference: Preference, twin: Card | None, **given: Any) -> Change:  # noqa: ANN401  # overrides of what is passed below
    parts: dict[str, Any] = {
        "user": UserKey("ann"),
        "card_id": "new",
        "status": "active",
        "source": "said",
        "session_id": "s",
        "again": True,
        "now": NOW,
    }
    return reconcile(preference, twin, **(parts | given))


def test_a_stranger_becomes_a_card() -> None:
    rule = Preference("", "be brief", confidence=0.7)
    assert meet(rule, None) == Change(
        "add", Card("new", "ann", rule, "active", "said", "s", NOW, NOW)
    )
    assert meet(rule, None, status="quarantined").card.status == "quarantined"


def test_a_twin_gains_evidence_and_grows_surer() -> None:
    one, two = Evidence("0", "be brief"), Evidence("4", "Be brief!")
    old = meet(Preference("", "be brief", confidence=0.5, evidence=(one,)), None).card
    later = NOW + timedelta(days=1)
    change = meet(
        Preference("", "Be brief!", confidence=0.6, evidence=(two, one)),
        old,
        now=later,
        session_id="t",
        source="added",
    )
    assert change.op == "merge"
    card = change.card
    assert (card.id, card.session_id, card.source, card.text) == ("new", "s", "said", "Be brief.")
    assert card.preference.confidence == pytest.approx(1 - 0.5 * 0.4)
    assert card.preference.evidence == (one, two)
    assert (card.valid_from, card.recorded_at) == (NOW, later)
    assert old.preference.confidence == 0.5


def test_a_quarantined_twin_stays_quarantined() -> None:
    old = meet(Preference("", "be brief"), None, status="quarantined").card
    assert meet(Preference("", "be brief"), old).card.status == "quarantined"
    assert meet(Preference("", "be brief"), old, status="candidate").card.status == "quarantined"


def test_a_candidate_that_is_said_again_becomes_active() -> None:
    old = meet(Preference("", "be brief", confidence=0.4), None, status="candidate").card
    assert old.status == "candidate"
    doubtful = Preference("", "be brief", confidence=0.4)
    card = meet(doubtful, old, status="candidate").card
    assert (card.status, card.source) == ("active", "said")
    assert card.preference.confidence == pytest.approx(1 - 0.6 * 0.6)


def test_saying_it_twice_on_one_occasion_is_no_confirmation_unless_it_is_sure() -> None:
    old = meet(Preference("", "be brief", confidence=0.4), None, status="candidate").card
    again = Preference("", "be brief", confidence=0.4)
    assert meet(again, old, status="candidate", again=False).card.status == "candidate"
    assert meet(again, old, status="active", again=False).card.status == "active"


def test_an_active_twin_stays_active_when_doubt_comes() -> None:
    old = meet(Preference("", "be brief"), None).card
    doubtful = Preference("", "be brief", confidence=0.3)
    assert meet(doubtful, old, status="candidate").card.status == "active"


def test_the_first_and_the_newest_quotes_stay() -> None:
    card: Card | None = None
    for n in range(30):
        card = meet(Preference("", "x", evidence=(Evidence(str(n), "x"),)), card).card
    assert card is not None
    assert [e.turn_id for e in card.preference.evidence] == ["0", *map(str, range(11, 30))]
