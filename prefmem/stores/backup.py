"""A copy of a database while it is in use, and a database from a copy, without those erased since.

Both are made beside their place and moved there when they are whole, checked and on disk: whatever
happens, a file is the old one or the new one.
"""

import os
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from prefmem.errors import InputError, StoreUnavailableError, StoreVersionError
from prefmem.stores.driver import Driver
from prefmem.stores.erasures import (
    LIST_SUFFIX,
    Erased,
    ErasureFile,
    joined,
    read_times,
    sync_folder,
)
from prefmem.stores.migrations import MIGRATIONS
from prefmem.stores.sqlite import SQLiteStore
from prefmem.stores.sqlitefile import APPLICATION_ID

_WAIT = 15.0  # seconds for a lock
_COUNTED = ("users", "cards", "events", "interactions", "edits", "jobs")
_PARTIAL = "prefmem-partial"
_PLAIN = Driver()
_BESIDE = ("-wal", "-shm", "-journal", "-lock", LIST_SUFFIX)

Opening: TypeAlias = Callable[[Path], AbstractContextManager[SQLiteStore]]


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made.

    Attributes:
        path: The file.
        size_bytes: Its size.
        schema: Version of the schema.
        counts: Rows by table.
    """

    path: str
    size_bytes: int
    schema: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was put back.

    Attributes:
        path: The file.
        erased: Users of the backup who had been erased since, and are not in it.
        lists: Where erasures were found; empty where nothing is known of any.
        counts: Rows by table.
    """

    path: str
    erased: int
    lists: tuple[str, ...]
    counts: Mapping[str, int]


def backup(
    path: str | Path, to: str | Path, *, replace: bool = False, driver: Driver = _PLAIN
) -> Backup:
    """Copy a database that may be in use, as it was at one moment.

    Args:
        path: The database.
        to: The copy: one file, for the owner alone. What erased users left in free pages is not
            copied.
        replace: Whether a file that is there is replaced, once the copy is whole.
        driver: Which SQLite opens both.

    Raises:
        InputError: The copy is there, or would be the database itself.
        StoreVersionError: It is no database of ours, or a newer prefmem wrote it.
        StoreUnavailableError: It cannot be read, or the copy cannot be written, or is damaged.
    """
    source, target = Path(path), Path(to)
    _check_target(source, target, replace=replace)
    with _partial(target) as copy:
        schema, counts = _copied(source, copy, driver)
        size = copy.stat().st_size
        _move(copy, target)
    return Backup(str(target), size, schema, counts)


def restore(
    path: str | Path,
    to: str | Path,
    *,
    lists: Sequence[str | Path] = (),
    replace: bool = False,
    actor: str = "operator",
    at: datetime,
    driver: Driver = _PLAIN,
    opening: Opening | None = None,
) -> Restored:
    """Make a database from a backup, without the users who were erased since it was made.

    Erasures are taken from the database that is replaced, from the list beside it, from the one
    beside the backup, and from `lists`.

    Args:
        path: The backup; it stays as it is.
        to: The database; nobody may have it open.
        lists: Further lists, as `prefmem erasures export` writes them.
        replace: Whether a database that is there is replaced, once the new one is whole.
        actor: By whose wish, for the audit log.
        at: When, UTC.
        driver: Which SQLite opens both.
        opening: Opens the new database as a store, and closes it; as a plain one unless given.

    Raises:
        InputError: The database is there, or a list is none.
        StoreVersionError: The backup is no database of ours, or a newer prefmem wrote it.
        StoreUnavailableError: The backup or a list is damaged, or the database is in use or cannot
            be written.
    """
    source, target = Path(path), Path(to)
    _check_target(source, target, replace=replace)
    _alone(target, driver)
    found = _lists(source, target, lists, driver)
    with _partial(target) as copy:
        _, before = _copied(source, copy, driver)
        secret = _secret(copy, driver)
        mine, others = _told_apart(found.values(), secret)
        beside = ErasureFile(f"{copy}{LIST_SUFFIX}")
        if mine is not None:
            beside.write(mine)
        with (opening or _as_store)(copy) as store:  # which erases by the list beside it
            for listed in others:
                store.replay_erasures(listed, actor=actor, at=at)
            erased = before["users"] - len(store.everyone())
            store.audit(None, "restore", actor=actor, at=at, n=erased)
            if erased:
                store.compact()
        counts = _checked(copy, driver)
        if beside.path.exists():
            beside.path.replace(f"{target}{LIST_SUFFIX}")
        _alone(target, driver)
        _move(copy, target)
    return Restored(str(target), erased, tuple(found), counts)


def _check_target(source: Path, target: Path, *, replace: bool) -> None:
    if not source.is_file():
        raise InputError(f"there is no file {source}")
    if target.exists() and not replace:
        raise InputError(f"{target} is there already; pass another name, or --replace to lose it")
    if target.exists() and source.samefile(target):
        raise InputError(f"{source} cannot be copied onto itself")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent}; make it first")


def _copied(source: Path, copy: Path, driver: Driver) -> tuple[int, Mapping[str, int]]:
    """Copy a database in one piece, and check the copy; gives its schema and counts."""
    with _explained("read", source, driver), closing(_opened(source, driver)) as db:
        db.execute("begin")  # one picture for all that follows
        schema, counts = _version(db, source), _counts(db)
        with _explained("write", copy, driver), closing(_opened(copy, driver)) as new:
            new.execute("pragma secure_delete = on")
            db.backup(new)
            new.execute("pragma journal_mode = delete")  # one file, readable from anywhere
            dirty = new.execute("select 1 from meta where key = 'unscrubbed'").fetchone()
            if dirty is not None:
                new.execute("vacuum")
                new.execute("delete from meta where key = 'unscrubbed'")
        db.execute("rollback")
    if _checked(copy, driver) != counts:
        raise StoreUnavailableError(f"the copy of {source} holds other rows; nothing was kept")
    return schema, counts


