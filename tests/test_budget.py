"""Failing open and closed: what a recall does without, what is left alone, and what is refused."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from prefmem import Config, InputError, PreferenceMemory, StoreError, UserRequiredError
from prefmem.errors import StoreUnavailableError
from prefmem.guard.breaker import Breaker, LeftAloneError
from prefmem.guard.health import Times
from prefmem.guard.parts import Parts
from prefmem.guard.pool import Pool
from prefmem.protocols import Embedder, Judge, Reranker, Store
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder, PhraseExtractor, WordJudge
from prefmem.testing.faults import Mode, Switch, unreliable
from prefmem.types import Recall, Vector

Open: TypeAlias = Callable[..., PreferenceMemory]
SQL, BRIEF = "When writing SQL, use CTEs.", "Be brief."
SAID = [{"role": "user", "content": "When writing mails, always sign as Ann."}]
HASTY: dict[str, Any] = {
    "recall_soft_ms": 150,
    "recall_hard_ms": 300,
    "hand_over_ms": 600,
    "breaker_rest": 0.05,
}


class Agrees:
    """A reranker that finds every rule fit, and so says that it was asked."""

    def relevance(self, query: str, rules: "list[str]", cosines: Vector) -> Vector:
        return np.ones(len(rules), dtype=np.float32)


class Bench:
    """A memory with two rules of Ann's, whose parts have switches."""

    def __init__(self, open_memory: Open, path: Path, **config: Any) -> None:  # noqa: ANN401  # settings
        self.store, self.embedder, self.reranker = Switch(), Switch(), Switch()
        self.extractor, self.judge = Switch(), Switch()
        store: Store = SQLiteStore(path)
        embedder: Embedder = HashEmbedder()
        reranker: Reranker = Agrees()  # type: ignore[assignment]  # a list is a sequence
        judge: Judge = WordJudge()
        self.memory = open_memory(
            store=unreliable(store, self.store),
            embedder=unreliable(embedder, self.embedder),
            reranker=unreliable(reranker, self.reranker),
            extractor=unreliable(PhraseExtractor(), self.extractor),
            judge=unreliable(judge, self.judge),
            config=Config(learn_delay=0, **(HASTY | config)),
        )
        self.memory.add("writing SQL", "use CTEs", user_id="ann")
        self.memory.add("", "be brief", user_id="ann")
        self.memory.warm()
        self.whole()

    def recall(self) -> Recall:
        return self.memory.recall("writing SQL", user_id="ann")

    def whole(self) -> None:
        """Recall until everything is found, as parts that were left alone need a moment."""
        for _ in range(400):
            found = self.recall()
            if not found.missing:
                assert texts(found) == [BRIEF, SQL]
                return
            threading.Event().wait(0.01)
        raise AssertionError(self.memory.health)

    def state(self, part: str) -> str:
        return self.memory.health.parts[part].state

    def heal(self) -> None:
        for switch in (self.store, self.embedder, self.reranker, self.extractor, self.judge):
            switch.turn("well")


def texts(recall: Recall) -> list[str]:
    return [rule.text for rule in recall.rules]


