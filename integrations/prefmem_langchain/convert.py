"""Messages of a LangChain state: which of them the user and the assistant said."""

import re
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

_FOLLOW_UP_WORDS = 15
_MORE = (
    r"(?:shorter|longer|simpler|briefer|clearer|easier|harder|stricter|softer|kinder|nicer|warmer"
    r"|friendlier|funnier|firmer|politer|ruder|tighter|looser|cheaper|faster|quicker|slower|smaller"
    r"|bigger|larger|earlier|better|lighter|darker|healthier|spicier|milder|cooler|quieter"
    r"|fewer|(?:more|less)(?:\s+[\w-]+)?(?!\s*:))"
)
_EDGE = r"(?=\s*(?:[.!?;]|$|,?\s*please\b|pls\b|and\b|but\b|though\b|then\b))"
_THAT = r"(?:it|that|this|these|those|them)"
_EDIT = (
    r"(?:make|turn|put|translate|rewrite|rephrase|shorten|change|redo|expand|fix|keep|write|say|do"
    r"|give|send|try|move|cut|add|remove|use|swap|drop|summari[sz]e|polish|format)"
)
_REFERS_BACK = re.compile(
    r"^(?:please\s+|pls\s+|(?:and|also|but|or|then|now|so|ok(?:ay)?|no|yes|hm+|thanks)[,:]?\s+){0,3}"
    rf"(?:(?:(?:a (?:bit|little)|much|even|still|slightly|way)\s+){{0,2}}{_MORE}{_EDGE}"
    r"|(?:in|into)\s+[A-Za-z]+(?:,?\s+(?:please|pls|instead|too|now|this time))*\s*[.!?]*$"
    r"|(?:shorten|something else|try again|rewrite|rephrase|again|continue|go on|expand|redo)"
    r"(?:,?\s+(?:please|pls))?\s*[.!?]*$"
    r"|(?:any\s+)?(?:other|another|different|further|more|new)\s+(?:\w+)?\s*(?:,?\s+please)?[.!?]*$"
    r"|(?:what|how) about\b|the same\b|same\b|another one\b|one more\b|(?:only|without)\b[^?]*$)"
    r"|^(?:and|also|but|or|now|then)\b[^?]*$"
    r"|^(?:and|but)\b"
    rf"|\b{_EDIT}\s+{_THAT}\b(?!\s+\w+['’]s)"
    r"|\b(?:instead|the (?:first|second|third|last|other) one|that one|this one)\b",
    re.I,
)


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


def earlier(messages: Sequence[BaseMessage], position: int) -> str:
    """Give the request that a short message refers back to, else nothing.

    "And shorter, please" needs it; a request that stands by itself would only be blurred. A chain
    of such messages leads to the first before it that is none.
    """
    at: int | None = position
    while at is not None and _refers_back(str(messages[at].text)):
        at = last_human(messages[:at])
    return "" if at is None or at == position else str(messages[at].text)


def _refers_back(text: str) -> bool:
    words = text.split(maxsplit=_FOLLOW_UP_WORDS)
    return len(words) <= _FOLLOW_UP_WORDS and _REFERS_BACK.search(" ".join(words)) is not None


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
