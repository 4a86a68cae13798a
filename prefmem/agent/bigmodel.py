"""The big model that intents and rules are asked of: any chat model, with a temperature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TypeAlias

from prefmem.errors import ConfigError, EndpointError
from prefmem.models.endpoint import OpenAIChat
from prefmem.models.runnable import Apart, ChatModel, RunnableChat

Messages: TypeAlias = Sequence[Mapping[str, str]]
# Messages, and the temperature; None leaves it to the model.
Ask: TypeAlias = Callable[[Messages, float | None], str]


@dataclass(frozen=True, slots=True)
class BigModel:
    """A chat model that is asked with a temperature.

    Attributes:
        name: Tells its answers from those of other models, in the cache.
        ask: Gives the reply.
        concurrency: Calls in flight at once that it takes.
    """

    name: str
    ask: Ask
    concurrency: int = 8


def endpoint(
    url: str, *, model: str | None = None, api_key: str | None = None, timeout: float = 120,
    concurrency: int = 8, extra: Mapping[str, object] | None = None,
) -> BigModel:  # fmt: skip
    """Ask an OpenAI-compatible endpoint; see `OpenAIChat`.

    Raises:
        ConfigError: A setting cannot be used.
    """
    made: dict[float | None, OpenAIChat] = {}
    lock = Lock()

    def chat(temperature: float | None) -> OpenAIChat:
        with lock:
            if temperature not in made:
                fields = {} if temperature is None else {"temperature": temperature}
                made[temperature] = OpenAIChat(
                    url, model=model, api_key=api_key, timeout=timeout, concurrency=concurrency,
                    extra={**fields, **(extra or {})},
                )  # fmt: skip
            return made[temperature]

    chat(None)  # checks the settings
    return BigModel(model or url, lambda messages, t: chat(t)(messages), concurrency)


def big_model(
    model: BigModel | ChatModel | RunnableChat | OpenAIChat | Ask, *, name: str = "",
    timeout: float = 300, concurrency: int = 8,
) -> BigModel:  # fmt: skip
    """Take any chat model.

    Args:
        model: A chat model of LangChain, which is bound to each temperature; a function of messages
            and temperature; or a `RunnableChat` or `OpenAIChat`, which keep the temperature that
            they were made with. `endpoint` makes a model behind an endpoint that takes each.
        name: Tells its answers from those of other models, where the model does not say one.
        timeout: Seconds for an answer of a model of LangChain or a function, above 0.
        concurrency: Calls in flight at once of these, from 1.

    Raises:
        ConfigError: It is no chat model, or a number is out of range.
    """
    if isinstance(model, BigModel):
        return model
    if isinstance(model, OpenAIChat | RunnableChat):
        chat = model
        told = name or _named(model)
        return BigModel(told, lambda messages, _: chat(messages), chat.concurrency)
    if isinstance(model, ChatModel):
        return _bound(model, name or _named(model), timeout, concurrency)
    if not callable(model):  # pyright: ignore[reportUnnecessaryComparison]  # callers may pass anything
        raise ConfigError(
            f"model is of type {type(model).__name__}; pass a chat model of LangChain, an "
            "OpenAIChat, or a function of messages and temperature"
        )
    told = name or getattr(model, "__qualname__", type(model).__qualname__)
    apart = Apart(told, timeout=timeout, concurrency=concurrency)
    called = model

    def ask(messages: Messages, temperature: float | None) -> str:
        answer = apart(partial(called, [dict(m) for m in messages], temperature))
        if not isinstance(answer, str):
            raise EndpointError(f"{told} answered with {type(answer).__name__}, not with text")
        return answer

    return BigModel(told, ask, concurrency)


def _bound(model: ChatModel, name: str, timeout: float, concurrency: int) -> BigModel:
    """Bind a chat model of LangChain to each temperature that is asked for."""
    plain = RunnableChat(model, timeout=timeout, concurrency=concurrency)
    made: dict[float | None, RunnableChat] = {None: plain}
    lock = Lock()

    def ask(messages: Messages, temperature: float | None) -> str:
        with lock:
            if temperature not in made:
                bound = model.bind(temperature=temperature)
                made[temperature] = RunnableChat(bound, timeout=timeout, concurrency=concurrency)
            chat = made[temperature]
        return chat(messages)

    return BigModel(name, ask, concurrency)


def _named(model: object) -> str:
    """Name a model as it names itself, or by its class."""
    given = (getattr(model, field, None) for field in ("model_name", "model", "model_id"))
    told = next((name for name in given if isinstance(name, str) and name), "")
    return f"{type(model).__name__}:{told}" if told else type(model).__name__
