"""A copy is whole or not there, and what comes of it holds nobody who was erased since."""

import os
import shutil
import signal
import sqlite3
import sys
import threading
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prefmem import InputError, PreferenceMemory
from prefmem.errors import StoreUnavailableError, StoreVersionError
from prefmem.stores.backup import backup, restore
from prefmem.stores.erasures import ErasureFile
from prefmem.stores.migrations import MIGRATIONS
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

Open = Callable[..., PreferenceMemory]
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prefs.db"


def tell(memory: PreferenceMemory, *users: str) -> None:
    for user in users:
        memory.learn([("user", f"Always greet {user}.")], user_id=user)


def held(path: Path) -> tuple[str, ...]:
    store = SQLiteStore(path)
    found = store.users()
    store.close()
    return found


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_a_copy_of_a_file_in_use_is_as_it_was_at_one_moment(
    open_memory: Open, path: Path, tmp_path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            memory.add("", f"rule {number}", user_id="ann")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = [backup(path, tmp_path / f"copy{n}.db") for n in range(5)]
    finally:
        stop.set()
        writer.join()
    for one in done:
        assert one.counts["cards"] == one.counts["events"]  # each write made one of both
        with open_memory(store=SQLiteStore(one.path)) as copy:
            assert len(copy.list(user_id="ann")) == one.counts["cards"]
        assert os.stat(one.path).st_mode & 0o777 == 0o600
    assert done[0].schema == len(MIGRATIONS)
    assert not any(name.startswith(".") for name in names(tmp_path))


def test_a_copy_is_one_file_for_any_place(open_memory: Open, path: Path, tmp_path: Path) -> None:
    memory = open_memory()
    tell(memory, "ann")
    memory.forget_user(user_id="ann")
    (tmp_path / "away").mkdir()
    backup(path, tmp_path / "away" / "copy.db")
    assert names(tmp_path / "away") == {"copy.db"}


def test_nothing_is_overwritten_unasked(open_memory: Open, path: Path, tmp_path: Path) -> None:
    tell(open_memory(), "ann")
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already"):
        backup(path, copy)
    assert copy.read_bytes() == b"mine"
    backup(path, copy, replace=True)
    assert held(copy) == ("ann",)
    with pytest.raises(InputError, match="is there already"):
        restore(copy, path, at=AT)
    with pytest.raises(InputError, match="onto itself"):
        backup(path, path, replace=True)
    with pytest.raises(InputError, match="there is no file"):
        backup(tmp_path / "nope.db", tmp_path / "new.db")
    with pytest.raises(InputError, match="there is no folder"):
        backup(path, tmp_path / "nope" / "new.db")


def test_what_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    other, text = tmp_path / "other.db", tmp_path / "text.db"
    with sqlite3.connect(other) as db:
        db.execute("create table mine (x)")
    db.close()
    text.write_bytes(b"no database at all, and long enough to be looked at" * 40)
    newer = tmp_path / "newer.db"
    SQLiteStore(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    db.close()
    for source, error in (
        (other, StoreVersionError), (newer, StoreVersionError), (text, StoreUnavailableError),
    ):  # fmt: skip
        with pytest.raises(error):
            backup(source, tmp_path / "copy.db")
        with pytest.raises(error):
            restore(source, tmp_path / "copy.db", at=AT)
        assert not (tmp_path / "copy.db").exists()


def test_a_damaged_backup_replaces_nothing(open_memory: Open, path: Path, tmp_path: Path) -> None:
    memory = open_memory()
    for number in range(60):
        memory.add("", f"rule {number} {'x' * 150}", user_id="ann")
    memory.close()
    copy = tmp_path / "copy.db"
    backup(path, copy)
    data = bytearray(copy.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = b"\x07" * 8192
    copy.write_bytes(data)
    with pytest.raises(StoreUnavailableError, match=r"damaged|malformed"):
        restore(copy, path, replace=True, at=AT)
    assert len(open_memory().list(user_id="ann")) == 60


@pytest.mark.parametrize("lost", [False, True])
def test_who_was_erased_since_a_backup_is_not_in_what_comes_of_it(
    open_memory: Open, path: Path, tmp_path: Path, *, lost: bool
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob", "cid")
    copy = tmp_path / "copy.db"
    backup(path, copy)
    memory.forget_users(["ann", "cid"])
    tell(memory, "cid")  # back by own will, but not in the backup
    memory.close()
    if lost:
        path.unlink()
    done = restore(copy, path, replace=not lost, actor="op", at=AT)
    assert (done.erased, done.counts["users"]) == (2, 1)
    assert str(path.with_name("prefs.db-erased")) in done.lists
    assert b"greet ann" not in path.read_bytes().lower()
    assert held(path) == ("bob",)
    store = SQLiteStore(path)
    assert [(act.actor, act.action, act.n) for act in store.acts()][-1] == ("op", "restore", 2)
    assert [act.action for act in store.acts(UserKey("ann"))] == ["replay"]
    store.close()
    assert not any(name.startswith(".") for name in names(tmp_path))


def test_lists_come_from_the_file_that_is_replaced_and_from_elsewhere(
    open_memory: Open, path: Path, tmp_path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob", "cid", "dan")
    copy, aside = tmp_path / "copy.db", tmp_path / "list"
    backup(path, copy)
    memory.forget_user(user_id="ann")
    memory.close()
    store = SQLiteStore(path)
    ErasureFile(aside).write(store.erased())
    store.forget_user(UserKey("bob"))
    store.close()
    path.with_name("prefs.db-erased").unlink()

    one = restore(copy, tmp_path / "one.db", lists=[aside], at=AT)
    assert held(tmp_path / "one.db") == ("bob", "cid", "dan")
    assert one.lists == (str(aside),)
    assert restore(copy, tmp_path / "two.db", at=AT).lists == ()
    assert held(tmp_path / "two.db") == ("ann", "bob", "cid", "dan")
    assert restore(copy, path, replace=True, at=AT).erased == 2
    assert held(path) == ("cid", "dan")
    with pytest.raises(InputError, match="cannot read"):
        restore(copy, path, replace=True, lists=[tmp_path / "nope"], at=AT)
    with pytest.raises(InputError, match="no list of erasures"):
        restore(copy, path, replace=True, lists=[copy], at=AT)


def test_a_file_that_is_in_use_is_not_replaced(
    open_memory: Open, path: Path, tmp_path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann")
    copy = tmp_path / "copy.db"
    backup(path, copy)
    tell(memory, "bob")
    with pytest.raises(StoreUnavailableError, match="open in another process"):
        restore(copy, path, replace=True, at=AT)
    assert len(memory.list(user_id="bob")) == 1
    memory.close()
    restore(copy, path, replace=True, at=AT)
    assert held(path) == ("ann",)


def test_a_damaged_file_is_replaced_with_its_list(
    open_memory: Open, path: Path, tmp_path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    copy = tmp_path / "copy.db"
    backup(path, copy)
    memory.forget_user(user_id="ann")
    memory.close()
    path.write_bytes(b"\x00" * 5000)
    path.with_name("prefs.db-wal").write_bytes(b"\x01" * 5000)
    assert restore(copy, path, replace=True, at=AT).erased == 1
    assert held(path) == ("bob",)


def test_bytes_that_an_erasure_left_are_not_copied(
    open_memory: Open, path: Path, tmp_path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann", "zebra")
    reader = sqlite3.connect(path)
    reader.execute("begin")
    reader.execute("select count(*) from cards").fetchone()
    receipt = memory.forget_user(user_id="zebra")
    assert (receipt.checkpointed, receipt.busy) == (False, True)
    copy = tmp_path / "copy.db"
    backup(path, copy)
    reader.close()
    assert b"zebra" not in copy.read_bytes().lower()
    assert b"greet ann" in copy.read_bytes().lower()


def test_what_a_killed_run_left_is_cleared(open_memory: Open, path: Path, tmp_path: Path) -> None:
    tell(open_memory(), "ann")
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal", "-erased"):
        shutil.copy(path, tmp_path / f".copy.db.prefmem-partial{suffix}")
    backup(path, copy)
    assert held(copy) == ("ann",)
    assert not any(name.startswith(".") for name in names(tmp_path))


# Killed on the way


def killed_at(place: int, work: Callable[[], object]) -> bool:
    """Do something in a process that dies before it touches the disk for the n-th time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries do nothing here
        pid = os.fork()
    if pid == 0:
        left = place

        def look(event: str, given: object) -> None:
            nonlocal left
            del given
            if event in {"open", "os.rename", "os.remove", "os.truncate", "sqlite3.connect"}:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)
        try:
            work()
        except BaseException:  # noqa: BLE001  # the end of this process
            os._exit(1)
        os._exit(0)
    ended = os.waitpid(pid, 0)[1]
    assert ended in (0, signal.SIGKILL)
    return ended == signal.SIGKILL


@pytest.mark.parametrize("replaced", [False, True])
def test_a_restore_that_is_killed_brings_nobody_back(
    open_memory: Open, path: Path, tmp_path: Path, *, replaced: bool
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    copy = tmp_path / "away" / "copy.db"
    copy.parent.mkdir()
    backup(path, copy)
    memory.forget_user(user_id="ann")
    tell(memory, "cid")
    memory.close()
    if not replaced:
        path.unlink()
    before = {file.name: file.read_bytes() for file in tmp_path.glob("prefs.db*")}
    place, seen = 0, set[tuple[str, ...]]()
    while killed_at(place, lambda: restore(copy, path, replace=replaced, at=AT)):
        if path.exists():
            seen.add(held(path))
            with open_memory() as memory:
                assert memory.list(user_id="ann") == ()
        else:
            seen.add(())
        restore(copy, path, replace=path.exists(), at=AT)
        assert held(path) == ("bob",)
        for file in tmp_path.glob("*prefs.db*"):
            file.unlink()
        for name, data in before.items():
            (tmp_path / name).write_bytes(data)
        place += 1
    assert place > 10
    assert seen == {("bob", "cid") if replaced else (), ("bob",)}


def test_an_opening_that_is_killed_while_it_erases_again_ends_with_the_next(
    open_memory: Open, path: Path, tmp_path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    copy = tmp_path / "copy.db"
    backup(path, copy)
    memory.forget_user(user_id="ann")
    memory.close()
    listed = path.with_name("prefs.db-erased").read_bytes()
    place = 0
    while True:
        for file in tmp_path.glob("prefs.db*"):
            file.unlink()
        shutil.copy(copy, path)
        path.with_name("prefs.db-erased").write_bytes(listed)
        killed = killed_at(place, lambda: SQLiteStore(path))
        assert held(path) == ("bob",)
        assert path.with_name("prefs.db-erased").read_bytes() == listed
        if not killed:
            break
        place += 1
    assert place > 3
