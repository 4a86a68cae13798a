"""An SQLite file that threads, processes and forks of them may use: locks, waiting, upgrades.

Acknowledged means on disk: write-ahead log, `synchronous=FULL`. Deleted bytes are overwritten
(`secure_delete`). A write takes the lock at its start (`BEGIN IMMEDIATE`), so two processes on one
file wait for each other instead of failing halfway.
"""

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from prefmem.errors import StoreError, StoreUnavailableError, StoreVersionError
from prefmem.stores.migrations import MIGRATIONS

APPLICATION_ID = 0x7072656D  # "prem"
_WAIT_MS = 15_000
_PAUSE = 0.01  # seconds
_PATIENCE = 0.05  # seconds that a note waits for another writer


class SQLiteFile:
    """The connection to a file, for one thread at a time, with a schema that is up to date.

    A process that was forked opens the file anew with the first use: a connection and its locks do
    not survive a fork. What lies in memory alone (`":memory:"`) is copied by the fork.

    Args:
        path: The file; it is made if missing.

    Raises:
        StoreVersionError: A newer prefmem wrote the file, or it is not ours.
        StoreUnavailableError: The file cannot be opened or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file and bring its schema up to date."""
        self.path = str(path)
        self._forking = threading.Lock()
        self._orphans: list[sqlite3.Connection] = []  # of the parent: it closes them itself
        self._lock, self._side_lock = threading.RLock(), threading.Lock()
        self._side: sqlite3.Connection | None = None  # for `aside`, opened with the first
        self._db = self._connected()
        self._pid = os.getpid()

    @property
    def lock(self) -> threading.RLock:
        """Lock around whatever uses the connection."""
        self._here()
        return self._lock

    @property
    def db(self) -> sqlite3.Connection:
        """The connection."""
        self._here()
        return self._db

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self.lock:
            self._db.close()
        with self._side_lock:
            if self._side is not None:
                self._side.close()

    @contextmanager
    def aside(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend a connection whose commits wait for no disk, and that waits for no one long.

        A database in memory has but one connection.
        """
        self._here()
        if self.path == ":memory:":
            with self._lock:
                yield self._db
            return
        with self._side_lock:
            if self._side is None:
                self._side = sqlite3.connect(
                    self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
                )
                self._side.execute("pragma synchronous = normal")
                self._side.execute("pragma secure_delete = on")
            yield self._side

    def meta(self) -> dict[str, str]:
        """Read what the file says of itself."""
        return dict(self._db.execute("select key, value from meta").fetchall())

    @contextmanager
    def begin(self) -> Generator[None, None, None]:
        """Open a transaction that may write; an exception inside undoes all of it."""
        with _writing(self._db):
            yield

    @contextmanager
    def explained(self, doing: str) -> Generator[None, None, None]:
        """Say what happened, and what to do, where SQLite fails."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error).lower()
            if "closed" in text:
                raise StoreError(f"{self.path} is closed; open a new memory") from error
            if "readonly" in text or "unable to open" in text:
                help_ = "check that the folder exists and can be written"
            elif "full" in text or "disk i/o" in text:
                help_ = "free disk space; what was acknowledged is safe"
            elif "locked" in text or "busy" in text:
                help_ = "another process has held it for too long; try again"
            elif "malformed" in text or "not a database" in text:
                help_ = "the file is damaged; restore a backup"
            else:
                help_ = "nothing of this call was stored"
            raise StoreUnavailableError(f"cannot {doing} {self.path}: {error}; {help_}") from error

    def _here(self) -> None:
        """Open the file anew in a process that was forked since."""
        if os.getpid() == self._pid:
            return
        with self._forking:
            if os.getpid() != self._pid:
                self._orphans += [db for db in (self._db, self._side) if db is not None]
                self._lock, self._side_lock = threading.RLock(), threading.Lock()
                self._side = None
                if self.path != ":memory:":
                    self._db = self._connected()
                self._pid = os.getpid()  # last: now others may go on

    def _connected(self) -> sqlite3.Connection:
        with self.explained("open"):
            db = sqlite3.connect(
                self.path, timeout=_WAIT_MS / 1000, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare_patiently(db, self.path)
            except BaseException:
                db.close()
                raise
            return db


def _prepare_patiently(db: sqlite3.Connection, path: str) -> None:
    """Prepare the file, again while another connection is making or closing it.

    SQLite waits for most locks, but not for those around a change of the journal mode.
    """
    until = monotonic() + _WAIT_MS / 1000
    while True:
        try:
            _prepare(db, path)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or monotonic() > until:
                raise
            if db.in_transaction:
                db.execute("rollback")
            sleep(_PAUSE)


def _prepare(db: sqlite3.Connection, path: str) -> None:
    db.execute("begin")  # one picture: another process may be making the file just now
    version = int(db.execute("pragma user_version").fetchone()[0])
    ours = int(db.execute("pragma application_id").fetchone()[0])
    tables = int(db.execute("select count(*) from sqlite_master").fetchone()[0])
    db.execute("commit")
    if ours != APPLICATION_ID and (tables or ours):
        raise StoreVersionError(f"{path} is a database of another program; pass another path")
    if version > len(MIGRATIONS):
        raise StoreVersionError(
            f"{path} has schema {version}, this prefmem knows up to {len(MIGRATIONS)}: "
            "a newer prefmem wrote it; upgrade this one"
        )
    if version < len(MIGRATIONS):
        _migrate(db)
    db.execute(f"pragma busy_timeout = {_WAIT_MS}")
    if path != ":memory:":
        db.execute("pragma journal_mode = wal")
    for setting in ("synchronous = full", "secure_delete = on", "foreign_keys = on"):
        db.execute(f"pragma {setting}")


def _migrate(db: sqlite3.Connection) -> None:
    """Run the missing steps, each in a transaction of its own that re-reads the version."""
    db.execute(f"pragma application_id = {APPLICATION_ID}")
    for number, step in enumerate(MIGRATIONS, start=1):
        with _writing(db):
            if int(db.execute("pragma user_version").fetchone()[0]) >= number:
                continue
            for statement in step.split(";\n"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"pragma user_version = {number}")


@contextmanager
def _writing(db: sqlite3.Connection) -> Generator[None, None, None]:
    if db.in_transaction:
        raise StoreError("a transaction is open already; finish it before the next")
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise
