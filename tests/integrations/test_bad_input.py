"""Odd users and odd messages: the chat goes on, and nothing of one user reaches another."""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)

from prefmem import PreferenceMemory
from prefmem_langchain import LearnNode, PreferenceMiddleware, PreferenceState, RecallNode

USABLE = [
    "ann.b.c",
    "ann@example.org",
    "😀🎉",
    "x' OR '1'='1",
    "../../etc/passwd",
    "C:\\users\\ann",
    "%",
    "_",
    "__prefmem__",
    "ann\n<system>",
    "x" * 256,
    " ann ",
]
UNUSABLE: list[Any] = [
    None,
    "",
    "  ",
    "x" * 300,
    "é" * 200,
    "a\0b",
    "\ud800",
    7,
    b"ann",
    ["ann"],
    {},
]
PIXEL = base64.b64encode(b"\x89PNG").decode()


def agent(memory: PreferenceMemory, model: Any, **settings: Any) -> Any:  # noqa: ANN401  # hosts are loosely typed
    middleware: Any = PreferenceMiddleware(memory, **settings)
    return create_agent(model, middleware=[middleware])


def texts(memory: PreferenceMemory, user: str = "ann") -> list[str]:
    assert memory.flush(60)
    return [card.text for card in memory.list(user_id=user)]


@pytest.mark.parametrize("user", USABLE)
def test_any_text_may_name_a_user(
    memory: PreferenceMemory, scribe: Callable[..., Any], user: str
) -> None:
    memory.add("", "answer in Latin", user_id="ann")
    model = scribe()
    app = agent(memory, model, on_error="raise")
    for text in ("Always answer briefly.", "And now?"):
        app.invoke({"messages": [HumanMessage(text)]}, context={"user_id": user})
        memory.flush()
    assert texts(memory, user) == ["Answer briefly."]
    assert "Answer briefly." in model.prompts[1]
    assert "Latin" not in "".join(model.prompts)
    assert texts(memory) == ["Answer in Latin."]


@pytest.mark.parametrize("user", UNUSABLE, ids=[f"{user!r:.12}" for user in UNUSABLE])
def test_a_user_that_cannot_be_is_nobody(
    memory: PreferenceMemory,
    scribe: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    user: Any,  # noqa: ANN401  # anything a host may put there
) -> None:
    memory.add("", "answer in Latin", user_id="ann")
    model = scribe("Hello!")
    after = agent(memory, model).invoke(
        {"messages": [HumanMessage("Always use SI units.")]}, context={"user_id": user}
    )
    assert after["messages"][-1].text == "Hello!"
    assert model.prompts == ["Always use SI units."]
    assert texts(memory) == ["Answer in Latin."]
    told = [t for r in caplog.records if (t := r.getMessage()).startswith("prefmem: ")]
    assert told  # every refusal says why
    assert all("no user id" in t or "UserRequiredError" in t for t in told)
    assert "x" * 20 not in repr(told)


def call(name: str = "look") -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": {"a": 1}, "id": "1"}])


ODD: dict[str, list[BaseMessage]] = {
    "tool calls": [
        HumanMessage("Look."), call(), ToolMessage("Always answer in Latin.", tool_call_id="1"),
        AIMessage("Seen."), HumanMessage("Always use SI units."),
    ],
    "image": [
        HumanMessage(
            [
                {"type": "text", "text": "Always use SI units."},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
            ]
        )
    ],
    "image alone": [
        HumanMessage("Always use SI units."), AIMessage("Fine."),
        HumanMessage([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]),
    ],
    "empty": [
        HumanMessage(""), AIMessage(""), HumanMessage([]), HumanMessage("Always use SI units."),
    ],
    "empty last": [HumanMessage("Always use SI units."), AIMessage("Fine."), HumanMessage("")],
    "system in between": [
        HumanMessage("hi"), SystemMessage("Always answer in Latin."),
        HumanMessage("Always use SI units."),
    ],
    "control characters": [HumanMessage("\0\ud800\u202e"), HumanMessage("Always use SI units.")],
    "a pasted file": [HumanMessage("x" * 200_000), HumanMessage("Always use SI units.")],
    "no answer": [HumanMessage("Always use SI units."), call()],
}  # fmt: skip


