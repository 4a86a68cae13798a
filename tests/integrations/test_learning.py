"""Learning in the background, and the mark in the state that saves work."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)

from prefmem import ConfigError, Preference, PreferenceMemory, Window
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import LearnNode, PreferenceMiddleware

ANN = {"user_id": "ann"}


class Watched(PhraseExtractor):
    """Notes which windows it reads; waits until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__()
        self.windows: list[list[str]] = []
        self.go = threading.Event()
        if not held:
            self.go.set()

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        assert self.go.wait(30)
        self.windows.append([turn.text for turn in window.turns])
        return super().extract(window, turn_ids)


def opened(path: Path | str = ":memory:", extractor: Any = None) -> PreferenceMemory:  # noqa: ANN401  # as the argument of PreferenceMemory
    return PreferenceMemory(
        path,
        embedder=HashEmbedder(),
        extractor=extractor or PhraseExtractor(),
        relater=TableRelater(),
        reranker="none",
        judge="none",
    )


def agent(
    memory: PreferenceMemory,
    model: Any,  # noqa: ANN401  # hosts are loosely typed
    **settings: Any,  # noqa: ANN401  # as above
) -> Any:  # noqa: ANN401  # as above
    given: dict[str, Any] = {"on_error": "raise", **settings}
    middleware: Any = PreferenceMiddleware(memory, **given)
    return create_agent(model, middleware=[middleware], checkpointer=InMemorySaver())


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def says(*messages: Any) -> dict[str, Any]:  # noqa: ANN401  # any messages
    return {"messages": [HumanMessage(m) if isinstance(m, str) else m for m in messages]}


def texts(memory: PreferenceMemory, user: str = "ann") -> list[str]:
    return [card.text for card in memory.list(user_id=user)]


def eventually(wanted: Callable[[], bool]) -> None:
    for _ in range(3000):
        if wanted():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_the_answer_does_not_wait_for_learning(
    scribe: Callable[..., Any], asynchronous: bool
) -> None:
    extractor = Watched(held=True)
    with opened(extractor=extractor) as memory:
        app = agent(memory, scribe())
        question = says("Always answer briefly.")
        after = (
            await app.ainvoke(question, thread("t"), context=ANN)
            if asynchronous
            else app.invoke(question, thread("t"), context=ANN)
        )
        assert after["messages"][-1].text == "Fine."
        assert texts(memory) == []
        assert sum((memory.backlog().waiting, memory.backlog().running)) == 1
        extractor.go.set()
        assert memory.flush()
        assert texts(memory) == ["Answer briefly."]


def test_what_an_earlier_process_left_is_learned_at_the_first_hook(
    scribe: Callable[..., Any], tmp_path: Path
) -> None:
    extractor = Watched(held=True)
    with opened(tmp_path / "p.db", extractor) as before:
        before.learn_later([("user", "Always answer briefly.")], user_id="ann", session_id="old")
        before.close(timeout=0)
        extractor.go.set()
    with opened(tmp_path / "p.db") as memory:
        assert texts(memory) == []
        agent(memory, scribe()).invoke(says("hi"), thread("t"), context={"user_id": "bob"})
        eventually(lambda: texts(memory) == ["Answer briefly."])


def test_who_does_not_learn_in_the_background_starts_no_worker(
    scribe: Callable[..., Any], tmp_path: Path
) -> None:
    with opened(tmp_path / "p.db", held := Watched(held=True)) as before:
        before.learn_later([("user", "Always answer briefly.")], user_id="ann", session_id="old")
        before.close(timeout=0)
        held.go.set()
    extractor = Watched()
    for learn in ("inline", False):
        with opened(tmp_path / "p.db", extractor) as memory:
            agent(memory, scribe(), learn=learn).invoke(says("hi"), thread("t"), context=ANN)
            assert memory.backlog().waiting + memory.backlog().running == 1
    assert extractor.windows in ([], [["hi", "Fine."]])


@pytest.mark.parametrize("wrong", [True, "later", None, "Inline"])
def test_other_ways_to_learn_are_refused(memory: PreferenceMemory, wrong: Any) -> None:  # noqa: ANN401  # anything
    with pytest.raises(ConfigError, match="learn="):
        PreferenceMiddleware(memory, learn=wrong)
    nodes: list[Any] = [wrong, False]
    for node_wrong in nodes:
        with pytest.raises(ConfigError, match="learn="):
            LearnNode(memory, learn=node_wrong)


