"""`check=True`: an answer that breaks a checkable rule is asked for once more, and never again."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from prefmem import PreferenceMemory
from prefmem_langchain import PreferenceMiddleware

ANN = {"user_id": "ann"}
LISTED = "Here you go:\n- fill it\n- boil it"
PROSE = "Fill it, then boil it."


def says(text: str = "How do I make tea?") -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def agent(
    memory: PreferenceMemory,
    model: Any,  # noqa: ANN401  # hosts are loosely typed
    tools: Sequence[Any] = (),
    **settings: Any,  # noqa: ANN401  # as above
) -> Any:  # noqa: ANN401  # as above
    given: dict[str, Any] = {"check": True, "on_error": "raise", **settings}
    mine: Any = PreferenceMiddleware(memory, **given)
    return create_agent(model, list(tools), middleware=[mine], checkpointer=InMemorySaver())


def thread(name: str = "t") -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


async def answer(app: Any, asynchronous: bool, text: str = "How do I make tea?") -> list[Any]:  # noqa: ANN401  # as above
    given = (says(text), thread())
    after = (
        await app.ainvoke(*given, context=ANN) if asynchronous else app.invoke(*given, context=ANN)
    )
    return [m.text for m in after["messages"]]


@pytest.fixture
def strict(memory: PreferenceMemory) -> PreferenceMemory:
    memory.add("", "never use bullet points", user_id="ann")
    return memory


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("placement", ["system", "user"])
async def test_a_broken_rule_is_asked_for_once_more(
    strict: PreferenceMemory, scribe: Callable[..., Any], asynchronous: bool, placement: str
) -> None:
    model = scribe(LISTED, PROSE)
    app = agent(strict, model, placement=placement)
    assert await answer(app, asynchronous) == ["How do I make tea?", PROSE]
    first, second = model.seen
    assert second[: len(first)] == first
    assert [m.type for m in second[len(first) :]] == ["ai", "human"]
    assert second[-2].text == LISTED
    assert "- Write in paragraphs instead of bullet points\n" in second[-1].text


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_it_is_asked_only_once_and_no_worse_answer_is_taken(
    strict: PreferenceMemory, scribe: Callable[..., Any], asynchronous: bool
) -> None:
    model = scribe(LISTED, "- tea", PROSE)
    assert await answer(agent(strict, model), asynchronous) == ["How do I make tea?", LISTED]
    assert len(model.seen) == 2


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_second_call_that_fails_leaves_the_first_answer(
    strict: PreferenceMemory, scribe: Callable[..., Any], asynchronous: bool
) -> None:
    app = agent(strict, scribe(LISTED, LookupError("down")), on_error="log")
    assert await answer(app, asynchronous) == ["How do I make tea?", LISTED]
    with pytest.raises(LookupError):
        await answer(agent(strict, scribe(LISTED, LookupError("down"))), asynchronous)


@pytest.mark.parametrize(
    ("reply", "question", "settings"),
    [
        (PROSE, "How do I make tea?", {}),
        (LISTED, "How do I make tea?", {"check": False}),
        (LISTED, "List the steps of making tea.", {}),  # the request wins
    ],
)
async def test_one_call_is_enough(
    strict: PreferenceMemory,
    scribe: Callable[..., Any],
    reply: str,
    question: str,
    settings: dict[str, Any],
) -> None:
    model = scribe(reply, "other")
    assert await answer(agent(strict, model, **settings), False, question) == [question, reply]
    assert len(model.seen) == 1


async def test_rules_of_others_and_unknown_ones_are_not_checked(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "never use bullet points", user_id="bob")
    memory.add("", "be kind", user_id="ann")
    model = scribe(LISTED, PROSE)
    assert (await answer(agent(memory, model), False))[-1] == LISTED
    assert len(model.seen) == 1


async def test_a_call_of_a_tool_is_not_checked(
    strict: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    call = AIMessage("- I look", tool_calls=[{"name": "look", "args": {}, "id": "1"}])
    model = scribe(call, LISTED, call, PROSE)
    texts = await answer(agent(strict, model, tools=[look]), False)
    assert texts == ["How do I make tea?", "- I look", "seen", LISTED]  # the second try was a call
    assert len(model.seen) == 3


async def test_a_rule_forgotten_meanwhile_is_not_checked(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    card = memory.add("", "never use bullet points", user_id="ann")

    @tool
    def forget() -> str:
        """Forget."""
        memory.forget(card.id, user_id="ann")
        return "gone"

    call = AIMessage("", tool_calls=[{"name": "forget", "args": {}, "id": "1"}])
    model = scribe(call, LISTED, PROSE)
    assert (await answer(agent(memory, model, tools=[forget]), False))[-1] == LISTED


def test_note_and_first_answer_are_in_no_state_and_are_not_learned(
    strict: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(strict, scribe(LISTED, PROSE))
    app.invoke(says(), thread(), context=ANN)
    held = repr(list(app.get_state_history(thread())))
    assert PROSE in held
    assert "- fill it" not in held
    assert "A check finds" not in held
    assert len(strict.list(user_id="ann")) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_streamed_tokens_are_not_taken_back(
    strict: PreferenceMemory, scribe: Callable[..., Any], asynchronous: bool
) -> None:
    model = scribe(LISTED, PROSE)
    given: dict[str, Any] = {"stream_mode": "messages", "context": ANN}
    app = agent(strict, model)
    if asynchronous:
        shown = [part async for part in app.astream(says(), thread(), **given)]
    else:
        shown = list(app.stream(says(), thread(), **given))
    assert len(model.seen) == 1
    assert "".join(message.text for message, _ in shown) == LISTED.replace(" ", "")


def test_streamed_updates_are_checked(strict: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    model = scribe(LISTED, PROSE)
    list(agent(strict, model).stream(says(), thread(), stream_mode="updates", context=ANN))
    assert len(model.seen) == 2
