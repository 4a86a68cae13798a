"""The embedded store: one SQLite file that is the truth about every user.

Acknowledged means on disk (see `sqlitefile`). Deleted bytes are overwritten, and an erasure
rewrites the file, as SQLite leaves copies behind where it moved rows between pages.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
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
                noted = append(self._rows(db, user, uid), entry)
                db.execute("commit")
                return noted
            finally:
                if db.in_transaction:
                    db.execute("rollback")
        return False

    def forget_user(self, user: UserKey) -> Erasure:
        """Remove everything held about a user, and the freed bytes with it."""
        with self._file.write() as db:
            uid = self._base.uid(db, user)
            removed = {
                table: db.execute(f"delete from {table} where uid = ?", (uid,)).rowcount  # noqa: S608  # fixed names
                for table in _OF_A_USER
            }
            db.execute(_UNSCRUBBED)
        done = self._base.scrub()
        return Erasure(removed["cards"], removed["events"] + removed["interactions"], done)

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
            if "unscrubbed" in _meta(db):
                self._base.scrub()
        self._file.close()


class _SQLite:
    """The file, as rows want it."""

    duplicate = sqlite3.IntegrityError
    locking = ""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file
        self.vectors = HalfBytes()

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

    def seal(self, db: Connection, user: UserKey, uid: Uid) -> Seal:
        del db, user, uid
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
        """Clear the bytes of an erasure, if that can be done in passing."""
        with (
            suppress(StoreUnavailableError),  # locked or full: erased all the same
            self._file.explained("write"),
            self._file.alone() as db,
        ):
            pages, size = (
                int(db.execute(f"pragma {name}").fetchone()[0])
                for name in ("page_count", "page_size")
            )
            if pages * size <= _COMPACTED_BYTES:
                return _compacted(db)
            _checkpointed(db)
        return False


class HalfBytes:
    """Vectors as bytes of half precision, little endian."""

    column = "vec"
    mark = "?"

    def write(self, vector: Vector, seal: Seal) -> object:
        """Give a unit vector, (e,), as bytes."""
        return seal.blob(codec.write_vector(vector))

    def read(self, found: list[bytes], width: int, seal: Seal) -> Matrix:
        """Read vectors into (n, e) float32 unit rows.

        Raises:
            StoreUnavailableError: A vector has another width.
        """
        return codec.read_vectors([seal.open_blob(blob) for blob in found], width)


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    """Read what the file says of itself."""
    return cast("dict[str, str]", dict(db.execute("select key, value from meta").fetchall()))


def _checkpointed(db: sqlite3.Connection) -> bool:
    return not db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]


def _compacted(db: sqlite3.Connection) -> bool:
    db.execute("vacuum")
    done = _checkpointed(db)
    if done:
        db.execute("delete from meta where key = 'unscrubbed'")
    return done