@pytest.fixture
def make(open_memory: Open, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def bench(**config: Any) -> Bench:  # noqa: ANN401  # settings
        made.append(Bench(open_memory, tmp_path / "own.db", **config))
        return made[-1]

    yield bench
    for each in made:
        each.heal()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    """Give a bench whose parts are left alone for longer than a test takes."""
    return make(breaker_rest=600)


# Failing open


@pytest.mark.parametrize("mode", ["raises", "hangs", "slow", "busy"])
@pytest.mark.parametrize(
    ("part", "left"), [("reranker", [BRIEF, SQL]), ("embedder", [BRIEF]), ("store", [])]
)
def test_a_recall_does_without_what_fails_or_is_late(
    bench: Bench, part: str, left: list[str], mode: Mode
) -> None:
    getattr(bench, part).turn(mode)
    found = bench.recall()
    assert texts(found) == left
    assert part in found.missing
    assert found.failed == (part == "store")
    assert bench.memory.degraded[f"recall without {part}"] == 1
    assert bench.memory.health.parts[part].failures == 1
    late = mode in ("hangs", "slow")
    told = bench.memory.degraded
    assert (told["recall late"], told["recall timeout"]) == (
        (0, int(late)) if part == "store" else (int(late), 0)
    )
    assert bench.memory.render(found) == bench.memory.render(found, strict=True)
    if part != "store":
        assert bench.memory.render([found.rules[0].card_ids[0]], user_id="ann")


def test_without_the_query_no_conditional_rule_is_guessed(make: Callable[..., Bench]) -> None:
    bench = make(min_score=0)
    bench.embedder.turn("raises")
    assert texts(bench.recall()) == [BRIEF]


def test_both_the_embedder_and_the_store_may_be_down(bench: Bench) -> None:
    bench.embedder.turn("hangs")
    bench.store.turn("hangs")
    assert bench.recall().failed
    assert bench.memory.degraded["recall timeout"] == 1


def test_a_block_of_ids_is_empty_while_the_store_is_down(bench: Bench) -> None:
    ids = [card.id for card in bench.memory.list(user_id="ann")]
    for mode in ("raises", "hangs"):
        bench.store.turn(mode)
        assert bench.memory.render(ids, user_id="ann") == ""
    assert bench.memory.degraded["render"] == 2
    bench.heal()
    assert "CTEs" in bench.memory.render(ids, user_id="ann")


def test_a_strict_call_waits_and_raises(bench: Bench) -> None:
    bench.store.turn("raises")
    with pytest.raises(RuntimeError):
        bench.memory.recall("x", user_id="ann", strict=True)
    with pytest.raises(RuntimeError):
        bench.memory.render(["x"], user_id="ann", strict=True)
    bench.heal()
    bench.reranker.turn("raises")
    with pytest.raises(RuntimeError):
        bench.memory.recall("writing SQL", user_id="ann", strict=True)
    bench.heal()
    bench.embedder.turn("slow")
    waiting = threading.Timer(0.5, bench.heal)  # past the limits
    waiting.start()
    assert texts(bench.memory.recall("writing SQL", user_id="ann", strict=True)) == [BRIEF, SQL]
    waiting.join()


def test_wrong_use_raises_whatever_is_down(bench: Bench) -> None:
    bench.store.turn("raises")
    with pytest.raises(UserRequiredError):
        bench.memory.recall("x", user_id="")
    for wrong in (0, -1, float("nan"), 601):
        with pytest.raises(InputError, match="timeout="):
            bench.memory.recall("x", user_id="ann", timeout=wrong)
    bench.heal()
    bench.memory.close()
    with pytest.raises(StoreError, match="closed"):
        bench.recall()
    assert bench.state("store") == "closed"  # the breaker: nothing is down


def test_a_call_may_have_a_limit_of_its_own(make: Callable[..., Bench]) -> None:
    bench = make(recall_soft_ms=600_000, recall_hard_ms=600_000)
    bench.reranker.turn("hangs")
    found = bench.memory.recall("writing SQL", user_id="ann", timeout=0.2)
    assert texts(found) == [BRIEF, SQL]
    assert found.missing == ("reranker",)


def test_a_recall_is_there_though_its_log_is_not(bench: Bench) -> None:
    class NoLog(SQLiteStore):
        def note(self, user: object, entry: object) -> bool:
            raise OSError

    store = NoLog(":memory:")
    with PreferenceMemory(
        store=store, embedder=HashEmbedder(), extractor=PhraseExtractor(), reranker="none"
    ) as memory:
        memory.add("", "be brief", user_id="ann")
        found = memory.recall("hello", user_id="ann")
        assert (texts(found), found.missing) == ([BRIEF], ("store",))
        assert not found.failed


def test_weights_that_load_have_longer(open_memory: Open) -> None:
    switch = Switch()
    embedder: Embedder = HashEmbedder()
    memory = open_memory(
        embedder=unreliable(embedder, switch), config=Config(recall_soft_ms=20, recall_hard_ms=40)
    )
    with_cards = open_memory(config=Config())  # the same file, another process
    with_cards.add("writing SQL", "use CTEs", user_id="ann")
    switch.turn("slow")
    loaded = threading.Timer(0.3, switch.turn, ("well",))
    loaded.start()
    assert texts(memory.recall("writing SQL", user_id="ann")) == [SQL]
    loaded.join()
    assert not memory.degraded


def test_a_store_that_has_never_answered_is_not_waited_for(
    open_memory: Open, tmp_path: Path
) -> None:
    switch = Switch()
    store: Store = SQLiteStore(tmp_path / "own.db")
    memory = open_memory(store=unreliable(store, switch), config=Config(recall_hard_ms=50))
    switch.turn("slow")
    assert memory.recall("x", user_id="ann").failed
    assert memory.health.recalls.counts[-2] == 0  # of more than 2.5 s
    switch.turn("well")


# Breakers


@pytest.mark.parametrize("mode", ["raises", "hangs"])
@pytest.mark.parametrize("part", ["store", "embedder", "reranker"])
def test_what_keeps_failing_is_left_alone_then_tried_again(
    make: Callable[..., Bench], part: str, mode: Mode
) -> None:
    bench, switch = make(), None
    switch = getattr(bench, part)
    switch.turn(mode)
    for number in range(5):
        assert bench.state(part) == "closed", number
        bench.recall()
    assert bench.memory.health.parts[part].failures == 5
    assert bench.state(part) != "closed"
    assert not bench.memory.health.well
    bench.heal()
    bench.whole()
    assert bench.state(part) == "closed"
    assert bench.memory.health.well


@pytest.mark.parametrize("part", ["store", "embedder", "reranker"])
def test_what_is_left_alone_is_not_asked(bench: Bench, part: str) -> None:
    switch: Switch = getattr(bench, part)
    switch.turn("raises")
    for _ in range(5):
        bench.recall()
    asked = switch.calls
    for _ in range(20):
        assert part in bench.recall().missing
    assert switch.calls == asked
    assert bench.memory.health.parts[part].refused >= 20


def test_a_store_that_tells_a_number_and_hangs_is_down(open_memory: Open, tmp_path: Path) -> None:
    class Half(SQLiteStore):
        off = False

        def cards(self, *args: object, **kwargs: object) -> "tuple[object, ...]":  # type: ignore[override]  # passes on what it is given
            if self.off:
                raise StoreUnavailableError("no answer")
            return super().cards(*args, **kwargs)  # type: ignore[arg-type]  # see above

    store = Half(tmp_path / "own.db")
    memory = open_memory(store=store)
    memory.add("", "be brief", user_id="ann")
    store.off = True
    for _ in range(5):
        assert memory.recall("x", user_id="ann").failed
    assert memory.health.parts["store"].state == "open"


def test_a_breaker_by_the_clock() -> None:
    now = 100.0
    breaker = Breaker("store", rest=30, clock=lambda: now)
    for _ in range(4):
        breaker.enter().failed()
    breaker.enter().succeeded()  # four in a row are not five
    for _ in range(5):
        assert state(breaker) == "closed"
        breaker.enter().failed()
    early = Breaker("other", clock=lambda: now).enter()
    assert state(breaker) == "open"
    assert (breaker.room, breaker.failures) == (0, 9)
    with pytest.raises(LeftAloneError, match="left alone for up to 30 seconds"):
        breaker.enter()
    now = 129.9
    assert state(breaker) == "open"
    now = 130.0
    assert state(breaker) == "half-open"
    assert breaker.room == 1
    probe = breaker.enter()
    assert breaker.room == 0
    with pytest.raises(LeftAloneError):
        breaker.enter()
    probe.failed()
    probe.succeeded()  # comes too late to count
    assert state(breaker) == "open"
    now = 160.0
    breaker.enter().dropped()  # tells nothing, so another may try
    breaker.enter().succeeded()
    assert state(breaker) == "closed"
    assert breaker.refused == 2
    early.succeeded()


def state(breaker: Breaker) -> str:
    return breaker.state


def test_a_probe_that_nobody_tells_of_is_forgotten() -> None:
    now = 0.0
    breaker = Breaker("store", rest=1, clock=lambda: now)
    for _ in range(5):
        breaker.enter().failed()
    now = 1.0
    breaker.enter()
    now = 60.9
    with pytest.raises(LeftAloneError):
        breaker.enter()
    now = 61.0
    breaker.enter().succeeded()
    assert state(breaker) == "closed"


def test_what_was_begun_before_it_opened_changes_nothing() -> None:
    now = 0.0
    breaker = Breaker("store", rest=30, clock=lambda: now)
    slow, broken = breaker.enter(), breaker.enter()
    for _ in range(5):
        breaker.enter().failed()
    slow.succeeded()
    now = 10.0
    broken.failed()
    assert state(breaker) == "open"
    now = 30.0
    assert state(breaker) == "half-open"
    breaker.insist().succeeded()
    assert state(breaker) == "closed"


# Failing closed


def test_what_must_not_be_skipped_raises_and_is_tried_each_time(bench: Bench) -> None:
    memory = bench.memory
    (card, _) = memory.list(user_id="ann")
    bench.store.turn("busy")
    for _ in range(5):
        bench.recall()
    assert bench.state("store") == "open"
    verbs: list[Callable[[], object]] = [
        lambda: memory.forget_user(user_id="ann"),
        lambda: memory.forget(card.id, user_id="ann"),
        lambda: memory.export(user_id="ann"),
        lambda: memory.edit(card.id, user_id="ann", status="active"),
        lambda: memory.list(user_id="ann"),
        lambda: memory.get(card.id, user_id="ann"),
        lambda: memory.history(card.id, user_id="ann"),
        lambda: memory.learn(SAID, user_id="ann"),
    ]
    for verb in verbs:
        asked = bench.store.calls
        with pytest.raises(StoreUnavailableError):
            verb()
        assert bench.store.calls > asked
    bench.heal()
    for verb in verbs[2:7]:
        verb()  # though recalls still leave the store alone
    assert memory.forget_user(user_id="ann").cards == 2
    assert memory.list(user_id="ann") == ()


@pytest.mark.parametrize("mode", ["raises", "hangs"])
def test_a_dialogue_that_could_not_be_handed_over_is_handed_over_again(
    make: Callable[..., Bench], mode: Mode
) -> None:
    bench = make()
    memory = bench.memory
    bench.store.turn(mode)
    for _ in range(8):
        with pytest.raises((StoreUnavailableError, RuntimeError)):
            memory.learn_later(SAID, user_id="ann")
    assert memory.health.parts["store"].failures >= 5
    bench.heal()
    bench.whole()
    memory.learn_later(SAID, user_id="ann")
    memory.learn_later(SAID, user_id="ann")
    assert memory.flush(20)
    assert [c.text for c in memory.list(user_id="ann")].count(
        "When writing mails, sign as Ann."
    ) == 1


def test_left_alone_a_store_refuses_a_dialogue_at_once(bench: Bench) -> None:
    bench.store.turn("hangs")
    for _ in range(5):
        bench.recall()
    asked = bench.store.calls
    with pytest.raises(StoreUnavailableError, match="left alone"):
        bench.memory.learn_later(SAID, user_id="ann")
    with pytest.raises(StoreUnavailableError, match="left alone"):
        bench.memory.command([{"role": "user", "content": "Forget that."}], user_id="ann")
    with pytest.raises(StoreUnavailableError, match="left alone"):
        bench.memory.backlog()
    assert bench.store.calls == asked


# Learning


@pytest.mark.parametrize("part", ["extractor", "embedder"])
def test_jobs_are_put_off_while_a_model_is_left_alone(
    make: Callable[..., Bench], part: str
) -> None:
    bench = make(breaker_rest=0.2, learn_tries=2)
    memory, switch = bench.memory, getattr(bench, part)
    switch.turn("raises")
    for number in range(8):
        said = {"role": "user", "content": f"When writing {number}, always sign as Ann."}
        memory.learn_later([said], user_id=f"u{number}")
    for _ in range(500):
        if memory.health.parts[part].state != "closed":
            break
        threading.Event().wait(0.01)
    assert not memory.flush(0.05)  # what is put off is not waited for
    assert memory.health.parts[part].failures >= 5
    assert memory.degraded["dead"] == 0
    switch.turn("well")
    for _ in range(600):
        if memory.flush(1):
            break
        threading.Event().wait(0.05)
    assert memory.backlog().waiting == 0
    assert memory.degraded["dead"] == 0
    for number in range(8):
        assert len(memory.list(user_id=f"u{number}")) == 1


def test_a_judge_is_left_alone_and_the_cards_are_learned(bench: Bench) -> None:
    memory = bench.memory
    bench.judge.turn("raises")
    for number in range(8):
        query = f"writing SQL {number}"
        memory.recall(query, user_id="ann", session_id=str(number))
        turns = [("user", query), ("assistant", "x"), ("user", f"Always count to {number}.")]
        memory.learn(turns, user_id="ann", session_id=str(number))
    assert memory.degraded["judge"] == 8
    assert bench.judge.calls == 5
    assert bench.state("judge") == "open"
    assert len(memory.list(user_id="ann")) == 10


def test_a_line_of_log_for_each_learning_without_a_word(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture
) -> None:
    said = [{"role": "user", "content": "Always keep zanzibar short."}]
    memory.learn(said, user_id="zanzibar@example.org", session_id="zanzibar")
    assert caplog.messages == []  # off unless the host wants it
    caplog.set_level(logging.INFO, logger="prefmem")
    memory.learn(said, user_id="zanzibar@example.org", session_id="zanzibar")
    memory.learn_later([*said, *said], user_id="bob")
    assert memory.flush(20)
    one, two = [json.loads(r.getMessage()) for r in caplog.records if r.name == "prefmem.learn"]
    assert "zanzibar" not in caplog.text
    assert set(one) == {
        "event", "at", "source", "outcome", "user", "session", "turns", "skipped", "added",
        "updated", "closed", "quarantined", "ms", "later",
    }  # fmt: skip
    assert set(two) - set(one) == {"tries", "waited_ms"}
    assert (one["source"], one["outcome"], two["outcome"]) == ("dialogue", "learned", "learned")
    assert (one["turns"], one["skipped"], one["added"], one["later"]) == (0, 1, 0, False)
    assert (two["turns"], two["added"], two["later"]) == (1, 1, True)
    assert one["user"] != two["user"]
    learned = memory.health.learned
    assert (learned["turns"], learned["added"], learned["quarantined"]) == (2, 2, 0)


# Figures


def test_health_counts_without_the_store(bench: Bench) -> None:
    before = bench.memory.health
    assert before.recalls.count >= 1
    assert before.cache_bytes > 0
    bench.store.turn("hangs")
    bench.recall()
    after = bench.memory.health
    assert after.recalls.count == before.recalls.count + 1
    assert after.hanging == 1
    bench.heal()
    for _ in range(500):
        if not bench.memory.health.hanging:
            break
        threading.Event().wait(0.01)
    assert bench.memory.health.hanging == 0


def test_quantiles_by_hand() -> None:
    times = Times((50, 0, 0, 49, 0, 0, 0, 0, 0, 0, 0, 1), 10.0)
    assert times.count == 100
    assert [times.quantile(share) for share in (0, 0.5, 0.51, 0.99, 1)] == [
        0.005, 0.005, 0.05, 0.05, float("inf")
    ]  # fmt: skip
    assert Times((0,) * 12, 0.0).quantile(0.99) == 0.0


def test_no_log_line_quotes_what_a_part_says(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for part in ("reranker", "embedder", "store"):
        getattr(bench, part).turn("raises")
        for _ in range(6):
            bench.recall()
    assert "failed with RuntimeError in suffer" in caplog.text
    assert "the store failed 5 times in a row; it is left alone for 600 s" in caplog.text
    assert "secret" not in caplog.text
    assert "ann" not in caplog.text


# Threads


def test_threads_are_bounded_and_end() -> None:
    pool, go = Pool(at_once=2, most=3, idle=0.05), threading.Event()
    tasks = [pool.start(lambda: go.wait(30)) for _ in range(2)]
    third = pool.start(lambda: None)
    assert not third.wait(0.02)
    assert pool.threads == 2
    pool.give_up(tasks[0])
    assert third.wait(30)  # by the third thread
    pool.give_up(tasks[1])
    assert (pool.threads, pool.stuck, pool.full) == (3, 2, False)
    last = pool.start(lambda: go.wait(30))
    assert not last.wait(0.02)
    pool.give_up(last)
    assert pool.full
    never = pool.start(lambda: None)
    pool.give_up(never)
    go.set()
    for _ in range(500):
        if not pool.threads:
            break
        threading.Event().wait(0.01)
    assert (pool.threads, pool.stuck) == (0, 0)
    assert not never.wait(0)
    again = pool.start(lambda: 1 / 0)  # what it raises is its own business
    assert again.wait(30)


def test_a_call_sees_what_its_caller_sees() -> None:
    seen: ContextVar[str] = ContextVar("seen")
    seen.set("here")
    assert Parts(rest=1).ask("store", seen.get, seconds=30) == "here"


def test_with_every_thread_hanging_a_recall_returns_at_once(make: Callable[..., Bench]) -> None:
    bench = make(breaker_rest=0.001, recall_soft_ms=5, recall_hard_ms=10)
    others = set(threading.enumerate())
    bench.store.turn("hangs")
    for _ in range(200):
        assert bench.recall().failed
    assert bench.memory.health.hanging == 48
    assert len(set(threading.enumerate()) - others) <= 48
    asked = bench.store.calls
    assert bench.recall().failed
    assert bench.store.calls == asked
    bench.heal()
    bench.whole()


async def test_cancelled_recalls_hold_nothing(make: Callable[..., Bench]) -> None:
    bench = make(recall_soft_ms=300, recall_hard_ms=600)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    bench.embedder.turn("hangs")
    for wait in (0.0, 0.02):
        tasks = [
            asyncio.create_task(bench.memory.arecall("writing SQL", user_id="ann"))
            for _ in range(100)
        ]
        await asyncio.sleep(wait)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    bench.heal()
    ticking.cancel()
    assert ticks >= 3  # the loop was never held up for long
    await asyncio.to_thread(bench.whole)
    await bench.memory.alearn(SAID, user_id="ann")
    assert len(await bench.memory.alist(user_id="ann")) == 3
    assert bench.memory.health.hanging <= 48
