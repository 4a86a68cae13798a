"""PERMA (arXiv 2603.23231): long dialogues in which preferences emerge and change, then a choice.

The published `tasks/USER` folders hold one JSON file for each setting. What is read is a list of
objects, each a checkpoint of a user: `user_id`, `dialogues` (a list of sessions, each a list of
turns with `role` and `content`), `question`, `options` (by letter), `answer` (the letter), and,
where it is there, `preferences` (the texts that the answer goes by).

These names were not checked against the published files, which were not at hand: a file with others
is refused with the field that is missing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefmem.errors import InputError
from prefmem.evaluate.benchmarks.case import Request, Said, Session, User
from prefmem.evaluate.benchmarks.files import Entry, entries, listed
from prefmem.types import Role

_NEEDED = ("user_id", "dialogues", "question", "options", "answer")
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def users(path: Path, seed: int) -> tuple[User, ...]:
    """Read a file, or those of a folder.

    Raises:
        InputError: There is none, or it does not fit.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    if not files:
        raise InputError(f"{str(path)!r} holds no JSON file; give a file of PERMA's tasks folder")
    return tuple(_user(one) for file in files for one in entries(file, *_NEEDED))


def _user(one: Entry) -> User:
    sessions = tuple(
        _session(f"{one.where}, dialogues[{n}]", turns)
        for n, turns in enumerate(one.lists("dialogues"))
    )
    letters, options = _options(one)
    answer = one.text("answer").strip().upper()
    if answer not in letters:
        raise InputError(
            f"{one.where}: the answer {answer!r} is none of the options {', '.join(letters)}"
        )
    wanted = "; ".join(one.texts("preferences")) if one.has("preferences") else ""
    group = one.text("task_type") if one.has("task_type") else ""
    request = Request(
        one.text("question"), None, group, options=options, right=letters.index(answer)
    )
    return User(one.text("user_id"), (wanted,) if wanted else (), sessions, (request,))


def _options(one: Entry) -> tuple[list[str], tuple[str, ...]]:
    if isinstance(one.fields.get("options"), list):
        texts = one.texts("options")
        return [chr(ord("A") + n) for n in range(len(texts))], texts
    found = one.within("options", "A", "B")
    letters = sorted(found.fields)
    if len(letters) < 2:
        raise InputError(f"{found.where}: expected two options or more, by letter")
    return [letter.strip().upper() for letter in letters], tuple(found.text(n) for n in letters)


def _session(where: str, turns: Sequence[object]) -> Session:
    spoken: list[Said] = []
    for row in listed(where, turns, "role", "content"):
        role = row.text("role")
        if role not in _ROLES:
            raise InputError(f"{row.where}: role {role!r} is none of {', '.join(_ROLES)}")
        spoken.append(Said(_ROLES[role], row.text("content")))
    return Session(tuple(spoken))
