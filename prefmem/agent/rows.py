"""Lessons as a file of JSON lines: what distillation writes, and training reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from prefmem.agent.files import read_rows, write_rows
from prefmem.agent.lesson import Lesson, Task
from prefmem.agent.prompts import MAX_RULE_CHARS

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
    return write_rows(path, (_row(lesson) for lesson in lessons))


def read_lessons(path: Path) -> tuple[Lesson, ...]:
    """Read the lessons of a file in order.

    Raises:
        InputError: The file is missing, or a line of it is no lesson; the message names the line,
            not what it says.
    """
    rows = read_rows(path, _LessonRow, "lesson", "make them with prefmem agent distil")
    return tuple(_lesson(row) for row in rows)


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


def _lesson(row: _LessonRow) -> Lesson:
    task = Task(row.task.intent, row.task.kind, row.task.to, row.task.subject)
    return Lesson(task, row.rules, row.text, row.document_id)
