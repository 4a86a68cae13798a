"""An SQLite file that threads, processes and forks of them may use: locks, waiting, upgrades.

Acknowledged means on disk: write-ahead log, `synchronous=FULL`. Deleted bytes are overwritten
(`secure_delete`). One connection of a process writes; transactions of threads that wait for each
other share one commit, and a lock on a file beside it lets processes take turns. Reads have
connections of their own: they see what was committed, and wait for no writer.

Whatever commits or moves the log into the file has the turn, notes and upkeep too: SQLite 3.7.0 to
3.51.2 can lose commits where one connection begins a checkpoint while another one's commit starts
the log anew (https://sqlite.org/wal.html#walresetbug).
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from prefmem.errors import (
    StoreClosedError,
    StoreError,
    StoreUnavailableError,
    StoreVersionError,
)
from prefmem.stores.driver import Driver
from prefmem.stores.filelock import FileLock
from prefmem.stores.logmark import LogMark
from prefmem.stores.migrations import MIGRATIONS

APPLICATION_ID = 0x7072656D  # "prem"
_WAIT_MS = 15_000
_PAUSE = 0.01  # seconds
_PATIENCE = 0.05  # seconds that a note waits for another writer
_TOGETHER = 64  # transactions that share a commit, at most
_READERS = 8  # connections that are kept for reading
T = TypeVar("T")


class _Group:
    """Transactions of several threads that are committed together."""

    def __init__(self) -> None:
        self.size = 0
        self.done = threading.Event()
        self.error: Exception | None = None


class SQLiteFile:
    """The connections to a file, with a schema that is up to date.

    A process that was forked opens the file anew with the first use: a connection and its locks do
    not survive a fork. What lies in memory alone (`":memory:"`) is copied by the fork.

    Args:
        path: The file; it is made if missing.
        driver: Which SQLite opens it; Python's own unless given.

    Raises:
        StoreVersionError: A newer prefmem wrote the file, or it is not ours.
        StoreUnavailableError: The file cannot be opened or is damaged.
    """

    def __init__(self, path: str | Path, *, driver: Driver | None = None) -> None:
        """Open the file and bring its schema up to date."""
        self.path, self.driver = str(path), driver or Driver()
        self._forking = threading.Lock()
        self._orphans: list[object] = []  # of the parent: it closes them itself
        self._begin_anew()
        self._db = self._connected()
        self._pid = os.getpid()

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()
        self._counting, self._queued = threading.Lock(), 0
        self._group: _Group | None = None
        self._owner: int | None = None  # the thread whose transaction is open
        self._side: sqlite3.Connection | None = None  # for `aside`, opened with the first
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        self._turn = FileLock(f"{self.path}-lock") if self.path != ":memory:" else None
        self._mark = LogMark(self.path, f"{self.path}-lock") if self._turn else None

    @contextmanager
    def alone(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend the writing connection outside of a transaction, for upkeep."""
        self._here()
        with self._lock:
            if self._owner is not None:
                raise StoreError("a transaction is open already; finish it before the next")
            if self._group is not None:
                self._commit(self._group)
            with self._in_turn():
                yield self._db

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read what was committed, in one picture; in a transaction of this thread, its own."""
        self._here()
        with self.explained("read"):
            if self._owner == threading.get_ident():
                return work(self._db)
            if self.path == ":memory:":
                with self._lock:
                    return work(self._db)
            db = self._reader()
            try:
                db.execute("begin")
                found = work(db)
                db.execute("commit")
            except BaseException:
                db.close()  # whatever state it is in
                raise
            with self._counting:
                keep = len(self._readers) < _READERS and not self._closed
                if keep:
                    self._readers.append(db)
            if not keep:
                db.close()
            return found

    @contextmanager
    def write(self) -> Generator[sqlite3.Connection, None, None]:
        """Open a transaction; an exception inside undoes all of it. It is on disk afterwards.

        Transactions of other threads that wait meanwhile share its commit.
        """
        self._here()
        with self.explained("write"):
            if self._owner == threading.get_ident():
                raise StoreError("a transaction is open already; finish it before the next")
            with self._turn_of_this_thread() as group:
                self._db.execute("savepoint one")
                try:
                    yield self._db
                    self._db.execute("release one")
                except BaseException as error:
                    self._undo(group, error)
                    raise
            group.done.wait()
            if group.error is not None:
                raise type(group.error)(*group.error.args) from group.error

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._here()
        with self._lock:
            if self._group is not None:
                self._commit(self._group)
            with self._counting:
                self._closed = True
                readers, self._readers = self._readers, []
            for db in readers:
                db.close()
            if self._side is not None:
                self._side.close()
            self._db.close()
            if self._turn is not None:
                self._turn.close()

    @contextmanager
    def aside(self) -> Generator[sqlite3.Connection, None, None]:
        """Lend a connection whose commits wait for no disk, and that waits for no one long.

        A database in memory has but one connection.
        """
        self._here()
        if not self._lock.acquire(timeout=_PATIENCE):
            raise self.driver.OperationalError("database is locked")
        try:
            if self.path == ":memory:":
                yield self._db
                return
            if self._closed:
                raise self.driver.ProgrammingError("closed")
            if self._owner is not None:
                raise self.driver.OperationalError("database is locked")
            if self._group is not None:
                self._commit(self._group)
            if self._side is None:
                self._side = self.driver.connect(self.path, timeout=_PATIENCE)
                self._side.execute("pragma synchronous = normal")
                self._side.execute("pragma secure_delete = on")
            with self._in_turn(_PATIENCE):
                yield self._side
        finally:
            self._lock.release()

    @contextmanager
    def explained(self, doing: str) -> Generator[None, None, None]:
        """Say what happened, and what to do, where SQLite fails."""
        try:
            yield
        except self.driver.Error as error:
            text = str(error).lower()
            if "closed" in text:
                raise StoreClosedError(f"{self.path} is closed; open a new memory") from error
            if "readonly" in text or "unable to open" in text:
                help_ = "check that the folder exists and can be written"
            elif "full" in text or "disk i/o" in text:
                help_ = "free disk space; what was acknowledged is safe"
            elif "locked" in text or "busy" in text:
                help_ = "another process has held it for too long; try again"
            elif "malformed" in text or "not a database" in text:
                help_ = self.driver.unreadable
            else:
                help_ = "nothing of this call was stored"
            raise StoreUnavailableError(f"cannot {doing} {self.path}: {error}; {help_}") from error

    @contextmanager
    def _turn_of_this_thread(self) -> Generator[_Group, None, None]:
        """Wait for the connection, open a transaction or join the open one, and end it if last."""
        with self._counting:
            self._queued += 1
        try:
            self._lock.acquire()
        finally:
            with self._counting:
                self._queued -= 1
        try:
            group = self._group or self._opened()
            self._owner = threading.get_ident()
            try:
                yield group
            finally:
                self._owner = None
                group.size += 1
                with self._counting:
                    last = not self._queued or self.path == ":memory:"
                if last or group.size >= _TOGETHER or group.error is not None:
                    self._commit(group)
        finally:
            self._lock.release()

    def _opened(self) -> _Group:
        if self._turn is not None and not self._turn.acquire(_WAIT_MS / 1000):
            raise self.driver.OperationalError("database is locked")
        try:
            self._db.execute("begin immediate")
        except BaseException:
            if self._turn is not None:
                self._turn.release()
            raise
        self._group = _Group()
        return self._group

    def _undo(self, group: _Group, error: BaseException) -> None:
        """Undo one transaction of a group; SQLite may have undone them all, as on a full disk."""
        if self._db.in_transaction:
            self._db.execute("rollback to one")
            self._db.execute("release one")
        else:
            told = error if isinstance(error, self.driver.Error) else None
            group.error = told or self.driver.OperationalError("disk I/O error")

    def _commit(self, group: _Group) -> None:
        """End a group: everyone in it goes on, with the error if there is one."""
        try:
            if group.error is None:
                self._db.execute("commit")
                if self._mark is not None:
                    self._mark.put()
        except self.driver.Error as error:
            group.error = error
        finally:
            if self._db.in_transaction:
                with suppress(self.driver.Error):
                    self._db.execute("rollback")
            self._group = None
            if self._turn is not None:
                self._turn.release()
            group.done.set()

    def _reader(self) -> sqlite3.Connection:
        with self._counting:
            if self._closed:
                raise self.driver.ProgrammingError("Cannot operate on a closed database.")
            if self._readers:
                return self._readers.pop()
        return self.driver.connect(self.path, timeout=_WAIT_MS / 1000)

    def _here(self) -> None:
        """Open the file anew in a process that was forked since."""
        if os.getpid() == self._pid:
            return
        with self._forking:
            if os.getpid() != self._pid:
                self._orphans += [self._db, self._side, self._readers, self._turn]
                self._begin_anew()
                if self.path != ":memory:":
                    self._db = self._connected()
                self._pid = os.getpid()  # last: now others may go on

    def _connected(self) -> sqlite3.Connection:
        with self.explained("open"):
            db = self.driver.connect(self.path, timeout=_WAIT_MS / 1000)
            try:
                with self._in_turn():
                    _prepare_patiently(db, self.path, self.driver, self._mark)
            except BaseException:
                db.close()
                raise
            return db

    @contextmanager
    def _in_turn(self, timeout: float = _WAIT_MS / 1000) -> Generator[None, None, None]:
        """Let no other process commit meanwhile."""
        if self._turn is not None and not self._turn.acquire(timeout):
            raise self.driver.OperationalError("database is locked")
        try:
            yield
        finally:
            if self._turn is not None:
                self._turn.release()


def _prepare_patiently(
    db: sqlite3.Connection, path: str, driver: Driver, mark: LogMark | None
) -> None:
    """Prepare the file, again while another connection is making or closing it.

    SQLite waits for most locks, but not for those around a change of the journal mode.
    """
    until = monotonic() + _WAIT_MS / 1000
    while True:
        try:
            _prepare(db, path, driver, mark)
            return
        except driver.OperationalError as error:
            if "locked" not in str(error) or monotonic() > until:
                raise
            if db.in_transaction:
                db.execute("rollback")
            sleep(_PAUSE)


def _prepare(db: sqlite3.Connection, path: str, driver: Driver, mark: LogMark | None) -> None:
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
    if mark is not None:  # before anything is written behind what is left of the log
        try:
            mark.check(lambda: _frames(db, driver))
        except driver.OperationalError as error:
            if "readonly" not in str(error):
                raise
    if not tables and driver.page_bytes is not None:
        db.execute(f"pragma page_size = {driver.page_bytes}")
    if version < len(MIGRATIONS):
        _migrate(db)
    db.execute(f"pragma busy_timeout = {_WAIT_MS}")
    if path != ":memory:":
        db.execute("pragma journal_mode = wal")
    for setting in ("synchronous = full", "secure_delete = on", "foreign_keys = on"):
        db.execute(f"pragma {setting}")


def _frames(db: sqlite3.Connection, driver: Driver) -> int:
    """Count the frames of the log that SQLite found whole."""
    busy, frames, _ = db.execute("pragma wal_checkpoint(passive)").fetchone()
    if busy:  # another connection is emptying it, and the count is not given
        raise driver.OperationalError("database is locked")
    return int(frames)


def _migrate(db: sqlite3.Connection) -> None:
    """Run the missing steps, each in a transaction of its own that re-reads the version."""
    db.execute(f"pragma application_id = {APPLICATION_ID}")
    for number, step in enumerate(MIGRATIONS, start=1):
        db.execute("begin immediate")
        try:
            if int(db.execute("pragma user_version").fetchone()[0]) < number:
                for statement in statements(step):
                    db.execute(statement)
                db.execute(f"pragma user_version = {number}")
            db.execute("commit")
        except BaseException:
            if db.in_transaction:
                db.execute("rollback")
            raise


def statements(step: str) -> Sequence[str]:
    """Cut a step into its statements."""
    return [statement for statement in step.split(";\n") if statement.strip()]
