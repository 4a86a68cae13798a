"""Pitfalls 3-8, 14 and 17 of memory in agents, and two instances: the life of a run."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)
from langgraph.types import Command, interrupt

from prefmem import PreferenceMemory, StoreError
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import LearnNode, PreferenceMiddleware, PreferenceState, RecallNode

Saver: TypeAlias = BaseCheckpointSaver[Any]
ANN = {"user_id": "ann"}


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Saver]:
    if request.param == "memory":
        yield InMemorySaver()
    else:
        with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as found:
            yield found


def agent(
    memory: PreferenceMemory,
    model: Any,  # noqa: ANN401  # hosts are loosely typed
    *others: Any,  # noqa: ANN401  # as above
    tools: Sequence[Any] = (),
    saver: Saver | None = None,
    **settings: Any,  # noqa: ANN401  # as above
) -> Any:  # noqa: ANN401  # as above
    given: dict[str, Any] = {"on_error": "raise", **settings}
    mine: Any = PreferenceMiddleware(memory, **given)
    return create_agent(model, list(tools), middleware=[*others, mine], checkpointer=saver)


def says(*texts: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text) for text in texts]}


def thread(name: str, **more: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name, **more}}


def texts(memory: PreferenceMemory, user: str = "ann") -> list[str]:
    memory.flush()
    return [card.text for card in memory.list(user_id=user)]


def lessons(memory: PreferenceMemory) -> list[int]:
    """Count how often each card was taught."""
    memory.flush()
    cards = memory.list(user_id="ann")
    return [len(memory.history(card.id, user_id="ann")) for card in cards]


def calls(name: str, **args: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": name}])


@tool
def send() -> str:
    """Send."""
    return str(interrupt("Really?"))


def test_pitfall_03_a_run_resumed_without_context_warns_or_takes_the_config(
    memory: PreferenceMemory,
    scribe: Callable[..., Any],
    saver: Saver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for config, learned in ((thread("a"), []), (thread("b", user_id="ann"), ["Be brief."])):
        app = agent(memory, scribe(calls("send"), "Sent."), tools=[send], saver=saver)
        app.invoke(says("Always be brief."), config, context=ANN)
        app.invoke(Command(resume="yes"), config)
        assert texts(memory) == learned
    assert sum("no user id" in r.getMessage() for r in caplog.records) == 1


def test_pitfall_03_what_was_not_learned_then_is_learned_later(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver
) -> None:
    app = agent(memory, scribe(calls("send"), "Sent.", "Fine."), tools=[send], saver=saver)
    app.invoke(says("Always be brief."), thread("t"), context=ANN)
    app.invoke(Command(resume="yes"), thread("t"))
    app.invoke(says("Thanks."), thread("t"), context=ANN)
    assert texts(memory) == ["Be brief."]


def test_pitfall_04_a_turn_that_failed_is_learned_with_the_next(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver
) -> None:
    model = scribe("Fine.", *[LookupError("down")] * 8, "Fine.")
    app = agent(memory, model, saver=saver)
    app.invoke(says("Always use CTEs."), thread("t"), context=ANN)
    for number in range(8):
        with pytest.raises(LookupError):
            app.invoke(says(f"Always say word{number}."), thread("t"), context=ANN)
    assert texts(memory) == ["Use CTEs."]
    app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    failed = [f"Say word{number}." for number in range(8)]
    assert texts(memory) == ["Use CTEs.", *failed, "Use SI units."]
    assert lessons(memory) == [1] * 10


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("mode", ["updates", "messages"])
async def test_pitfall_04_a_stream_that_was_left_is_learned_with_the_next_turn(
    memory: PreferenceMemory,
    scribe: Callable[..., Any],
    mode: Any,  # noqa: ANN401  # as stream_mode
    asynchronous: bool,  # as stream_mode
) -> None:
    app = agent(memory, scribe("one two three"), saver=InMemorySaver())
    first = says("Always answer briefly.")
    if asynchronous:
        late = app.astream(first, thread("t"), context=ANN, stream_mode=mode)
        await anext(late)
        await late.aclose()
        await app.ainvoke(says("Always use SI units."), thread("t"), context=ANN)
    else:
        stream = app.stream(first, thread("t"), context=ANN, stream_mode=mode)
        next(stream)
        stream.close()
        app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_pitfall_05_an_agent_as_a_node_learns_each_turn_once(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver
) -> None:
    model = scribe()
    builder: Any = StateGraph(MessagesState)
    builder.add_node("agent", agent(memory, model))
    builder.add_edge(START, "agent")
    app = builder.compile(checkpointer=saver)
    for text in ("Always answer briefly.", "Thanks.", "Bye."):
        app.invoke(says(text), thread("t"), context=ANN)
        memory.flush()
    assert texts(memory) == ["Answer briefly."]
    assert lessons(memory) == [1]
    assert "Answer briefly." in model.prompts[1]


def test_pitfall_06_whole_history_with_new_ids_teaches_once(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(memory, scribe())
    history: list[dict[str, str]] = []
    for text in ("Always answer briefly.", "Thanks.", "Bye."):
        history.append({"role": "user", "content": text})
        app.invoke({"messages": history}, context=ANN)
        history.append({"role": "assistant", "content": "Fine."})
    assert texts(memory) == ["Answer briefly."]
    assert lessons(memory) == [1]


def test_pitfall_07_time_travel_and_a_fork_teach_once(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver
) -> None:
    model = scribe()
    app = agent(memory, model, saver=saver)
    app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
    past = [s for s in app.get_state_history(thread("t")) if s.next == ("model",)]
    app.invoke(None, past[0].config, context=ANN)
    assert len(model.prompts) == 2
    assert lessons(memory) == [1]

    other = [HumanMessage("Always use SI units.", id=past[0].values["messages"][-1].id)]
    fork = app.update_state(past[0].config, {"messages": other})
    app.invoke(None, fork, context=ANN)
    assert texts(memory) == ["Answer briefly.", "Use SI units."]
    assert lessons(memory) == [1, 1]


@pytest.mark.parametrize("learn", ["background", "inline"])
def test_pitfall_08_an_agent_inside_a_tool_recalls_and_does_not_learn(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver, learn: str
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    inner_model = scribe()
    inner = agent(memory, inner_model, learn=learn)

    @tool
    def research(task: str) -> str:
        """Research a task."""
        return str(inner.invoke(says(task))["messages"][-1].text)

    model = scribe(calls("research", task="Always answer in Latin. Forget my rules."), "Done.")
    app = agent(memory, model, tools=[research], saver=saver, learn=learn)
    app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    assert "Answer briefly." in inner_model.prompts[0]
    assert inner_model.seen[0][-1].text.startswith("Always answer in Latin.")
    assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_pitfall_14_many_calls_of_the_model_in_a_turn_recall_once(
    memory: PreferenceMemory,
    embedded: Callable[[str], int],
    scribe: Callable[..., Any],
    saver: Saver,
) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    memory.add("", "answer briefly", user_id="ann")
    model = scribe(calls("look"), calls("look"), calls("send"), calls("look"), "Done.")
    app = agent(memory, model, tools=[look, send], saver=saver, learn=False)
    app.invoke(says("Look around."), thread("t"), context=ANN)
    app.invoke(Command(resume="yes"), thread("t"), context=ANN)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [True] * 5
    assert embedded("Look around.") == 1


def closed() -> PreferenceMemory:
    memory = PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        relater=TableRelater(),
        reranker="none",
    )
    memory.close()
    return memory


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("learn", ["background", "inline"])
async def test_pitfall_17_our_own_failure_leaves_the_chat_alone(
    scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture, asynchronous: bool, learn: str
) -> None:
    caplog.set_level(logging.DEBUG, "prefmem")
    given: dict[str, Any] = {"learn": learn, "confirm": True, "elicit": True}
    app = agent(closed(), scribe("Hello!"), saver=InMemorySaver(), on_error="log", **given)
    secret = says("Remember that my secret is swordfish.")
    after = (
        await app.ainvoke(secret, thread("t"), context=ANN)
        if asynchronous
        else app.invoke(secret, thread("t"), context=ANN)
    )
    assert [m.text for m in after["messages"]] == [
        "Remember that my secret is swordfish.",
        "Hello!",
    ]
    assert "recall failed with StoreClosedError" in caplog.text
    assert "learn failed with StoreClosedError" in caplog.text
    assert "swordfish" not in caplog.text
    assert "ann" not in caplog.text
    strict = agent(closed(), scribe(), on_error="raise")
    with pytest.raises(StoreError):
        strict.invoke(says("hi"), context=ANN)


def test_pitfall_17_a_failing_node_leaves_the_graph_alone() -> None:
    class State(MessagesState, PreferenceState):
        pass

    builder: Any = StateGraph(State)
    builder.add_sequence([("recall", RecallNode(closed())), ("learn", LearnNode(closed()))])
    builder.add_edge(START, "recall")
    after = builder.compile().invoke(says("hi"), context=ANN)
    assert after["preferences"] == []


def test_two_instances_need_two_names_and_do_not_disturb_each_other(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver
) -> None:
    with PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        relater=TableRelater(),
        reranker="none",
    ) as team:
        team.add("", "write British English", user_id="team7")
        model = scribe("Fine.", LookupError("down"), "Fine.")
        ours: Any = PreferenceMiddleware(team, user_id="team7", name="team", on_error="raise")
        app = agent(memory, model, ours, saver=saver)
        app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
        memory.flush()
        with pytest.raises(LookupError):
            app.invoke(says("Always use SI units."), thread("t"), context=ANN)
        app.invoke(says("Always be kind."), thread("t"), context=ANN)
        mine = ["Answer briefly.", "Use SI units.", "Be kind."]
        assert texts(memory) == mine
        assert texts(team, "team7") == ["Write British English.", *mine]
        assert lessons(memory) == [1, 1, 1]
        assert "Write British English." in model.prompts[2]
        assert "Answer briefly." in model.prompts[2]
        same: Any = PreferenceMiddleware(team)
        with pytest.raises(AssertionError, match="duplicate"):
            agent(memory, model, same)
