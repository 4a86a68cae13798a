"""The embedded store: one SQLite file that is the truth about every user.

Acknowledged means on disk (see `sqlitefile`). Deleted bytes are overwritten, and an erasure
rewrites the file, as SQLite leaves copies behind where it moved rows between pages.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TypeVar, cast

from prefmem.errors import StoreError, StoreUnavailableError
from prefmem.interaction import Entry
from prefmem.stores import codec
from prefmem.stores.base import Connection, Uid
from prefmem.stores.rows import append
from prefmem.stores.rowstore import RowStore
from prefmem.stores.seal import OPEN, Seal
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.types import Erasure, Matrix, UserKey, Vector

_COMPACTED_BYTES = 32 * 2**20  # a file of this size is rewritten in about a third of a second
_BURST, _SHARE = (
    2.0,
    0.1,
)  # seconds of rewriting in passing: at once, and of each second that goes by
_AT_ONCE = 200  # users that are erased in one transaction
_UNSCRUBBED = "insert or ignore into meta values ('unscrubbed', 1)"
_OF_A_USER = ("cards", "events", "interactions", "retired", "edits", "jobs", "users")
T = TypeVar("T")


class SQLiteStore(RowStore):
    """Keeps cards, events and states of many users in one file.

    Safe to use from several threads and, on a local disk, from several processes.

    Args:
        path: The file; it is made if missing. `":memory:"` keeps everything in memory.

    Raises:
        StoreVersionError: A newer prefmem wrote the file, or it is not ours.
        StoreUnavailableError: The file cannot be opened or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file and bring its schema up to date."""
        self._file = SQLiteFile(path)
        super().__init__(_SQLite(self._file), self._file.path)

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        It is on disk with the next checkpoint, not at once, and it is dropped where another
        connection is writing, the file cannot be written, or the user is unknown.
        """
        with suppress(sqlite3.Error), self._file.aside() as db:
            uid = self._base.uid(db, user)
            if uid == -1:
                return False
            db.execute("begin immediate")
            try:
                noted = append(self._rows(db, user, uid, writing=True), entry)
                db.execute("commit")
                return noted
            finally:
                if db.in_transaction:
                    db.execute("rollback")
        return False

    def forget_user(self, user: UserKey) -> Erasure:
        """Remove everything held about a user, and the freed bytes with it."""
        cards, events = self._removed((user,))
        return Erasure(cards, events, self._base.scrub())

    def forget_users(self, users: Sequence[UserKey]) -> Erasure:
        """Remove everything held about several users, and rewrite the file once for all of them.

        Whatever the size of the file: see `compact`. Without users it clears what earlier erasures
        left.
        """
        cards = events = 0
        for start in range(0, len(users), _AT_ONCE):
            some = self._removed(users[start : start + _AT_ONCE])
            cards, events = cards + some[0], events + some[1]
        done = False
        with suppress(StoreUnavailableError):  # locked or full: erased all the same
            done = self.compact()
        return Erasure(cards, events, done)

    def _removed(self, users: Sequence[UserKey]) -> tuple[int, int]:
        """Remove users' rows in one transaction; gives how many cards and log entries."""
        removed = dict.fromkeys(_OF_A_USER, 0)
        with self._file.write() as db:
            for user in users:
                uid = self._base.uid(db, user)
                for table in _OF_A_USER:
                    done = db.execute(f"delete from {table} where uid = ?", (uid,))  # noqa: S608  # fixed names
                    removed[table] += done.rowcount
            db.execute(_UNSCRUBBED)
        return removed["cards"], removed["events"] + removed["interactions"]

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it; False while someone reads."""
        with self._file.explained("write"), self._file.alone() as db:
            return _checkpointed(db)

    def compact(self) -> bool:
        """Rewrite the file without the bytes of what was erased; False while someone reads.

        Takes about 10 ms for each MB, and as much free disk space as the file has.
        """
        with self._file.explained("write"), self._file.alone() as db:
            return _compacted(db)

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        asked = "select ext_id from users where tenant = ? order by ext_id"
        return self._file.read(
            lambda db: tuple(row[0] for row in db.execute(asked, (tenant,)).fetchall())
        )

    def check(self) -> Mapping[str, str | int]:
        """Report the store's health: schema, basis, counts, and SQLite's own integrity check."""

        def look(db: sqlite3.Connection) -> Mapping[str, str | int]:
            counts = {
                table: int(db.execute(f"select count(*) from {table}").fetchone()[0])  # noqa: S608  # six fixed names
                for table in ("users", "cards", "events", "interactions", "edits", "jobs")
            }
            return {
                "schema": int(db.execute("pragma user_version").fetchone()[0]),
                "integrity": str(db.execute("pragma integrity_check").fetchone()[0]),
                **{name: value for name, value in _meta(db).items() if name != "secret"},
                **counts,
            }

        return self._file.read(look)

    def close(self) -> None:
        """Empty the write-ahead log and close the file; closing twice is fine."""
        with (
            suppress(StoreError, sqlite3.Error),  # closed, or read-only: what counts is on disk
            self._file.alone() as db,
        ):
            _checkpointed(db)
            if "unscrubbed" in _meta(db) and _size(db) <= _COMPACTED_BYTES:
                _compacted(db)
        self._file.close()


class _SQLite:
    """The file, as rows want it."""

    duplicate = sqlite3.IntegrityError
    locking = ""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file
        self.vectors = HalfBytes()
        self._spent, self._spent_at = 0.0, monotonic()

    def read(self, work: Callable[[Connection, Uid], T], user: UserKey) -> T:
        return self._file.read(lambda db: work(db, self.uid(db, user)))

    @contextmanager
    def write(self, user: UserKey) -> Generator[tuple[Connection, Uid], None, None]:
        with self._file.write() as db:
            yield db, self.enter(db, user)

    def read_all(self, work: Callable[[Connection], T]) -> T:
        return self._file.read(work)

    @contextmanager
    def write_all(self) -> Generator[Connection, None, None]:
        with self._file.write() as db:
            yield db

    def uid(self, db: Connection, user: UserKey) -> Uid:
        row = db.execute(
            "select uid from users where tenant = ? and ext_id = ?", (user.tenant, user.user_id)
        ).fetchone()
        return row[0] if row else -1

    def enter(self, db: Connection, user: UserKey) -> Uid:
        db.execute(
            "insert or ignore into users (tenant, ext_id) values (?, ?)",
            (user.tenant, user.user_id),
        )
        return self.uid(db, user)

    def seal(self, db: Connection, user: UserKey, uid: Uid, *, writing: bool = False) -> Seal:
        del db, user, uid, writing
        return OPEN

    def next_revision(self, db: Connection) -> int:
        row = db.execute(
            "update meta set value = value + 1 where key = 'revision' returning value"
        ).fetchone()
        return int(row[0])

    def bind(self, basis: str, width: int) -> tuple[str, str]:
        bound = self._file.read(_meta)
        if "basis" not in bound:
            with self._file.write() as db:
                db.executemany(
                    "insert or ignore into meta values (?, ?)",
                    [("basis", basis), ("width", str(width))],
                )
            bound = self._file.read(_meta)
        return bound["basis"], bound["width"]

    def forgot(self, db: Connection) -> None:
        db.execute(_UNSCRUBBED)

    def scrub(self) -> bool:
        """Clear the bytes of an erasure, if that can be done in passing.

        Many erasures one after the other would rewrite the file as often, or wait as often for one
        long reader: beyond a burst they do so for a share of the time, and the next one that does
        clears what the others left.
        """
        begun = monotonic()
        self._spent = max(0.0, self._spent - _SHARE * (begun - self._spent_at))
        self._spent_at = begun
        if self._spent > _BURST:
            return False
        try:
            with (
                suppress(StoreUnavailableError),  # locked or full: erased all the same
                self._file.explained("write"),
                self._file.alone() as db,
            ):
                if _size(db) <= _COMPACTED_BYTES:
                    return _compacted(db)
                _checkpointed(db)
            return False
        finally:
            self._spent += monotonic() - begun


class HalfBytes:
    """Vectors as bytes of half precision, little endian."""

    column = "vec"
    mark = "?"

    def write(self, vector: Vector, card_id: str, seal: Seal) -> object:
        """Give a card's unit vector, (e,), as bytes."""
        return seal.blob(codec.write_vector(vector), "cards.vec", card_id)

    def read(self, found: Sequence[tuple[str, bytes]], width: int, seal: Seal) -> Matrix:
        """Read the vectors of cards, by card id, into (n, e) float32 unit rows.

        Raises:
            StoreUnavailableError: A vector has another width.
        """
        opened = [seal.open_blob(blob, "cards.vec", card_id) for card_id, blob in found]
        return codec.read_vectors(opened, width)


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    """Read what the file says of itself."""
    return cast("dict[str, str]", dict(db.execute("select key, value from meta").fetchall()))


def _size(db: sqlite3.Connection) -> int:
    """Give the size of the file in bytes."""
    pages, size = (
        int(db.execute(f"pragma {name}").fetchone()[0]) for name in ("page_count", "page_size")
    )
    return pages * size


def _checkpointed(db: sqlite3.Connection) -> bool:
    return not db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]


def _compacted(db: sqlite3.Connection) -> bool:
    db.execute("vacuum")
    done = _checkpointed(db)
    if done:
        db.execute("delete from meta where key = 'unscrubbed'")
    return done
