"""A chat model that knows its user, and an agent's rules in every prompt."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph  # pyright: ignore[reportMissingTypeStubs]
from pydantic import ValidationError

from prefmem import InputError, PreferenceMemory, UserRequiredError
from prefmem.testing import ScriptedAgent
from prefmem_hosts import Companion, Dialogue
from prefmem_langchain import (
    PreferenceChatModel,
    PreferenceMiddleware,
    PreferenceRetriever,
    PreferenceState,
    RecallNode,
    preference_tools,
)

ANN: Any = {"configurable": {"user_id": "ann"}}
MAIL = "write a mail to Bob about Monday"
WROTE = '{"rule": "Be brief.", "from": "how the user writes"}'


@pytest.fixture
def memory(open_memory: Callable[..., PreferenceMemory]) -> PreferenceMemory:
    """Give a memory with a card and an agent, for ann."""
    memory = open_memory(agent=ScriptedAgent({"ann": ["Be brief."]}))
    memory.add("", "never use emojis", user_id="ann")
    return memory


def is_full(prompt: str) -> bool:
    return '{"rule": "Never use emojis."' in prompt and WROTE in prompt


class Told(BaseCallbackHandler):
    """Writes down the tokens and the prompts that a trace is told."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.prompts: list[str] = []

    def on_llm_new_token(self, token: object, **kwargs: Any) -> None:  # noqa: ANN401  # as in the base
        self.tokens.append(str(token))

    def on_chat_model_start(self, serialized: object, messages: object, **kwargs: Any) -> None:  # noqa: ANN401  # as in the base
        self.prompts.append(str(messages))


# The chat model


