"""What users tell their memory in an agent's chat."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from prefmem import ConfigError, PreferenceMemory
from prefmem_langchain import PreferenceMiddleware

ANN = {"user_id": "ann"}
THREAD = {"configurable": {"thread_id": "t"}}


def agent(model: Any, memory: PreferenceMemory, **settings: Any) -> Any:  # noqa: ANN401  # hosts are loosely typed
    middleware: Any = PreferenceMiddleware(memory, learn="inline", on_error="raise", **settings)
    return create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())


def says(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def texts(memory: PreferenceMemory) -> list[str]:
    return [card.text for card in memory.list(user_id="ann")]


def test_a_command_is_done_before_the_answer_and_the_model_is_told(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    app = agent(model, memory)
    app.invoke(says("Who wrote Emma?"), THREAD, context=ANN)
    after = app.invoke(says("Forget that rule. Who wrote Dune?"), THREAD, context=ANN)
    assert texts(memory) == []
    prompt = str(model.seen[-1][0].content)
    assert "I've forgotten: Answer briefly." in prompt
    assert "<user-preferences-" not in prompt
    assert [m.type for m in after["messages"]] == ["human", "ai"] * 2


def test_a_command_alone_can_be_answered_without_the_model(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    app = agent(model, memory, commands="answer")
    app.invoke(says("Who wrote Emma?"), THREAD, context=ANN)
    after = app.invoke(says("Show my preferences."), THREAD, context=ANN)
    assert len(model.seen) == 1
    assert "Answer briefly." in after["messages"][-1].text
    app.invoke(says("Forget that rule. Who wrote Dune?"), THREAD, context=ANN)
    assert len(model.seen) == 2
    assert texts(memory) == []


async def test_the_same_asynchronously(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    app = agent(scribe(), memory, commands="answer")
    after = await app.ainvoke(says("Show my preferences."), THREAD, context=ANN)
    assert "Answer briefly." in after["messages"][-1].text


def test_commands_can_be_left_to_learning(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    app = agent(model, memory, commands="off")
    app.invoke(says("Who wrote Emma?"), THREAD, context=ANN)
    app.invoke(says("Forget that rule."), THREAD, context=ANN)
    assert "memory-note" not in str(model.seen[-1][0].content)
    assert texts(memory) == []  # carried out when the turn was learned


def test_an_unknown_choice_is_refused(memory: PreferenceMemory) -> None:
    with pytest.raises(ConfigError, match="commands='maybe'"):
        PreferenceMiddleware(memory, commands="maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
