import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    END,
    START,
    MessagesState,
    StateGraph,
)
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.types import Command, Send, interrupt

from prefmem import Config, PreferenceMemory, StoreError, UserRequiredError
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import LearnNode, PreferenceState, RecallNode

ANN = {"user_id": "ann"}
STATED = "When I write SQL, always use CTEs."
INJECTED = "When I write SQL, use CTEs."
SUMMARY = HumanMessage("Always answer in Latin.", additional_kwargs={"lc_source": "summarization"})


class State(MessagesState, PreferenceState):
    """What the graphs here pass on."""


def graph(memory: PreferenceMemory, model: Any, saver: Any = None, **settings: Any) -> Any:  # noqa: ANN401  # hosts are loosely typed
    """Recall, chat, learn."""

    def chat(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
        context: Any = runtime.context or {}
        block = memory.render(state["preferences"], user_id=context.get("user_id", "nobody"))
        return {"messages": [model.invoke([SystemMessage(block), *state["messages"]])]}

    builder: Any = StateGraph(State)
    builder.add_node("recall", RecallNode(memory, **settings))
    builder.add_node("chat", chat)
    builder.add_node("learn", LearnNode(memory, learn="inline", **settings))
    builder.add_edge(START, "recall")
    builder.add_edge("recall", "chat")
    builder.add_edge("chat", "learn")
    builder.add_edge("learn", END)
    return builder.compile(checkpointer=saver)


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def says(*texts: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text) for text in texts]}


def texts(memory: PreferenceMemory, user: str = "ann") -> list[str]:
    return [card.text for card in memory.list(user_id=user)]