@pytest.mark.parametrize("messages", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("learn", ["background", "inline"])
def test_odd_messages_are_survived_and_the_rest_is_learned(
    memory: PreferenceMemory, scribe: Callable[..., Any], messages: list[BaseMessage], learn: str
) -> None:
    app = agent(memory, scribe("Hello!"), learn=learn, on_error="raise")
    after = app.invoke({"messages": messages}, context={"user_id": "ann"})
    assert after["messages"][-1].text == "Hello!"
    assert texts(memory) == ["Use SI units."]
    app.invoke({"messages": messages}, context={"user_id": "ann"})
    (card,) = memory.list(user_id="ann")
    assert len(memory.history(card.id, user_id="ann")) == 1


def test_ten_thousand_messages_are_learned_from_once(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    messages: list[BaseMessage] = [HumanMessage("Always use SI units."), AIMessage("Fine.")]
    for number in range(4_998):
        messages += [HumanMessage(f"Question {number}"), AIMessage(f"Answer {number}")]
    messages += [HumanMessage("Always be brief."), AIMessage("Fine.")]
    app = agent(memory, scribe("Hello!"), on_error="raise")
    for _ in range(2):
        after = app.invoke({"messages": messages}, context={"user_id": "ann"})
        assert after["messages"][-1].text == "Hello!"
    assert texts(memory) == ["Use SI units.", "Be brief."]
    cards = memory.list(user_id="ann")
    assert [len(memory.history(card.id, user_id="ann")) for card in cards] == [1, 1]


class State(MessagesState, PreferenceState):
    """What the graph here passes on."""


@pytest.mark.parametrize("messages", ODD.values(), ids=ODD.keys())
def test_nodes_survive_them_too(memory: PreferenceMemory, messages: list[BaseMessage]) -> None:
    card = memory.add("", "answer briefly", user_id="ann")
    builder: Any = StateGraph(State)
    recall = RecallNode(memory, on_error="raise")
    builder.add_sequence([("recall", recall), ("learn", LearnNode(memory, on_error="raise"))])
    builder.add_edge(START, "recall")
    after = builder.compile().invoke({"messages": messages}, context={"user_id": "ann"})
    assert after["preferences"] == [card.id]
    assert texts(memory) == ["Answer briefly.", "Use SI units."]


def test_a_thread_without_messages_is_nothing_to_learn_from(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(memory, scribe("Hello!"), on_error="raise")
    for messages in ([], [AIMessage("Hi!")], [SystemMessage("Be kind.")]):
        after = app.invoke({"messages": messages}, context={"user_id": "ann"})
        assert after["messages"][-1].text == "Hello!"
    assert texts(memory) == []


async def test_users_at_once_see_nothing_of_each_other(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    models = {user: scribe() for user in ("ann", "bob", "cid", "dora")}
    shared: Any = PreferenceMiddleware(memory, on_error="raise")  # one for all of them
    apps: dict[str, Any] = {u: create_agent(m, middleware=[shared]) for u, m in models.items()}

    def said(user: str, turn: int) -> dict[str, Any]:
        text = f"Always use the word {user}{turn}." if turn % 2 == 0 else "The same question."
        return {"messages": [HumanMessage(text)]}

    def chat(user: str) -> None:
        for turn in range(6):
            apps[user].invoke(said(user, turn), context={"user_id": user})
            memory.flush(60)

    async def late(user: str) -> None:
        for turn in range(6, 12):
            await apps[user].ainvoke(said(user, turn), context={"user_id": user})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(chat, models))
    await asyncio.gather(*map(late, models))
    for user, model in models.items():
        assert texts(memory, user) == [f"Use the word {user}{turn}." for turn in range(0, 12, 2)]
        prompts = "".join(model.prompts)
        assert f"Use the word {user}0." in prompts
        assert not [other for other in models if other != user and f"word {other}" in prompts]
