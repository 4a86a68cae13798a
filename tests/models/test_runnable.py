"""RunnableChat over models of LangChain, and over ones that misbehave."""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from prefmem.errors import ConfigError, EndpointError
from prefmem.models.runnable import ChatModel, RunnableChat

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi Zanzibar"}]
around: ContextVar[str] = ContextVar("around", default="nothing")


class Model:
    """Answers with what a function makes of the messages and the config."""

    def __init__(self, answers: Callable[[Any, Any], object]) -> None:
        self._answers = answers

    def bind(self, **kwargs: Any) -> object:  # noqa: ANN401  # as in LangChain
        raise NotImplementedError(kwargs)

    def invoke(self, input: Any, config: Any = None, /) -> object:  # noqa: ANN401  # as in LangChain
        return self._answers(input, config)


def test_a_model_of_langchain_gets_roles_and_gives_text() -> None:
    fakes = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    parrot = fakes.ParrotFakeChatModel()
    assert isinstance(parrot, ChatModel)
    assert RunnableChat(parrot)(ASKED) == "Hi Zanzibar"
    messages = pytest.importorskip("langchain_core.messages")
    blocks = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Hello."}]
    said = messages.AIMessage(content=blocks)
    model = Model(lambda _asked, _config: said)
    assert RunnableChat(model)(ASKED) == "Hello."


def test_a_call_knows_nothing_of_the_run_around_it() -> None:
    seen: list[object] = []

    def answers(asked: object, config: object) -> str:
        seen.extend((asked, config, around.get()))
        return "Hello."

    token = around.set("a run")
    assert RunnableChat(Model(answers))(ASKED) == "Hello."
    around.reset(token)
    pairs = [("system", "Be brief."), ("user", "Hi Zanzibar")]
    assert seen == [pairs, {"callbacks": [], "tags": ["nostream"]}, "nothing"]


def test_a_failure_is_named_without_its_words() -> None:
    def fails(asked: object, config: object) -> str:
        del config
        raise KeyError(asked)

    with pytest.raises(EndpointError, match=r"^Model failed with KeyError$"):
        RunnableChat(Model(fails))(ASKED)


@pytest.mark.parametrize("answer", [None, 3, b"Hello.", ["Hello."]])
def test_what_is_no_text_is_refused(answer: object) -> None:
    with pytest.raises(EndpointError, match="not with text"):
        RunnableChat(Model(lambda _asked, _config: answer))(ASKED)


def test_a_hanging_call_is_given_up_and_keeps_its_place_until_it_ends() -> None:
    end, ended = threading.Event(), threading.Event()
    calls: list[object] = []

    def hangs(asked: object, config: object) -> str:
        del config
        calls.append(asked)
        end.wait(20)
        ended.set()
        return "Hello."

    chat = RunnableChat(Model(hangs), timeout=0.1, concurrency=1)
    for _ in range(2):
        with pytest.raises(EndpointError, match=r"Model gave no answer within 0\.1 s"):
            chat(ASKED)
    assert len(calls) == 1  # the second found no place
    end.set()
    assert ended.wait(20)
    chat = RunnableChat(Model(hangs), timeout=20, concurrency=1)
    assert [chat(ASKED), chat(ASKED)] == ["Hello."] * 2


@pytest.mark.parametrize("given", [{"timeout": 0}, {"concurrency": 0}])
def test_numbers_out_of_range_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="timeout is above 0"):
        RunnableChat(Model(lambda _asked, _config: ""), **given)
