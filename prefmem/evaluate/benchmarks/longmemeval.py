"""LongMemEval (arXiv 2410.10813): a question after many dated sessions, and what answers it.

The published `longmemeval_s.json`, `_m.json` and `_oracle.json` are lists of objects with
`question_id`, `question_type`, `question`, `answer`, `question_date`, `haystack_dates`,
`haystack_session_ids`, `haystack_sessions` (turns of `role` and `content`, those with the evidence
marked `has_answer`) and `answer_session_ids`. Every question has a memory of its own. prefmem keeps
preferences and no facts: `single-session-preference` is what it is made for, the rest is shown for
comparison.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks.case import Request, Said, Session, User
from prefmem.evaluate.benchmarks.files import Entry, entries, listed
from prefmem.types import Role

_NEEDED = (
    "question_id", "question_type", "question", "answer", "haystack_dates", "haystack_session_ids",
    "haystack_sessions", "answer_session_ids",
)  # fmt: skip
_UNANSWERABLE = "_abs"
_DATE = "%Y/%m/%d"


def users(path: Path, seed: int) -> tuple[User, ...]:
    """Read a file, or those of a folder.

    Raises:
        InputError: There is none, or it does not fit.
    """
    files = [path] if path.is_file() else sorted(path.glob("longmemeval_*.json"))
    if not files:
        raise InputError(f"{str(path)!r} holds no longmemeval_*.json")
    return tuple(_user(one) for file in files for one in entries(file, *_NEEDED))


def _user(one: Entry) -> User:
    name = one.text("question_id")
    unanswerable = name.endswith(_UNANSWERABLE)
    evidence = set(one.texts("answer_session_ids"))
    names, sessions = one.texts("haystack_session_ids"), one.lists("haystack_sessions")
    dates = one.texts("haystack_dates")
    if not len(names) == len(sessions) == len(dates):
        raise InputError(
            f"{one.where}: {len(sessions)} haystack_sessions, {len(names)} haystack_session_ids "
            f"and {len(dates)} haystack_dates; they go together"
        )
    told = [
        _session(one, n, turns, date, known=names[n] in evidence and not unanswerable)
        for n, (turns, date) in enumerate(zip(sessions, dates, strict=True))
    ]
    told.sort(key=lambda session: session.at or datetime.min.replace(tzinfo=UTC))
    answer = str(one.fields.get("answer", ""))
    request = Request(
        one.text("question"), frozenset() if unanswerable else frozenset({0}),
        "abstention" if unanswerable else one.text("question_type"), answer=answer,
        at=_date(one.fields.get("question_date")),
    )  # fmt: skip
    return User(name, (answer,), tuple(told), (request,))


def _session(one: Entry, n: int, turns: object, date: str, *, known: bool) -> Session:
    where = f"{one.where}, haystack_sessions[{n}]"
    spoken: list[Said] = []
    rows = listed(where, cast(list[object], turns), "role", "content")
    marked = any(row.fields.get("has_answer") for row in rows)
    for row in rows:
        role = row.text("role")
        if role not in ("user", "assistant", "system"):
            raise InputError(f"{row.where}: role {role!r} is none of user, assistant, system")
        if not str(row.fields.get("content", "")).strip():
            continue
        here = known and role == "user" and (bool(row.fields.get("has_answer")) or not marked)
        spoken.append(Said(cast(Role, role), row.text("content"), frozenset({0} if here else ())))
    return Session(tuple(spoken), _date(date))


def _date(value: object) -> datetime | None:
    """Read `2023/05/20 (Sat) 02:21`; None for anything else."""
    words = str(value).split()
    try:
        day = datetime.strptime(words[0], _DATE) if words else None  # set below
    except ValueError:
        return None
    if day is None:
        return None
    hour, colon, minute = words[-1].partition(":")
    if colon and hour.isdigit() and minute.isdigit():
        day = day.replace(hour=int(hour) % 24, minute=int(minute) % 60)
    return day.replace(tzinfo=UTC)
