"""What the rows of a store need of a database: SQLite and PostgreSQL offer it each in their way.

SQL is written once, with `?` for what is given, in words that both understand.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

from prefmem.stores.seal import Seal
from prefmem.types import Matrix, UserKey, Vector

Row: TypeAlias = tuple[Any, ...]
Uid: TypeAlias = object  # what stands for tenant and user in every key
T = TypeVar("T")


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401  # a row of anything
        """Give the next row; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """Give all rows."""
        ...


class Connection(Protocol):
    """A connection within a transaction."""

    def execute(self, sql: str, given: Sequence[Any] = (), /) -> Cursor:
        """Run a statement."""
        ...

    def executemany(self, sql: str, given: Sequence[Sequence[Any]], /) -> object:
        """Run a statement for each of several rows."""
        ...


class Vectors(Protocol):
    """How a vector lies in its column."""

    @property
    def column(self) -> str:
        """The column as an expression that gives bytes."""
        ...

    @property
    def mark(self) -> str:
        """Where a vector is given, in place of a question mark."""
        ...

    def write(self, vector: Vector, card_id: str, seal: Seal) -> object:
        """Give a card's unit vector, (e,), for the mark."""
        ...

    def read(self, found: Sequence[tuple[str, bytes]], width: int, seal: Seal) -> Matrix:
        """Read the vectors of cards, by card id, into (n, e) float32 unit rows.

        Raises:
            StoreUnavailableError: A vector has another width.
        """
        ...


class Base(Protocol):
    """A database that keeps the rows of many users.

    Attributes:
        shard: Its name among several, empty if it is alone. In a shard only `make` makes users.
    """

    shard: str

    @property
    def vectors(self) -> Vectors:
        """How a vector lies in its column."""
        ...

    @property
    def duplicate(self) -> type[Exception]:
        """What a second row of one key raises."""
        ...

    @property
    def sharing(self) -> str:
        """What a query ends with, so that nobody changes its rows before the transaction ends."""
        ...

    @property
    def locking(self) -> str:
        """What a query of jobs ends with, so that two workers never take the same."""
        ...

    def read(self, work: Callable[[Connection, Uid], T], user: UserKey, *, one: bool = False) -> T:
        """Read what is held about a user in one picture, within the thread's transaction if any.

        With `one`, the work runs one statement, beside what its seal needs.
        """
        ...

    def write(self, user: UserKey) -> AbstractContextManager[tuple[Connection, Uid]]:
        """Open a transaction about a user, whose row comes to be and is locked."""
        ...

    def read_all(self, work: Callable[[Connection], T]) -> T:
        """Read of all users what is no content: meta, the queue."""
        ...

    def write_all(self) -> AbstractContextManager[Connection]:
        """Open a transaction about the queue."""
        ...

    def uid(self, db: Connection, user: UserKey) -> Uid:
        """Give what stands for a user in every key; what matches nothing, for an unknown one."""
        ...

    def enter(self, db: Connection, user: UserKey) -> Uid:
        """Make the user's row if there is none, and lock it.

        Raises:
            MovedError: The user's rows are not in use here, or this is a shard and there are none.
        """
        ...

    def hold(self, user: UserKey) -> AbstractContextManager[tuple[Connection, Uid]]:
        """Open a transaction about a user's row as it is, which is locked if there is one."""
        ...

    def make(self, db: Connection, user: UserKey, mark: str) -> Uid:
        """Make a user's row with a mark if there is none, within `hold`, and lock it."""
        ...

    def columns(self, db: Connection, table: str) -> tuple[str, ...]:
        """Name the columns of a table."""
        ...

    def seal(self, db: Connection, user: UserKey, uid: Uid, *, writing: bool = False) -> Seal:
        """Give what seals and opens the values of a user; for writing, a new user gets a key."""
        ...

    def bind(self, basis: str, width: int) -> tuple[str, str]:
        """Write down the vector space where none is yet; gives the one that holds."""
        ...

    def forgot(self, db: Connection) -> None:
        """Take note, within a transaction, that bytes of something forgotten may lie about."""
        ...

    def scrub(self) -> bool:
        """Clear the bytes of what was forgotten; False where that is left for later."""
        ...

    def secret(self, db: Connection) -> str:
        """Give the key of the hashes that stand for users where nothing else may."""
        ...

    def audit_turn(self, db: Connection) -> None:
        """Let nobody else append to the audit log until the transaction ends."""
        ...

    def next_revision(self, db: Connection) -> int:
        """Give a number that no user of this store ever had as revision."""
        ...
