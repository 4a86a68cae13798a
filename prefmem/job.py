"""What waits to be learned: a window of dialogue as a row of the store, and how much there is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prefmem.types import Turn, UserKey

LONGEST = timedelta(minutes=10)  # that a job is put off or leased; a time farther off is a clock's
PATIENCE = 10  # times its delay that a job which others take the place of is put off


class GoneError(Exception):
    """A job is there no more: it was learned elsewhere, or erased with its user."""


@dataclass(frozen=True, slots=True)
class Job:
    """A window that waits to be learned from.

    Attributes:
        user: Whose words these are.
        session_id: The conversation.
        turns: The window, oldest first: what is new, and what it needs as context.
        keys: Names of the user turns that are new, by content.
        queued_at: When the oldest of them was put in, UTC.
        due: When it may begin at the earliest, UTC.
        id: Name in the queue, given by the store: never given twice.
        tries: Times that it was begun.
        error: Kind of the last failure; a name of a class, never a message.
        dead: Whether it is tried no more.
    """

    user: UserKey
    session_id: str
    turns: tuple[Turn, ...]
    keys: tuple[str, ...]
    queued_at: datetime
    due: datetime
    id: str = ""
    tries: int = 0
    error: str = ""
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits in a queue.

    Attributes:
        waiting: Jobs that nobody has begun.
        running: Jobs that a worker has leased.
        dead: Jobs that failed too often; nobody tries them again.
        oldest: When the oldest waiting job was put in, UTC; None where none waits.
        next_due: When the next job may begin, UTC; None where none waits.
    """

    waiting: int = 0
    running: int = 0
    dead: int = 0
    oldest: datetime | None = None
    next_due: datetime | None = None