def _checked(path: Path, driver: Driver) -> Mapping[str, int]:
    """Check a file that nobody else uses, and count its rows."""
    with _explained("read", path, driver), closing(_opened(path, driver)) as db:
        told = str(db.execute("pragma integrity_check(1)").fetchone()[0])
        loose = db.execute("pragma foreign_key_check").fetchone()
        if told != "ok" or loose is not None:
            raise StoreUnavailableError(
                f"{path.name} is damaged ({told if told != 'ok' else 'rows that belong to nobody'})"
                "; nothing was replaced; use another backup"
            )
        return _counts(db)


def _opened(path: Path, driver: Driver) -> sqlite3.Connection:
    """Open a file that is there."""
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    return driver.connect(str(path), timeout=_WAIT)


def _version(db: sqlite3.Connection, path: Path) -> int:
    if int(db.execute("pragma application_id").fetchone()[0]) != APPLICATION_ID:
        raise StoreVersionError(f"{path} is no database of prefmem")
    version = int(db.execute("pragma user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreVersionError(
            f"{path} has schema {version}, this prefmem knows up to {len(MIGRATIONS)}: a newer "
            "prefmem wrote it; upgrade this one"
        )
    return version


def _counts(db: sqlite3.Connection) -> Mapping[str, int]:
    tables = {row[0] for row in db.execute("select name from sqlite_master").fetchall()}
    return {
        table: int(db.execute(f"select count(*) from {table}").fetchone()[0])  # noqa: S608  # fixed names
        for table in _COUNTED
        if table in tables
    }


def _secret(path: Path, driver: Driver) -> str | None:
    """Give the key of a file's hashes; None where it is of the time before there were any."""
    with _explained("read", path, driver), closing(_opened(path, driver)) as db:
        row = db.execute("select value from meta where key = 'secret'").fetchone()
        return None if row is None else str(row[0])


def _lists(
    source: Path, target: Path, more: Iterable[str | Path], driver: Driver
) -> dict[str, Erased]:
    """Find the erasures that are known, by where."""
    found: dict[str, Erased] = {}
    for path in (f"{target}{LIST_SUFFIX}", f"{source}{LIST_SUFFIX}"):
        listed = ErasureFile(path).read()
        if listed is not None:
            found[path] = listed
    for name in map(str, more):
        try:
            found[name] = Erased.read(Path(name).read_bytes(), name)
        except OSError as error:
            raise InputError(f"cannot read {name}: {error.strerror}") from error
    if target.exists():
        with suppress(driver.Error), closing(_opened(target, driver)) as db:
            row = db.execute("select value from meta where key = 'secret'").fetchone()
            if row is not None:
                found[str(target)] = Erased(str(row[0]), read_times(db))
    return found


def _told_apart(
    lists: Iterable[Erased], secret: str | None
) -> tuple[Erased | None, tuple[Erased, ...]]:
    """Give the list with a database's key, and those of other databases."""
    every = joined(lists)
    if secret is None and every:  # it takes the key of the first
        return every[0], every[1:]
    mine = next((listed for listed in every if listed.secret == secret), None)
    return mine, tuple(listed for listed in every if listed is not mine)


def _alone(target: Path, driver: Driver) -> None:
    """See that nobody has a database open, and move its write-ahead log into it.

    Raises:
        StoreUnavailableError: Somebody has.
    """
    if not target.exists():
        return
    try:
        with closing(driver.connect(str(target), timeout=1.0)) as db:
            db.execute("pragma journal_mode = delete")
    except driver.Error as error:  # a damaged one is replaced for just that
        if "locked" in str(error):
            raise StoreUnavailableError(
                f"{target} is open in another process; stop what uses it, then restore"
            ) from error


def _as_store(path: Path) -> AbstractContextManager[SQLiteStore]:
    return closing(SQLiteStore(path))


@contextmanager
def _partial(target: Path) -> Generator[Path, None, None]:
    """Give a new file beside the target, and clear away what becomes of it, or became of others."""
    for old in target.parent.glob(f".{target.name}.{_PARTIAL}*"):  # of a run that was killed
        _discard(old)
    copy = target.with_name(f".{target.name}.{_PARTIAL}")
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreUnavailableError(f"cannot write {target}: {error.strerror}") from error
    try:
        yield copy
    finally:
        for suffix in ("", *_BESIDE):
            _discard(Path(f"{copy}{suffix}"))


def _move(copy: Path, target: Path) -> None:
    """Bring a whole file to disk and to its place."""
    try:
        file = os.open(copy, os.O_RDWR)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        for suffix in ("-wal", "-shm", "-journal"):  # of a damaged one: they would spoil this one
            _discard(Path(f"{target}{suffix}"))
        with suppress(FileNotFoundError):  # what it tells of the old log; the lock itself stays
            os.truncate(f"{target}-lock", 0)
        copy.replace(target)
        sync_folder(target)
    except OSError as error:
        raise StoreUnavailableError(f"cannot write {target}: {error.strerror}") from error


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


@contextmanager
def _explained(doing: str, path: Path, driver: Driver) -> Generator[None, None, None]:
    try:
        yield
    except driver.Error as error:
        text = str(error).lower()
        help_ = "nothing was replaced"
        if "malformed" in text or "not a database" in text:
            help_ = driver.unreadable
        elif "full" in text:
            help_ = "free disk space"
        elif "locked" in text:
            help_ = "another process has held it for too long; try again"
        raise StoreUnavailableError(f"cannot {doing} {path}: {error}; {help_}") from error
