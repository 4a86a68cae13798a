"""What an adapter makes of a file: users with dialogues or rules, and what they ask for."""

from dataclasses import dataclass
from datetime import datetime

from prefmem.types import Role


@dataclass(frozen=True, slots=True)
class Said:
    """A turn of a dialogue.

    Attributes:
        role: Who spoke.
        text: What was said.
        gold: Preferences of the user that this turn reveals, as places in `User.gold`.
    """

    role: Role
    text: str
    gold: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """A dialogue that the memory learns from.

    Attributes:
        turns: Oldest first.
        at: When, UTC; None where the file does not say.
    """

    turns: tuple[Said, ...]
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A preference that a file states as such, and that is stored as it is.

    Attributes:
        condition: The situation; empty for every answer.
        action: What to do.
    """

    condition: str
    action: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks after all sessions.

    Attributes:
        text: The request.
        gold: What an answer has to go by, as places in `User.gold`; empty where nothing applies,
            None where the file does not say.
        group: Kind of request, for figures of its own.
        options: Answers to choose from; empty where it is not multiple choice.
        right: Place of the right option.
        answer: What a right answer says, for a judge; empty where there is no such thing.
        at: When, UTC; None where the file does not say.
    """

    text: str
    gold: frozenset[int] | None
    group: str = ""
    options: tuple[str, ...] = ()
    right: int = 0
    answer: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class User:
    """One memory's worth of a benchmark.

    Attributes:
        name: For messages.
        gold: The preferences as the file words them, for an oracle; empty texts where it does not.
        sessions: What is learned from, oldest first.
        held: What is stored as it is, at the same places as in `gold`; or nothing.
        requests: What is asked then.
    """

    name: str
    gold: tuple[str, ...]
    sessions: tuple[Session, ...]
    requests: tuple[Request, ...]
    held: tuple[Held, ...] = ()
