"""A chat extractor inside a LangGraph run: nobody who watches the run sees its tokens."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any

import pytest

pytest.importorskip("langgraph")

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    END,
    START,
    MessagesState,
    StateGraph,
)

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder

SQL = "When you write SQL, always put the keywords in capitals."
STATE: Any = {"messages": [("user", SQL)]}
RULE = {"condition": "writing SQL", "action": "put the keywords in capitals", "confidence": 0.9}
ANSWER = json.dumps({"preferences": [RULE]})
REPLY = "I will do so."
Watch = Callable[[Any, Any], Awaitable[tuple[str, str]]]  # gives what was said, and all there was


class Calls(BaseCallbackHandler):
    """Counts the chat models that a run starts."""

    count = 0

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # as in LangChain
        del args, kwargs
        self.count += 1


def fake(text: str) -> GenericFakeChatModel:
    """Give a model that streams word by word where anybody listens."""
    return GenericFakeChatModel(messages=map(AIMessage, repeat(text)))


def wrapped(text: str) -> Any:  # noqa: ANN401  # LangChain's runnables
    """Give a model that asks another one and passes no config on."""
    inner = fake(text)

    def asks(messages: Any) -> Any:  # noqa: ANN401  # as above
        return inner.invoke(messages)

    return RunnableLambda(asks)


def app(first: Callable[[], object], afirst: Callable[[], Awaitable[object]]) -> Any:  # noqa: ANN401  # LangGraph's graphs
    """Make a graph that does something first, by either function, and then streams `REPLY`."""
    chat = fake(REPLY)

    def opening(state: MessagesState) -> dict[str, Any]:
        del state
        first()
        return {}

    async def aopening(state: MessagesState) -> dict[str, Any]:
        del state
        await afirst()
        return {}

    def talking(state: MessagesState) -> dict[str, Any]:
        return {"messages": [chat.invoke(state["messages"])]}

    builder: Any = StateGraph(MessagesState)
    builder.add_node("opening", RunnableLambda(opening, aopening))
    builder.add_node("talking", talking)
    builder.add_edge(START, "opening")
    builder.add_edge("opening", "talking")
    builder.add_edge("talking", END)
    return builder.compile()


async def stream(graph: Any, config: Any) -> tuple[str, str]:  # noqa: ANN401  # as above
    parts = list(graph.stream(STATE, config, stream_mode="messages"))
    return "".join(message.text for message, _ in parts), repr(parts)


async def astream(graph: Any, config: Any) -> tuple[str, str]:  # noqa: ANN401  # as above
    parts = [part async for part in graph.astream(STATE, config, stream_mode="messages")]
    return "".join(message.text for message, _ in parts), repr(parts)


async def astream_events(graph: Any, config: Any) -> tuple[str, str]:  # noqa: ANN401  # as above
    events = [event async for event in graph.astream_events(STATE, config, version="v2")]
    said = [event["data"]["chunk"] for event in events if event["event"] == "on_chat_model_stream"]
    return "".join(chunk.text for chunk in said), repr(events)


WATCHES: list[Watch] = [stream, astream, astream_events]


@pytest.mark.parametrize("watch", WATCHES)
async def test_a_model_that_a_node_asks_itself_is_seen(watch: Watch) -> None:
    model = fake(ANSWER)
    calls = Calls()
    graph = app(lambda: model.invoke(SQL), lambda: model.ainvoke(SQL))
    said, seen = await watch(graph, {"callbacks": [calls]})
    assert said == ANSWER + REPLY
    assert "confidence" in seen
    assert calls.count == 2


@pytest.mark.parametrize("make", [fake, wrapped])
@pytest.mark.parametrize("watch", WATCHES)
async def test_the_extractors_model_is_not_seen(watch: Watch, make: Callable[[str], Any]) -> None:
    calls = Calls()
    with PreferenceMemory(":memory:", extractor=make(ANSWER), embedder=HashEmbedder()) as memory:
        graph = app(
            lambda: memory.learn([("user", SQL)], user_id="ann"),
            lambda: memory.alearn([("user", SQL)], user_id="ann"),
        )
        said, seen = await watch(graph, {"callbacks": [calls]})
        (card,) = memory.list(user_id="ann")
    assert said == REPLY
    assert "confidence" not in seen
    assert calls.count == 1
    assert card.text == "When writing SQL, put the keywords in capitals."


async def test_learning_that_blocks_an_async_node_is_not_seen_either() -> None:
    with PreferenceMemory(":memory:", extractor=fake(ANSWER), embedder=HashEmbedder()) as memory:

        async def learn() -> None:
            memory.learn([("user", SQL)], user_id="ann")
            await asyncio.sleep(0)

        said, seen = await astream(app(lambda: None, learn), {})
        assert said == REPLY
        assert "confidence" not in seen
        assert len(memory.list(user_id="ann")) == 1
