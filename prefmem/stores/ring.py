"""The key ring: wrapped data keys in a file of their own, apart from the store and its backups.

A key is dropped by overwriting it where it lies: rows are only ever appended and never grow or
shrink, so SQLite makes no copies of them elsewhere in the file.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from prefmem.errors import StoreError, StoreUnavailableError, StoreVersionError

_APPLICATION_ID = 0x70726B72  # "prkr"
_WAIT = 15.0  # seconds for another process
_SCHEMA = (
    "create table keys (number integer primary key, key_id text not null unique, "
    "wrapped blob not null)",
    "create table drops (number integer primary key, key_id text not null unique)",
    "pragma user_version = 1",
)


@runtime_checkable
class KeyRing(Protocol):
    """Keeps wrapped keys; a table elsewhere or a key service can take the place of the file.

    Every change is durable when the call returns. Names of keys are random: they say nothing.
    """

    def put(self, keys: Mapping[str, bytes], *, guard: tuple[str, bytes] | None = None) -> bool:
        """Keep wrapped keys by name: all, or none where one has a name that is or was in use.

        Args:
            keys: The keys.
            guard: Name and bytes of another key; where it is not as told, nothing is kept.

        Returns:
            Whether they were kept.
        """
        ...

    def get(self, name: str) -> bytes | None:
        """Give a key; None where there is none, or none any more."""
        ...

    def drop(self, names: Iterable[str]) -> None:
        """Destroy keys for good, and remember their names, also of keys that are not there."""
        ...

    def dropped(self, after: int = 0) -> tuple[tuple[int, str], ...]:
        """Give what was dropped, numbered as it was: the numbers above `after`."""
        ...

    def rewrap(self, change: Callable[[str, bytes], bytes]) -> int:
        """Replace every key by what `change(name, wrapped)` gives: all or none; gives how many."""
        ...

    def close(self) -> None:
        """Close it; closing twice is fine."""
        ...


class KeyFile:
    """A key ring in an SQLite file: threads, processes and forks of one machine may share it.

    Its loss is the loss of everything that was sealed: back it up, apart from the store, and keep
    few old copies, as a dropped key lives on in them.

    Args:
        path: The file; it is made if missing, for its owner alone.

    Raises:
        StoreVersionError: The file is not a key ring.
        StoreUnavailableError: The file cannot be opened or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file."""
        self.path = str(path)
        self._orphans: list[object] = []  # of the parent of a fork: it closes them itself
        self._lock, self._pid, self._closed = threading.RLock(), os.getpid(), False
        self._seen: tuple[int, int] | None = None  # data version, drops then
        self._db: sqlite3.Connection | None = None
        with self._used():
            pass

    def put(self, keys: Mapping[str, bytes], *, guard: tuple[str, bytes] | None = None) -> bool:
        """Keep wrapped keys by name: all, or none where one has a name that is or was in use."""
        with self._writing() as db:
            if guard is not None and _found(db, guard[0]) != guard[1]:
                return False
            for table in ("keys", "drops"):
                used = f"select 1 from {table} where key_id = ?"  # noqa: S608  # fixed names
                if any(db.execute(used, (name,)).fetchone() for name in keys):
                    return False
            db.executemany("insert into keys (key_id, wrapped) values (?, ?)", list(keys.items()))
            return True

    def get(self, name: str) -> bytes | None:
        """Give a key; None where there is none, or none any more."""
        with self._used() as db:
            return _found(db, name)

    def drop(self, names: Iterable[str]) -> None:
        """Overwrite keys, and remember their names, also of keys that are not there."""
        with self._writing() as db:
            for name in names:
                db.execute(
                    "update keys set wrapped = zeroblob(length(wrapped)) where key_id = ?", (name,)
                )
                db.execute("insert or ignore into drops (key_id) values (?)", (name,))

    def dropped(self, after: int = 0) -> tuple[tuple[int, str], ...]:
        """Give what was dropped, numbered as it was: the numbers above `after`."""
        with self._used() as db:
            version = int(db.execute("pragma data_version").fetchone()[0])
            if self._seen is not None and self._seen[0] == version and self._seen[1] <= after:
                return ()  # another process wrote nothing since, nor did this one drop
            rows = db.execute(
                "select number, key_id from drops where number > ? order by number", (after,)
            ).fetchall()
            self._seen = (version, rows[-1][0] if rows else after)
            return tuple((int(number), str(name)) for number, name in rows)

    def rewrap(self, change: Callable[[str, bytes], bytes]) -> int:
        """Replace every key by what `change(name, wrapped)` gives: all or none; gives how many."""
        with self._writing() as db:
            rows = db.execute(
                "select key_id, wrapped from keys where key_id not in (select key_id from drops)"
            ).fetchall()
            db.executemany(
                "update keys set wrapped = ? where key_id = ?",
                [(change(name, wrapped), name) for name, wrapped in rows],
            )
        with self._used() as db:
            db.execute("vacuum")  # a wrapped key of another length was moved
        return len(rows)

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._here()
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection, None, None]:
        with self._used() as db:
            db.execute("begin immediate")
            try:
                yield db
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise
            finally:
                self._seen = None

    @contextmanager
    def _used(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend the connection, and say what happened where SQLite fails."""
        self._here()
        with self._lock:
            try:
                if self._closed:
                    raise StoreError(f"the key ring {self.path} is closed; open it anew")
                if self._db is None:
                    self._db = self._connected()
                yield self._db
            except sqlite3.Error as error:
                raise StoreUnavailableError(
                    f"cannot use the key ring {self.path}: {error}; check that it can be read and "
                    "written, or bring it back from its backup"
                ) from error

    def _connected(self) -> sqlite3.Connection:
        with suppress(OSError):  # it is there, or SQLite says why it cannot be
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(
            self.path, timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(db, self.path)
        except BaseException:
            db.close()
            raise
        return db

    def _here(self) -> None:
        """Forget the connection and the lock of the process that this one was forked from."""
        if os.getpid() != self._pid:
            self._orphans += [self._db, self._lock]
            self._db, self._lock, self._seen = None, threading.RLock(), None
            self._pid = os.getpid()


def _prepare(db: sqlite3.Connection, path: str) -> None:
    for setting in ("synchronous = full", "secure_delete = on"):
        db.execute(f"pragma {setting}")
    ours = int(db.execute("pragma application_id").fetchone()[0])
    if ours == _APPLICATION_ID:
        return
    db.execute("begin immediate")
    try:
        ours = int(db.execute("pragma application_id").fetchone()[0])
        tables = int(db.execute("select count(*) from sqlite_master").fetchone()[0])
        if ours != _APPLICATION_ID and (ours or tables):
            raise StoreVersionError(f"{path} is no key ring; pass the path of one, or of none yet")
        if ours != _APPLICATION_ID:
            for statement in (*_SCHEMA, f"pragma application_id = {_APPLICATION_ID}"):
                db.execute(statement)
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise


def _found(db: sqlite3.Connection, name: str) -> bytes | None:
    row = db.execute(
        "select wrapped from keys where key_id = ? "
        "and not exists (select 1 from drops where drops.key_id = keys.key_id)",
        (name,),
    ).fetchone()
    return bytes(row[0]) if row else None
