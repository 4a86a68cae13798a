"""The embedded store: one SQLite file that is the truth about every user.

Acknowledged means on disk (see `sqlitefile`). Deleted bytes are overwritten, and an erasure
rewrites the file, as SQLite leaves copies behind where it moved rows between pages.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TypeVar, cast

from prefmem.errors import StoreError, StoreUnavailableError
from prefmem.interaction import Entry
from prefmem.stores import codec
from prefmem.stores.base import Connection, Uid
from prefmem.stores.driver import SQLCipher
from prefmem.stores.erasures import LIST_SUFFIX, ErasureFile, note_erasure
from prefmem.stores.keys import UserKeys, seal_of
from prefmem.stores.places import MovedError
from prefmem.stores.rows import append
from prefmem.stores.rowstore import RowStore
from prefmem.stores.seal import Seal
from prefmem.stores.sealed import check_seal, drop_keys, gone_users, seal_store, swept
from prefmem.stores.settle import UNSETTLED, settle
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.types import Action, Check, Erasure, Matrix, UserKey, Vector

_COMPACTED_BYTES = 32 * 2**20  # a file of this size is rewritten in about a third of a second
_BURST, _SHARE = (
    2.0,
    0.1,
)  # seconds of rewriting in passing: at once, and of each second that goes by
_READER_MS = 2_000  # that an erasure waits for those who read
_AT_ONCE = 200  # users that are erased in one transaction
_OURS = ("secret", "listed")  # what meta holds that says nothing about the store
_UNSCRUBBED = "insert or ignore into meta values ('unscrubbed', 1)"
_OF_A_USER = ("cards", "events", "interactions", "retired", "edits", "jobs", "users")
_LOST_LINES = (
    "select coalesce((select seq from sqlite_sequence where name = 'audit'), 0) "
    "- coalesce((select max(id) from audit), 0)"
)
_LOG = logging.getLogger("prefmem")
T = TypeVar("T")


class SQLiteStore(RowStore):
    """Keeps cards, events and states of many users in one file.

    Safe to use from several threads and, on a local disk, from several processes.

    Args:
        path: The file; it is made if missing. `":memory:"` keeps everything in memory.
        encryption: Keys that seal what is held about a user, one for each; the caller closes them.
        convert: Whether a plain store is sealed now; nobody else may use it meanwhile.
        passphrase: Opens the file with SQLCipher, which encrypts all of it: a passphrase, or 32
            random bytes.

    Raises:
        ConfigError: The store is sealed and no keys are given, or other ones; or the other way
            round.
        MissingExtraError: There is a passphrase, and SQLCipher is not installed.
        StoreVersionError: A newer prefmem wrote the file, or it is not ours.
        StoreUnavailableError: The file cannot be opened or is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encryption: UserKeys | None = None,
        convert: bool = False,
        passphrase: str | bytes | None = None,
    ) -> None:
        """Open the file and bring its schema up to date."""
        driver = None if passphrase is None else SQLCipher(passphrase)
        self._file, self._keys = SQLiteFile(path, driver=driver), encryption
        super().__init__(_SQLite(self._file, encryption), self._file.path)
        in_memory = self._file.path == ":memory:"
        self._beside = None if in_memory else ErasureFile(f"{self._file.path}{LIST_SUFFIX}")
        try:
            if encryption is not None and convert:
                seal_store(self._base, encryption, self._name, rewrite=self.compact)
            check_seal(self._base, encryption, self._name)
            self._settle()
            self._sweep()
        except BaseException:
            self._file.close()
            raise

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        It is on disk with the next checkpoint, not at once, and it is dropped where another
        connection is writing, the file cannot be written, or the user is unknown.
        """
        with suppress(self._file.driver.Error), self._file.aside() as db:
            if self._base.uid(db, user) == -1:
                return False
            db.execute("begin immediate")
            try:
                uid = self._base.uid(db, user)  # now nobody erases the user, and another gets it
                noted = uid != -1 and append(self._rows(db, user, uid, writing=True), entry)
                db.execute("commit")
                return noted
            finally:
                if db.in_transaction:
                    db.execute("rollback")
        return False

    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about a user, and the freed bytes with it."""
        receipt = self._remove((user,), action="forget_user", actor=actor, at=at or _now())
        return self._cleared(receipt, self._base.scrub())

    def forget_users(
        self, users: Sequence[UserKey], *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about several users, and rewrite the file once for all of them.

        Whatever the size of the file: see `compact`. Without users it clears what earlier erasures
        left.
        """
        receipt = self._remove(users, action="forget_user", actor=actor, at=at or _now())
        done = False
        with suppress(StoreUnavailableError):  # locked or full: erased all the same
            done = self.compact()
        return self._cleared(receipt, done)

    def _remove(
        self, users: Sequence[UserKey], *, action: Action, actor: str, at: datetime
    ) -> Erasure:
        """Remove everything held about users, and write down that they are erased."""
        removed = Counter[str]()
        listed = self._beside is not None
        for start in range(0, len(users), _AT_ONCE):
            with self._file.write() as db:
                some = users[start : start + _AT_ONCE]
                gone, times = self._removed(db, some, action, actor, at)
                secret = self._base.secret(db)
            removed += gone
            listed = self._beside is not None and self._beside.append(secret, times) and listed
        if self._beside is not None and not listed:
            _LOG.warning("an erasure could not be written to %s", self._beside.path)
        return Erasure(
            removed["cards"], removed["events"] + removed["interactions"], False,
            removed["interactions"], removed["edits"], removed["jobs"], removed["states"],
            listed=listed,
        )  # fmt: skip

    def _removed(
        self,
        db: sqlite3.Connection,
        users: Sequence[UserKey],
        action: Action,
        actor: str,
        at: datetime,
    ) -> tuple[Counter[str], dict[bytes, str]]:
        """Remove users' rows within a transaction; gives how many, and the list's new lines."""
        removed, times = Counter[str](), dict[bytes, str]()
        secret = self._base.secret(db)
        drop_keys(db, self._keys, [self._base.uid(db, user) for user in users])
        for user in users:
            uid = self._base.uid(db, user)
            learned = "select count(*) from users where uid = ? and state is not null"
            gone = Counter(states=int(db.execute(learned, (uid,)).fetchone()[0]))
            for table in _OF_A_USER:
                done = db.execute(f"delete from {table} where uid = ?", (uid,))  # noqa: S608  # fixed names
                gone[table] = done.rowcount
            removed += gone
            told = note_erasure(
                db, secret, user, action=action, actor=actor, at=at, n=gone["cards"]
            )
            times.update([told])
        db.execute(_UNSCRUBBED)
        db.execute(UNSETTLED)
        return removed, times

    def _cleared(self, receipt: Erasure, done: bool) -> Erasure:
        """Complete a receipt: whether the freed bytes are gone, or somebody is reading them."""
        busy = not done and self._file.path != ":memory:" and self._log_bytes() > 0
        return replace(receipt, checkpointed=done, busy=busy)

    def _log_bytes(self) -> int:
        with suppress(OSError):
            return Path(f"{self._file.path}-wal").stat().st_size
        return 0

    def _settle(self) -> None:
        """Erase whom the list beside the file knows to be erased, before any answer."""
        if self._beside is None:
            return

        def remove(db: sqlite3.Connection, users: Sequence[UserKey], at: datetime) -> None:
            self._removed(db, users, "replay", "prefmem", at)

        if settle(self._file, self._beside, remove):
            self._base.scrub()

    def _sweep(self) -> None:
        """Erase whose key was dropped, as after a restore, before any answer."""
        if self._keys is None:
            return
        for users, number in gone_users(self._base, self._keys):
            if users:
                self._remove(users, action="replay", actor="prefmem", at=_now())
                self._base.scrub()
            swept(self._base, number)

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
                **{name: value for name, value in _meta(db).items() if name not in _OURS},
                **counts,
            }

        return self._file.read(look)

    def soundness(self) -> tuple[Check, ...]:
        """Look for damage in the file, and in what belongs to no single user."""

        def look(db: sqlite3.Connection) -> tuple[Check, ...]:
            told = [str(row[0]) for row in db.execute("pragma integrity_check(5)").fetchall()]
            loose = len(db.execute("pragma foreign_key_check").fetchall())
            lost = int(db.execute(_LOST_LINES).fetchone()[0])
            return (
                Check("file", told == ["ok"], "; ".join(told)),
                Check("rows", not loose, f"{loose} rows belong to nobody" if loose else "ok"),
                Check("end of the audit log", not lost, f"{lost} lines are gone" if lost else "ok"),
            )

        with self._file.explained("read"):
            return (*self._file.read(look), *super().soundness())

    def close(self) -> None:
        """Empty the write-ahead log and close the file; closing twice is fine."""
        with (
            suppress(
                StoreError, self._file.driver.Error
            ),  # closed, or read-only: what counts is on disk
            self._file.alone() as db,
        ):
            _checkpointed(db)
            if "unscrubbed" in _meta(db) and _size(db) <= _COMPACTED_BYTES:
                _compacted(db)
        self._file.close()


class _SQLite:
    """The file, as rows want it."""

    locking = sharing = ""

    def __init__(self, file: SQLiteFile, keys: UserKeys | None) -> None:
        self._file, self._keys = file, keys
        self.duplicate = file.driver.IntegrityError
        self.shard = ""
        self.vectors = HalfBytes()
        self._spent, self._spent_at = 0.0, monotonic()

    def read(self, work: Callable[[Connection, Uid], T], user: UserKey, *, one: bool = False) -> T:
        del one
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
        if not self.shard:
            self.make(db, user, "")
        row = db.execute(
            "select uid, moved from users where tenant = ? and ext_id = ?",
            (user.tenant, user.user_id),
        ).fetchone()
        if row is None or row[1]:
            raise MovedError(self._file.path)
        return row[0]

    @contextmanager
    def hold(self, user: UserKey) -> Generator[tuple[Connection, Uid], None, None]:
        with self._file.write() as db:
            yield db, self.uid(db, user)

    def make(self, db: Connection, user: UserKey, mark: str) -> Uid:
        db.execute(
            "insert or ignore into users (tenant, ext_id, moved) values (?, ?, ?)",
            (user.tenant, user.user_id, mark),
        )
        return self.uid(db, user)

    def columns(self, db: Connection, table: str) -> tuple[str, ...]:
        rows = db.execute("select name from pragma_table_info(?) order by cid", (table,)).fetchall()
        return tuple(row[0] for row in rows)

    def seal(self, db: Connection, user: UserKey, uid: Uid, *, writing: bool = False) -> Seal:
        return seal_of(self._keys, db, user, uid, writing=writing)

    def secret(self, db: Connection) -> str:
        return str(db.execute("select value from meta where key = 'secret'").fetchone()[0])

    def audit_turn(self, db: Connection) -> None:
        del db  # one transaction writes at a time

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


def _now() -> datetime:
    return datetime.now(UTC)


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
    """Move the log into the file and empty it; readers are waited for, but not for long."""
    wait = int(db.execute("pragma busy_timeout").fetchone()[0])
    db.execute(f"pragma busy_timeout = {min(wait, _READER_MS)}")
    try:
        return not db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
    finally:
        db.execute(f"pragma busy_timeout = {wait}")


def _compacted(db: sqlite3.Connection) -> bool:
    db.execute("vacuum")
    done = _checkpointed(db)
    if done:
        db.execute("delete from meta where key = 'unscrubbed'")
    return done
