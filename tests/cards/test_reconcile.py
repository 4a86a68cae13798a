"""A new rule gains evidence for its twin, closes what it replaces, or stands beside it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefmem import Card, Evidence, Preference
from prefmem.cards.reconcile import (
    activated,
    handed_on,
    inherited,
    merged,
    settle,
    takes_back,
)
from prefmem.types import Change, Link

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def card(name: str, action: str = "be brief", **given: Any) -> Card:  # noqa: ANN401  # fields of a card
    at = LATER if name == "new" else NOW
    plain = Card(name, "ann", Preference("", action), "active", "said", "s", at, at)
    return replace(plain, **given)


def again(
    old: Card, preference: Preference, *, sure: bool = True, valid_to: datetime | None = None
) -> Card:
    return merged(old, preference, sure=sure, valid_to=valid_to, now=LATER)


# Said again


def test_a_twin_gains_evidence_and_grows_surer() -> None:
    one, two = Evidence("0", "be brief"), Evidence("4", "Be brief!")
    old = card("old", preference=Preference("", "be brief", confidence=0.5, evidence=(one,)))
    said = Preference("", "Be brief!", confidence=0.6, evidence=(two, one))
    found = again(old, said)
    assert (found.id, found.text, found.source) == ("old", "Be brief.", "said")
    assert found.preference.confidence == pytest.approx(1 - 0.5 * 0.4)
    assert found.preference.evidence == (one, two)
    assert (found.valid_from, found.recorded_at) == (NOW, LATER)
    assert old.preference.confidence == 0.5


def test_only_a_candidate_becomes_active_by_it() -> None:
    rule = Preference("", "be brief")
    assert again(card("old", status="candidate"), rule).status == "active"
    assert again(card("old", status="candidate"), rule, sure=False).status == "candidate"
    assert again(card("old", status="quarantined"), rule).status == "quarantined"


def test_a_rule_without_an_end_keeps_none() -> None:
    rule, end = Preference("", "be brief"), LATER + timedelta(days=7)
    assert again(card("old"), rule, valid_to=end).valid_to is None
    assert again(card("old", valid_to=LATER), rule, valid_to=end).valid_to == end
    assert again(card("old", valid_to=LATER), rule).valid_to is None


def test_the_first_and_the_newest_quotes_stay() -> None:
    found = card("old")
    for n in range(30):
        found = again(found, Preference("", "x", evidence=(Evidence(str(n), "x"),)))
    assert [e.turn_id for e in found.preference.evidence] == ["0", *map(str, range(11, 30))]


# Replaced, narrowed, beside it


@pytest.mark.parametrize("relation", ["supersede", "widen"])
def test_the_old_card_closes(relation: Any) -> None:  # noqa: ANN401  # a relation
    old, new, link = card("old"), card("new", "be long"), Link(relation, "old", 0.9)
    assert settle(new, [(old, link)], on_conflict="latest") == (
        Change("add", new),
        Change(
            "supersede",
            replace(
                old, status="superseded", valid_to=LATER, superseded_by="new", recorded_at=LATER
            ),
            Link(relation, "new", 0.9),
        ),
    )


def test_an_exception_stands_beside_the_rule_and_links_to_it() -> None:
    link = Link("exception", "old", 0.8)
    new = card("new", "be long")
    assert settle(new, [(card("old"), link)], on_conflict="latest") == (
        Change("add", replace(new, links=(link,))),
    )


def test_both_stay_where_both_are_kept() -> None:
    new, met = card("new", "be long"), [(card("old"), Link("supersede", "old", 0.9))]
    assert settle(new, met, on_conflict="keep_both") == (Change("add", new),)


def test_a_question_leaves_a_candidate_that_waits() -> None:
    link = Link("supersede", "old", 0.9)
    new = card("new", "be long")
    waits = replace(new, status="candidate", links=(link,))
    assert settle(new, [(card("old"), link)], on_conflict="ask") == (Change("add", waits),)


def test_a_candidate_closes_candidates_but_waits_for_an_active_card() -> None:
    new = card("new", "be long", status="candidate")
    one, two = Link("supersede", "one", 0.9), Link("supersede", "two", 0.7)
    met = [(card("one"), one), (card("two", status="candidate"), two)]
    added, closed = settle(new, met, on_conflict="latest")
    assert added.card == replace(new, links=(one,))
    assert (closed.card.id, closed.card.status) == ("two", "superseded")


def test_what_is_inferred_or_quarantined_closes_nothing_that_was_said() -> None:
    link = Link("supersede", "old", 0.9)
    inferred = card("new", source="inferred")
    assert settle(inferred, [(card("old"), link)], on_conflict="latest") == (
        Change("add", inferred),
    )
    other = card("old", source="distilled")
    assert len(settle(inferred, [(other, link)], on_conflict="latest")) == 2
    doubtful = card("new", status="quarantined")
    assert settle(doubtful, [(card("old"), link)], on_conflict="latest") == (
        Change("add", replace(doubtful, links=(link,))),  # it waits
    )


def test_a_rule_with_an_end_covers_what_outlives_it() -> None:
    link, week = Link("supersede", "old", 0.9), LATER + timedelta(days=7)
    new = card("new", "be long", valid_to=week)
    covered = Change("add", replace(new, links=(Link("exception", "old", 0.9),)))
    for end in (None, week + timedelta(days=1)):
        assert settle(new, [(card("old", valid_to=end), link)], on_conflict="latest") == (covered,)
    assert len(settle(new, [(card("old", valid_to=week), link)], on_conflict="latest")) == 2


def test_words_that_only_take_back_leave_no_card() -> None:
    words = Evidence("7", "no need to avoid nuts any more")
    rule = Preference("cooking", "no need to avoid nuts any more", evidence=(words,))
    old = card("old", preference=Preference("cooking", "avoid nuts", "avoid"))
    new = card("new", preference=rule)
    (closed,) = settle(new, [(old, Link("supersede", "old", 0.9))], on_conflict="latest")
    assert closed.card.preference.evidence == (words,)
    assert (closed.card.status, closed.card.superseded_by) == ("superseded", None)
    assert closed.reason == Link("supersede", "", 0.9)
    assert settle(new, [], on_conflict="latest") == (Change("add", new),)


@pytest.mark.parametrize(
    ("action", "alone"),
    [
        ("no need to avoid nuts any more", True),
        ("there's no need for headings", True),
        ("forget what I said about tables", True),
        ("don't bother with the greeting", True),
        ("the length doesn't matter any longer", True),
        ("the sugar ban is lifted", True),
        ("stop avoiding dairy", True),
        ("eat meat again", False),
        ("nuts are fine again", False),
        ("no nuts", False),
        ("stop using emojis", False),
        ("forget-me-nots in every bouquet", False),
        ("ignore my earlier rule about tables", True),
        ("this no longer applies", True),
        ("it doesn't matter to me any more", True),
        ("drop the Oxford comma", False),
        ("ignore my typos", False),
        ("drop the greeting", False),
        ("ignore the style guide", False),
        ("don't have meetings before ten", False),
        ("leave out details that don't matter", False),
        ("forget the rule and answer in German", False),
        ("no need for headings, just use bullets", False),
    ],
)
def test_which_words_only_take_back(action: str, alone: bool) -> None:
    assert takes_back(Preference("", action)) is alone


# Confirmed


def test_a_confirmed_card_takes_the_places_it_waited_for() -> None:
    links = (Link("exception", "far", 0.6), Link("supersede", "old", 0.9), Link("widen", "no", 0.7))
    new = card("new", links=links)
    cards = {"old": card("old"), "far": card("far")}
    own, closed = activated(Change("edit", new), cards.get)
    assert own == Change("edit", replace(new, links=links[:1]))
    assert (closed.card.id, closed.card.superseded_by) == ("old", "new")
    assert closed.reason == Link("supersede", "new", 0.9)
    waiting = Change("edit", replace(new, status="candidate"))
    assert activated(waiting, cards.get) == (waiting,)
    for gone in (
        card("old", status="superseded"),
        card("old", valid_to=NOW),  # its end stays where it is
        card("old", source="edited", recorded_at=LATER + timedelta(days=1)),
    ):
        assert activated(Change("edit", new), {"old": gone}.get) == (own,)


def test_a_closed_candidate_hands_on_what_it_waited_for() -> None:
    old = card("old")
    maybe = card("maybe", status="candidate", links=(Link("supersede", "old", 0.8),))
    link = Link("supersede", "maybe", 0.9)
    look = {"old": old, "maybe": maybe}.get
    new = card("new", "be long")
    changes = handed_on(settle(new, [(maybe, link)], on_conflict="latest"), look)
    assert [(c.op, c.card.id) for c in changes] == [
        ("add", "new"), ("supersede", "old"), ("supersede", "maybe"),
    ]  # fmt: skip
    unsure = card("new", "be long", status="candidate")
    own, closed = handed_on(settle(unsure, [(maybe, link)], on_conflict="latest"), look)
    assert own.card.links == (Link("supersede", "old", 0.8),)
    assert closed.card.id == "maybe"
    asked = card("new", "be long", links=(link,))
    assert len(activated(Change("edit", asked), look)) == 3


def test_words_that_only_take_back_are_over_once_they_closed_a_card() -> None:
    rule = Preference("", "no need to avoid nuts", evidence=(Evidence("7", "no need"),))
    new = card("new", preference=rule, links=(Link("supersede", "old", 0.9),))
    own, closed = activated(Change("edit", new), {"old": card("old")}.get)
    assert (own.card.status, own.card.links) == ("superseded", ())
    assert (closed.card.status, closed.card.superseded_by) == ("superseded", None)
    assert closed.card.preference.evidence == rule.evidence
    (alone,) = activated(Change("edit", new), dict[str, Card]().get)
    assert alone.card.status == "active"


def test_an_exception_counts_against_what_took_a_rules_place() -> None:
    link = Link("exception", "a", 0.8)
    cards = {
        "a": card("a", status="superseded", superseded_by="b"),
        "b": card("b", status="superseded", superseded_by="c"),
        "c": card("c", status="superseded", superseded_by="b"),  # a ring, as no fold makes it
    }

    def read(ids: Iterable[str]) -> list[Card]:
        return [cards[i] for i in ids if i in cards]

    plain, narrow = card("x"), card("n", links=(link,))
    assert inherited([plain, narrow], read) == (
        plain,
        replace(narrow, links=(link, replace(link, card_id="b"), replace(link, card_id="c"))),
    )
    gone = card("n", links=(Link("exception", "gone", 0.8), Link("widen", "a", 0.8)))
    assert inherited([gone], read) == (gone,)
    heir = card("c", links=(Link("exception", "b", 0.8),))  # no exception to itself
    assert inherited([heir], read) == (heir,)
