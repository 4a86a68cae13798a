"""Messages as hosts hand them over, turned into turns.

A message is a dict, a (role, text) pair, a turn, or anything shaped like a LangChain message.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias, cast, get_args

from prefmem.errors import InputError
from prefmem.types import Origin, Role, Turn


class MessageLike(Protocol):
    """The two attributes of a LangChain message that matter here."""

    @property
    def type(self) -> str:
        """`human`, `ai`, `system` or `tool`."""
        ...

    @property
    def content(self) -> Any:  # noqa: ANN401  # a host's content blocks may hold anything
        """A string, or a list of strings and blocks."""
        ...


Message: TypeAlias = Turn | Mapping[str, object] | tuple[str, str] | MessageLike

_ROLES: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_FIRST_YEAR, _LAST_YEAR = 1971, 8999  # a zone may shift a year's ends
_TEXT_BLOCKS = (None, "text", "input_text", "output_text")
_CALLS = ("tool_calls", "function_call")
_BROKEN = dict.fromkeys((0, *range(0xD800, 0xE000)), "�")


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, which no store or tokenizer can carry, by U+FFFD.

    Raises:
        InputError: It is no text at all.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may pass anything
        raise InputError(f"a {type(text).__name__} was passed where a text is needed")
    return text.translate(_BROKEN)


def plain(text: str, *, limit: int) -> str:
    """Make text safe to store and to render as one line of at most `limit` characters.

    The length is cut first, so that a huge text costs nothing. Then NFKC; what shows nothing
    vanishes, and white space runs become one space. Plain text stays as it is.
    """
    text = unicodedata.normalize("NFKC", clean(text[: 4 * limit]))
    text = unicodedata.normalize("NFKC", seen(text))  # what was dropped may have kept two apart
    return " ".join(text.split())[:limit].rstrip()


def seen(text: str) -> str:
    """Keep what can be seen: white space becomes spaces, and what shows nothing vanishes.

    That is control, format, private, unassigned and surrogate characters, tags and bidirectional
    marks among them, variation selectors, and letters without a shape.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if c.isspace() else c
        for c in text
        if c.isspace()
        or (unicodedata.category(c) not in _DROPPED and ord(c) not in _WITHOUT_A_SHAPE)
    )


def slot(text: str, *, longest: int) -> str | None:
    """Make text plain if it fits a slot; None when it is longer than `longest` characters."""
    room = longest + 2  # a space and a character more tell a longer text from one that just fits
    if len(text) > 4 * room:
        return None
    found = plain(text, limit=room)
    return found if len(found) <= longest else None


_DROPPED = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})
_WITHOUT_A_SHAPE = frozenset(
    {
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164,
        0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
    }
)  # fmt: skip  # joiners, fillers, variation selectors


def to_turns(messages: Iterable[Message], *, max_chars: int) -> tuple[Turn, ...]:
    """Read messages into turns, oldest first.

    A dict may say the `origin` of a user's text: `typed`, `prefill` or `paste`; a LangChain message
    says it in its `additional_kwargs`. Length is looked at before anything else is done to a text.
    Empty messages (a bare tool call, an image) keep their place with an empty text; so do files
    that lie in a content block, as they are not what the user says.

    Raises:
        InputError: A role or an origin is unknown, a message has no readable form, two turns have
            one id, or a user's text is too long; the message names the position, and nothing was
            taken in.
    """
    turns: list[Turn] = []
    ids: set[str] = set()
    if not isinstance(messages, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
        raise InputError(f"messages is a {type(messages).__name__}; pass a list of messages")
    for position, message in enumerate(messages):
        turn = _to_turn(message, position)
        if turn.role == "user" and len(turn.text) > max_chars:
            raise InputError(
                f"message {position} has {len(turn.text):,} characters, at most {max_chars:,} are "
                "read; leave pasted files out, or raise max_turn_chars in the config"
            )
        turn = replace(turn, text=clean(turn.text[:max_chars]))  # of context the beginning will do
        if turn.id in ids:
            raise InputError(f"message {position} has the id {turn.id!r:.80} of an earlier one")
        ids.add(turn.id)
        turns.append(turn)
    return tuple(turns)


def _to_turn(message: Message, position: int) -> Turn:
    if isinstance(message, Turn):
        text, origin = _text(message.text, position), _origin(message.origin, position)
        at = _at(message.at, position)
        return Turn(clean(message.id), _role(message.role, position), text, at, origin)
    role: object
    content: object
    said: object = None
    if isinstance(message, Mapping):
        bare = any(message.get(call) for call in _CALLS)  # then a content may be missing
        if "role" not in message or not ("content" in message or bare):
            raise InputError(f"message {position} needs 'role' and 'content': {[*message]!r:.80}")
        role, content, said = message["role"], message.get("content"), message.get("origin")
    elif isinstance(message, tuple) and len(message) == 2:
        role, content = message
    elif hasattr(message, "type") and hasattr(message, "content"):
        role, content = message.type, message.content
        extra: object = getattr(message, "additional_kwargs", None)
        said = cast(Mapping[str, object], extra).get("origin") if isinstance(extra, dict) else None
    else:
        raise InputError(
            f"message {position} is a {type(message).__name__}; pass dicts with 'role' and "
            "'content', (role, text) pairs, Turn objects or LangChain messages"
        )
    text, origin = _text(content, position), _origin(said, position)
    return Turn(str(position), _role(role, position), text, None, origin)


def _origin(said: object, position: int) -> Origin:
    """Read how a text came to be; what nobody says is typed."""
    known: tuple[Origin, ...] = get_args(Origin)
    for origin in known:
        if said == origin or (said is None and origin == "typed"):
            return origin
    raise InputError(f"message {position} has origin {said!r:.80}; known are {', '.join(known)}")


def _at(said: object, position: int) -> datetime | None:
    """Check a time: without a zone nobody knows when it was."""
    if said is None:
        return None
    if isinstance(said, datetime) and said.tzinfo and _FIRST_YEAR <= said.year < _LAST_YEAR:
        return said
    raise InputError(
        f"message {position} has at={said!r:.80}; pass a datetime with a time zone, of the years "
        f"{_FIRST_YEAR} to {_LAST_YEAR - 1}, or None"
    )


def _role(role: object, position: int) -> Role:
    known = _ROLES.get(str(role).lower().removesuffix("messagechunk"))
    if known is None:
        raise InputError(
            f"message {position} has role {role!r:.80}; known are user, assistant, system, tool"
        )
    return known


def _text(content: object, position: int) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
        blocks = cast(Sequence[object], content)
        return "\n".join(t for t in (_block(b) for b in blocks) if t)
    raise InputError(f"message {position} has content of type {type(content).__name__}")


def _block(block: object) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping):
        fields = cast(Mapping[str, object], block)
        text = fields.get("text") if fields.get("type") in _TEXT_BLOCKS else None
        return text if isinstance(text, str) else ""
    return ""
