"""Logs of dialogue windows: found, fingerprinted, cut into shards, and read row by row.

A row is a line of a JSONL file or a row of a Parquet file. It holds one window:
{"user_id", "messages": [{"role", "content"}, ...]}, and maybe "session_id" and "id".
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from prefmem.bulk import parquet
from prefmem.errors import InputError

_SUFFIXES = (".jsonl", ".ndjson", ".parquet")
_CHUNK = 16 * 2**20
_LONGEST_LINE = 64 * 2**20

Row: TypeAlias = tuple[int, Mapping[str, Any] | InputError]


@dataclass(frozen=True, slots=True)
class Log:
    """A file of windows.

    Attributes:
        path: Where it lies, absolute.
        name: Its path below the folder that all logs share.
        size: Bytes.
        sha256: Of its bytes, as hexadecimal digits.
        rows: Lines, blank ones included, or rows.
        starts: First byte of each shard; None for Parquet.
    """

    path: Path
    name: str
    size: int
    sha256: str
    rows: int
    starts: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Shard:
    """A stretch of rows of one log.

    Attributes:
        number: Position among all shards, from 0.
        path: The log.
        name: Name of the log.
        first: Number of the first row, from 1.
        rows: How many rows.
        start: First byte; None for Parquet.
    """

    number: int
    path: Path
    name: str
    first: int
    rows: int
    start: int | None


def find(given: Sequence[Path]) -> tuple[Path, ...]:
    """Find the logs among files and folders: as given, each folder's in the order of their paths.

    Raises:
        InputError: A path leads nowhere, a file is of another kind, or a folder holds no log.
    """
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
            if not inside:
                raise InputError(f"{path} holds no file that ends in {', '.join(_SUFFIXES)}")
            found |= dict.fromkeys(p.resolve() for p in inside)
        elif not path.is_file():
            raise InputError(f"there is no file {path}; pass a log, or a folder of logs")
        elif path.suffix not in _SUFFIXES:
            raise InputError(f"{path} ends in {path.suffix!r}; known are {', '.join(_SUFFIXES)}")
        else:
            found[path.resolve()] = None
    return tuple(found)


def scan(
    paths: Sequence[Path],
    *,
    columns: Iterable[str],
    shard_rows: int,
    tell: Callable[[str, int, int], None],
) -> tuple[Log, ...]:
    """Take the fingerprints of logs, and find where their shards start.

    Args:
        paths: Absolute paths of the logs.
        columns: Columns that a Parquet file must have.
        shard_rows: Rows of a shard, from 1.
        tell: Told how many logs are done.

    Raises:
        InputError: A log cannot be read, or a Parquet file misses a column.
    """
    base = os.path.commonpath([path.parent for path in paths]) if paths else ""
    logs: list[Log] = []
    for done, path in enumerate(paths):
        tell("looking through the logs", done, len(paths))
        name = path.relative_to(base).as_posix()
        try:
            logs.append(_scanned(path, name, shard_rows))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        if logs[-1].starts is None:
            parquet.check(path, columns)
    return tuple(logs)


def cut(logs: Iterable[Log], *, shard_rows: int) -> tuple[Shard, ...]:
    """Cut logs into shards of `shard_rows` rows; the last one of a log may be shorter."""
    stretches = (
        (log, place, first)
        for log in logs
        for place, first in enumerate(range(0, log.rows, shard_rows))
    )
    return tuple(
        Shard(
            number, log.path, log.name, first + 1, min(shard_rows, log.rows - first),
            None if log.starts is None else log.starts[place],
        )
        for number, (log, place, first) in enumerate(stretches)
    )  # fmt: skip


def rows(shard: Shard, *, columns: Iterable[str]) -> Iterator[Row]:
    """Read a shard: the number of each row, and its fields or what is wrong with it.

    Blank lines are passed over. What is wrong is said without a word of the row.

    Raises:
        InputError: The log cannot be read any more.
    """
    try:
        if shard.start is None:
            yield from parquet.rows(shard.path, shard.first, shard.rows, columns)
        else:
            yield from _lines(shard, shard.start)
    except OSError as error:
        raise InputError(f"cannot read {shard.path}: {error.strerror or error}") from error


def _scanned(path: Path, name: str, shard_rows: int) -> Log:
    digest = hashlib.sha256()
    size = lines = 0
    starts = [0]
    last = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if path.suffix != ".parquet":
                ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))
                skipped = -(lines + 1) % shard_rows  # before the first end of a shard
                starts += (size + 1 + ends[skipped::shard_rows]).tolist()
                lines += len(ends)
            size, last = size + len(chunk), chunk[-1:]
    if path.suffix == ".parquet":
        return Log(path, name, size, digest.hexdigest(), parquet.count(path), None)
    lines += last not in (b"", b"\n")
    return Log(path, name, size, digest.hexdigest(), lines, tuple(starts))


def _lines(shard: Shard, start: int) -> Iterator[Row]:
    with shard.path.open("rb") as file:
        file.seek(start)
        for number in range(shard.first, shard.first + shard.rows):
            line = file.readline(_LONGEST_LINE)
            rest = line
            while len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
                rest = file.readline(_LONGEST_LINE)
            if rest is not line:
                yield number, InputError(f"the line has over {_LONGEST_LINE:,} bytes")
            elif line.strip():
                yield number, _fields(line.removeprefix(b"\xef\xbb\xbf"))


def _fields(line: bytes) -> Mapping[str, Any] | InputError:
    try:
        data: object = json.loads(line.decode())
    except UnicodeDecodeError:
        return InputError("not UTF-8")
    except (ValueError, RecursionError):
        return InputError("not JSON")
    return cast(dict[str, Any], data) if isinstance(data, dict) else InputError("no JSON object")
