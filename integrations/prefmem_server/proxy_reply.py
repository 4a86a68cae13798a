"""What the assistant said, read from the bytes that the upstream sent: whole, cut off or broken."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

_MOST = 4 * 2**20  # bytes of a response that are read; a reply is context, its beginning will do
READABLE = frozenset({"gzip", "x-gzip", "deflate", "identity"})
_AUTO = zlib.MAX_WBITS | 32  # zlib finds out whether it is gzip or zlib


@dataclass(frozen=True, slots=True)
class Reply:
    """What an assistant said.

    Attributes:
        text: Its words, those of the first choice.
        calls: Whether it calls tools, so that the turn goes on.
    """

    text: str = ""
    calls: bool = False


class Tee:
    """Keeps a copy of what a response holds, up to a size, without reading it."""

    def __init__(self) -> None:
        """Start empty."""
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Keep a chunk, if there is room."""
        if self._size < _MOST:
            self._chunks.append(chunk[: _MOST - self._size])
            self._size += len(chunk)

    def held(self) -> bytes:
        """Give what was kept."""
        return b"".join(self._chunks)


def read_reply(data: bytes, *, encoding: str = "") -> Reply:
    """Read a response of `/v1/chat/completions`, streamed or not.

    Args:
        data: The body, or its beginning.
        encoding: Its `Content-Encoding`.

    Returns:
        What can be read of it; nothing where nothing can.
    """
    text = _unpacked(data, encoding).decode(errors="replace")
    said: list[str] = []
    calls = False
    for event in _whole(text) or _streamed(text):
        choice = _first_choice(event)
        message = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        said.append(_words(message.get("content")))
        calls = calls or bool(message.get("tool_calls") or message.get("function_call"))
        calls = calls or choice.get("finish_reason") in ("tool_calls", "function_call")
    return Reply("".join(said), calls)


def _unpacked(data: bytes, encoding: str) -> bytes:
    """Decompress what came, up to a size; nothing where the encoding is unknown."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in READABLE:
        return b""
    for bits in (_AUTO, -zlib.MAX_WBITS):  # some servers send deflate without zlib's frame
        unpacker = zlib.decompressobj(bits)
        try:
            return unpacker.decompress(data, _MOST)
        except zlib.error:
            continue
    return b""


def _whole(text: str) -> Sequence[Mapping[str, Any]]:
    """Read a response that is one JSON object."""
    if not text.lstrip().startswith("{"):
        return ()
    return tuple(_objects([text]))


def _streamed(text: str) -> Iterator[Mapping[str, Any]]:
    """Read the events of a stream: their data as JSON objects; what is none is left out."""
    data: list[str] = []
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield from _objects(["\n".join(data)])
            data = []


def _objects(texts: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for text in texts:
        try:
            value: object = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield cast(dict[str, Any], value)


def _first_choice(event: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = event.get("choices")
    if not isinstance(choices, list):
        return {}
    for choice in map(_mapping, cast(list[object], choices)):
        if choice.get("index", 0) == 0:
            return choice
    return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}


def _words(content: object) -> str:
    """Give the words of a content: a text, or, with some upstreams, a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (_mapping(part).get("text") for part in cast(list[object], content))
    return "".join(part for part in parts if isinstance(part, str))
