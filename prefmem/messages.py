"""Messages as hosts hand them over, turned into turns.

A message is a dict, a (role, text) pair, a turn, or anything shaped like a LangChain message.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, cast

from prefmem.errors import InputError
from prefmem.types import Role, Turn


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
_TEXT_BLOCKS = (None, "text", "input_text", "output_text")
_CALLS = ("tool_calls", "function_call")
_BROKEN = dict.fromkeys((0, *range(0xD800, 0xE000)), "�")


def clean(text: str) -> str:
    """Replace NUL and lone surrogates, which no store or tokenizer can carry, by U+FFFD."""
    return text.translate(_BROKEN)


def plain(text: str, *, limit: int) -> str:
    """Make text safe to store and to render as one line of at most `limit` characters.

    The length is cut first, so that a huge text costs nothing. Then NFKC; control, format, private
    and unassigned characters and line separators become spaces or vanish; white space runs become
    one space. Plain text stays as it is.
    """
    text = unicodedata.normalize("NFKC", clean(text[: 4 * limit]))
    kept = (" " if c.isspace() else "" if unicodedata.category(c) in _DROPPED else c for c in text)
    text = unicodedata.normalize("NFKC", "".join(kept))  # what was dropped may have kept two apart
    return " ".join(text.split())[:limit].rstrip()


def slot(text: str, *, longest: int) -> str | None:
    """Make text plain if it fits a slot; None when it is longer than `longest` characters."""
    room = longest + 2  # a space and a character more tell a longer text from one that just fits
    if len(text) > 4 * room:
        return None
    found = plain(text, limit=room)
    return found if len(found) <= longest else None


_DROPPED = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})


def to_turns(messages: Iterable[Message], *, max_chars: int) -> tuple[Turn, ...]:
    """Read messages into turns, oldest first.

    Empty messages (a bare tool call, an image) keep their place with an empty text; so do files
    that lie in a content block, as they are not what the user says.

    Raises:
        InputError: A role is unknown, a message has no readable form, two turns have one id, or a
            user's text is too long; the message names the position, and nothing was taken in.
    """
    turns: list[Turn] = []
    ids: set[str] = set()
    for position, message in enumerate(messages):
        turn = _to_turn(message, position)
        if turn.role != "user":  # context: its beginning will do
            turn = replace(turn, text=turn.text[:max_chars])
        elif len(turn.text) > max_chars:
            raise InputError(
                f"message {position} has {len(turn.text):,} characters, at most {max_chars:,} are "
                "read; leave pasted files out, or raise max_turn_chars in the config"
            )
        if turn.id in ids:
            raise InputError(f"message {position} has the id {turn.id!r} of an earlier one")
        ids.add(turn.id)
        turns.append(turn)
    return tuple(turns)


def _to_turn(message: Message, position: int) -> Turn:
    if isinstance(message, Turn):
        text = clean(_text(message.text, position))
        return Turn(clean(message.id), _role(message.role, position), text, message.at)
    role: object
    content: object
    if isinstance(message, Mapping):
        bare = any(message.get(call) for call in _CALLS)  # then a content may be missing
        if "role" not in message or not ("content" in message or bare):
            raise InputError(f"message {position} needs 'role' and 'content': {[*message]!r}")
        role, content = message["role"], message.get("content")
    elif isinstance(message, tuple) and len(message) == 2:
        role, content = message
    elif hasattr(message, "type") and hasattr(message, "content"):
        role, content = message.type, message.content
    else:
        raise InputError(
            f"message {position} is a {type(message).__name__}; pass dicts with 'role' and "
            "'content', (role, text) pairs, Turn objects or LangChain messages"
        )
    return Turn(str(position), _role(role, position), clean(_text(content, position)))


def _role(role: object, position: int) -> Role:
    known = _ROLES.get(str(role).lower().removesuffix("messagechunk"))
    if known is None:
        raise InputError(
            f"message {position} has role {role!r}; known are user, assistant, system, tool"
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
