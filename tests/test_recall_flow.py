"""A recall from end to end: reranked, explained, within its budget, whatever comes in."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from prefmem import Card, Config, ConfigError, Preference, PreferenceMemory, Recall, Scope
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder
from prefmem.types import Change, Event, Risk, UserKey, Vector

Open = Callable[..., PreferenceMemory]
AT = datetime(2025, 1, 1, tzinfo=UTC)


class Words:
    """Finds a rule relevant if it holds a word; keeps what it was asked."""

    risk = Risk(99, (1.0, 0.5, 0.0))  # floors 0, 0.5, 1

    def __init__(self, word: str = "views") -> None:
        self._word = word
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        assert len(cosines) == len(rules)
        self.asked.append((query, tuple(rules)))
        return np.array([0.75 if self._word in rule else 0.0 for rule in rules], dtype=np.float32)


def texts(recalled: Recall) -> list[str]:
    return [rule.text for rule in recalled.rules]


def taught(memory: PreferenceMemory) -> PreferenceMemory:
    memory.add("writing SQL", "use CTEs", user_id="ann")
    memory.add("writing SQL", "name the views", user_id="ann")
    memory.add("", "be brief", user_id="ann")
    return memory


def test_the_reranker_decides(open_memory: Open) -> None:
    reranker = Words()
    memory = taught(open_memory(reranker=reranker))
    assert texts(memory.recall("writing SQL", user_id="ann")) == [
        "Be brief.",
        "When writing SQL, name the views.",
    ]
    ((query, rules),) = reranker.asked
    assert query == "writing SQL"
    assert sorted(rules) == ["When writing SQL, name the views.", "When writing SQL, use CTEs."]
    assert memory.degraded == {}


@pytest.mark.parametrize("off", [{"reranker": "none"}, {"config": Config(rerank=False)}])
def test_it_can_be_switched_off(open_memory: Open, off: dict[str, object]) -> None:
    reranker = Words()
    memory = taught(open_memory(**({"reranker": reranker} | off)))
    assert len(texts(memory.recall("writing SQL", user_id="ann"))) == 3
    assert reranker.asked == []
    assert memory.degraded == {}


class Late:
    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        raise TimeoutError(query, rules, cosines)


def test_a_lost_reranker_is_counted_and_the_cosine_serves(open_memory: Open) -> None:
    memory = taught(open_memory(reranker=Late()))
    recalled = memory.recall("writing SQL", user_id="ann")
    assert len(recalled.rules) == 3
    assert not any(row.reranked for row in recalled.explain())
    assert recalled.missing == ("reranker",)
    assert memory.degraded == {"TimeoutError": 1, "recall without reranker": 1}


def test_it_explains_every_candidate(open_memory: Open) -> None:
    memory = taught(open_memory(reranker=Words()))
    quarantined = memory.add("writing SQL", "use no views", user_id="ann")
    memory.edit(quarantined.id, user_id="ann", status="quarantined")
    rows = memory.recall("writing SQL", user_id="ann", why=True).explain()
    assert [(row.text, row.verdict.reason, row.reranked, row.floor) for row in rows] == [
        ("Be brief.", "global", False, 0.0),
        ("When writing SQL, name the views.", "relevant", True, 0.22),
        ("When writing SQL, use CTEs.", "irrelevant", True, 0.22),
        (quarantined.text, "quarantined", False, 0.22),
    ]
    assert [row.relevance for row in rows[1:3]] == [0.75, 0.0]
    # two of five words are the query's: a cosine of about 2 / sqrt(10)
    assert rows[2].dense_relevance == pytest.approx(rows[2].dense)
    assert rows[2].dense == pytest.approx(0.63, abs=0.15)


def test_a_follow_up_is_read_with_the_request_before(open_memory: Open) -> None:
    reranker = Words("CTEs")
    memory = taught(open_memory(reranker=reranker))
    assert texts(memory.recall("shorter", user_id="ann", context="writing SQL")) == [
        "Be brief.",
        "When writing SQL, use CTEs.",
    ]
    assert reranker.asked[0][0] == "writing SQL\nshorter"
    plain = taught(open_memory(reranker="none", store=SQLiteStore(":memory:")))
    assert texts(plain.recall("shorter", user_id="ann")) == ["Be brief."]
    assert len(texts(plain.recall("shorter", user_id="ann", context="writing SQL"))) == 3


def test_the_promise_sets_the_floor(open_memory: Open) -> None:
    memory = taught(open_memory(reranker=Words(), config=Config(max_unwarranted=0.3)))
    recalled = memory.recall("writing SQL", user_id="ann")
    assert recalled.floor == 1.0  # (99 * 0.5 + 1) / 100 is over 0.3, (0 + 1) / 100 is not
    assert texts(recalled) == ["Be brief."]
    assert memory.recall("writing SQL", user_id="ann", min_score=0.2).floor == 0.2
    with pytest.raises(ConfigError, match="HashEmbedder has no table"):
        open_memory(config=Config(max_unwarranted=0.3))


def test_what_is_chosen_is_what_the_block_holds(open_memory: Open) -> None:
    memory = open_memory(config=Config(max_tokens=250), reranker="none")
    for n in range(20):
        memory.add("writing SQL", f"use style {n} " + "x" * 10 * n, user_id="ann")
    recalled = memory.recall("writing SQL", user_id="ann", limit=20)
    block = memory.render(recalled)
    assert 0 < len(recalled.rules) < 20
    assert [rule.text in block for rule in recalled.rules] == [True] * len(recalled.rules)
    assert block.count('"rule"') == len(recalled.rules)
    assert {v.reason for v in recalled.verdicts} == {"relevant", "over budget"}
    wider = memory.recall("writing SQL", user_id="ann", limit=20, max_tokens=9_000)
    assert len(wider.rules) == 20
    assert memory.render(wider, max_tokens=9_000).count('"rule"') == 20


def test_a_writer_of_ones_own_knows_its_own_length(open_memory: Open) -> None:
    def titles(recall: Recall, *, max_tokens: int, nonce: str) -> str:
        return f"{len(recall.rules)} {max_tokens} {bool(nonce)}"

    memory = taught(open_memory(writer=titles, config=Config(max_tokens=1), reranker="none"))
    assert memory.render(memory.recall("writing SQL", user_id="ann")) == "3 1 True"


@pytest.mark.parametrize("query", ["", " \n", "x" * 100_000, "writing SQL " * 10_000, "\0\ud800"])
@pytest.mark.parametrize("why", [False, True])
def test_any_query_is_fine_with_no_card_one_and_some(
    open_memory: Open, query: str, why: bool
) -> None:
    memory = open_memory(reranker=Words())

    def found(context: str = "") -> int:  # however long it takes
        asked = memory.recall(query, user_id="ann", context=context, why=why, strict=True)
        return len(asked.explain())

    assert found() == 0
    memory.add("writing SQL", "use CTEs", user_id="ann")
    assert found() == 1
    taught(memory)
    assert found(context=query) == 3


def stocked(count: int, *, everywhere: bool, until: datetime | None) -> SQLiteStore:
    """Make a store in which Ann has many cards, written at once."""
    embedder, scope = HashEmbedder(8), Scope("global" if everywhere else "conditional")
    store = SQLiteStore(":memory:")
    store.bind(embedder.basis, embedder.width)
    vectors = embedder.embed([f"rule {n}" for n in range(50)])
    cards = [
        Card(
            f"c{n:06}", "ann", Preference("", f"heed rule {n}", scope=scope), "active", "said", "",
            AT, AT, until,
        )
        for n in range(count)
    ]  # fmt: skip
    event = Event("k", "load", tuple(Change("add", card) for card in cards), AT)
    with store.write(UserKey("ann")) as transaction:
        transaction.record(event, {card.id: vectors[n % 50] for n, card in enumerate(cards)})
    return store


@pytest.mark.parametrize("everywhere", [False, True])
def test_many_cards_are_no_more_work_than_some(open_memory: Open, everywhere: bool) -> None:
    store = stocked(5_000, everywhere=everywhere, until=None)
    memory = open_memory(store=store, embedder=HashEmbedder(8), reranker=Words())
    recalled = memory.recall("rule 7", user_id="ann")
    # 20 nearest, and of global ones four for each of the ten places
    assert len(recalled.candidates) == (20 + 40 if everywhere else 20)
    assert len(recalled.rules) == (10 if everywhere else 0)


def test_with_all_rules_at_their_end_none_is_given(open_memory: Open) -> None:
    store = stocked(3, everywhere=True, until=datetime(2025, 12, 31, tzinfo=UTC))
    memory = open_memory(store=store, embedder=HashEmbedder(8))
    assert memory.recall("rule 1", user_id="ann").candidates == ()  # the clock says 2026
    recalled = memory.recall("rule 1", user_id="ann", why=True)
    assert recalled.rules == ()
    assert [row.verdict.reason for row in recalled.explain()] == ["expired"] * 3
