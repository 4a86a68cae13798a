"""Reads JSON files entry by entry; a field that does not fit is refused by file, line and name."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any, NoReturn, cast

from prefmem.errors import InputError

_KINDS: Mapping[type[object], str] = {
    dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number",
    float: "a number",
}  # fmt: skip
_SPACE = re.compile(r"\s*")
_MAX_BYTES = 2**31  # a longer file is not what a benchmark publishes as one piece


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a file, or of a list in one.

    Attributes:
        where: File and line, and the path within the entry, for messages.
        fields: What it holds.
        needed: All fields that this kind of file needs, for messages.
        key: Its name, where the file is an object of objects; else empty.
    """

    where: str
    fields: Mapping[str, Any]
    needed: tuple[str, ...]
    key: str = ""

    def text(self, name: str) -> str:
        """Give a field that holds text, not empty."""
        value = self._field(name)
        if not isinstance(value, str) or not value.strip():
            self._refuse(name, "text", value)
        return value

    def number(self, name: str) -> int:
        """Give a field that holds a whole number."""
        value = self._field(name)
        if not isinstance(value, int) or isinstance(value, bool):
            self._refuse(name, "a whole number", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a field that holds a list of texts, at least one."""
        value = self._field(name)
        if not isinstance(value, list) or not value:
            self._refuse(name, "a list of texts", cast(object, value))
        items = cast(list[object], value)
        if not all(isinstance(item, str) for item in items):
            self._refuse(name, "a list of texts", items)
        return tuple(str(item) for item in items)

    def within(self, name: str, *needed: str) -> "Entry":
        """Give a field that holds an object, which needs fields of its own."""
        value = self._field(name)
        if not isinstance(value, dict):
            self._refuse(name, "an object", value)
        return Entry(f"{self.where}, {name}", cast(dict[str, Any], value), needed)

    def each(self, name: str, *needed: str) -> tuple["Entry", ...]:
        """Give a field that holds a list of objects, or an object of objects, by their order."""
        value = self._field(name)
        if isinstance(value, dict):
            pairs = list(cast(dict[str, object], value).items())
        elif isinstance(value, list):
            pairs = [(str(n), item) for n, item in enumerate(cast(list[object], value))]
        else:
            self._refuse(name, "a list of objects", value)
        return tuple(
            _entry(f"{self.where}, {name}[{key}]", item, needed, key) for key, item in pairs
        )

    def lists(self, name: str) -> tuple[Sequence[object], ...]:
        """Give a field that holds a list of lists."""
        value = self._field(name)
        if not isinstance(value, list):
            self._refuse(name, "a list of lists", value)
        items = cast(list[object], value)
        if not all(isinstance(item, list) for item in items):
            self._refuse(name, "a list of lists", items)
        return tuple(cast(list[object], item) for item in items)

    def has(self, name: str) -> bool:
        """Whether there is such a field, and not null."""
        return self.fields.get(name) is not None

    def _field(self, name: str) -> Any:  # noqa: ANN401  # JSON; what it is, the caller checks
        if name not in self.fields:
            self._refuse(name, "there", None)
        return self.fields[name]

    def _refuse(self, name: str, wanted: str, value: object) -> NoReturn:
        found = "is missing" if name not in self.fields else f"is {_kind(value)}, not {wanted}"
        there = ", ".join(sorted(self.fields)[:12]) or "nothing"
        raise InputError(
            f"{self.where}: the field {name!r} {found}; expected the fields "
            f"{', '.join(self.needed)}; found {there}"
        )


def entries(path: Path, *needed: str) -> Iterator[Entry]:
    """Read the objects of a file: JSON lines, a JSON list, or a JSON object of objects.

    Args:
        path: The file.
        needed: Fields that each object needs, for messages.

    Raises:
        InputError: It cannot be read, is no JSON, or holds something else.
    """
    text = _read(path)
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        yield from _list(path, text, start, needed)
    elif path.suffix == ".jsonl":
        yield from _lines(path, text, needed)
    else:
        yield from _object(path, text, start, needed)


def whole(path: Path, *needed: str) -> Entry:
    """Read a file that is one object.

    Raises:
        InputError: As `entries`.
    """
    text = _read(path)
    value, _ = _decode(path, text, _skip(text, 0))
    return _entry(f"{path.name}, line 1", value, needed)


def listed(where: str, values: Sequence[object], *needed: str) -> tuple[Entry, ...]:
    """Give the objects of a list.

    Raises:
        InputError: One is no object.
    """
    return tuple(_entry(f"{where}[{n}]", value, needed) for n, value in enumerate(values))


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path.name} has over {_MAX_BYTES} bytes; split it")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}") from error


def _lines(path: Path, text: str, needed: tuple[str, ...]) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path.name}, line {number}: no JSON: {error}") from error
            yield _entry(f"{path.name}, line {number}", value, needed)


def _list(path: Path, text: str, start: int, needed: tuple[str, ...]) -> Iterator[Entry]:
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        value, end = _decode(path, text, at)
        yield _entry(f"{path.name}, line {_line(text, at)}", value, needed)
        at = _after(path, text, end, "]")


def _object(path: Path, text: str, start: int, needed: tuple[str, ...]) -> Iterator[Entry]:
    if text[start : start + 1] != "{":
        raise InputError(f"{path.name}, line 1: expected JSON objects with {', '.join(needed)}")
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        key, end = _decode(path, text, at)
        end = _skip(text, end)
        if not isinstance(key, str) or text[end : end + 1] != ":":
            raise InputError(f"{path.name}, line {_line(text, at)}: no JSON object")
        value, end = _decode(path, text, _skip(text, end + 1))
        yield _entry(f"{path.name}, line {_line(text, at)}", value, needed, key)
        at = _after(path, text, end, "}")


def _decode(path: Path, text: str, at: int) -> tuple[Any, int]:
    try:
        return JSONDecoder().raw_decode(text, at)
    except JSONDecodeError as error:
        raise InputError(f"{path.name}, line {error.lineno}: no JSON: {error.msg}") from error


def _after(path: Path, text: str, at: int, close: str) -> int:
    """Go past the comma after a value, or to the closing bracket."""
    at = _skip(text, at)
    if text[at : at + 1] == close:
        return at
    if text[at : at + 1] != ",":
        raise InputError(
            f"{path.name}, line {_line(text, at)}: no JSON: a comma or {close} is missing"
        )
    return _skip(text, at + 1)


def _entry(where: str, value: object, needed: tuple[str, ...], key: str = "") -> Entry:
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: expected an object with the fields {', '.join(needed)}; found {_kind(value)}"
        )
    return Entry(where, cast(dict[str, Any], value), needed, key)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _kind(value: object) -> str:
    for kind, name in _KINDS.items():
        if isinstance(value, kind):
            return name
    return "null"
