"""What says that it is on disk was brought there, what is gone is overwritten, and turns are kept.

A crash that loses what was not synced cannot be made here: the settings and calls are looked at.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from prefmem.interaction import Entry, Observation
from prefmem.job import Job
from prefmem.stores.backup import backup
from prefmem.stores.erasures import Erased, ErasureFile
from prefmem.stores.filelock import FileLock
from prefmem.stores.ring import KeyFile
from prefmem.stores.sqlite import SQLiteStore
from prefmem.stores.sqlitefile import SQLiteFile
from prefmem.types import Card, Change, Event, Preference, Turn, UserKey, Vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann"), UserKey("bob")
EAST: Vector = np.array([1, 0, 0, 0], dtype=np.float32)
FULL, ON = (2,), (1,)  # as SQLite's pragmas tell


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prefs.db"


@pytest.fixture
def file(path: Path) -> Iterator[SQLiteFile]:
    opened = SQLiteFile(path)
    yield opened
    opened.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the files and folders that are brought to disk, as it happens."""
    names: list[str] = []
    sync = os.fsync

    def told(number: int) -> None:
        names.append(Path(f"/proc/self/fd/{number}").readlink().name)
        sync(number)

    monkeypatch.setattr(os, "fsync", told)
    return names


def asked(db: sqlite3.Connection, name: str) -> object:
    return db.execute(f"pragma {name}").fetchone()


def other(path: Path | str, wait: float = 0.0) -> sqlite3.Connection:
    """Open a file as another process would."""
    return sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)


def waits(work: Callable[[], object], *, free: Callable[[], object]) -> None:
    """Check that something is not done before it is free to go on, and then is."""
    done = threading.Event()

    def run() -> None:
        work()
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    early = done.wait(0.3)
    free()
    thread.join(30)
    assert (early, done.is_set()) == (False, True)


# Brought to disk, and overwritten


def test_what_is_acknowledged_is_synced_and_what_is_deleted_is_overwritten(
    file: SQLiteFile, tmp_path: Path
) -> None:
    with file.write() as db:
        assert (asked(db, "synchronous"), asked(db, "secure_delete")) == (FULL, ON)
    with file.aside() as db:
        assert asked(db, "secure_delete") == ON
    with closing(KeyFile(tmp_path / "keys")) as ring:
        ring.put({"a": b"1"})
        its_own = ring._db  # pyright: ignore[reportPrivateUsage]  # there is no other way
        assert its_own is not None
        assert (asked(its_own, "synchronous"), asked(its_own, "secure_delete")) == (FULL, ON)


def test_a_list_of_erasures_is_on_disk_with_its_name(tmp_path: Path, synced: list[str]) -> None:
    held = ErasureFile(tmp_path / "list")
    secret, time = "0" * 64, "2026-01-01T00:00:00.000000+00:00"
    assert held.append(secret, {b"a" * 32: time})
    assert synced == ["list", tmp_path.name], "the file is new in its folder"
    assert held.append(secret, {b"b" * 32: time})
    assert synced[2:] == ["list"]
    held.write(Erased(secret, {b"c" * 32: time}))
    assert synced[3:] == [f".list.{os.getpid()}", tmp_path.name], "the new name comes last"


def test_a_backup_is_on_disk_with_its_name(path: Path, tmp_path: Path, synced: list[str]) -> None:
    SQLiteStore(path).close()
    synced.clear()
    folder = tmp_path / "backups"
    folder.mkdir()
    backup(path, folder / "copy.db")
    assert len(synced) == 2
    assert synced[0].startswith(".copy.db")
    assert synced[1] == "backups"


# Turns


def test_who_writes_lets_nobody_else_begin(file: SQLiteFile, path: Path) -> None:
    with file.write(), closing(other(path)) as db, pytest.raises(sqlite3.OperationalError):
        db.execute("begin immediate")


def test_processes_write_and_open_in_turn(file: SQLiteFile, path: Path) -> None:
    def write() -> None:
        with file.write() as db:
            db.execute("insert into meta values ('k', '')")

    turn = FileLock(f"{path}-lock")
    assert turn.acquire(0)
    waits(write, free=turn.release)
    assert turn.acquire(5), "it was given back"
    waits(lambda: SQLiteFile(path).close(), free=turn.release)
    assert turn.acquire(5)
    waits(lambda: FileLock(f"{path}-lock").acquire(20), free=turn.release)


@pytest.mark.parametrize("upkeep", [SQLiteStore.checkpoint, SQLiteStore.compact, SQLiteStore.close])
def test_upkeep_and_notes_have_the_turn(
    path: Path, upkeep: Callable[[SQLiteStore], object]
) -> None:
    entry = Entry("o", Observation(session_id="s"), AT)
    turn = FileLock(f"{path}-lock")
    with closing(SQLiteStore(path)) as store:
        store.bind("test", 4)
        put(store, ANN)
        assert turn.acquire(0)
        assert not store.note(ANN, entry), "another process may be moving the log into the file"
        waits(lambda: upkeep(store), free=turn.release)


def test_a_note_and_a_write_of_one_process_take_turns(file: SQLiteFile) -> None:
    def write() -> None:
        with file.write() as db:
            db.execute("insert into meta values ('k', '')")

    within, free = threading.Event(), threading.Event()

    def note() -> None:
        with file.aside():
            within.set()
            free.wait(30)

    thread = threading.Thread(target=note)
    thread.start()
    assert within.wait(30)
    waits(write, free=free.set)
    thread.join(30)
    with file.write(), pytest.raises(sqlite3.OperationalError, match="locked"), file.aside():
        pass


