"""Hostile inputs: texts, JSON, bytes and messages of all shapes, as strategies of hypothesis."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

from hypothesis import strategies as st

from prefmem.types import Turn

Draw: TypeAlias = st.DrawFn
# Pieces that have broken other programs: marks of our own formats, escapes, odd characters.
PIECES: tuple[str, ...] = (
    "", " ", "\n", "\r\n", "\t", "\0", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u2029", "\u200b",
    "\u202e", "\ufeff", "\ufffe", "\ud800", "\udfff", "\U0010ffff", "\U000e0041", "e\u0301" * 9,
    "\u0130", "\ufb01", "\ufdfa", "\u0600", "\u1e9e", "\u3000", "😀", "🏳️‍🌈", "ＡＢＣ",
    '"', "'", "\\", '\\"', "\\u0000", "\\ud800", "{", "}", "[", "]", "[]", "{}", ",", ":", "null",
    "true", "NaN", "-Infinity", "1e999", "0x10", "9" * 400, "1_000", "-0", "<", ">", "&", "</",
    "<think>", "</think>", "```", "```json\n", "---", "<|im_end|>", "<s>", "[INST]",
    '{"preferences": [', '{"condition": "", "action": "', '", "confidence": 1}', "]}",
    "<user-preferences-abcdef>", "</user-preferences-abcdef>", "</user-preferences",
    "Always ", "never ", "when I write code, ", "until Friday", "from now on", "forget that",
    "remember that ", "show my preferences", "undo that", "not now", "only for mails", "why?",
    "change that to ", "' or 1=1 --", '"; drop table cards', "%", "_", "../../etc/passwd", "$ne",
    "%s%n", "{0}", "{nonce}", "${jndi:ldap://x}", "{{7*7}}", "<script>alert(1)</script>", "=1+1",
    "https://example.com/?q=1", "data:text/html,x", "\x1f", "\x1e", "offer:", "words:", "edit:",
)  # fmt: skip

_characters = st.characters(exclude_categories=())  # lone surrogates, too
_joined = st.lists(st.sampled_from(PIECES) | st.text(_characters, max_size=12), max_size=12)


def _again(piece: str, count: int) -> str:
    return (piece * count)[:6_000]


def _opened(mark: str, depth: int, core: str) -> str:
    return mark * depth + core


_repeated = st.builds(_again, st.sampled_from(PIECES), st.integers(0, 3_000))
text: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(PIECES), st.text(_characters, max_size=80), _joined.map("".join), _repeated
)
scalar = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(PIECES), text
)
json_value: st.SearchStrategy[Any] = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=12,
)
deep: st.SearchStrategy[str] = st.builds(
    _opened,
    st.sampled_from(["[", '{"a":', '{"preferences":[', "[[", '["']),
    st.integers(1, 20_000),
    st.sampled_from(["", "1", "]", "}", '{"action": "x"}']),
)
# What a caller may hand over where a text is asked for.
anything: st.SearchStrategy[Any] = st.one_of(
    text, json_value, st.binary(max_size=40), st.just(object()), st.just(("a", "b")),
    st.just(datetime(2026, 1, 1, tzinfo=UTC)), st.just(print), st.complex_numbers(),
)  # fmt: skip


@st.composite
def altered(draw: Draw, documents: Sequence[object]) -> Any:  # noqa: ANN401  # any JSON
    """Give one of some JSON documents after a few changes at any place."""
    document = deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(0, 4))):
        places = list(_places(document))
        if not places:
            return draw(json_value)
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        _change(draw, cast("dict[object, Any]", holder), key, places)
    return document


def _places(document: object) -> "list[tuple[object, object]]":
    """Give every place of a document: what holds it, and its key or position there."""
    found: list[tuple[object, object]] = []
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            keys: list[object] = list(cast("dict[object, object]", holder))
        elif isinstance(holder, list):
            keys = list(range(len(cast("list[object]", holder))))
        else:
            continue
        for key in keys:
            found.append((cast(object, holder), key))
            waiting.append(cast("dict[object, object]", holder)[key])
    return found


def _change(
    draw: Draw,
    holder: Any,  # noqa: ANN401  # any JSON
    key: Any,  # noqa: ANN401  # as above
    places: Sequence[tuple[Any, Any]],
) -> None:
    try:
        old = holder[key]
    except (KeyError, IndexError):  # gone with an earlier change
        return
    match draw(st.sampled_from(["replace", "delete", "swap", "more", "double", "near"])):
        case "replace":
            holder[key] = draw(json_value)
        case "delete":
            del holder[key]
        case "swap":
            there, name = places[draw(st.integers(0, len(places) - 1))]
            holder[key] = deepcopy(there[name]) if _has(there, name) else None
        case "more" if isinstance(holder, dict):
            holder[draw(text)] = draw(json_value)
        case "double" if isinstance(holder, list):
            cast("list[object]", holder).append(deepcopy(old))
        case _:
            holder[key] = _near(draw, old)


def _has(holder: Any, key: Any) -> bool:  # noqa: ANN401  # any JSON
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _near(draw: Draw, old: object) -> object:
    """Give a value of the same type that is out of the usual."""
    if isinstance(old, bool) or old is None:
        return draw(scalar)
    if isinstance(old, int | float):
        odd = [0, -1, 1, 2, 2**31, 2**32, 2**53, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0]
        return draw(st.sampled_from([*odd, float("nan"), float("inf"), -float("inf"), old]))
    if isinstance(old, str):
        more = draw(st.sampled_from(["", old]))
        return more + draw(text | st.sampled_from(_TIMES))
    return draw(json_value)


_TIMES = (
    "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01",
    "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+23:59", "2026-01-01T25:00:00Z", "1e300", "-1",
    "1969-12-31T23:59:59Z", "8999-12-31T23:59:59-12:00", "2026-01-01T00:00:00",
)  # fmt: skip


@st.composite
def altered_json(draw: Draw, documents: Sequence[object]) -> str:
    """Give the text of an altered document, some with the text itself cut or changed."""
    written = json.dumps(draw(altered(documents)), ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        return written
    return draw(altered_bytes([written.encode("utf-8", "surrogatepass")])).decode(
        "utf-8", "replace"
    )


@st.composite
def altered_bytes(draw: Draw, blobs: Sequence[bytes]) -> bytes:
    """Give one of some blobs after a few cuts, flips and insertions."""
    blob = bytearray(draw(st.sampled_from(blobs)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(blob) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double", "drop"])):
            case "flip" if blob:
                blob[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del blob[at:]
            case "insert":
                blob[at:at] = draw(st.binary(max_size=8))
            case "double":
                blob += blob[at : at + 64]
            case _:
                del blob[at : at + draw(st.integers(1, 16))]
    return bytes(blob)


@st.composite
def signed_entry(
    draw: Draw, heads: Sequence[Mapping[str, object]], bodies: Sequence[bytes]
) -> bytes:
    """Give an entry of the log of interaction with an altered content, and the sum that fits it."""
    head = draw(altered_json(heads) | json_value.map(json.dumps) | deep)
    body = draw(st.sampled_from(bodies) | altered_bytes(bodies))
    content = head.encode("utf-8", "surrogatepass") + b"\n" + body
    return struct.pack("<BI", 1, zlib.crc32(content)) + content


_UINT = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
_SHORT = st.one_of(st.integers(0, 40), st.integers(0, 2**16 - 1))
_DOUBLE = st.floats() | st.floats(0, 10)


@st.composite
def signed_state(draw: Draw, blobs: Sequence[bytes]) -> bytes:
    """Give a user's state with an altered content, and the sum that fits it."""
    head = (
        draw(_UINT), draw(_UINT), draw(_UINT), draw(_DOUBLE), draw(_DOUBLE), draw(_SHORT),
        draw(_SHORT), draw(_UINT),
    )  # fmt: skip
    body = draw(st.binary(max_size=200) | altered_bytes(blobs))
    crc = zlib.crc32(repr(head).encode() + body)
    return struct.pack("<BIIIIddHHI", 1, crc, *head) + body


class _Shaped:
    """Looks like a message of LangChain."""

    def __init__(self, type_: object, content: object) -> None:
        self.type, self.content = type_, content


_role: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["user", "human", "assistant", "ai", "tool", "system", "USER", "function"]),
    anything,
)
_block: st.SearchStrategy[Any] = st.one_of(
    text,
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["text", "image_url", "input_text", None]) | anything,
                      "text": anything}
    ),
    json_value,
)  # fmt: skip
_content: st.SearchStrategy[Any] = st.one_of(text, st.lists(_block, max_size=4), anything)
_message: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"role": _role, "content": _content},
        optional={"tool_calls": anything, "name": anything, "id": anything},
    ),
    st.tuples(_role, _content),
    st.builds(_Shaped, _role, _content),
    st.builds(
        cast(Any, Turn), text | anything, _role, text | anything,
        st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)) | anything,
    ),
    anything,
)  # fmt: skip
said = st.tuples(st.sampled_from(["user", "user", "assistant"]), text)
messages: st.SearchStrategy[Any] = st.one_of(
    st.lists(said, max_size=6), st.lists(_message, max_size=5), _message
)