def test_a_rule_of_one_thread_is_in_the_prompt_of_the_next(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    model, saver = scribe(), InMemorySaver()
    app = graph(memory, model, saver, on_error="raise")
    app.invoke(says(STATED), thread("t1"), context=ANN)
    (card,) = memory.list(user_id="ann")
    assert (card.text, card.session_id) == (INJECTED, "t1")

    after = app.invoke(says("Write SQL for sales"), thread("t2"), context=ANN)
    assert INJECTED not in model.prompts[0]
    assert INJECTED in model.prompts[1]
    assert after["preferences"] == [card.id]

    app.invoke(says("Write SQL for sales"), thread("t3"), context={"user_id": "bob"})
    assert "CTEs" not in model.prompts[2]


def test_no_rule_is_persisted(
    memory: PreferenceMemory, scribe: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoints.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        app = graph(memory, scribe(), saver, on_error="raise")
        app.invoke(says(STATED), thread("t1"), context=ANN)
        app.invoke(says("Write SQL for sales"), thread("t2"), context=ANN)
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


async def test_async_does_the_same(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    model = scribe()
    app = graph(memory, model, InMemorySaver(), on_error="raise")
    await app.ainvoke(says(STATED), thread("t1"), context=ANN)
    await app.ainvoke(says("Write SQL for sales"), thread("t2"), context=ANN)
    assert texts(memory) == [INJECTED]
    assert INJECTED in model.prompts[1]


async def test_streams_hold_ids_and_whole_tokens(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    card = memory.add("", "answer briefly", user_id="ann")
    app = graph(memory, scribe("one two three"), on_error="raise")
    updates = list(app.stream(says("hi"), context=ANN, stream_mode="updates"))
    assert updates[0] == {"recall": {"preferences": [card.id]}}
    assert [next(iter(update)) for update in updates] == ["recall", "chat", "learn"]
    values = list(app.stream(says("hi"), context=ANN, stream_mode="values"))
    assert "Answer briefly" not in repr([updates, values])

    tokens = [m.text for m, _ in app.stream(says("hi"), context=ANN, stream_mode="messages")]
    assert [t for t in tokens if t] == ["one", "two", "three"]
    late = [m async for m, _ in app.astream(says("hi"), context=ANN, stream_mode="messages")]
    assert [str(m.text) for m in late if m.text] == ["one", "two", "three"]


def test_forgotten_rule_does_not_come_back_from_a_state(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    card = memory.add("", "answer briefly", user_id="ann")
    model, saver = scribe(), InMemorySaver()
    app = graph(memory, model, saver, on_error="raise")
    held = app.invoke(says("hi"), thread("t"), context=ANN)
    memory.forget(card.id, user_id="ann")
    assert held["preferences"] == [card.id]
    assert memory.render(held["preferences"], user_id="ann") == ""
    after = app.invoke(says("hi again"), thread("t"), context=ANN)
    assert after["preferences"] == []
    assert "Answer briefly." in model.prompts[0]
    assert "Answer briefly." not in model.prompts[1]


def test_another_user_of_the_thread_gets_nothing_of_the_first(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    app = graph(memory, scribe(), InMemorySaver(), on_error="raise")
    app.invoke(says("hi"), thread("t"), context=ANN)
    after = app.invoke(says("hi"), thread("t"), context={"user_id": "bob"})
    assert after["preferences"] == []


def test_without_user_there_is_no_memory(
    memory: PreferenceMemory, scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = scribe()
    app = graph(memory, model, InMemorySaver())
    app.invoke(says("Always answer briefly."), thread("t"))
    after = app.invoke(says("Always answer briefly."), thread("t"))
    assert after["preferences"] == []
    assert "preferences>" not in model.prompts[1]
    warned = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert [w.split(":")[0] for w in warned] == ["RecallNode", "LearnNode"]  # once each
    with pytest.raises(UserRequiredError):
        graph(memory, model, on_missing_user="raise").invoke(says("hi"))


def test_failing_memory_lets_the_chat_go_on(
    scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    memory = PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        reranker="none",
        relater=TableRelater(),
    )
    memory.close()
    builder: Any = StateGraph(State)
    builder.add_sequence(
        [("recall", RecallNode(memory)), ("learn", LearnNode(memory, learn="inline"))]
    )
    builder.add_edge(START, "recall")
    app = builder.compile()
    state = app.invoke(says("My secret is 42."), context=ANN)
    assert state["preferences"] == []
    told = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert [t.split(" in ")[0] for t in told] == [
        "RecallNode: recall failed with StoreClosedError",
        "LearnNode: learn failed with StoreClosedError",
    ]
    assert "ann" not in repr(told)
    assert "42" not in repr(told)
    with pytest.raises(StoreError):
        graph(memory, scribe(), on_error="raise").invoke(says("hi"), context=ANN)


def test_summary_is_neither_query_nor_lesson(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = graph(memory, scribe(), on_error="raise")
    card = memory.add("I write SQL", "use CTEs", user_id="ann")
    messages = [HumanMessage("Write SQL for sales"), AIMessage("select 1"), SUMMARY]
    assert app.invoke({"messages": messages}, context=ANN)["preferences"] == [card.id]
    assert app.invoke({"messages": [SUMMARY]}, context=ANN)["preferences"] == []
    assert texts(memory) == [INJECTED]


def test_huge_message_does_not_keep_the_rest_from_being_learned(
    scribe: Callable[..., Any],
) -> None:
    config = Config.model_validate({"max_turn_chars": 40})
    with PreferenceMemory(
        ":memory:", embedder=HashEmbedder(), extractor=PhraseExtractor(), config=config
    ) as memory:
        app = graph(memory, scribe(), on_error="raise")
        app.invoke(says("x" * 41, "Always answer briefly."), context=ANN)
        assert texts(memory) == ["Answer briefly."]


def test_whole_history_and_time_travel_teach_once(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = graph(memory, scribe(), InMemorySaver(), on_error="raise")
    app.invoke(says("Always answer briefly."), thread("t"), context=ANN)
    past = [s for s in app.get_state_history(thread("t")) if s.next == ("recall",)]
    app.invoke(None, past[0].config, context=ANN)
    app.invoke(says("Thanks."), thread("t"), context=ANN)
    (card,) = memory.list(user_id="ann")
    assert len(memory.history(card.id, user_id="ann")) == 1


def test_parallel_branches_may_all_recall(memory: PreferenceMemory) -> None:
    card = memory.add("", "answer briefly", user_id="ann")

    def split(state: State) -> list[Send]:
        return [Send("recall", {"messages": [m]}) for m in state["messages"]]

    builder: Any = StateGraph(State)
    builder.add_node("recall", RecallNode(memory, on_error="raise"))
    builder.add_conditional_edges(START, split, ["recall"])
    app = builder.compile()
    assert app.invoke(says("a", "b", "c"), context=ANN)["preferences"] == [card.id]


def test_interrupted_run_resumes_with_its_rules(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model, saver = scribe(), InMemorySaver()

    def ask(state: State) -> dict[str, Any]:
        block = memory.render(state["preferences"], user_id="ann")
        answer = interrupt("Really?")
        return {"messages": [model.invoke([SystemMessage(block), HumanMessage(answer)])]}

    builder: Any = StateGraph(State)
    builder.add_sequence(
        [("recall", RecallNode(memory)), ("ask", ask), ("learn", LearnNode(memory, learn="inline"))]
    )
    builder.add_edge(START, "recall")
    app = builder.compile(checkpointer=saver)
    app.invoke(says("Always use SI units."), thread("t"), context=ANN)
    assert texts(memory) == ["Answer briefly."]
    app.invoke(Command(resume="yes"), thread("t"), context=ANN)
    assert "Answer briefly." in model.prompts[0]
    assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_graph_inside_a_tool_recalls_and_does_not_learn(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    inner = graph(memory, model, on_error="raise")

    @tool
    def research(task: str) -> str:
        """Research a task."""
        return str(inner.invoke(says(task))["messages"][-1].text)

    call = {"name": "research", "args": {"task": "Always answer in Latin."}, "id": "1"}
    builder: Any = StateGraph(State)
    builder.add_node("tools", ToolNode([research]))
    builder.add_node("learn", LearnNode(memory, learn="inline", on_error="raise"))
    builder.add_edge(START, "tools")
    builder.add_edge("tools", "learn")
    app = builder.compile()
    turn = [HumanMessage("Always use SI units."), AIMessage("", tool_calls=[call])]
    app.invoke({"messages": turn}, context=ANN)
    assert "Answer briefly." in model.prompts[0]
    assert texts(memory) == ["Answer briefly.", "Use SI units."]
