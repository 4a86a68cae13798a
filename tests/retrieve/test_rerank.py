"""Reranking reads the nearest candidates, keeps to its time, and never stops a recall."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from prefmem import Candidate, Card, Preference, Scope
from prefmem.retrieve.rerank import Reranking
from prefmem.types import Vector

AT = datetime(2026, 1, 1, tzinfo=UTC)


def candidate(name: str, dense: float, *, everywhere: bool = False) -> Candidate:
    scope = Scope("global" if everywhere else "conditional")
    card = Card(name, "ann", Preference("", name, scope=scope), "active", "said", "", AT, AT)
    return Candidate(card, np.zeros(1, dtype=np.float32), dense, dense / 2)


class Table:
    """Knows rules' relevance by name, and how long a pair takes."""

    def __init__(self, seconds: float = 0.0, **relevance: float) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self._seconds, self._relevance = seconds, relevance

    def clock(self) -> float:
        return self.now

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        assert len(rules) == len(cosines)
        self.calls.append("".join(rule[0].lower() for rule in rules))
        self.now += self._seconds * len(rules)
        found = [self._relevance.get(rule[0].lower(), 0.5) for rule in rules]
        return np.array(found, dtype=np.float32)


ABC = (candidate("a", 0.9), candidate("b", 0.6), candidate("c", 0.4))


def ranking(found: Sequence[Candidate]) -> list[tuple[str, float, float | None]]:
    return [(c.card.id, round(c.relevance, 4), c.dense_relevance) for c in found]


def test_the_reranker_has_the_last_word_where_it_was_asked() -> None:
    table = Table(a=0.1, b=0.8)
    found = Reranking(table, most=2)("q", (*ABC, candidate("g", 1.0, everywhere=True)))
    assert table.calls == ["ab"]
    assert ranking(found) == [
        ("b", 0.8, 0.3), ("g", 0.5, None), ("c", 0.2, None), ("a", 0.1, 0.45),
    ]  # fmt: skip


def test_a_budget_cuts_the_number_of_pairs() -> None:
    table = Table(0.010)
    stage = Reranking(table, most=3, budget_ms=20, clock=table.clock)
    stage("q", ABC)  # a pair for loading, a pair to measure, and of 10 ms that are left one pair
    assert table.calls == ["a", "a", "b"]
    stage("q", ABC)
    assert table.calls[3:] == ["a", "b"]
    table = Table(0.050)
    stage = Reranking(table, most=3, budget_ms=20, clock=table.clock)
    stage("q", ABC)
    assert ranking(stage("q", ABC)) == [("a", 0.5, 0.45), ("b", 0.3, None), ("c", 0.2, None)]
    assert table.calls == ["a", "a", "a"]


def test_time_enough_reads_all() -> None:
    table = Table(0.010)
    stage = Reranking(table, most=9, budget_ms=1000, clock=table.clock)
    assert len(stage("q", ABC)) == 3
    assert table.calls == ["a", "a", "bc"]


class Broken:
    def __init__(self, answer: Vector | Exception) -> None:
        self._answer = answer

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (TimeoutError("about a secret"), "TimeoutError"),
        (np.zeros(2, dtype=np.float32), "ValueError"),
        (np.zeros((3, 1), dtype=np.float32), "ValueError"),
        (np.array([0.1, np.nan, 0.2], dtype=np.float32), "ValueError"),
        (np.array([0.1, 1.01, 0.2], dtype=np.float32), "ValueError"),
    ],
)
def test_a_reranker_that_fails_leaves_the_cosine_and_is_counted(
    answer: Vector | Exception, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Reranking(Broken(answer), most=9)
    with caplog.at_level(logging.WARNING):
        assert stage("a secret", ABC) == ABC
        stage("a secret", ABC)
    assert stage.failures == {name: 2}
    assert name in caplog.text
    assert "secret" not in caplog.text


def test_nothing_to_read_asks_nobody() -> None:
    table = Table()
    stage = Reranking(table, most=9)
    everywhere = (candidate("g", 0.5, everywhere=True),)
    assert stage("q", ()) == ()
    assert stage("q", everywhere) == everywhere
    assert stage(" ", ABC) == ABC
    assert table.calls == []
