"""Pitfalls 1, 2, 9-13, 15 and 16 of memory in agents: what the state, streams and prompts hold."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelRequest,
    PIIMiddleware,
    SummarizationMiddleware,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)
from langgraph.runtime import Runtime
from langgraph.types import Command, Send, interrupt

from prefmem import Preference, PreferenceMemory, Window
from prefmem.testing import HashEmbedder, TableRelater
from prefmem_langchain import (
    LearnNode,
    PreferenceMiddleware,
    PreferenceState,
    RecallNode,
    with_rules,
)

Saver: TypeAlias = BaseCheckpointSaver[Any]
ANN = {"user_id": "ann"}
STATED = "When I write SQL, always use CTEs."
INJECTED = "When I write SQL, use CTEs."
MODES = ["values", "updates", "messages", "custom", "debug", "checkpoints", "tasks"]


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
    system_prompt: str | None = None,
    **settings: Any,  # noqa: ANN401  # as above
) -> Any:  # noqa: ANN401  # as above
    given: dict[str, Any] = {"on_error": "raise", **settings}
    mine: Any = PreferenceMiddleware(memory, **given)
    return create_agent(
        model, list(tools), middleware=[*others, mine], checkpointer=saver,
        system_prompt=system_prompt,
    )  # fmt: skip


def says(*texts: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text) for text in texts]}


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def texts(memory: PreferenceMemory) -> list[str]:
    memory.flush()
    return [card.text for card in memory.list(user_id="ann")]


def calls(name: str, **args: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": name}])


@tool
def look() -> str:
    """Look."""
    return "seen"


def shows_a_rule(seen: object) -> bool:
    return "Answer briefly" in repr(seen) or "user-preferences" in repr(seen)


@pytest.mark.parametrize("mode", [*MODES, MODES], ids=[*MODES, "all"])
@pytest.mark.parametrize("placement", ["system", "user"])
async def test_pitfall_01_rules_leak_in_no_stream_mode(
    memory: PreferenceMemory,
    scribe: Callable[..., Any],
    mode: Any,  # noqa: ANN401  # as stream_mode
    placement: str,
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe(calls("look"), "one two", calls("look"), "one two")
    app = agent(memory, model, tools=[look], saver=InMemorySaver(), placement=placement)
    seen = list(app.stream(says("hi"), thread("a"), context=ANN, stream_mode=mode, subgraphs=True))
    asked = app.astream(says("hi"), thread("b"), context=ANN, stream_mode=mode, subgraphs=True)
    seen += [part async for part in asked]
    assert seen or mode == "custom"
    assert not shows_a_rule(seen)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [True] * 4


async def test_pitfall_01_events_show_rules_only_as_the_prompt_of_the_model(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    app = agent(memory, scribe("one two"), saver=InMemorySaver())
    events = [
        e async for e in app.astream_events(says("hi"), thread("t"), context=ANN, version="v2")
    ]
    tokens = [e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream"]
    assert [t for t in tokens if t] == ["one", "two"]
    for event in events:
        if event["event"].startswith("on_chat_model"):
            event["data"].pop("input", None)  # what any system prompt is shown in, too
    assert not shows_a_rule(events)


def test_pitfall_01_no_rule_in_checkpoints_or_result(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver, tmp_path: Path
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe(calls("look"), "Done.")
    app = agent(memory, model, tools=[look], saver=saver)
    after = app.invoke(says("hi"), thread("t"), context=ANN)
    assert set(after) == {"messages"}
    assert not shows_a_rule([after, *app.get_state_history(thread("t"))])
    assert not shows_a_rule(b"".join(p.read_bytes() for p in tmp_path.iterdir()))
    assert all("Answer briefly." in prompt for prompt in model.prompts)


def test_pitfall_02_a_resumed_run_has_its_rules(
    memory: PreferenceMemory,
    embedded: Callable[[str], int],
    scribe: Callable[..., Any],
    saver: Saver,
) -> None:
    @tool
    def send() -> str:
        """Send."""
        return str(interrupt("Really?"))

    memory.add("", "answer briefly", user_id="ann")
    model = scribe(calls("send"), "Sent.")
    app = agent(memory, model, tools=[send], saver=saver, learn=False)
    app.invoke(says("Send it."), thread("t"), context=ANN)
    app.invoke(Command(resume="yes"), thread("t"), context=ANN)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [True, True]
    assert embedded("Send it.") == 1

    other = scribe(calls("send"), "Sent.")  # resumed by another process: a miss recalls again
    agent(memory, other, tools=[send], saver=saver).invoke(says("Send."), thread("u"), context=ANN)
    late = scribe("Sent.")
    agent(memory, late, tools=[send], saver=saver).invoke(
        Command(resume="yes"), thread("u"), context=ANN
    )
    assert "Answer briefly." in late.prompts[0]


def test_pitfall_09_a_summary_is_neither_query_nor_lesson(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver
) -> None:
    summarizer = SummarizationMiddleware(
        scribe("Always answer in Latin."), trigger=("messages", 4), keep=("messages", 2)
    )
    model = scribe()
    app = agent(memory, model, summarizer, saver=saver)
    for text in ("hi", STATED, "Write SQL for sales", "Thanks."):
        app.invoke(says(text), thread("t"), context=ANN)
        memory.flush()
    assert "Latin" in model.prompts[-1]  # the summary is in the history
    assert INJECTED in model.prompts[2]
    assert texts(memory) == [INJECTED]
    (card,) = memory.list(user_id="ann")
    assert len(memory.history(card.id, user_id="ann")) == 1


def test_pitfall_10_redacted_text_is_what_gets_recalled_and_learned(
    memory: PreferenceMemory, embedded: Callable[[str], int], scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    redact = PIIMiddleware("email", strategy="redact")
    raw = "Always answer as if bob@corp wrote to bob@example.org"
    agent(memory, scribe(), redact).invoke(says(raw), context=ANN)
    assert texts(memory) == [
        "Answer briefly.",
        "Answer as if bob@corp wrote to [REDACTED_EMAIL].",
    ]
    assert "example" not in repr(memory.export(user_id="ann"))
    assert embedded(raw) == 0


@pytest.mark.parametrize("learn", ["inline", "background"])
async def test_pitfall_11_an_extractor_streams_nothing_to_the_user(
    scribe: Callable[..., Any], learn: str
) -> None:
    extractor = scribe(
        '{"preferences": [{"condition": "", "action": "answer briefly", "confidence": 0.9}]}'
    )
    with PreferenceMemory(
        ":memory:",
        extractor=extractor,
        judge=scribe("secret judge"),
        embedder=HashEmbedder(),
        relater=TableRelater(),
        reranker="none",
    ) as memory:
        app = agent(memory, scribe("one two"), saver=InMemorySaver(), learn=learn)
        asked = says("Always answer briefly.")
        parts = list(app.stream(asked, thread("a"), context=ANN, stream_mode="messages"))
        parts += [
            part
            async for part in app.astream(asked, thread("b"), context=ANN, stream_mode="messages")
        ]
        assert [t for m, _ in parts if (t := str(m.text))] == ["one", "two"] * 2
        events = [
            e async for e in app.astream_events(asked, thread("c"), context=ANN, version="v2")
        ]
        assert memory.flush(60)
        runs = {e["run_id"] for e in events if e["event"].startswith("on_chat_model")}
        assert len(runs) == 1
        assert len(extractor.seen) == 3
        assert "Answer briefly." in texts(memory)


@pytest.mark.parametrize("text", ["Always answer briefly.", "Remember that I like CTEs."])
def test_pitfall_11_nor_one_of_your_own(scribe: Callable[..., Any], text: str) -> None:
    asked = scribe("answer briefly")

    class Naive:
        def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
            del window, turn_ids
            asked.invoke("What does the user like?")
            return ()

    with PreferenceMemory(
        ":memory:",
        extractor=Naive(),
        judge="none",
        embedder=HashEmbedder(),
        relater=TableRelater(),
        reranker="none",
    ) as memory:
        app = agent(memory, scribe("one two"), saver=InMemorySaver(), learn="inline")
        parts = app.stream(says(text), thread("t"), context=ANN, stream_mode="messages")
        assert [t for m, _ in parts if (t := str(m.text))] == ["one", "two"]
        assert asked.seen


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_pitfall_11_nor_in_the_newest_streams(scribe: Callable[..., Any]) -> None:
    extractor = scribe(
        '{"preferences": [{"condition": "", "action": "answer briefly", "confidence": 0.9}]}'
    )
    with PreferenceMemory(
        ":memory:",
        extractor=extractor,
        judge="none",
        embedder=HashEmbedder(),
        relater=TableRelater(),
        reranker="none",
    ) as memory:
        app = agent(memory, scribe("one two"), saver=InMemorySaver(), learn="inline")
        asked = says("Always answer briefly.")
        try:
            run = app.stream_events(asked, thread("t"), context=ANN, version="v3")
        except (TypeError, AttributeError, NotImplementedError):
            pytest.skip("this langgraph has no streams of version 3")
        assert [str(m.text) for m in run.messages] == ["onetwo"]
        assert texts(memory) == ["Answer briefly."]


class Both(MessagesState, PreferenceState):
    """What the graphs here pass on."""


def test_pitfall_12_parallel_branches_may_all_write(memory: PreferenceMemory) -> None:
    card = memory.add("", "answer briefly", user_id="ann")

    def split(state: Both) -> list[Send]:
        return [
            Send(name, {"messages": [m]}) for m in state["messages"] for name in ("recall", "learn")
        ]

    builder: Any = StateGraph(Both)
    builder.add_node("recall", RecallNode(memory, on_error="raise"))
    builder.add_node("learn", LearnNode(memory, on_error="raise"))
    builder.add_conditional_edges(START, split, ["recall", "learn"])
    app = builder.compile(checkpointer=InMemorySaver())
    branches = ("Always use SI units.", "Always be brief.", "hi")
    after = app.invoke(says(*branches), thread("t"), context=ANN)
    assert after["preferences"] == [card.id]
    assert sorted(texts(memory)) == ["Answer briefly.", "Be brief.", "Use SI units."]


def test_pitfall_12_agents_may_run_in_parallel_branches(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    def split(state: MessagesState) -> list[Send]:
        return [Send("agent", {"messages": [m]}) for m in state["messages"]]

    builder: Any = StateGraph(MessagesState)
    builder.add_node("agent", agent(memory, scribe(), confirm=True, elicit=False))
    builder.add_conditional_edges(START, split, ["agent"])
    app = builder.compile(checkpointer=InMemorySaver())
    app.invoke(says("Always use SI units.", "Always be brief."), thread("t"), context=ANN)
    assert sorted(texts(memory)) == ["Be brief.", "Use SI units."]


async def test_pitfall_13_nodes_find_the_user_of_the_run(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    model = scribe()

    def chat(state: Both, runtime: Runtime[Any]) -> dict[str, Any]:
        rules = memory.render(state["preferences"], user_id=runtime.context["user_id"])
        return {"messages": [model.invoke(with_rules(state["messages"], rules))]}

    builder: Any = StateGraph(Both)
    builder.add_sequence(
        [
            ("recall", RecallNode(memory, on_missing_user="raise", on_error="raise")),
            ("chat", chat),
            ("learn", LearnNode(memory, on_missing_user="raise", on_error="raise")),
        ]
    )
    builder.add_edge(START, "recall")
    app = builder.compile(checkpointer=InMemorySaver())
    app.invoke(says("Always use CTEs."), thread("a"), context=ANN)
    memory.flush()
    list(app.stream(says("Always use SI units."), thread("b"), context=ANN))
    memory.flush()
    await app.ainvoke(says("Always be brief."), thread("c"), context=ANN)
    memory.flush()
    async for _ in app.astream(says("Always be kind."), thread("d"), context=ANN):
        pass
    assert texts(memory) == ["Use CTEs.", "Use SI units.", "Be brief.", "Be kind."]
    assert ["Use CTEs." in prompt for prompt in model.prompts] == [False, True, True, True]


class CacheMark(AgentMiddleware):
    """Does what prompt caching of Anthropic is documented to do: marks the last system block."""

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Any]
    ) -> Any:  # noqa: ANN401  # as in AgentMiddleware
        assert request.system_message is not None
        blocks = [dict(cast(dict[str, Any], b)) for b in request.system_message.content_blocks]
        blocks[-1]["cache_control"] = {"type": "ephemeral"}
        marked: Any = blocks
        return handler(request.override(system_message=SystemMessage(marked)))


def test_pitfall_15_the_cached_part_of_the_prompt_does_not_change_with_the_query(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("I write SQL", "use CTEs", user_id="ann")
    memory.add("I write mails", "sign as A", user_id="ann")
    for placement in ("system", "user"):
        model = scribe()
        app = agent(memory, model, CacheMark(), system_prompt="Be kind.", placement=placement)
        for question in ("I write SQL now", "I write mails now", "hi"):
            app.invoke(says(question), context=ANN)
        cached: list[Any] = []
        for system, *_ in model.seen:
            marks = ["cache_control" in block for block in system.content]
            cached.append(system.content[: marks.index(True) + 1])
        assert "CTEs" in model.prompts[0]
        assert "sign as A" in model.prompts[1]
        assert cached[0] == cached[1] == cached[2]
        assert [block["text"] for block in cached[0]] == ["Be kind."]


@pytest.mark.parametrize("placement", ["system", "user"])
def test_pitfall_16_messages_hold_what_was_said_and_one_system_message_leads(
    memory: PreferenceMemory, scribe: Callable[..., Any], saver: Saver, placement: str
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    app = agent(memory, model, saver=saver, placement=placement, system_prompt="Be kind.")
    for text in ("hi", "and now?", "Thanks."):
        after = app.invoke(says(text), thread("t"), context=ANN)
    assert [m.type for m in after["messages"]] == ["human", "ai"] * 3
    for prompt in model.seen:
        assert [m.type == "system" for m in prompt] == [True, *[False] * (len(prompt) - 1)]
        assert "Answer briefly." in "".join(str(m.text) for m in prompt)
