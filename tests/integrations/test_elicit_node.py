"""Questions come by interrupt, answers become cards, and a refusal is final."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import (  # pyright: ignore[reportMissingTypeStubs]
    START,
    MessagesState,
    StateGraph,
)
from langgraph.prebuilt import ToolNode
from langgraph.types import Command

from prefmem import Elicitation, InputError, PreferenceMemory, UserRequiredError
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import ElicitationState, ElicitNode

ANN = {"user_id": "ann"}
FIRST = "tone"  # what the assumed prior asks first


class State(MessagesState, ElicitationState):
    """What the graphs here pass on."""


def graph(memory: PreferenceMemory, saver: Any = None, **settings: Any) -> Any:  # noqa: ANN401  # hosts are loosely typed
    """Ask, then chat."""

    def chat(state: State) -> dict[str, Any]:
        del state
        return {"messages": [AIMessage("Fine.")]}

    builder: Any = StateGraph(State)
    builder.add_sequence([("elicit", ElicitNode(memory, **settings)), ("chat", chat)])
    builder.add_edge(START, "elicit")
    return builder.compile(checkpointer=saver)


def thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def says(text: str, **held: object) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)], **held}


def asked(result: dict[str, Any]) -> dict[str, Any] | None:
    """Give what the user is asked, if the run stopped for that."""
    return result["__interrupt__"][0].value if "__interrupt__" in result else None


def cards(memory: PreferenceMemory, user: str = "ann") -> list[tuple[str, str, str]]:
    return [
        (card.text, card.source, card.preference.scope.kind) for card in memory.list(user_id=user)
    ]


def test_a_question_is_asked_and_its_answer_learned(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    stopped = app.invoke(says("hi"), thread("t"), context=ANN)
    question = asked(stopped)
    assert question == {
        "kind": "preference_question",
        "dimension": FIRST,
        "question": "Do you like a matter-of-fact tone, or a warm one?",
        "options": ["matter-of-fact", "warm", "skip"],
    }
    assert json.loads(json.dumps(question)) == question
    assert cards(memory) == []

    after = app.invoke(Command(resume="Warm, please!"), thread("t"), context=ANN)
    assert cards(memory) == [("Use a warm tone.", "added", "global")]
    assert after["elicitation"] == {"asked": [FIRST], "refused": False}
    assert [m.text for m in after["messages"]] == ["hi", "Fine."]  # the question is no message


async def test_async_does_the_same(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    stopped = await app.ainvoke(says("hi"), thread("t"), context=ANN)
    assert (asked(stopped) or {})["dimension"] == FIRST
    after = await app.ainvoke(Command(resume="warm"), thread("t"), context=ANN)
    assert cards(memory) == [("Use a warm tone.", "added", "global")]
    assert after["elicitation"]["asked"] == [FIRST]
    assert asked(await graph(memory).ainvoke(says("hi"), context=ANN)) is None  # no thread


def test_one_question_a_turn_until_none_is_worth_it(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    names: list[str] = []
    for _ in range(8):
        question = asked(app.invoke(says("hi"), thread("t"), context=ANN))
        if question is None:
            break
        names.append(question["dimension"])
        done = app.invoke(Command(resume=question["options"][0]), thread("t"), context=ANN)
        assert asked(done) is None
    assert len(set(names)) == len(names) == len(cards(memory))
    assert 2 <= len(names) <= 5
    assert asked(app.invoke(says("hi"), thread("new"), context=ANN)) is None  # the cards know


@pytest.mark.parametrize("reply", ["skip", "I don't care.", "please stop asking"])
def test_a_refusal_is_final(memory: PreferenceMemory, reply: str) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    app.invoke(says("hi"), thread("t"), context=ANN)
    after = app.invoke(Command(resume=reply), thread("t"), context=ANN)
    assert after["elicitation"] == {"asked": [FIRST], "refused": True}
    for name in ("t", "t", "another"):
        assert asked(app.invoke(says("hi"), thread(name), context=ANN)) is None
    (card,) = memory.list(user_id="ann")
    assert card.text == "When you would ask me how I like answers, do not ask me that."
    assert asked(app.invoke(says("hi"), thread("b"), context={"user_id": "bob"})) is not None

    memory.forget(card.id, user_id="ann")  # the user thinks otherwise
    assert asked(app.invoke(says("hi"), thread("third"), context=ANN)) is not None
    assert asked(app.invoke(says("hi"), thread("t"), context=ANN)) is None  # this thread remembers


def test_an_unclear_reply_stores_nothing(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    app.invoke(says("hi"), thread("t"), context=ANN)
    after = app.invoke(Command(resume="My secret is 42, what now?"), thread("t"), context=ANN)
    assert after["elicitation"] == {"asked": [FIRST], "refused": False}
    assert cards(memory) == []
    assert (asked(app.invoke(says("hi"), thread("t"), context=ANN)) or {})["dimension"] != FIRST
    app.invoke(Command(resume={"text": "warm"}), thread("t"), context=ANN)  # no text: unclear
    assert cards(memory) == []


def test_a_host_may_keep_the_state_itself(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    kept: dict[str, Any] = {"asked": [FIRST], "refused": False}
    question = asked(app.invoke(says("hi", elicitation=kept), thread("t"), context=ANN))
    assert question is not None
    assert question["dimension"] != FIRST
    declined: dict[str, Any] = {"asked": [FIRST], "refused": True}
    assert asked(app.invoke(says("hi", elicitation=declined), thread("u"), context=ANN)) is None
    many: dict[str, Any] = {"asked": ["length", "layout", "tone", "units", "steps"]}
    assert asked(app.invoke(says("hi", elicitation=many), thread("v"), context=ANN)) is None


def test_a_state_may_be_an_object(memory: PreferenceMemory) -> None:
    @dataclass
    class Held:
        elicitation: dict[str, Any]

    builder: Any = StateGraph(Held)
    builder.add_node("elicit", ElicitNode(memory, on_error="raise"))
    builder.add_edge(START, "elicit")
    app = builder.compile(checkpointer=InMemorySaver())
    declined = {"elicitation": {"asked": [FIRST], "refused": True}}
    assert asked(app.invoke(declined, thread("t"), context=ANN)) is None
    assert asked(app.invoke({"elicitation": {}}, thread("u"), context=ANN)) is not None


def test_what_cards_tell_is_not_asked(memory: PreferenceMemory) -> None:
    memory.add("", "be warm and friendly", user_id="ann")
    app = graph(memory, InMemorySaver(), on_error="raise")
    question = asked(app.invoke(says("hi"), thread("t"), context=ANN))
    assert question is not None
    assert question["dimension"] != FIRST


def test_the_reply_belongs_to_the_question_that_was_asked(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    app.invoke(says("hi"), thread("t"), context=ANN)
    memory.add("", "keep the tone matter-of-fact", user_id="ann")  # from another conversation
    after = app.invoke(Command(resume="the second one"), thread("t"), context=ANN)
    assert after["elicitation"]["asked"] == [FIRST]
    assert ("Use a warm tone.", "added", "global") in cards(memory)


def test_a_host_sets_the_cost(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), elicitation=Elicitation(cost=9.0), on_error="raise")
    after = app.invoke(says("hi"), thread("t"), context=ANN)
    assert asked(after) is None
    assert "elicitation" not in after or after["elicitation"] == {}


def test_checkpoints_hold_names_and_no_answer(memory: PreferenceMemory) -> None:
    saver = InMemorySaver()
    app = graph(memory, saver, on_error="raise")
    app.invoke(says("hi"), thread("t"), context=ANN)
    after = app.invoke(Command(resume="warm"), thread("t"), context=ANN)
    assert "warm" not in json.dumps(after["elicitation"])
    states = [s.values for s in app.get_state_history(thread("t"))]
    assert "Use a warm tone" not in repr(states)


def test_streams_show_the_question_and_nothing_else(memory: PreferenceMemory) -> None:
    app = graph(memory, InMemorySaver(), on_error="raise")
    updates = list(app.stream(says("hi"), thread("t"), context=ANN, stream_mode="updates"))
    assert [list(update) for update in updates] == [["__interrupt__"]]
    updates = list(
        app.stream(Command(resume="skip"), thread("t"), context=ANN, stream_mode="updates")
    )
    assert [list(update) for update in updates] == [["elicit"], ["chat"]]


def test_without_user_or_thread_nothing_is_asked(
    memory: PreferenceMemory, caplog: pytest.LogCaptureFixture
) -> None:
    app = graph(memory, InMemorySaver())
    assert asked(app.invoke(says("hi"), thread("t"))) is None
    assert [r.getMessage().split(":")[0] for r in caplog.records] == ["ElicitNode"]
    assert asked(graph(memory).invoke(says("hi"), context=ANN)) is None
    with pytest.raises(UserRequiredError):
        graph(memory, InMemorySaver(), on_missing_user="raise").invoke(says("hi"), thread("t"))


def test_a_resume_without_user_learns_nothing_and_is_not_repeated(
    memory: PreferenceMemory,
) -> None:
    app = graph(memory, InMemorySaver())
    app.invoke(says("hi"), thread("t"), context=ANN)
    after = app.invoke(Command(resume="warm"), thread("t"))
    assert after["elicitation"] == {"asked": [FIRST]}
    assert cards(memory) == []
    question = asked(app.invoke(says("hi"), thread("t"), context=ANN))
    assert (question or {})["dimension"] != FIRST


def test_failures_let_the_chat_go_on(caplog: pytest.LogCaptureFixture) -> None:
    memory = PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        reranker="none",
        relater=TableRelater(),
    )
    app = graph(memory, InMemorySaver())
    odd = says("hi", elicitation={"asked": "my secret"})
    assert app.invoke(odd, thread("o"), context=ANN)["messages"][-1].text == "Fine."
    with pytest.raises(InputError):
        graph(memory, InMemorySaver(), on_error="raise").invoke(odd, thread("o"), context=ANN)
    app.invoke(says("hi"), thread("t"), context=ANN)
    memory.close()
    after = app.invoke(Command(resume="warm"), thread("t"), context=ANN)
    assert after["messages"][-1].text == "Fine."
    assert after["elicitation"] == {"asked": [FIRST]}
    told = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    own = [t for t in told if t.startswith("ElicitNode")]  # other tests' workers may end late
    assert [t.split(" in ")[0] for t in own] == [
        "ElicitNode: choosing a question failed with InputError",
        "ElicitNode: learning an answer failed with StoreClosedError",
    ]
    assert "secret" not in repr(told)


def test_nothing_is_asked_inside_a_tool(memory: PreferenceMemory) -> None:
    inner = graph(memory, on_error="raise")

    @tool
    def delegate(task: str) -> str:
        """Hand a task to another agent."""
        return str(inner.invoke(says(task), context=ANN)["messages"][-1].text)

    builder: Any = StateGraph(MessagesState)
    builder.add_node("tools", ToolNode([delegate]))
    builder.add_edge(START, "tools")
    app = builder.compile(checkpointer=InMemorySaver())
    call = {"name": "delegate", "args": {"task": "hi"}, "id": "1"}
    result = app.invoke({"messages": [AIMessage("", tool_calls=[call])]}, thread("t"), context=ANN)
    assert asked(result) is None
    assert result["messages"][-1].text == "Fine."


def test_a_graph_that_does_not_declare_the_key_still_learns(memory: PreferenceMemory) -> None:
    builder: Any = StateGraph(MessagesState)
    builder.add_node("elicit", ElicitNode(memory, on_error="raise"))
    builder.add_edge(START, "elicit")
    app = builder.compile(checkpointer=InMemorySaver())
    app.invoke(says("hi"), thread("t"), context=ANN)
    app.invoke(Command(resume="warm"), thread("t"), context=ANN)
    assert cards(memory) == [("Use a warm tone.", "added", "global")]