def test_a_call_has_the_rules_of_its_user(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    base = scribe("Hi Bob.")
    model = PreferenceChatModel(model=base, memory=memory)
    said = [SystemMessage("Be kind."), HumanMessage(MAIL)]
    answer = model.invoke(said, ANN)
    assert answer.text == "Hi Bob."
    assert is_full(base.prompts[0])
    assert base.prompts[0].startswith("Be kind.")
    assert base.prompts[0].endswith(MAIL)
    assert said == [SystemMessage("Be kind."), HumanMessage(MAIL)]
    model.invoke(MAIL, {"configurable": {"user_id": "bob"}})
    assert base.prompts[1] == MAIL
    assert memory.list(user_id="bob") == ()


@pytest.mark.parametrize("how", ["ainvoke", "stream", "astream", "batch", "abatch"])
def test_every_way_of_calling_has_them(
    memory: PreferenceMemory, scribe: Callable[..., Any], how: str
) -> None:
    base = scribe("one two three")
    model = PreferenceChatModel(model=base, memory=memory)

    async def pieces() -> list[str]:
        return [str(piece.text) async for piece in model.astream(MAIL, ANN)]

    if how == "ainvoke":
        said = [str(asyncio.run(model.ainvoke(MAIL, ANN)).text)]
    elif how == "stream":
        said = [str(piece.text) for piece in model.stream(MAIL, ANN)]
    elif how == "astream":
        said = asyncio.run(pieces())
    elif how == "batch":
        said = [str(answer.text) for answer in model.batch([MAIL], ANN)]
    else:
        said = [str(answer.text) for answer in asyncio.run(model.abatch([MAIL], ANN))]
    words = [piece for piece in said if piece]
    assert words == (["one", "two", "three"] if "stream" in how else ["one two three"])
    assert is_full(base.prompts[0])


def test_a_batch_keeps_users_apart(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    base = scribe()
    users: list[Any] = [ANN, {"configurable": {"user_id": "bob"}}] * 4
    PreferenceChatModel(model=base, memory=memory).batch([f"{MAIL} {n}" for n in range(8)], users)
    for prompt in base.prompts:
        assert is_full(prompt) == (int(prompt[-1]) % 2 == 0)


def test_a_stream_that_is_left_and_one_beside_it(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    model = PreferenceChatModel(model=scribe("one two"), memory=memory)
    first, second = model.stream(MAIL, ANN), model.stream(MAIL, ANN)
    assert [next(first).text, next(second).text, next(first).text] == ["one", "one", "two"]
    for left in (first, second):
        assert isinstance(left, Iterator)
        left.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # a generator


def test_a_token_is_told_once_and_no_rule_is_traced(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    told, base = Told(), scribe("one two")
    model = PreferenceChatModel(model=base, memory=memory)
    config: Any = {**ANN, "callbacks": [told]}
    list(model.stream(MAIL, config))
    assert [token for token in told.tokens if token] == ["one", "two"]
    assert len(told.prompts) == 1
    assert "emojis" not in told.prompts[0]
    assert is_full(base.prompts[0])


def test_a_graph_streams_its_tokens_once(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    model = PreferenceChatModel(model=scribe("one two"), memory=memory)
    graph: Any = StateGraph(MessagesState)

    def chat(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph.add_node("chat", chat)
    graph.add_edge(START, "chat")
    asked = {"messages": [HumanMessage(MAIL)]}
    streamed = graph.compile().stream(asked, context={"user_id": "ann"}, stream_mode="messages")
    assert [piece.text for piece, _ in streamed if piece.text] == ["one", "two"]


def test_tools_are_bound_to_the_base(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    base = scribe()
    bound: Any = PreferenceChatModel(model=base, memory=memory).bind_tools([])
    bound.invoke(MAIL, ANN)
    assert is_full(base.prompts[0])
    app: Any = create_agent(PreferenceChatModel(model=base, memory=memory), [])  # pyright: ignore[reportUnknownVariableType]  # as the hosts
    app.invoke({"messages": [HumanMessage(MAIL)]}, context={"user_id": "ann"})
    assert is_full(base.prompts[1])


def test_any_runnable_is_a_base(memory: PreferenceMemory) -> None:
    def answers(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage(str(len(messages)))

    base: Any = RunnableLambda(answers)
    model = PreferenceChatModel(model=base, memory=memory)
    assert model.invoke(MAIL, ANN).text == "2"
    (piece, *_) = model.stream(MAIL, ANN)
    assert isinstance(piece, AIMessageChunk)
    assert piece.text == "2"


def test_nobody_and_nothing(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    base = scribe()
    model = PreferenceChatModel(model=base, memory=memory)
    model.invoke(MAIL)
    model.invoke([SystemMessage("Say hello.")], ANN)
    assert base.prompts == [MAIL, "Say hello."]
    PreferenceChatModel(model=base).invoke(MAIL, ANN)
    assert base.prompts[2] == MAIL
    with pytest.raises(UserRequiredError, match="no user for this run"):
        PreferenceChatModel(model=base, memory=memory, on_missing_user="raise").invoke(MAIL)
    with pytest.raises(ValidationError, match="'log' or 'raise'"):
        PreferenceChatModel(model=base, on_error="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


def test_a_failing_memory_fails_no_call(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    base = scribe()
    model = PreferenceChatModel(model=base, memory=memory)
    memory.close()
    model.invoke(MAIL, ANN)
    assert base.prompts == [MAIL]
    assert model.failures == 1
    with pytest.raises(Exception, match="closed"):
        PreferenceChatModel(model=base, memory=memory, on_error="raise").invoke(MAIL, ANN)


# The same turn elsewhere


def test_the_middleware_gives_them_and_the_state_holds_none(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    base = scribe()
    app: Any = create_agent(  # pyright: ignore[reportUnknownVariableType]  # as above
        base, [], middleware=[PreferenceMiddleware(memory, learn=False)]
    )
    after = app.invoke({"messages": [HumanMessage(MAIL)]}, context={"user_id": "ann"})
    assert is_full(base.prompts[0])
    assert "brief" not in str(after)


class State(MessagesState, PreferenceState):
    """What the graph here passes on."""


def test_the_nodes_write_names_alone(memory: PreferenceMemory) -> None:
    graph: Any = StateGraph(State)
    graph.add_node("recall", RecallNode(memory))
    graph.add_edge(START, "recall")
    asked = {"messages": [HumanMessage(MAIL)]}
    after = graph.compile().invoke(asked, context={"user_id": "ann"})
    assert len(after["preferences"]) == 2
    assert is_full(memory.render(after["preferences"], user_id="ann"))
    assert memory.render(after["preferences"], user_id="bob") == ""


def test_hosts_retriever_and_tools_have_them(memory: PreferenceMemory) -> None:
    companion = Companion(memory, "host")
    assert is_full(companion.rules(lambda: Dialogue("ann", (("user", MAIL),), "s")))
    found = PreferenceRetriever(memory=memory).invoke(MAIL, ANN)
    assert [document.page_content for document in found] == ["Never use emojis.", "Be brief."]
    assert found[1].metadata == {"scope": "conditional", "source": "lora"}
    (recall,) = [t for t in preference_tools(memory) if t.name == "recall_preferences"]
    assert '{"preference": "Be brief."}' in recall.invoke({"request": MAIL}, ANN)


def test_a_mark_is_no_card(memory: PreferenceMemory) -> None:
    found = memory.recall(MAIL, user_id="ann")
    with pytest.raises(InputError):
        memory.render(found.ids)
