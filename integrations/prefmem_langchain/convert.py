"""Messages of a LangChain state: which of them the user and the assistant said."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    convert_to_messages,
    message_chunk_to_message,
)

_REQUESTS = 20  # of the user's that are looked at for the one that a follow-up is about


def messages_of(state: object) -> list[BaseMessage]:
    """Read the messages of a state: a mapping, or an object with the attribute `messages`."""
    if isinstance(state, Mapping):
        held = cast(Mapping[str, Any], state).get("messages")
    else:
        held = getattr(state, "messages", None)
    return convert_to_messages(held or ())


def dialogue(messages: Iterable[BaseMessage], *, max_chars: int) -> list[BaseMessage]:
    """Keep what the user and the assistant said.

    Tool and system messages, summaries of earlier turns and texts of more than `max_chars`
    characters are left out: a pasted file must not keep the rest of a thread from being learned.
    """
    return [
        message_chunk_to_message(m) if isinstance(m, BaseMessageChunk) else m
        for m in messages
        if isinstance(m, HumanMessage | AIMessage) and not _summary(m) and _size(m) <= max_chars
    ]


def last_human(messages: Sequence[BaseMessage]) -> int | None:
    """Find the position of the user's last message; a summary of earlier turns is none."""
    for position in range(len(messages) - 1, -1, -1):
        if is_human(messages[position]):
            return position
    return None


def requests(
    messages: Sequence[BaseMessage], position: int, *, max_chars: int
) -> list[tuple[str, str]]:
    """Give the user's last messages up to a position, as `memory.recall` takes a dialogue.

    Of a text with more than `max_chars` characters the beginning is given.
    """
    said = [str(m.text) for m in messages[: position + 1] if is_human(m)]
    return [("user", text[:max_chars]) for text in said[-_REQUESTS:]]


def is_human(message: BaseMessage) -> bool:
    """Whether a message is the user's own."""
    return isinstance(message, HumanMessage) and not _summary(message)


def _summary(message: BaseMessage) -> bool:
    return message.additional_kwargs.get("lc_source") == "summarization"


def _size(message: BaseMessage) -> int:
    """Count characters, one more for each content block."""
    if isinstance(message.content, str):
        return len(message.content)
    texts = (b if isinstance(b, str) else str(b.get("text") or "") for b in message.content)
    return sum(len(text) + 1 for text in texts)
