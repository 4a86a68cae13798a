"""Lessons as a file of JSON lines: what distillation writes, and training reads."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from prefmem.agent.files import replacing
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.prompts import MAX_RULE_CHARS
from prefmem.errors import InputError

_Rule = Annotated[str, StringConstraints(min_length=1, max_length=MAX_RULE_CHARS)]


class _TaskRow(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: str
    kind: str = "text"
    to: str = ""
    subject: str = ""


class _LessonRow(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    task: _TaskRow
    rules: tuple[_Rule, ...]
    text: str = ""
    document_id: str = ""


def write_lessons(path: Path, lessons: Iterable[Lesson]) -> int:
    """Write lessons, one a line, all or nothing; gives how many.

    A file that is there is replaced. Only its owner may read it: it holds what a user wrote.
    """
    written = 0
    with replacing(path) as file:
        for lesson in lessons:
            file.write(json.dumps(_row(lesson)) + "\n")
            written += 1
    return written


def read_lessons(path: Path) -> tuple[Lesson, ...]:
    """Read the lessons of a file in order.

    Raises:
        InputError: The file is missing, or a line of it is no lesson; the message names the line,
            not what it says.
    """
    if not path.is_file():
        raise InputError(f"there are no lessons at {path}; make them with prefmem agent distil")
    with path.open(encoding="utf-8") as file:
        lines = [(n, line) for n, line in enumerate(file, start=1) if line.strip()]
    return tuple(_lesson(line, f"line {n} of {path}") for n, line in lines)


def _row(lesson: Lesson) -> dict[str, object]:
    task = lesson.task
    return {
        "task": {
            "intent": task.intent, "kind": task.kind, "to": task.to, "subject": task.subject,
        },
        "rules": list(lesson.rules),
        "text": lesson.text,
        "document_id": lesson.document_id,
    }  # fmt: skip


def _lesson(line: str, place: str) -> Lesson:
    try:
        row = _LessonRow.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(f"{place} is no lesson: {where} ({first['type']})") from None
    task = Task(row.task.intent, row.task.kind, row.task.to, row.task.subject)
    return Lesson(task, row.rules, row.text, row.document_id)