def test_two_who_note_erasures_do_so_in_turn(tmp_path: Path) -> None:
    held, noted = ErasureFile(tmp_path / "list"), list[bool]()
    time = "2026-01-01T00:00:00.000000+00:00"
    assert held.append("0" * 64, {b"a" * 32: time})
    with open(held.path, "rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        waits(
            lambda: noted.append(held.append("0" * 64, {b"b" * 32: time})),
            free=lambda: fcntl.flock(busy, fcntl.LOCK_UN),
        )
    assert noted == [True]


def test_keys_are_wrapped_anew_while_nobody_else_writes(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    told: list[str] = []

    def change(name: str, wrapped: bytes) -> bytes:
        with closing(other(path)) as db, pytest.raises(sqlite3.OperationalError, match="locked"):
            db.execute("begin immediate")
        told.append(name)
        return wrapped[::-1]

    with closing(KeyFile(path)) as ring:
        ring.put({"a": b"12"})
        assert ring.rewrap(change) == 1
        assert (told, ring.get("a")) == (["a"], b"21")


def test_a_new_key_ring_waits_for_another_who_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with closing(other(path, wait=5)) as db:
        db.execute("begin immediate")
        db.execute("create table t (a)")
        db.execute("drop table t")
        waits(lambda: KeyFile(path).close(), free=lambda: db.execute("commit"))


def test_a_note_waits_for_no_writer_and_is_dropped(path: Path) -> None:
    entry = Entry("o", Observation(session_id="s"), AT)
    with closing(SQLiteStore(path)) as store:
        store.bind("test", 4)
        put(store, ANN)
        with closing(other(path)) as db:
            db.execute("begin immediate")
            assert not store.note(ANN, entry)
        assert store.note(ANN, entry)


# Keys


def test_every_key_of_the_tables_is_kept(path: Path) -> None:
    SQLiteStore(path).close()
    with closing(other(path)) as db:
        tables = [r[0] for r in db.execute("select name from sqlite_master where type = 'table'")]
        found: set[tuple[str, ...]] = set()
        for table in tables:
            for row in db.execute(f"pragma index_list({table})").fetchall():
                columns = db.execute(f"pragma index_info({row[1]!r})").fetchall()
                if row[2]:
                    found.add((table, *(column[2] for column in columns)))
    assert {key for key in found if len(key) > 2} == {
        ("users", "tenant", "ext_id"),
        ("events", "uid", "seq"),
        ("events", "uid", "key"),
        ("cards", "uid", "card_id"),
        ("cards", "uid", "rule_hash"),
        ("retired", "uid", "card_id"),
        ("interactions", "uid", "seq"),
        ("interactions", "uid", "key"),
        ("edits", "uid", "seq"),
        ("edits", "uid", "key"),
    }


@pytest.mark.parametrize("table", ["keys", "drops"])
def test_a_name_of_a_key_is_there_once(tmp_path: Path, table: str) -> None:
    path = tmp_path / "keys"
    with closing(KeyFile(path)) as ring:
        ring.put({"a": b"1"})
        ring.drop(["a"])
        ring.drop(["a"])
        assert ring.dropped() == ((1, "a"),)
        assert not ring.put({"a": b"2"})
    values = "(key_id, wrapped) values ('a', x'00')" if table == "keys" else "(key_id) values ('a')"
    with closing(other(path)) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute(f"insert into {table} {values}")  # fixed texts


# Whose it is


def test_a_job_is_finished_for_its_own_user_alone(path: Path) -> None:
    with closing(SQLiteStore(path)) as store:
        store.bind("test", 4)
        for user in (ANN, BOB):
            put(store, user)
        job = Job(ANN, "s", (Turn("t", "user", "hello"),), ("t",), AT, AT)
        store.jobs.put(job, most=9, most_of_user=9)
        (held,) = store.jobs.of(ANN)
        with store.write(BOB) as transaction:
            assert not transaction.finish(held)
        assert store.jobs.of(ANN) == (held,)


def test_dead_jobs_come_back_for_their_own_user_alone(path: Path) -> None:
    with closing(SQLiteStore(path)) as store:
        store.bind("test", 4)
        for user in (ANN, BOB):
            job = Job(user, "s", (Turn("t", "user", "hello"),), ("t",), AT, AT)
            store.jobs.put(job, most=9, most_of_user=9)
        later = AT + timedelta(minutes=1)
        for held in store.jobs.lease("w", now=AT, until=later, most=9):
            store.jobs.bury(held, "w", at=AT, error="E")
        assert store.jobs.revive(ANN) == 1
        assert [[job.dead for job in store.jobs.of(user)] for user in (ANN, BOB)] == [
            [False],
            [True],
        ]


def test_each_user_has_a_revision_of_their_own(path: Path) -> None:
    with closing(SQLiteStore(path)) as store:
        store.bind("test", 4)
        for user in (ANN, BOB):
            put(store, user)
        assert store.revision(ANN) != store.revision(BOB)
        with store.write(BOB) as transaction:
            assert transaction.revision() == store.revision(BOB)


def put(store: SQLiteStore, user: UserKey) -> None:
    card = Card("a", user.user_id, Preference("", "be brief"), "active", "said", "s", AT, AT)
    with store.write(user) as transaction:
        transaction.record(Event("k", "learn", (Change("add", card),), AT), {"a": EAST})
