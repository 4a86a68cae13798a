"""The dialogues that the demo plays: several sessions of one person, and questions for later."""

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from prefmem import InputError

PEOPLE = ("code", "mail", "home")
_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "dialogues", _HERE.parents[1] / "examples" / "dialogues")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the user says, and the reply from the script."""

    user: str
    reply: str


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation."""

    id: str
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """All of one person.

    Attributes:
        who: The person: the user id.
        sessions: What was said, oldest first.
        questions: What is asked later, in fresh conversations.
        expected: Session and verbatim words of every preference that a human reader noted.
    """

    who: str
    sessions: tuple[Session, ...]
    questions: tuple[str, ...]
    expected: tuple[tuple[str, str], ...] = ()

    @property
    def turns(self) -> int:
        """Number of user turns."""
        return sum(len(session.exchanges) for session in self.sessions)


def load_dialogue(who: str, *, folder: Path | None = None) -> Dialogue:
    """Read a person's dialogue from the folder, or from the package or the checkout.

    Raises:
        InputError: The files are not there, or do not alternate between user and assistant.
    """
    folder = folder or _folder()
    name = f"{who}.jsonl"
    try:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        notes = json.loads((folder / "expected.json").read_text(encoding="utf-8"))[name]
    except OSError as error:
        raise InputError(f"the dialogues are not there ({error}); reinstall prefmem") from error
    rows: list[dict[str, str]] = [json.loads(line) for line in lines]
    sessions = tuple(
        Session(session, _exchanges(list(messages), where=f"{name}, session {session}"))
        for session, messages in groupby(rows, key=lambda row: row["session"])
    )
    questions = tuple(str(note["question"]) for note in notes["questions"])
    expected = tuple((str(n["session"]), str(n["evidence"])) for n in notes["preferences"])
    return Dialogue(who, sessions, questions, expected)


def _exchanges(messages: list[dict[str, Any]], *, where: str) -> tuple[Exchange, ...]:
    roles = [message["role"] for message in messages]
    if roles != ["user", "assistant"] * (len(messages) // 2):
        raise InputError(f"{where}: user and assistant must take turns")
    texts = [str(message["content"]) for message in messages]
    return tuple(Exchange(*pair) for pair in zip(texts[::2], texts[1::2], strict=True))


def _folder() -> Path:
    found = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    if found is None:
        raise InputError(f"no dialogues in {_FOLDERS[0]}; reinstall prefmem")
    return found
