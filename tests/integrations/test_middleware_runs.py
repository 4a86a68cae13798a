"""The middleware in the life of a run: checkpoints, streams, interrupts, failures, nesting."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain.agents.middleware import PIIMiddleware, SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)
from langgraph.types import Command, interrupt

from prefmem import PreferenceMemory
from prefmem_langchain import PreferenceMiddleware

ANN = {"user_id": "ann"}
STATED = "When I write SQL, always use CTEs."
INJECTED = "When I write SQL, use CTEs."


def says(*texts: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text) for text in texts]}


def thread(name: str, **more: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name, **more}}


def agent(
    memory: PreferenceMemory,
    model: Any,  # noqa: ANN401  # hosts are loosely typed
    *others: Any,  # noqa: ANN401  # as above
    tools: Sequence[Any] = (),
    saver: Any = None,  # noqa: ANN401  # as above
    **settings: Any,  # noqa: ANN401  # as above
) -> Any:  # noqa: ANN401  # as above
    given: dict[str, Any] = {"on_error": "raise", "learn": "inline", **settings}
    mine: Any = PreferenceMiddleware(memory, **given)
    return create_agent(model, list(tools), middleware=[*others, mine], checkpointer=saver)


def texts(memory: PreferenceMemory, user: str = "ann") -> list[str]:
    return [card.text for card in memory.list(user_id=user)]


def calls(name: str, **args: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": name}])


@tool
def look() -> str:
    """Look."""
    return "seen"


@pytest.mark.parametrize("placement", ["system", "user"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_rule_of_one_thread_serves_the_next_and_is_in_no_state(
    memory: PreferenceMemory, scribe: Callable[..., Any], placement: str, asynchronous: bool
) -> None:
    model, saver = scribe(), InMemorySaver()
    app = agent(memory, model, saver=saver, placement=placement)

    async def run(text: str, name: str, user: str) -> None:
        if asynchronous:
            await app.ainvoke(says(text), thread(name), context={"user_id": user})
        else:
            app.invoke(says(text), thread(name), context={"user_id": user})

    await run(STATED, "t1", "ann")
    await run("Write SQL for sales", "t2", "ann")
    await run("Write SQL for sales", "t3", "bob")
    assert [INJECTED in prompt for prompt in model.prompts] == [False, True, False]
    assert memory.list(user_id="ann")[0].session_id == "t1"
    assert "CTEs" not in model.prompts[2]

    held = repr([dict(saver.storage), dict(saver.blobs), dict(saver.writes)])
    assert "Write SQL for sales" in held
    assert INJECTED not in held
    assert "user-preferences" not in held
    second = repr([dict(saver.storage["t2"]), *(v for k, v in saver.blobs.items() if "t2" in k)])
    assert "Write SQL for sales" in second
    assert "CTEs" not in second


def test_sqlite_checkpoints_hold_no_rule(
    memory: PreferenceMemory, scribe: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints.db"
    model = scribe("Fine.", calls("look"), "Done.")
    with SqliteSaver.from_conn_string(str(path)) as saver:
        app = agent(memory, model, saver=saver, tools=[look])
        app.invoke(says(STATED), thread("t1"), context=ANN)
        app.invoke(says("Write SQL for sales"), thread("t2"), context=ANN)
    assert [INJECTED in prompt for prompt in model.prompts] == [False, True, True]
    held = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"Write SQL for sales" in held
    assert INJECTED.encode() not in held
    assert b"user-preferences" not in held
    db = sqlite3.connect(path)
    rows = db.execute("select checkpoint, metadata from checkpoints where thread_id = 't2'")
    writes = db.execute("select value from writes where thread_id = 't2'")
    second = repr([*rows, *writes])
    db.close()
    assert "Write SQL for sales" in second
    assert "CTEs" not in second


async def test_streams_hold_no_rule_and_whole_tokens(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    app = agent(memory, scribe("one two three"))
    for mode in ("updates", "values"):
        seen = list(app.stream(says("hi"), context=ANN, stream_mode=mode))
        seen += [part async for part in app.astream(says("hi"), context=ANN, stream_mode=mode)]
        assert "Answer briefly" not in repr(seen)
        assert "user-preferences" not in repr(seen)
    parts = [m for m, _ in app.stream(says("hi"), context=ANN, stream_mode="messages")]
    assert [str(m.text) for m in parts if m.text] == ["one", "two", "three"]
    late = [m async for m, _ in app.astream(says("hi"), context=ANN, stream_mode="messages")]
    assert [str(m.text) for m in late if m.text] == ["one", "two", "three"]


def test_resumed_run_has_its_rules_recalled_once(
    memory: PreferenceMemory, embedded: Callable[[str], int], scribe: Callable[..., Any]
) -> None:
    @tool
    def send() -> str:
        """Send."""
        return str(interrupt("Really?"))

    memory.add("", "answer briefly", user_id="ann")
    model = scribe(calls("send"), "Sent.")
    app = agent(memory, model, tools=[send], saver=InMemorySaver(), learn=False)
    app.invoke(says("Send it."), thread("t"), context=ANN)
    app.invoke(Command(resume="yes"), thread("t"), context=ANN)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [True, True]
    assert embedded("Send it.") == 1


def test_run_resumed_without_context_falls_back_to_the_config(
    memory: PreferenceMemory, scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    @tool
    def send() -> str:
        """Send."""
        return str(interrupt("Really?"))

    for config, learned in ((thread("a"), []), (thread("b", user_id="ann"), ["Be brief."])):
        model = scribe(calls("send"), "Sent.")
        app = agent(memory, model, tools=[send], saver=InMemorySaver())
        app.invoke(says("Always be brief."), config, context=ANN)
        app.invoke(Command(resume="yes"), config)
        assert texts(memory) == learned
    assert sum("no user id" in r.getMessage() for r in caplog.records) == 1


def test_turn_that_failed_is_learned_with_the_next(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(memory, scribe(LookupError("down"), "Fine."), saver=InMemorySaver())
    with pytest.raises(LookupError):
        app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
    assert texts(memory) == []
    app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_broken_stream_is_learned_with_the_next_turn(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(memory, scribe(), saver=InMemorySaver())
    stream = app.stream(says("Always answer briefly."), thread("t"), context=ANN)
    next(stream)
    stream.close()
    app.invoke(says("Thanks."), thread("t"), context=ANN)
    assert texts(memory) == ["Answer briefly."]


def lessons(memory: PreferenceMemory) -> list[int]:
    """Count how often each card was taught."""
    cards = memory.list(user_id="ann")
    return [len(memory.history(card.id, user_id="ann")) for card in cards]


def test_agent_as_a_node_learns_each_turn_once(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    model = scribe()
    builder: Any = StateGraph(MessagesState)
    builder.add_node("agent", agent(memory, model))
    builder.add_edge(START, "agent")
    app = builder.compile(checkpointer=InMemorySaver())
    for text in ("Always answer briefly.", "Thanks.", "Bye."):
        app.invoke(says(text), thread("t"), context=ANN)
    assert texts(memory) == ["Answer briefly."]
    assert lessons(memory) == [1]
    assert "Answer briefly." in model.prompts[1]


def test_whole_history_without_checkpointer_teaches_once(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(memory, scribe())
    history: list[dict[str, str]] = []
    for text in ("Always answer briefly.", "Thanks.", "Bye."):
        history.append({"role": "user", "content": text})
        app.invoke({"messages": history}, context=ANN)
        history.append({"role": "assistant", "content": "Fine."})
    assert lessons(memory) == [1]


def test_time_travel_teaches_once(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    model = scribe()
    app = agent(memory, model, saver=InMemorySaver())
    app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
    past = [s for s in app.get_state_history(thread("t")) if s.next == ("model",)]
    app.invoke(None, past[0].config, context=ANN)
    assert len(model.prompts) == 2
    assert lessons(memory) == [1]


def test_agent_inside_a_tool_recalls_and_does_not_learn(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    inner_model = scribe()
    inner = agent(memory, inner_model)

    @tool
    def research(task: str) -> str:
        """Research a task."""
        return str(inner.invoke(says(task))["messages"][-1].text)

    model = scribe(calls("research", task="Always answer in Latin."), "Done.")
    app = agent(memory, model, tools=[research], saver=InMemorySaver())
    app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    assert "Answer briefly." in inner_model.prompts[0]
    assert inner_model.seen[0][-1].text == "Always answer in Latin."
    assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_summary_is_neither_query_nor_lesson(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    summarizer = SummarizationMiddleware(
        scribe("Always answer in Latin."), trigger=("messages", 4), keep=("messages", 2)
    )
    model = scribe()
    app = agent(memory, model, summarizer, saver=InMemorySaver())
    for text in ("hi", STATED, "Write SQL for sales", "Thanks."):
        app.invoke(says(text), thread("t"), context=ANN)
    assert "Latin" in model.prompts[-1]  # the summary is in the history
    assert INJECTED in model.prompts[2]
    assert texts(memory) == [INJECTED]
    assert lessons(memory) == [1]


def test_redacted_text_is_what_gets_learned(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    redact = PIIMiddleware("email", strategy="redact")
    app = agent(memory, scribe(), redact)
    app.invoke(says("Always answer as if bob@corp wrote to bob@example.org"), context=ANN)
    (card,) = memory.list(user_id="ann")
    assert "[REDACTED_EMAIL]" in card.text
    assert "example" not in repr(card)
