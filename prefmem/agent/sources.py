"""Files that hold what people wrote: JSON lines, mailboxes, mails, plain text, and folders."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from prefmem.agent.found import Found, time_of
from prefmem.agent.mailtext import mail_of
from prefmem.errors import InputError

Reason: TypeAlias = Literal["not text", "not readable", "of another kind"]
FileKind: TypeAlias = Literal["jsonl", "json", "mbox", "mail", "text"]

LONGEST_LINE = 4 * 2**20  # bytes of a line or a mail that are read; the rest is passed over
_TEXT_BYTES = 2**18
_CHUNK = 2**16
_SUFFIXES: dict[str, FileKind] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".mbox": "mbox", ".mbx": "mbox",
    ".eml": "mail", ".txt": "text", ".md": "text", ".markdown": "text", ".text": "text",
    ".rst": "text",
}  # fmt: skip
_KINDS = ("mail", "email", "letter", "review", "article", "note", "chat", "post", "message")
_HEADERS = re.compile(
    rb"(?:message-id|return-path|received|from|to|date|subject|delivered-to|mime-version|"
    rb"content-type|x-[\w-]+):[ \t]",
    re.I,
)
_TEXTS = ("text", "body", "content", "message", "review", "document")
_KIND_FIELDS = ("kind", "type")
_TO = ("to", "recipient", "recipients")
_SUBJECTS = ("subject", "title")
_TIMES = ("at", "date", "created_at", "timestamp", "time", "sent_at")
_AUTHORS = ("author", "from", "sender", "user", "user_id")


def found_in(path: Path) -> Iterator[Found | Reason]:
    """Give what a file or a folder holds, in order; a reason for each thing that cannot be read.

    Folders are walked in the order of their paths; hidden files and links are passed over. The kind
    of a file may stand in the name of its folder, such as `reviews`.

    Raises:
        InputError: There is nothing at the path, or it cannot be opened.
    """
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        for file in inside:
            if not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield from _of_file(file)
    elif path.is_file():
        yield from _of_file(path)
    else:
        raise InputError(f"there is no file or folder {str(path)!r}")


def _of_file(path: Path) -> Iterator[Found | Reason]:
    try:
        with path.open("rb") as file:
            start = file.read(_CHUNK)
            file.seek(0)
            kind = _kind_of(path, start)
            if kind is None:
                yield "of another kind"
            elif b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
                yield "not text"
            else:
                for found in _READERS[kind](file):
                    yield _told_by_folder(path, found)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def _kind_of(path: Path, start: bytes) -> FileKind | None:
    known = _SUFFIXES.get(path.suffix.lower())
    plain_name = not path.suffix.strip(".0123456789") or path.parent.name in ("cur", "new")
    if known is None and not plain_name:
        return None
    if start.startswith(b"From ") and known in (None, "text"):
        return "mbox"
    if known is None:
        return "mail" if _HEADERS.match(start) else "text"
    return known


def _told_by_folder(path: Path, found: Found | Reason) -> Found | Reason:
    folder = path.parent.name.lower().removesuffix("s")
    if isinstance(found, Found) and found.kind == "text" and folder in _KINDS:
        return Found(found.text, folder, found.to, found.subject, found.at, found.authors)
    return found


def _lines(file: BinaryIO, longest: int) -> Iterator[bytes | None]:
    """Give the lines of a file; None for one that is too long. Never holds more than `longest`."""
    while line := file.readline(longest):
        if len(line) < longest or line.endswith(b"\n"):
            yield line
            continue
        while (more := file.readline(_CHUNK)) and not more.endswith(b"\n"):
            pass
        yield None


def _json_lines(file: BinaryIO) -> Iterator[Found | Reason]:
    for line in _lines(file, LONGEST_LINE):
        if line is None:
            yield "not readable"
        elif line.strip():
            yield from _of_json(line)


def _json(file: BinaryIO) -> Iterator[Found | Reason]:
    raw = file.read(16 * LONGEST_LINE + 1)
    if len(raw) > 16 * LONGEST_LINE:
        yield "not readable"
        return
    yield from _of_json(raw)


def _of_json(raw: bytes) -> Iterator[Found | Reason]:
    try:
        said: object = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        yield "not readable"
        return
    rows = cast(list[object], said) if isinstance(said, list) else [said]
    for row in rows:
        if isinstance(row, str):
            yield Found(row)
        elif isinstance(row, Mapping):
            yield from _of_row(cast(Mapping[str, Any], row))
        else:
            yield "not readable"


def _of_row(row: Mapping[str, Any]) -> Iterator[Found | Reason]:
    """Read a row: a text with what is known of it, or the messages of a chat."""
    messages = row.get("messages")
    if isinstance(messages, list):
        for message in cast(list[object], messages):
            if isinstance(message, Mapping):
                yield from _of_message(cast(Mapping[str, Any], message), row)
        return
    if "role" in row:
        yield from _of_message(row, row)
        return
    text = next((row[name] for name in _TEXTS if name in row), None)
    if not isinstance(text, str):
        yield "not readable"
        return
    yield Found(
        text, _said(row, _KIND_FIELDS) or "text", _said(row, _TO), _said(row, _SUBJECTS),
        time_of(_first(row, _TIMES)), tuple(filter(None, [_said(row, _AUTHORS)])),
    )  # fmt: skip


def _of_message(message: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Found | Reason]:
    if message.get("role") not in ("user", "human"):
        return
    text = message.get("content")
    if not isinstance(text, str):
        yield "not readable"
        return
    at = time_of(_first(message, _TIMES) or _first(row, _TIMES))
    authors = tuple(filter(None, [_said(row, _AUTHORS)]))
    yield Found(text, "chat", at=at, authors=authors)


def _first(row: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _said(row: Mapping[str, Any], names: Sequence[str]) -> str:
    said = _first(row, names)
    if isinstance(said, list) and said:
        said = cast(list[object], said)[0]
    return said if isinstance(said, str) else ""


def _mailbox(file: BinaryIO) -> Iterator[Found | Reason]:
    """Read a mailbox mail by mail; what stands before the first one is no mail."""
    mail: list[bytes] | None = None
    size, after_blank, any_mail = 0, True, False
    while line := file.readline(_CHUNK):
        if after_blank and line.startswith(b"From "):
            if mail is not None:
                yield _mail(b"".join(mail))
            mail, size, any_mail = [], 0, True
        elif mail is not None and size < LONGEST_LINE:
            mail.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        after_blank = line in (b"\n", b"\r\n")
    if mail is not None:
        yield _mail(b"".join(mail))
    if not any_mail:
        yield "not readable"


def _one_mail(file: BinaryIO) -> Iterator[Found | Reason]:
    yield _mail(file.read(LONGEST_LINE))


def _mail(raw: bytes) -> Found | Reason:
    return mail_of(raw) or "not readable"


def _plain(file: BinaryIO) -> Iterator[Found | Reason]:
    raw = file.read(_TEXT_BYTES)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield Found(raw.decode("utf-16", errors="replace"))
        return
    try:
        text = raw.decode("utf-8-sig", errors="strict" if len(raw) < _TEXT_BYTES else "ignore")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
        if sum(c < " " and c not in "\t\n\r\f" for c in text) > 0.01 * len(text):
            yield "not text"
            return
    yield Found(text)


_READERS = {
    "jsonl": _json_lines, "json": _json, "mbox": _mailbox, "mail": _one_mail, "text": _plain,
}  # fmt: skip
