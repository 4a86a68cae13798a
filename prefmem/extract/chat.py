"""Any chat model as an extractor: one of LangChain, or one behind an OpenAI-compatible endpoint."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import get_args

from prefmem.errors import ConfigError
from prefmem.extract.answers import Tally, questions, read_answers
from prefmem.extract.parse import SCHEMA
from prefmem.extract.prompts import PromptName
from prefmem.models.endpoint import OpenAIChat
from prefmem.models.runnable import ChatModel, RunnableChat
from prefmem.types import Preference, Window


class ChatExtractor:
    """Finds preferences with one answer of a chat model for each user turn.

    What the model says counts only where a sentence of the user supports it, and that sentence is
    the evidence. Threads may share it.

    Args:
        model: A chat model of LangChain, plain or as a `RunnableChat` with a timeout and a number
            of calls in flight of its own; or `OpenAIChat("http://localhost:8000/v1", model=...)`.
        prompt: `instructed` for a general model. One that is trained as the published Qwen3
            extractor wants `training`, which shows it one user turn, or `card`, which shows the
            window up to it.

    Raises:
        ConfigError: The model is neither, or the prompt is unknown.
    """

    def __init__(
        self, model: ChatModel | RunnableChat | OpenAIChat, *, prompt: PromptName = "instructed"
    ) -> None:
        """Choose the model; nothing is asked yet."""
        if prompt not in get_args(PromptName):
            raise ConfigError(f"prompt={prompt!r}; known are {', '.join(get_args(PromptName))}")
        self._prompt: PromptName = prompt
        chat = RunnableChat(model) if isinstance(model, ChatModel) else model
        if not isinstance(chat, RunnableChat | OpenAIChat):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may pass anything
            raise ConfigError(
                f"model is of type {type(chat).__name__}; pass a chat model of LangChain, or an "
                "OpenAIChat"
            )
        self._concurrency = chat.concurrency
        self._ask: Callable[[Sequence[Mapping[str, str]]], str] = (
            partial(chat, schema=SCHEMA) if isinstance(chat, OpenAIChat) else chat
        )
        self._rejected = Tally()

    @property
    def rejected(self) -> Counter[str]:
        """How much of the answers was left out so far, by reason; holds no text."""
        return self._rejected.counts()

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract what the user said in the named turns.

        Raises:
            EndpointError: An answer cannot be had; nothing is extracted then.
        """
        return self.extract_many([(window, turn_ids)])[0]

    def extract_many(
        self, items: Sequence[tuple[Window, Sequence[str]]]
    ) -> list[tuple[Preference, ...]]:
        """Extract from n windows what `extract` gives for each, several answers at a time.

        Raises:
            EndpointError: An answer cannot be had; nothing is extracted then.
        """
        asked = [questions(window, turn_ids, self._prompt) for window, turn_ids in items]
        with ThreadPoolExecutor(self._concurrency) as pool:
            answers = pool.map(self._ask, [q.messages for one in asked for q in one])
            texts = iter(list(answers))
        return [
            read_answers([next(texts) for _ in one], one, turn_ids, self._rejected)
            for one, (_, turn_ids) in zip(asked, items, strict=True)
        ]
