"""A chat model that knows its user: any base model, given the rules that apply.

Cards of the memory and the rules of its preference agent go into the system message of each call;
the base model stays as it is, so that one agent steers any of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import Context
from typing import Any, TypeVar

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config, set_config_context
from pydantic import ConfigDict, Field, PrivateAttr

from prefmem import PreferenceMemory
from prefmem_langchain.border import Border, OnError
from prefmem_langchain.convert import last_human, requests
from prefmem_langchain.identity import OnMissing, UserId, session
from prefmem_langchain.placing import Placement, with_rules

T = TypeVar("T")
_ALONE: RunnableConfig = {"callbacks": []}  # else every token of a stream is told twice


class PreferenceChatModel(BaseChatModel):
    """Calls a base model with the rules that apply to the user's last message.

    Made with a memory that has an agent, `PreferenceMemory(..., agent=...)`, it is the generator of
    Unsupervised Human Preference Learning (arXiv 2410.03731). Calls, batches, streams and tools go
    through to the base model, with the same messages and settings; to traces and streams both are
    one model, and what they show is without the rules. It learns nothing by itself.

    Args:
        model: The base model: a chat model, or one with tools or settings bound.
        memory: The memory; None for the one on the store of the run.
        user_id: The user, or what computes it from the runtime; None for the user of the run, of
            its context or of the config's `user_id`. See `resolve_user`.
        limit: Conditional rules at most, the agent's among them; the memory's config unless given.
        max_tokens: Size of the block; the memory's config unless given.
        placement: `system` appends the block to the system message; `user` puts it before the
            user's last message.
        on_missing_user: `skip` calls without rules, with one warning; `raise` fails the call.
        on_error: `log` calls without rules after a failure of the memory; `raise` fails the call.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: Runnable[LanguageModelInput, Any]
    memory: PreferenceMemory | None = Field(default=None, exclude=True, repr=False)
    user_id: UserId | None = Field(default=None, exclude=True, repr=False)
    limit: int | None = Field(default=None, ge=0, le=50)
    max_tokens: int | None = Field(default=None, ge=0)
    placement: Placement = "system"
    on_missing_user: OnMissing = "skip"
    on_error: OnError = "log"
    _border: Border = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401  # as in pydantic
        """Build the border to the memory."""
        super().model_post_init(context)
        self._border = Border(
            "PreferenceChatModel", self.memory, user_id=self.user_id,
            on_missing_user=self.on_missing_user, on_error=self.on_error,
        )  # fmt: skip

    @property
    def failures(self) -> int:
        """Failures of the memory that calls survived."""
        return self._border.failures

    @property
    def _llm_type(self) -> str:
        return "prefmem"

    def bind_tools(
        self,
        tools: Sequence[Any],
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Give this model with tools bound to its base model."""
        bind: Callable[..., Any] = getattr(self.model, "bind_tools")  # noqa: B009  # a chat model has it
        return self.model_copy(update={"model": bind(tools, **kwargs)})

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> AIMessage:
        """Answer the user of the run."""
        # The base hands no config on, which is needed for the user.
        config = ensure_config(config)
        with set_config_context(config) as within:
            return within.run(super().invoke, input, config, stop=stop, **kwargs)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> AIMessage:
        """Do the same; the memory runs on a worker thread."""
        config = ensure_config(config)
        with set_config_context(config) as within:
            call = super().ainvoke(input, config, stop=stop, **kwargs)
            return await asyncio.create_task(call, context=within)

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> Iterator[AIMessageChunk]:
        """Answer in pieces, as the base model gives them."""
        config = ensure_config(config)
        with set_config_context(config) as within:
            yield from _within(super().stream(input, config, stop=stop, **kwargs), within)

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> AsyncIterator[AIMessageChunk]:
        """Do the same; the memory runs on a worker thread."""
        config = ensure_config(config)
        with set_config_context(config) as within:
            pieces = super().astream(input, config, stop=stop, **kwargs)
            while (piece := await asyncio.create_task(_next(pieces), context=within)) is not None:
                yield piece

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> ChatResult:
        del run_manager
        return _result(self.model.invoke(self._asked(messages), _ALONE, **_given(stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> ChatResult:
        asked = await asyncio.to_thread(self._asked, messages)
        del run_manager
        return _result(await self.model.ainvoke(asked, _ALONE, **_given(stop, kwargs)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> Iterator[ChatGenerationChunk]:
        del run_manager
        for piece in self.model.stream(self._asked(messages), _ALONE, **_given(stop, kwargs)):
            yield ChatGenerationChunk(message=_chunk(piece))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> AsyncIterator[ChatGenerationChunk]:
        asked = await asyncio.to_thread(self._asked, messages)
        del run_manager
        async for piece in self.model.astream(asked, _ALONE, **_given(stop, kwargs)):
            yield ChatGenerationChunk(message=_chunk(piece))

    def _asked(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Place the rules that apply among the messages."""
        position = last_human(messages)
        if position is None:
            return list(messages)

        def recall(memory: PreferenceMemory, user: str) -> str:
            asked = requests(messages, position, max_chars=memory.config.max_turn_chars)
            strict = self._border.strict
            found = memory.recall(
                asked, user_id=user, session_id=session(), limit=self.limit,
                max_tokens=self.max_tokens, strict=strict,
            )  # fmt: skip
            self._border.recalled(found)
            return memory.render(found, max_tokens=self.max_tokens, strict=strict)

        block = self._border.cross("recall", recall, otherwise="")
        return with_rules(messages, block, placement=self.placement)


def _within(pieces: Iterator[T], context: Context) -> Iterator[T]:
    """Run an iterator in a context, piece by piece."""
    end = object()
    while (piece := context.run(next, pieces, end)) is not end:
        yield piece  # type: ignore[misc]  # not the end


async def _next(pieces: AsyncIterator[T]) -> T | None:
    return await anext(pieces, None)


def _given(stop: list[str] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    return kwargs if stop is None else {**kwargs, "stop": stop}


def _result(message: BaseMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


def _chunk(piece: BaseMessage) -> AIMessageChunk:
    """Give a piece as a chunk; a model that cannot stream gives its whole message."""
    if isinstance(piece, AIMessageChunk):
        return piece
    return AIMessageChunk(**piece.model_dump(exclude={"type"}))
