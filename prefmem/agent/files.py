"""Documents as a file of JSON lines: what ingestion writes, and distillation and training read."""

import json
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from prefmem.agent.lesson import Document
from prefmem.errors import InputError

Row = TypeVar("Row", bound=BaseModel)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    text: str
    kind: str = "text"
    to: str = ""
    subject: str = ""
    at: datetime | None = None


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Write documents, one a line, all or nothing; gives how many.

    A file that is there is replaced. Only its owner may read it: it holds what a user wrote.
    """
    return write_rows(path, (_row(document) for document in documents))


def read_documents(path: Path) -> tuple[Document, ...]:
    """Read the documents of a file in order.

    Raises:
        InputError: The file is missing, or a line of it is no document; the message names the line,
            not what it says.
    """
    rows = read_rows(path, _Row, "document", "take some in by prefmem agent ingest")
    return tuple(Document(row.id, row.text, row.kind, row.to, row.subject, row.at) for row in rows)


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    """Write rows as lines of JSON, all or nothing, readable by the owner alone; gives how many."""
    written = 0
    with replacing(path) as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            written += 1
    return written


def read_rows(path: Path, kind: type[Row], noun: str, hint: str) -> tuple[Row, ...]:
    """Read the lines of a file as rows of a kind; empty lines are passed over.

    Args:
        path: The file.
        kind: The model that each line must fit.
        noun: What a row is called in an error, such as `lesson`.
        hint: What to do where there is no such file.

    Raises:
        InputError: The file is missing, or a line does not fit; the message names the line, not
            what it says.
    """
    if not path.is_file():
        raise InputError(f"there are no {noun}s at {path}; {hint}")
    with path.open(encoding="utf-8") as file:
        return tuple(
            _read(line, kind, f"line {number} of {path} is no {noun}")
            for number, line in enumerate(file, start=1)
            if line.strip()
        )


@contextmanager
def replacing(path: Path) -> Generator[TextIO]:
    """Open a file that takes the place of another one when it is whole; only its owner reads it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        opened = os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(opened, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _row(document: Document) -> dict[str, object]:
    at = document.at.isoformat() if document.at else None
    return {
        "id": document.id, "text": document.text, "kind": document.kind,
        "to": document.to, "subject": document.subject, "at": at,
    }  # fmt: skip


def _read(line: str, kind: type[Row], complaint: str) -> Row:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(f"{complaint}: {where} ({first['type']})") from None
