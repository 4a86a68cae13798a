"""The body of a chat request: read as JSON, changed as text.

Rules are spliced into the text of the body, so that everything else in it stays as it was, byte for
byte: unknown fields, numbers of any size, spaces, the order of keys.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from prefmem_server.proxy_settings import Placement

Message: TypeAlias = Mapping[str, Any]
Span: TypeAlias = tuple[int, int]

_SPACE = " \t\n\r"
_SPACES = re.compile(f"[{_SPACE}]*")
_MOST_MESSAGES = 20_000
_ONCE = ("messages", "user", "safety_identifier", "metadata")
_OPENING = ("system", "developer")


def _no_number(_: str) -> int:
    """Stand for a number: nothing here computes with them, and a huge one costs no time."""
    return 0


_read = json.JSONDecoder(
    parse_int=_no_number, parse_float=_no_number, parse_constant=_no_number, strict=False
).raw_decode


class TwiceError(ValueError):
    """A field stands twice in the body, so that two readers may read two things."""


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A chat request.

    Attributes:
        text: The body as it came.
        fields: What it holds, every number as 0.
        spans: Where each of its messages stands in the text.
    """

    text: str
    fields: Mapping[str, Any]
    spans: tuple[Span, ...]

    @property
    def messages(self) -> Sequence[Message]:
        """The messages, oldest first."""
        return cast(Sequence[Message], self.fields["messages"])


def read_body(data: bytes) -> ChatBody | None:
    """Read the body of a chat request.

    Returns:
        None where it is no JSON object with a list of 1 to 20,000 messages: what is wrong with it,
        the upstream says.

    Raises:
        TwiceError: A field that matters here stands twice.
    """
    try:
        text = data.decode()
        return _body(text)
    except TwiceError:
        raise
    except (ValueError, RecursionError):  # not UTF-8, not JSON, too deep
        return None


def with_block(body: ChatBody, block: str, placement: Placement) -> bytes:
    """Give the body with a block of text for the model.

    Args:
        body: The request; left as it is.
        block: The text; where it is empty, the body is given as it came.
        placement: See `ProxySettings`.

    Returns:
        The body: what came, and in one place more.
    """
    if not block:
        return body.text.encode()
    at, more = _in_user(body, block) if placement == "user" else _in_system(body, block)
    return (body.text[:at] + more + body.text[at:]).encode()


def text_of(message: Message) -> str:
    """Give the text of a message; images, sound and files have none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = cast(list[object], content)
    return "\n".join(text for part in parts if (text := _words(part)))


def last_user(messages: Sequence[Message]) -> int | None:
    """Find the position of the user's last message."""
    positions = range(len(messages) - 1, -1, -1)
    return next((n for n in positions if messages[n].get("role") == "user"), None)


def _words(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        fields = cast(Mapping[str, object], part)
        text = fields.get("text") if fields.get("type") in ("text", "input_text") else None
        return text if isinstance(text, str) else ""
    return ""


def _body(text: str) -> ChatBody | None:
    fields: dict[str, Any] = {}
    spans: tuple[Span, ...] = ()
    start = _skip(text, 0)
    if text[start : start + 1] != "{":
        return None
    end = start + 1
    for key, (begin, end), value in _members(text, start):  # noqa: B007  # the last end is used
        if key in fields and key in _ONCE:
            raise TwiceError(key)
        fields[key] = value
        if key == "messages" and _readable(value):
            spans = tuple(span for span, _ in _elements(text, begin))
    if text[_skip(text, end) : _skip(text, end) + 1] != "}":
        return None
    if _skip(text, _skip(text, end) + 1) != len(text):
        return None  # something follows the object
    return ChatBody(text, fields, spans) if spans else None


def _readable(messages: object) -> bool:
    if not isinstance(messages, list):
        return False
    held = cast(list[object], messages)
    return 0 < len(held) <= _MOST_MESSAGES and all(isinstance(message, dict) for message in held)


def _in_system(body: ChatBody, block: str) -> tuple[int, str]:
    """Say where the block goes and what it reads there: last in the opening system messages."""
    opening = 0
    while opening < len(body.spans) and body.messages[opening].get("role") in _OPENING:
        opening += 1
    if opening:
        found = _content(body, opening - 1)
        if found is not None:
            (_, end), content = found
            if isinstance(content, str):
                return end - 1, _escaped(f"\n\n{block}" if content else block)
            return _closing(body.text, end), (", " if content else "") + _text_part(block)
    new = json.dumps({"role": "system", "content": block})
    if opening < len(body.spans):
        return body.spans[opening][0], f"{new}, "
    return body.spans[-1][1], f", {new}"


def _in_user(body: ChatBody, block: str) -> tuple[int, str]:
    """Say where the block goes and what it reads there: before what the user says last."""
    position = last_user(body.messages)
    if position is None:
        return _in_system(body, block)
    found = _content(body, position)
    if found is None:
        new = json.dumps({"role": "user", "content": block})
        return body.spans[position][0], f"{new}, "
    (begin, _), content = found
    if isinstance(content, str):
        return begin + 1, _escaped(f"{block}\n\n" if content else block)
    return begin + 1, _text_part(block) + (", " if content else "")


def _content(body: ChatBody, position: int) -> tuple[Span, str | list[object]] | None:
    """Find the content of a message in the text; None where it is neither text nor a list."""
    found: tuple[Span, object] | None = None
    for key, span, value in _members(body.text, body.spans[position][0]):
        if key == "content":
            found = span, value  # of two, the last counts for most readers
    if found is None or not isinstance(found[1], str | list):
        return None
    return found[0], cast(str | list[object], found[1])


def _members(text: str, start: int) -> Iterator[tuple[str, Span, Any]]:
    """Give the members of the object that opens at `start`: key, place of the value, value."""
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        key, at = _read(text, at)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            raise ValueError("no object")
        begin = _skip(text, at + 1)
        value, end = _read(text, begin)
        yield key, (begin, end), value
        at = _next(text, end, "}")


def _elements(text: str, start: int) -> Iterator[tuple[Span, Any]]:
    """Give the elements of the list that opens at `start`: place, value."""
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        value, end = _read(text, at)
        yield (at, end), value
        at = _next(text, end, "]")


def _next(text: str, end: int, closing: str) -> int:
    """Give the place after a comma, or of what closes."""
    at = _skip(text, end)
    if text[at : at + 1] == closing:
        return at
    after = _skip(text, at + 1)
    if text[at : at + 1] != "," or text[after : after + 1] == closing:
        raise ValueError("a comma, or the end, is missing")
    return after


def _skip(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


def _closing(text: str, end: int) -> int:
    """Give the place after the last element of a list that ends before `end`."""
    return len(text[: end - 1].rstrip(_SPACE))


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _text_part(text: str) -> str:
    return json.dumps({"type": "text", "text": text})
