"""Global rules always; conditional ones where they are relevant enough."""

from datetime import UTC, datetime, timedelta

import numpy as np

from prefmem import Candidate, Card, Preference, Scope
from prefmem.retrieve.select import select

AT = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(
    name: str, relevance: float, confidence: float | None = None, day: int = 0
) -> Candidate:
    """Make a conditional candidate, or a global one where a confidence is given."""
    scope = Scope("conditional" if confidence is None else "global")
    rule = Preference("", name, confidence=confidence or 1.0, scope=scope)
    at = AT + timedelta(days=day)
    card = Card(name, "ann", rule, "active", "said", "", AT, at)
    return Candidate(card, np.zeros(1, dtype=np.float32), relevance, relevance)


def chosen(*candidates: Candidate, limit: int = 5, most: int = 10, floor: float = 0.3) -> str:
    picked = select(candidates, limit=limit, max_global=most, min_score=floor)
    return "".join(candidates[i].card.id for i in picked)


def test_nothing_gives_nothing() -> None:
    assert chosen() == ""
    assert chosen(candidate("a", 0.29)) == ""
    assert chosen(candidate("a", 0.3)) == "a"


def test_conditional_rules_need_the_floor_and_obey_the_limit() -> None:
    some = [candidate("a", 0.4), candidate("b", 0.9), candidate("c", 0.2), candidate("d", 0.5)]
    assert chosen(*some) == "bda"
    assert chosen(*some, limit=2) == "bd"
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
    assert chosen(*many, most=0) == ""
