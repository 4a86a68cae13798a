"""Memory as a block of LlamaIndex's `Memory`: rules whenever it is read, learning on the way."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.memory import BaseMemoryBlock

from prefmem_hosts import Companion, Dialogue, OnError, OnMissing, Turns

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

UserId: TypeAlias = str | Callable[[], str | None]

_ROLES = (MessageRole.USER, MessageRole.ASSISTANT)


class PreferenceBlock(BaseMemoryBlock[str]):
    """Puts the rules that apply into the system message, and learns from what the memory holds.

    An agent reads its memory before each call of the model. Then the block sees the whole dialogue
    and the new question: it hands them to the memory's worker, which learns a turn once, and gives
    the rules for the question. Nothing that the chat store keeps holds a rule. A `Memory` is one
    conversation of one user; so is its block.

    Args:
        memory: The memory.
        user_id: The user, or what finds it when the block is read. Taken as authenticated.
        learn: Whether to learn: not where another agent asks the questions.
        limit: Conditional rules at most; the memory's config unless given.
        max_tokens: Size of the block; the memory's config unless given.
        on_missing_user: `skip` runs without memory, with one warning; `raise` fails the run.
        on_error: `log` lets the chat go on after a failure of the memory; `raise` fails the run.
        name: Name of the block within its `Memory`.

    Raises:
        ConfigError: A setting is none of its values.
    """

    _companion: Companion = PrivateAttr()
    _user_id: UserId | None = PrivateAttr()

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        user_id: UserId | None,
        learn: bool = True,
        limit: int | None = None,
        max_tokens: int | None = None,
        on_missing_user: OnMissing = "skip",
        on_error: OnError = "log",
        name: str = "preferences",
    ) -> None:
        """Tie the block to a memory and a user."""
        super().__init__(name=name, priority=0, accept_short_term_memory=False)
        self._user_id = user_id
        self._companion = Companion(
            memory, "PreferenceBlock", learn=learn, limit=limit, max_tokens=max_tokens,
            on_missing_user=on_missing_user, on_error=on_error,
        )  # fmt: skip

    @property
    def failures(self) -> int:
        """Failures of the memory that the chat survived."""
        return self._companion.failures

    async def _aget(
        self,
        messages: list[ChatMessage] | None = None,
        **block_kwargs: Any,  # noqa: ANN401  # as in BaseMemoryBlock
    ) -> str:
        """Give the rules for the newest question, and hand the dialogue over."""

        def read() -> Dialogue:
            session = str(block_kwargs.get("session_id") or "")
            return Dialogue(self._who(), turns(messages or []), session)

        await self._companion.alearn(read)
        return await self._companion.arules(read)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Keep nothing of what leaves the chat history: it was learned when it was said."""

    def _who(self) -> object:
        return self._user_id() if callable(self._user_id) else self._user_id


def turns(messages: list[ChatMessage]) -> Turns:
    """Read what the user and the model said.

    Some agents store a question before they ask with it, and so hand it over twice.
    """
    spoken = [m for m in messages if m.role in _ROLES]
    two = spoken[-2:]
    if len(two) == 2 and all(m.role == MessageRole.USER for m in two):
        spoken = spoken[:-1] if two[0].content == two[1].content else spoken
    return [
        ("user" if m.role == MessageRole.USER else "assistant", m.content or "") for m in spoken
    ]
