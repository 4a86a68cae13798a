"""Transactions of threads share commits, and processes take turns: nobody is told too early."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from prefmem.errors import StoreError, StoreUnavailableError
from prefmem.stores.filelock import FileLock
from prefmem.stores.sqlitefile import SQLiteFile

_INSERT = "insert into meta values (?, ?)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prefs.db"


@pytest.fixture
def file(path: Path) -> Iterator[SQLiteFile]:
    opened = SQLiteFile(path)
    yield opened
    opened.close()


def rows(file: SQLiteFile) -> set[str]:
    found = file.read(lambda db: db.execute("select key from meta").fetchall())
    return {row[0] for row in found if row[0].startswith("k")}


def together(file: SQLiteFile, *works: Callable[[sqlite3.Connection], object]) -> list[object]:
    """Run each in a transaction of a thread of its own; all wait before the first one ends."""
    outcomes: list[object] = [None] * len(works)
    inside, ended = threading.Event(), threading.Event()

    def run(number: int) -> None:
        try:
            with file.write() as db:
                works[number](db)
                if number == 0:
                    inside.set()
                    assert ended.wait(10)
            outcomes[number] = "acknowledged"
        except BaseException as error:  # noqa: BLE001  # what came out is what is looked at
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    threads[0].start()
    assert inside.wait(10)
    for thread in threads[1:]:
        thread.start()
    while file._queued < len(works) - 1:  # pyright: ignore[reportPrivateUsage]  # who waits
        os.sched_yield()
    ended.set()
    for thread in threads:
        thread.join(20)
    return outcomes


def inserts(key: str) -> Callable[[sqlite3.Connection], object]:
    return lambda db: db.execute(_INSERT, (key, ""))


def test_threads_that_wait_share_one_commit(file: SQLiteFile) -> None:
    commits: list[str] = []
    with file.alone() as db:
        db.set_trace_callback(lambda text: commits.append(text) if text == "commit" else None)
    outcomes = together(file, *(inserts(f"k{n}") for n in range(10)))
    with file.alone() as db:
        db.set_trace_callback(None)
    assert outcomes == ["acknowledged"] * 10
    assert rows(file) == {f"k{n}" for n in range(10)}
    assert commits == ["commit"]


def test_one_that_fails_undoes_itself_alone(file: SQLiteFile) -> None:
    def fail(db: sqlite3.Connection) -> None:
        db.execute(_INSERT, ("k1", ""))
        raise KeyError("mine")

    outcomes = together(file, inserts("k0"), fail, inserts("k2"))
    assert [type(outcome) for outcome in outcomes] == [str, KeyError, str]
    assert rows(file) == {"k0", "k2"}


def test_a_commit_that_fails_acknowledges_nobody(file: SQLiteFile) -> None:
    with file.alone() as db:
        pages = db.execute("pragma page_count").fetchone()[0]
        db.execute(f"pragma max_page_count = {pages}")

    def full(db: sqlite3.Connection) -> None:
        db.execute(_INSERT, ("k1", "x" * 100_000))

    outcomes = together(file, inserts("k0"), full, inserts("k2"))
    kept = {f"k{n}" for n, outcome in enumerate(outcomes) if outcome == "acknowledged"}
    assert rows(file) == kept  # whether the third came first or began anew
    assert [type(outcome) for outcome in outcomes[:2]] == [StoreUnavailableError] * 2
    with file.alone() as db:
        db.execute("pragma max_page_count = 100000")
    with file.write() as db:
        inserts("k3")(db)
    assert rows(file) == {*kept, "k3"}


def test_nobody_reads_what_is_not_committed(file: SQLiteFile) -> None:
    seen: Queue[set[str]] = Queue()
    with file.write() as db:
        inserts("k0")(db)
        reader = threading.Thread(target=lambda: seen.put(rows(file)))
        reader.start()
        reader.join(10)
        assert rows(file) == {"k0"}, "a transaction reads its own"
    assert seen.get(timeout=10) == set()
    assert rows(file) == {"k0"}


def test_upkeep_is_refused_within_a_transaction(file: SQLiteFile) -> None:
    with file.write() as db:
        inserts("k0")(db)
        with pytest.raises(StoreError, match="open already"), file.alone():
            pass
    assert rows(file) == {"k0"}


def test_processes_take_turns_and_a_dead_one_keeps_none(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    code = (
        "import sys, time; from prefmem.stores.filelock import FileLock\n"
        "lock = FileLock(sys.argv[1]); assert lock.acquire(5); print('mine', flush=True)\n"
        "time.sleep(60)"
    )
    lock = FileLock(str(path))
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        assert not lock.acquire(0.05)
        other.kill()
    assert lock.acquire(10)
    lock.release()
    assert lock.acquire(10)
    lock.close()


def test_a_lock_that_cannot_be_made_leaves_it_to_the_database(tmp_path: Path) -> None:
    lock = FileLock(str(tmp_path / "missing" / "turn"))
    assert lock.acquire(0.1)
    lock.release()
    lock.close()
