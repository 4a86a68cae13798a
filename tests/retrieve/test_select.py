"""Which candidates are injected, and the word that says why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from prefmem import Candidate, Card, Preference, Scope
from prefmem.retrieve.select import Room, Selection, alike, select
from prefmem.types import Link, Polarity, Status, Vector, Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(
    name: str,
    relevance: float,
    confidence: float | None = None,
    day: int = 0,
    vector: Vector | None = None,
    **card: Any,  # noqa: ANN401  # the fields of a card
) -> Candidate:
    """Make a conditional candidate, or a global one where a confidence is given."""
    scope = Scope("conditional" if confidence is None else "global")
    rule = Preference("", name, confidence=confidence or 1.0, scope=scope)
    at = AT + timedelta(days=day)
    fields: dict[str, Any] = {"status": "active"} | card
    made = Card(name, "ann", rule, fields.pop("status"), "said", "", AT, at, **fields)
    unit = np.zeros(1, dtype=np.float32) if vector is None else vector
    return Candidate(made, unit, relevance, relevance)


def picked(
    *candidates: Candidate,
    query: str = "",
    limit: int = 5,
    most: int = 10,
    floor: float = 0.3,
    size: float = 99,
) -> Selection:
    """Select; a rule is as large as its name is long."""
    room = Room(limit, most, size, lambda card: len(card.id))
    return select(candidates, room, query=query, context="", floor=floor, now=AT)


def chosen(*candidates: Candidate, **given: Any) -> str:  # noqa: ANN401  # as `picked`
    return "".join(candidates[i].card.id for i in picked(*candidates, **given).chosen)


def reasons(*candidates: Candidate, **given: Any) -> list[str]:  # noqa: ANN401  # as `picked`
    return [verdict.reason for verdict in picked(*candidates, **given).verdicts]


def test_nothing_gives_nothing() -> None:
    assert picked() == Selection((), ())
    assert chosen(candidate("a", 0.29)) == ""
    assert chosen(candidate("a", 0.3)) == "a"


def test_conditional_rules_need_the_floor_and_obey_the_limit() -> None:
    some = [candidate("a", 0.4), candidate("b", 0.9), candidate("c", 0.2), candidate("d", 0.5)]
    assert chosen(*some) == "bda"
    assert chosen(*some, limit=2) == "bd"
    assert reasons(*some, limit=2) == ["over limit", "relevant", "irrelevant", "relevant"]
    assert chosen(*some, limit=0) == ""
    assert chosen(*some, floor=0) == "bdac"
    assert chosen(*some, floor=1) == ""


def test_ties_go_by_id() -> None:
    assert chosen(candidate("b", 0.5), candidate("c", 0.5), candidate("a", 0.5), limit=2) == "ab"


def test_global_rules_come_first_whatever_their_relevance() -> None:
    assert chosen(candidate("a", 0.9), candidate("g", 0.0, 0.1), limit=1) == "ga"
    assert chosen(candidate("a", 0.9), candidate("g", 0.0, 0.1), limit=0, floor=1) == "g"


def test_of_too_many_global_rules_the_surest_then_the_newest_stay() -> None:
    many = [
        candidate("a", 0, 0.5, day=9),
        candidate("b", 0, 0.9, day=1),
        candidate("c", 0, 0.9, day=2),
        candidate("e", 0, 0.7, day=3),
        candidate("d", 0, 0.7, day=3),
    ]
    assert chosen(*many) == "cbdea"
    assert chosen(*many, most=3) == "cbd"
    assert reasons(*many, most=3).count("over global limit") == 2
    assert chosen(*many, most=0) == ""


def test_the_more_relevant_global_rules_stay_but_their_order_is_the_same_for_every_query() -> None:
    many = [candidate("a", 0.62, 0.5), candidate("b", 0.58, 0.9), candidate("c", 0.1, 0.8)]
    # relevance counts in steps of a tenth: a and b are both 0.6, and b is surer
    assert chosen(*many, most=1) == "b"
    assert chosen(*many, most=2) == "ba"
    assert chosen(*many) == "bca"


@pytest.mark.parametrize("status", ["candidate", "quarantined", "superseded", "expired"])
def test_a_card_that_is_not_active_is_named_by_its_status(status: Status) -> None:
    waiting = [candidate("a", 0.9, status=status), candidate("g", 0.9, 0.9, status=status)]
    assert chosen(*waiting) == ""
    assert reasons(*waiting) == [status, status]


def test_a_rule_ends_at_its_last_moment() -> None:
    ends = [candidate("a", 0.9, valid_to=AT), candidate("b", 0.9, valid_to=AT + timedelta(1))]
    assert chosen(*ends) == "b"
    assert reasons(*ends) == ["expired", "relevant"]


def test_a_rule_that_is_too_long_leaves_its_place_to_the_next() -> None:
    some = [candidate("aaaa", 0.9), candidate("bb", 0.8), candidate("cc", 0.7), candidate("d", 0.6)]
    assert chosen(*some, size=3, limit=2) == "bbd"
    assert reasons(*some, size=3, limit=2) == [
        "over budget", "relevant", "over budget", "relevant",
    ]  # fmt: skip
    assert chosen(*some, size=-5) == ""


def unit(*numbers: float) -> Vector:
    return np.array(numbers, dtype=np.float32)


def test_what_says_the_same_is_shown_once() -> None:
    near = unit(0.97, 0.2431)  # its cosine with (1, 0) is 0.97
    some = [
        candidate("use CTEs", 0.9, vector=unit(1, 0)),
        candidate("use the CTEs", 0.8, vector=near),
        candidate("use views", 0.7, vector=unit(0.95, 0.3122)),
    ]
    selection = picked(*some)
    assert selection.chosen == (0, 2)
    assert selection.verdicts[1].reason == "duplicate"
    assert selection.verdicts[1].by == "use CTEs"
    assert picked(*some, limit=1).verdicts[2].reason == "over limit"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("use CTEs", "please use CTEs", True),
        ("at most 100 words", "at most 120 words", False),
        ("eat nuts", "don't eat nuts", False),
        ("meat on Sundays", "meat only on Sundays", False),
        ("never nuts and no eggs", "no eggs, and nuts never", True),
    ],
)
def test_another_number_or_negation_is_another_rule(one: str, other: str, same: bool) -> None:
    vector = unit(0.6, 0.8)
    assert alike(candidate(one, 0, vector=vector), candidate(other, 0, vector=vector)) == same


def test_rules_of_two_audiences_or_polarities_are_two() -> None:
    def made(polarity: Polarity, audience: str | None) -> Candidate:
        rule = Preference("", "be brief", polarity, scope=Scope(audience=audience))
        card = Card("a", "ann", rule, "active", "said", "", AT, AT)
        return Candidate(card, unit(1), 0.5, 0.5)

    assert alike(made("do", None), made("do", None))
    assert not alike(made("do", None), made("avoid", None))
    assert not alike(made("do", "boss"), made("do", "sister"))


def test_the_rule_behind_an_exception_is_left_out_where_the_exception_applies() -> None:
    general = candidate("g", 0.9, confidence=1.0)
    narrow = candidate("n", 0.5, links=(Link("exception", "g", 0.9),))
    assert chosen(general, narrow) == "n"
    assert picked(general, narrow).verdicts[0] == Verdict("overruled", "n")
    distant = candidate("n", 0.2, links=(Link("exception", "g", 0.9),))
    assert chosen(general, distant) == "g"
    waiting = candidate("n", 0.5, links=(Link("supersede", "g", 0.9),))
    assert chosen(general, waiting) == "gn"


def test_a_rule_for_somebody_else_stays_out() -> None:
    scope = Scope("conditional", audience="boss")
    rule = Preference("writing mails to my boss", "be formal", scope=scope)
    card = Card("b", "ann", rule, "active", "said", "", AT, AT)
    formal = Candidate(card, np.zeros(1, dtype=np.float32), 0.9, 0.9)
    assert reasons(formal, query="a mail to my manager") == ["relevant"]
    assert reasons(formal, query="a mail, please") == ["relevant"]
    assert reasons(formal, query="a mail to my sister") == ["other audience"]
