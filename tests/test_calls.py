"""Who listens to a memory: calls of verbs and parts, and what is counted of them."""

import json
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar

import pytest

from prefmem import InputError, NotFoundError, PreferenceMemory
from prefmem.guard.calls import Call
from prefmem.types import LearnReport, Preference, Recall, Window

SQL = ("user", "When writing sql, always use capital keywords.")


class Ear:
    """Writes down what it hears: name and depth at the beginning, and how it ended."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.calls: list[Call] = []
        self.depth: ContextVar[int] = ContextVar("depth", default=0)

    def __call__(self, call: Call) -> AbstractContextManager[None]:
        return self._around(call)

    @contextmanager
    def _around(self, call: Call) -> Generator[None]:
        self.heard.append("  " * self.depth.get() + call.name)
        self.calls.append(call)
        before = self.depth.set(self.depth.get() + 1)
        try:
            yield
        except Exception as error:
            self.heard.append(type(error).__name__)
            raise
        finally:
            self.depth.reset(before)

    def named(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]


@pytest.fixture
def ear(memory: PreferenceMemory) -> Ear:
    made = Ear()
    memory.listen(made)
    return made


def test_a_listener_hears_verbs_and_the_parts_within(memory: PreferenceMemory, ear: Ear) -> None:
    memory.learn([SQL], user_id="ann", session_id="monday")
    assert ear.heard == ["learn", "  extractor", "  embedder"]
    (call,) = ear.named("learn")
    assert (call.kind, call.tenant, call.user_id) == ("verb", "", "ann")
    assert call.given["session_id"] == "monday"
    assert isinstance(call.result, LearnReport)
    assert len(call.result.added) == 1


def test_parts_on_other_threads_are_heard_within_their_verb(
    memory: PreferenceMemory, ear: Ear
) -> None:
    memory.learn([SQL], user_id="ann")
    ear.heard.clear()
    recall = memory.recall("writing sql", user_id="ann")
    assert ear.heard[0] == "recall"
    assert set(ear.heard[1:]) == {"  store", "  embedder"}
    assert ear.named("recall")[0].result is recall


async def test_a_twin_is_heard_once(memory: PreferenceMemory, ear: Ear) -> None:
    await memory.arecall("anything", user_id="ann")
    assert [call.name for call in ear.calls if call.kind == "verb"] == ["recall"]


def test_what_is_learned_later_is_heard_twice(memory: PreferenceMemory, ear: Ear) -> None:
    memory.in_tenant("shop").learn_later([SQL], user_id="ann")
    assert memory.flush(20)
    verbs = [call for call in ear.calls if call.kind == "verb"]
    assert [(call.name, call.tenant, call.user_id) for call in verbs] == [
        ("learn_later", "shop", "ann"),
        ("job", "shop", "ann"),
    ]
    assert isinstance(verbs[1].result, LearnReport)


def test_a_command_is_heard_with_what_it_does(memory: PreferenceMemory, ear: Ear) -> None:
    memory.learn([SQL], user_id="ann")
    memory.command([("user", "Forget everything you know about me.")], user_id="ann")
    verbs = [call.name for call in ear.calls if call.kind == "verb"]
    assert verbs[:2] == ["learn", "command"]


def test_what_raises_is_heard_and_counted(memory: PreferenceMemory, ear: Ear) -> None:
    with pytest.raises(NotFoundError):
        memory.forget("nothing", user_id="ann")
    assert ear.heard == ["forget", "NotFoundError"]
    assert ear.named("forget")[0].result is None
    assert memory.health.failed == {"forget": 1}
    assert memory.health.verbs["forget"].count == 1


def test_a_listener_that_fails_stops_nothing(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(call: Call) -> AbstractContextManager[None]:
        raise RuntimeError(str(call.given))

    @contextmanager
    def stumbles(call: Call) -> Generator[None]:
        yield
        raise RuntimeError(str(call.given))

    @contextmanager
    def swallows(call: Call) -> Generator[None]:
        del call
        with suppress(InputError):
            yield

    for listener in (refuses, stumbles, swallows):
        memory.listen(listener)
    memory.learn([SQL], user_id="ann")
    assert len(memory.list(user_id="ann")) == 1
    with pytest.raises(InputError):  # a listener cannot make a failure undone
        memory.recall("writing sql", user_id="ann", limit=-1)
    assert "refuses failed with RuntimeError" in caplog.text
    assert "stumbles failed with RuntimeError" in caplog.text
    assert "sql" not in caplog.text


def test_listening_ends(memory: PreferenceMemory) -> None:
    ear = Ear()
    end = memory.listen(ear)
    end()
    end()
    memory.learn([SQL], user_id="ann")
    assert ear.heard == []


def test_health_counts_what_a_dashboard_shows(memory: PreferenceMemory) -> None:
    memory.recall("writing sql", user_id="ann")
    (sql,) = memory.learn([SQL], user_id="ann").added
    found = memory.recall("writing sql", user_id="ann")
    memory.recall("zebra", user_id="ann")
    memory.feedback(found, -1.0, user_id="ann")
    memory.forget(sql.id, user_id="ann")
    memory.forget_user(user_id="ann")
    memory.forget_users(["bob", "eve"])
    health = memory.health
    assert health.recalled == {"empty": 1, "injected": 1, "abstained": 1}
    assert health.verdicts == {"relevant": 1, "irrelevant": 1}
    assert health.followups == {"dissatisfied": 1}
    assert health.erased == {"cards": 1, "users": 3}
    assert {name: times.count for name, times in health.verbs.items()} == {
        "recall": 3, "learn": 1, "feedback": 1, "forget": 1, "forget_user": 1, "forget_users": 1,
    }  # fmt: skip
    assert health.parts["extractor"].times.count == 1
    assert health.parts["agent"].times.count == 0


def test_calls_of_many_threads_are_all_counted(memory: PreferenceMemory) -> None:
    threads = [
        threading.Thread(target=lambda: [memory.render([], user_id="ann") for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.health.verbs["render"].count == 200


# The line of log


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(r.getMessage()) for r in caplog.records if r.name == "prefmem.learn"]


def test_a_learning_that_fails_has_a_line_too(
    open_memory: Callable[..., PreferenceMemory], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def extract(self, window: Window, turn_ids: object) -> tuple[Preference, ...]:
            raise RuntimeError(window.query)

    caplog.set_level(logging.INFO, logger="prefmem.learn")
    memory = open_memory(extractor=Broken())
    with pytest.raises(RuntimeError):
        memory.learn([SQL], user_id="ann")
    (line,) = lines(caplog)
    assert (line["outcome"], line["error"], line["turns"]) == ("failed", "RuntimeError", 0)
    assert "sql" not in caplog.text


def test_an_edit_has_a_line_too(memory: PreferenceMemory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="prefmem.learn")
    memory.learn_from_edit("Hello Tom!", "Hi Tom,", "a mail", user_id="ann")
    (line,) = lines(caplog)
    assert (line["source"], line["outcome"], line["turns"]) == ("edit", "learned", 1)


def test_the_result_is_given_while_the_listener_still_stands_around(
    memory: PreferenceMemory,
) -> None:
    results: list[object] = []

    @contextmanager
    def reads(call: Call) -> Generator[None]:
        yield
        if call.kind == "verb":
            results.append(call.result)

    memory.listen(reads)
    assert isinstance(memory.recall("anything", user_id="ann"), Recall)
    assert [type(result) for result in results] == [Recall]
