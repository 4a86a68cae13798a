"""The middleware over several runs: learned in one, used in the next, and in no state."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

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


async def test_tokens_pass_through_untouched(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    app = agent(memory, scribe("one two three"))
    parts = [m for m, _ in app.stream(says("hi"), context=ANN, stream_mode="messages")]
    assert [str(m.text) for m in parts if m.text] == ["one", "two", "three"]
    late = [m async for m, _ in app.astream(says("hi"), context=ANN, stream_mode="messages")]
    assert [str(m.text) for m in late if m.text] == ["one", "two", "three"]