@pytest.mark.parametrize("learn", ["background", "inline"])
def test_only_what_is_new_is_read_with_a_little_context(
    scribe: Callable[..., Any], learn: str
) -> None:
    extractor = Watched()
    with opened(extractor=extractor) as memory:
        app = agent(memory, scribe(), learn=learn)
        for number in range(8):
            app.invoke(says(f"Question {number}"), thread("t"), context=ANN)
            memory.flush()
    assert len(extractor.windows) == 8
    # Six messages up to the last that was learned, then what is new.
    assert extractor.windows[-1] == [
        "Fine.", "Question 4", "Fine.", "Question 5", "Fine.", "Question 6",
        "Fine.", "Question 7", "Fine.",
    ]  # fmt: skip


def test_the_mark_is_private_and_says_nothing(scribe: Callable[..., Any]) -> None:
    with opened() as memory:
        app = agent(memory, scribe())
        after = app.invoke(says("My secret is 42."), thread("t"), context=ANN)
        assert set(after) == {"messages"}
        for schema in (app.get_input_jsonschema(), app.get_output_jsonschema()):
            assert "prefmem" not in str(schema)
        kept = app.get_state(thread("t")).values["prefmem_learned"]
        assert len(kept) == 32
        assert int(kept, 16) > 0
        again = agent(memory, scribe())
        again.invoke(says("My secret is 42."), thread("t"), context={"user_id": "bob"})
        assert again.get_state(thread("t")).values["prefmem_learned"] != kept


def test_without_the_mark_all_is_handed_over_and_learned_once(scribe: Callable[..., Any]) -> None:
    extractor = Watched()
    with opened(extractor=extractor) as memory:
        app = agent(memory, scribe(), learn="inline")
        app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
        app.update_state(thread("t"), {"prefmem_learned": "0" * 32})
        app.invoke(says("Thanks."), thread("t"), context=ANN)
        (card,) = memory.list(user_id="ann")
        assert len(memory.history(card.id, user_id="ann")) == 1
        app.update_state(thread("t"), {"messages": [RemoveMessage(m.id) for m in
            app.get_state(thread("t")).values["messages"]]})  # fmt: skip
        app.invoke(says("Always use SI units."), thread("t"), context=ANN)
        assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_a_turn_between_two_that_look_alike_is_not_lost(scribe: Callable[..., Any]) -> None:
    with opened() as memory:
        model = scribe("Fine.", "Fine.", LookupError("down"), "Fine.")
        app = agent(memory, model, learn="inline")
        app.invoke(says("hi"), thread("t"), context=ANN)
        app.invoke(says("ok"), thread("t"), context=ANN)
        with pytest.raises(LookupError):
            app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
        app.invoke(says(AIMessage("Fine."), "ok"), thread("t"), context=ANN)
        assert texts(memory) == ["Answer briefly."]


def test_a_failed_learning_is_made_up_for(
    scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(PhraseExtractor):
        broken = True

        def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
            if self.broken:
                raise LookupError("no model")
            return super().extract(window, turn_ids)

    extractor = Failing()
    with opened(extractor=extractor) as memory:
        app = agent(memory, scribe(), learn="inline", on_error="log")
        app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
        assert "learn failed with LookupError" in caplog.text
        extractor.broken = False
        app.invoke(says("Thanks."), thread("t"), context=ANN)
        assert texts(memory) == ["Answer briefly."]


def test_many_users_at_once_learn_their_own_turns_once(
    scribe: Callable[..., Any], tmp_path: Path
) -> None:
    numbers = count()
    with opened(tmp_path / "p.db") as memory:
        app = agent(memory, scribe())

        def chat(user: str) -> None:
            for turn in range(10):
                next(numbers)
                said = says(f"Always use the word {user}{turn}.")
                app.invoke(said, thread(f"of {user}"), context={"user_id": user})

        users = [f"user{n}" for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(chat, users))
        assert memory.flush(timeout=120)
        assert memory.backlog().dead == 0
        for user in users:
            assert texts(memory, user) == [f"Use the word {user}{turn}." for turn in range(10)]
            cards = memory.list(user_id=user)
            assert [len(memory.history(c.id, user_id=user)) for c in cards] == [1] * 10
    assert next(numbers) == 80


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_node_learns_in_the_background_too(asynchronous: bool) -> None:
    extractor = Watched(held=True)
    with opened(extractor=extractor) as memory:
        builder: Any = StateGraph(MessagesState)
        builder.add_node("learn", LearnNode(memory, on_error="raise"))
        builder.add_edge(START, "learn")
        app = builder.compile()
        question = says("Always answer briefly.")
        if asynchronous:
            await app.ainvoke(question, context=ANN)
        else:
            app.invoke(question, context=ANN)
        assert texts(memory) == []
        extractor.go.set()
        assert memory.flush()
        assert texts(memory) == ["Answer briefly."]
