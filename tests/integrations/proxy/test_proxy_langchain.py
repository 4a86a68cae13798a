"""LangChain's ChatOpenAI through the proxy."""

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.integrations.proxy.conftest import Door
from tests.integrations.proxy.fake_upstream import eventually


class City(BaseModel):
    """A place."""

    city: str


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def chat(door: Door, **given: Any) -> ChatOpenAI:  # noqa: ANN401  # the arguments of ChatOpenAI
    return ChatOpenAI(
        model="echo", base_url=door.base, api_key=SecretStr("key-ann"), max_retries=0, **given
    )


def test_invoke_and_stream(door: Door) -> None:
    model = chat(door, stream_usage=True)
    assert model.invoke("Always use metres.").text == "Answer 0 to: Always use metres."
    eventually(lambda: len(door.rules()) == 1)
    pieces = list(model.stream([("system", "Be kind."), ("user", "How high?")]))
    assert [p.text for p in pieces if p.text] == ["Answer", "0", "to:", "How", "high?"]
    assert [p.usage_metadata["total_tokens"] for p in pieces if p.usage_metadata] == [5]
    system, question = door.upstream.seen[-1].json["messages"]
    assert system["content"].startswith("Be kind.\n\n<user-preferences-")
    assert question["content"] == "How high?"


async def test_the_async_verbs(door: Door) -> None:
    model = chat(door)
    assert (await model.ainvoke("Hi")).text == "Answer 0 to: Hi"
    assert [p.text async for p in model.astream("Hi") if p.text] == ["Answer", "0", "to:", "Hi"]


def test_bound_tools(door: Door) -> None:
    door.memory.add("", "use metres", user_id="ann")
    model: Any = chat(door)
    model = model.bind_tools([weather])
    asked: list[Any] = [HumanMessage("What is the weather?")]
    called = model.invoke(asked)
    (call,) = called.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    streamed: Any = None
    for piece in model.stream(asked):
        streamed = piece if streamed is None else streamed + piece
    assert streamed.tool_calls[0]["args"] == {"city": "Oslo"}
    answer = model.invoke(
        [*asked, called, ToolMessage(weather.invoke(call["args"]), tool_call_id="call_1")]
    )
    assert answer.text == "Answer 0 to: sunny in Oslo"
    assert "metres" in door.upstream.seen[-1].prompt
    assert door.upstream.seen[-1].json["tools"][0]["function"]["name"] == "weather"


def test_structured_output(door: Door) -> None:
    for method in ("json_schema", "function_calling"):
        model: Any = chat(door)
        structured = model.with_structured_output(City, method=method)
        assert structured.invoke("Where?") == City(city="Oslo")
