"""A memory on fakes, and a chat model that writes down what it is asked."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem.types import Matrix


class Scribe(BaseChatModel):
    """Gives its replies in order, the last one for ever; an exception among them is raised."""

    replies: list[Any] = ["Fine."]  # noqa: RUF012  # pydantic copies it
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])

    @property
    def _llm_type(self) -> str:
        return "scribe"

    @property
    def seen(self) -> list[list[BaseMessage]]:
        return self._seen

    @property
    def prompts(self) -> list[str]:
        return ["\n".join(str(m.text) for m in messages) for messages in self._seen]

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:  # noqa: ANN401  # as in BaseChatModel
        del tools, kwargs
        return self

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        reply = self.replies[min(len(self._seen), len(self.replies) - 1)]
        self._seen.append(messages)
        if isinstance(reply, Exception):
            raise reply
        return reply.model_copy() if isinstance(reply, AIMessage) else AIMessage(reply)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ANN401  # as in BaseChatModel
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._next(messages)
        if reply.tool_calls:
            yield ChatGenerationChunk(
                message=AIMessageChunk(content="", tool_calls=reply.tool_calls)
            )
        for word in str(reply.text).split(" "):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


class CountingEmbedder(HashEmbedder):
    """Counts how often a text is embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Matrix:
        self.texts += texts
        return super().embed(texts)


@pytest.fixture
def scribe() -> Callable[..., Any]:
    return lambda *replies: Scribe(replies=list(replies) or ["Fine."])


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def embedded(embedder: CountingEmbedder) -> Callable[[str], int]:
    """Count how often the memory embedded a text."""
    return embedder.texts.count


@pytest.fixture
def memory(embedder: CountingEmbedder) -> Iterator[PreferenceMemory]:
    with PreferenceMemory(
        ":memory:",
        embedder=embedder,
        extractor=PhraseExtractor(),
        reranker="none",
        relater=TableRelater(),
    ) as memory:
        yield memory
