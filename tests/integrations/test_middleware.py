from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool

from prefmem import ConfigError, PreferenceMemory, StoreError, UserRequiredError
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain import PreferenceMiddleware
from prefmem_langchain.identity import UserId
from prefmem_langchain.learning import Learn

ANN = {"user_id": "ann"}


def remembering(*memory: PreferenceMemory, **settings: Any) -> Any:  # noqa: ANN401  # hosts are loosely typed
    return PreferenceMiddleware(*memory, **({"learn": "inline"} | settings))


def says(*texts: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text) for text in texts]}


def agent(model: Any, *middleware: Any, tools: Sequence[Any] = (), **settings: Any) -> Any:  # noqa: ANN401  # hosts are loosely typed
    return create_agent(model, list(tools), middleware=list(middleware), **settings)


def texts(memory: PreferenceMemory, user: str = "ann") -> list[str]:
    return [card.text for card in memory.list(user_id=user)]


def calls(name: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": {}, "id": name}])


def test_block_stands_last_in_the_system_message(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    app = agent(model, remembering(memory, on_error="raise"), system_prompt="Be kind.")
    after = app.invoke(says("hi"), context=ANN)
    system, question = model.seen[0]
    assert system.content[0] == {"type": "text", "text": "Be kind."}
    assert len(system.content) == 2
    assert system.content[1]["text"].startswith("<user-preferences-")
    assert '{"rule": "Answer briefly."' in system.content[1]["text"]
    assert (question.type, question.content) == ("human", "hi")
    assert [m.type for m in after["messages"]] == ["human", "ai"]


def test_blocks_that_are_there_stay_as_they_are(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    block: dict[str, Any] = {
        "type": "text",
        "text": "Be kind.",
        "cache_control": {"type": "ephemeral"},
    }
    model = scribe()
    system = SystemMessage([block], additional_kwargs={"kept": True})
    app = agent(model, remembering(memory, on_error="raise"), system_prompt=system)
    app.invoke(says("hi"), context=ANN)
    assert model.seen[0][0].content[0] == block
    assert model.seen[0][0].additional_kwargs == {"kept": True}
    assert system.content == [block]


def test_without_rules_the_request_is_untouched(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    model = scribe()
    app = agent(model, remembering(memory, on_error="raise"), system_prompt="Be kind.")
    app.invoke(says("hi"), context=ANN)
    app.invoke({"messages": [AIMessage("Hello!")]}, context=ANN)  # the user has not spoken
    assert [m.content for m in model.seen[0]] == ["Be kind.", "hi"]
    assert [m.content for m in model.seen[1]] == ["Be kind.", "Hello!"]


def test_block_may_stand_before_the_last_message(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    app = agent(model, remembering(memory, placement="user", on_error="raise"))
    history = [HumanMessage("hi"), AIMessage("Hello!"), HumanMessage("and now?")]
    after = app.invoke({"messages": history}, context=ANN)
    assert [m.type for m in model.seen[0]] == ["human", "ai", "human", "human"]
    assert "Answer briefly." in str(model.seen[0][2].text)
    assert model.seen[0][3].text == "and now?"
    assert [str(m.text) for m in after["messages"]] == ["hi", "Hello!", "and now?", "Fine."]


def test_limits_reach_the_memory(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    memory.add("", "answer briefly", user_id="ann")
    memory.add("I write SQL", "use CTEs", user_id="ann")
    model = scribe()
    question = says("I write SQL")
    for limit, max_tokens in ((None, None), (0, None), (None, 0)):
        middleware = remembering(memory, limit=limit, max_tokens=max_tokens)
        app = agent(model, middleware)
        app.invoke(question, context=ANN)
    assert "CTEs" in model.prompts[0]
    assert "CTEs" not in model.prompts[1]
    assert "Answer briefly." in model.prompts[1]
    assert model.prompts[2] == "I write SQL"


def test_turn_is_learned_for_its_user(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    model = scribe()
    app = agent(model, remembering(memory, on_error="raise"))
    app.invoke(says("Always answer briefly."), context=ANN)
    assert texts(memory) == ["Answer briefly."]
    assert texts(memory, "bob") == []
    app.invoke(says("hi"), context={"user_id": "bob"})
    app.invoke(says("hi"), context=ANN)
    assert "Answer briefly." not in model.prompts[1]
    assert "Answer briefly." in model.prompts[2]


async def test_async_does_the_same(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    model = scribe()
    app = agent(model, remembering(memory, on_error="raise"))
    await app.ainvoke(says("Always answer briefly."), context=ANN)
    await app.ainvoke(says("hi"), context=ANN)
    assert texts(memory) == ["Answer briefly."]
    assert "Answer briefly." in model.prompts[1]


def test_learning_can_be_off(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    app = agent(scribe(), remembering(memory, learn=False, on_error="raise"))
    app.invoke(says("Always answer briefly."), context=ANN)
    assert texts(memory) == []


def test_tool_loop_recalls_once(
    memory: PreferenceMemory, embedded: Callable[[str], int], scribe: Callable[..., Any]
) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    memory.add("", "answer briefly", user_id="ann")
    model = scribe(calls("look"), calls("look"), "Done.")
    middleware: Any = remembering(memory, learn=False, on_error="raise")
    app = agent(model, middleware, tools=[look])
    app.invoke(says("What is there?"), context=ANN)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [True] * 3
    assert embedded("What is there?") == 1


def test_rule_forgotten_during_a_loop_is_gone(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    card = memory.add("", "answer briefly", user_id="ann")

    @tool
    def forget() -> str:
        """Forget."""
        memory.forget(card.id, user_id="ann")
        return "gone"

    model = scribe(calls("forget"), "Done.")
    app = agent(model, remembering(memory, on_error="raise"), tools=[forget])
    app.invoke(says("Forget it."), context=ANN)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [True, False]


@pytest.mark.parametrize("learn", ["inline", False])
def test_same_words_of_a_later_turn_find_newer_rules(
    memory: PreferenceMemory, scribe: Callable[..., Any], learn: Learn | Literal[False]
) -> None:
    model = scribe()
    app = agent(model, remembering(memory, learn=learn, on_error="raise"))
    app.invoke(says("hi"), context=ANN)
    memory.add("", "answer briefly", user_id="ann")
    app.invoke(says("hi"), context=ANN)
    assert ["Answer briefly." in prompt for prompt in model.prompts] == [False, True]


def test_two_instances_need_two_names(memory: PreferenceMemory, scribe: Callable[..., Any]) -> None:
    team = remembering(memory, name="team", user_id="team", learn=False)
    mine: Any = remembering(memory)
    memory.add("", "answer briefly", user_id="ann")
    memory.add("", "use SI units", user_id="team")
    model = scribe()
    app = agent(model, team, mine)
    app.invoke(says("Always be polite."), context=ANN)
    assert (team.name, mine.name) == ("team", "prefmem")
    (first, second) = (block["text"] for block in model.seen[0][0].content)
    assert "Use SI units." in first
    assert "Answer briefly." in second
    assert texts(memory, "team") == ["Use SI units."]
    assert texts(memory) == ["Answer briefly.", "Be polite."]
    with pytest.raises(AssertionError, match="duplicate middleware"):
        agent(model, mine, remembering(memory))


def test_without_user_there_is_no_memory(
    memory: PreferenceMemory, scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = scribe()
    app = agent(model, remembering(memory))
    for _ in range(2):
        app.invoke(says("Always answer briefly."))
    assert model.prompts == ["Always answer briefly."] * 2
    (told,) = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert "no user id" in told
    strict = agent(model, remembering(memory, on_missing_user="raise"))
    with pytest.raises(UserRequiredError):
        strict.invoke(says("hi"))


def broken(_: object) -> str:
    raise LookupError("no such visitor: ann")


@pytest.mark.parametrize("user_id", [broken, "x" * 300])
def test_failing_identity_is_nobody(
    memory: PreferenceMemory,
    scribe: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    user_id: UserId,
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    model = scribe()
    middleware: Any = remembering(memory, user_id=user_id)
    agent(model, middleware).invoke(says("Always use SI units."), context=ANN)
    assert model.prompts == ["Always use SI units."]
    assert texts(memory) == ["Answer briefly."]
    assert middleware.failures == 3
    told = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert len(told) == 3
    assert "ann" not in repr(told)
    strict: Any = remembering(memory, user_id=user_id, on_error="raise")
    with pytest.raises((LookupError, UserRequiredError)):
        agent(model, strict).invoke(says("hi"), context=ANN)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_failing_memory_lets_the_chat_go_on(
    scribe: Callable[..., Any], caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    memory = PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        reranker="none",
        relater=TableRelater(),
    )
    memory.close()
    middleware: Any = remembering(memory)
    app = agent(scribe("Hello!"), middleware)
    question = says("My secret is swordfish.")
    after = (
        await app.ainvoke(question, context=ANN)
        if asynchronous
        else app.invoke(question, context=ANN)
    )
    assert after["messages"][-1].text == "Hello!"
    assert middleware.failures == 2
    told = [r.getMessage() for r in caplog.records if r.name == "prefmem"]
    assert [t.split(" in ")[0] for t in told] == [
        "prefmem: recall failed with StoreClosedError",
        "prefmem: learn failed with StoreClosedError",
    ]
    assert "swordfish" not in repr(told)
    assert "ann" not in repr(told)
    with pytest.raises(StoreError):
        agent(scribe(), remembering(memory, on_error="raise")).invoke(says("hi"), context=ANN)


def test_error_of_the_model_is_not_swallowed(
    memory: PreferenceMemory, scribe: Callable[..., Any]
) -> None:
    app = agent(scribe(LookupError("no model")), remembering(memory))
    with pytest.raises(LookupError, match="no model"):
        app.invoke(says("hi"), context=ANN)


def test_many_open_questions_leave_a_bounded_trace(
    memory: PreferenceMemory, embedded: Callable[[str], int], scribe: Callable[..., Any]
) -> None:
    memory.add("", "answer briefly", user_id="ann")
    middleware: Any = remembering(memory, learn=False, on_error="raise")

    app = agent(scribe(LookupError("down")), middleware)
    for number in [*range(513), 0, 512]:
        with pytest.raises(LookupError):
            app.invoke(says(f"question {number}"), context=ANN)
    assert embedded("question 0") == 2  # the oldest of 513 had left
    assert embedded("question 512") == 1


@pytest.mark.parametrize(
    "setting", [{"placement": "message"}, {"on_missing_user": "default"}, {"on_error": "ignore"}]
)
def test_unknown_settings_are_refused(memory: PreferenceMemory, setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        remembering(memory, **setting)
