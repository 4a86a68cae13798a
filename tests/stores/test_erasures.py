"""Who was erased stays away, whatever copy of the file is put back, and comes back by own will."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prefmem import InputError, PreferenceMemory
from prefmem.errors import StoreUnavailableError
from prefmem.stores.audit import token_of
from prefmem.stores.erasures import Erased, ErasureFile, joined, next_time
from prefmem.stores.migrations import MIGRATIONS
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

Open = Callable[..., PreferenceMemory]
AT = datetime(2026, 1, 1, tzinfo=UTC)
A, B = b"a" * 32, b"b" * 32
EARLY, LATE = "2026-01-01T00:00:00.000000+00:00", "2026-01-01T00:00:00.000001+00:00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prefs.db"


def beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-erased")


def tell(memory: PreferenceMemory, *users: str) -> None:
    for user in users:
        memory.learn([("user", f"Always greet {user}.")], user_id=user)


def users(memory: PreferenceMemory, *names: str) -> list[str]:
    return [name for name in names if memory.list(user_id=name)]


def put_back(copy: Path, path: Path) -> None:
    """Put a copy in a file's place as an operator would who knows of no command."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, path)


def test_a_copy_that_is_put_back_by_hand_brings_nobody_back(
    open_memory: Open, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob", "cid")
    memory.close()
    copy = Path(shutil.copy(path, tmp_path / "copy.db"))
    memory = open_memory()
    assert memory.forget_user(user_id="ann").listed
    assert memory.forget_users(["cid", "dan"]).listed
    memory.close()
    put_back(copy, path)

    memory = open_memory()
    assert users(memory, "ann", "bob", "cid") == ["bob"]
    assert memory.recall("hello", user_id="ann").rules == ()
    assert "2 users had been erased" in caplog.text
    memory.close()
    assert b"greet ann" not in path.read_bytes().lower()
    assert users(open_memory(), "ann", "bob", "cid") == ["bob"]


def test_who_comes_back_stays(open_memory: Open, path: Path, tmp_path: Path) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    memory.forget_user(user_id="ann")
    tell(memory, "ann")
    memory.close()
    copy = Path(shutil.copy(path, tmp_path / "copy.db"))
    for _ in range(2):  # what is in the file and in the list beside it is the same
        memory = open_memory()
        assert users(memory, "ann", "bob") == ["ann", "bob"]
        memory.close()

    memory = open_memory()
    memory.forget_user(user_id="ann")  # again, by a clock that has gone back
    memory.close()
    put_back(copy, path)
    memory = open_memory()
    assert users(memory, "ann", "bob") == ["bob"]
    tell(memory, "ann")
    memory.close()
    assert users(open_memory(), "ann", "bob") == ["ann", "bob"]


def test_a_list_that_was_lost_is_written_again(open_memory: Open, path: Path) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    memory.forget_user(user_id="ann")
    before = beside(path).read_bytes()
    beside(path).unlink()
    memory.close()
    open_memory().close()
    assert beside(path).read_bytes() == before
    assert b"ann" not in before
    assert beside(path).stat().st_mode & 0o777 == 0o600


def test_an_erasure_that_cannot_be_listed_says_so(
    open_memory: Open, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    beside(path).mkdir()
    receipt = memory.forget_user(user_id="ann")
    assert (receipt.cards, receipt.listed) == (1, False)
    assert "could not be written" in caplog.text
    memory.close()
    with pytest.raises(StoreUnavailableError, match="cannot read the list of erasures"):
        open_memory()
    beside(path).rmdir()
    memory = open_memory()  # which writes it again
    assert users(memory, "ann", "bob") == ["bob"]
    assert ErasureFile(beside(path)).read() is not None


def test_in_memory_there_is_no_list(open_memory: Open) -> None:
    memory = open_memory(store=SQLiteStore(":memory:"))
    tell(memory, "ann")
    assert not memory.forget_user(user_id="ann").listed


def test_a_file_from_before_there_were_lists_takes_the_lists_key(
    open_memory: Open, path: Path
) -> None:
    memory = open_memory()
    tell(memory, "ann")
    memory.forget_user(user_id="ann")
    memory.close()
    path.unlink()
    with sqlite3.connect(path) as db:
        for step in MIGRATIONS[:6]:
            db.executescript(step)
        db.execute("pragma user_version = 6")
        db.execute(f"pragma application_id = {0x7072656D}")
        db.execute("insert into users (tenant, ext_id) values ('', 'ann'), ('', 'bob')")
    db.close()
    store = SQLiteStore(path)
    assert store.users() == ("bob",)
    listed = ErasureFile(beside(path)).read()
    assert listed is not None
    assert store.erased().secret == listed.secret
    store.close()
    assert SQLiteStore(path).users() == ("bob",)


def test_a_list_of_another_file_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    for path in (one, two):
        store = SQLiteStore(path)
        store.forget_user(UserKey("ann"))
        store.close()
    shutil.copy(beside(one), beside(two))
    with pytest.raises(StoreUnavailableError, match="belongs to another database"):
        SQLiteStore(two)


def test_a_new_file_beside_an_old_list_takes_it_over(tmp_path: Path) -> None:
    path = tmp_path / "prefs.db"
    store = SQLiteStore(path)
    store.forget_user(UserKey("ann"))
    told = store.erased()
    store.close()
    path.unlink()
    store = SQLiteStore(path)
    assert (store.erased().secret, dict(store.erased().times)) == (told.secret, dict(told.times))
    with store.write(UserKey("ann")):
        pass
    store.close()
    again = SQLiteStore(path)
    assert again.users() == ("ann",)
    again.close()


# The list itself


def test_a_list_reads_back_and_a_cut_line_counts_as_none(tmp_path: Path) -> None:
    file = ErasureFile(tmp_path / "list")
    assert file.read() is None
    assert file.append("key", {A: EARLY, B: EARLY})
    assert file.append("key", {A: LATE})
    listed = file.read()
    assert listed is not None
    assert (listed.secret, dict(listed.times)) == ("key", {A: LATE, B: EARLY})
    whole = file.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    start = len(whole) - len(lines[-1])
    for end in range(start, len(whole)):
        file.path.write_bytes(whole[:end])
        cut = file.read()
        assert cut is not None
        assert dict(cut.times) == {A: EARLY, B: EARLY}
        assert file.append("key", {A: LATE})
        assert file.path.read_bytes() == whole
    for end in range(len(lines[0])):  # a crash while it was made
        file.path.write_bytes(whole[:end])
        assert file.read() is None
        assert file.append("key", {A: EARLY, B: EARLY})
        assert file.append("key", {A: LATE})
        assert file.path.read_bytes() == whole


def test_any_damaged_byte_of_a_whole_line_is_noticed(tmp_path: Path) -> None:
    file = ErasureFile(tmp_path / "list")
    file.append("key", {A: EARLY})
    file.append("key", {B: EARLY})
    whole = file.path.read_bytes()
    end = whole.rindex(b"\n", 0, len(whole) - 1)  # of the last line but one
    for place in range(end):
        file.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreUnavailableError):
            file.read()


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"\n", b"prefmem erasures 2 key 0\n", b"{}", b"\xff\xfe\n"):
        with pytest.raises(InputError, match="no list of erasures"):
            Erased.read(data, "list")
    file = ErasureFile(tmp_path / "list")
    file.path.write_bytes(b"shopping\n")
    with pytest.raises(StoreUnavailableError, match="move the file away"):
        file.read()


def test_two_lists_make_one_by_the_later_time() -> None:
    one, two = Erased("k", {A: LATE, B: EARLY}), Erased("k", {A: EARLY, B: LATE})
    (both,) = joined([one, two])
    assert dict(both.times) == {A: LATE, B: LATE}
    assert len(joined([one, Erased("l", {A: EARLY})])) == 2
    assert dict(both.later_than({A: EARLY, B: LATE})) == {A: LATE}


def test_the_time_of_an_erasure_only_grows() -> None:
    first = next_time(AT, None)
    assert first == EARLY
    assert next_time(AT - timedelta(days=1), first) == LATE
    assert next_time(AT + timedelta(days=1), first) == "2026-01-02T00:00:00.000000+00:00"


def test_a_name_tells_users_and_tenants_apart() -> None:
    names = {
        token_of(key, user)
        for key in ("k", "l")
        for user in (UserKey("ann"), UserKey("bob"), UserKey("ann", "t"), UserKey("nn", "a"))
    }
    assert len(names) == 8


def test_a_list_is_replayed_on_another_store(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    tell(memory, "ann", "bob")
    memory.forget_user(user_id="ann")
    memory.close()
    store = SQLiteStore(tmp_path / "prefs.db")
    listed = store.erased()
    store.close()
    other = SQLiteStore(tmp_path / "other.db")  # another key: as of a database made apart
    with open_memory(store=other) as memory:
        tell(memory, "ann", "bob")
        assert other.replay_erasures(listed, actor="op", at=AT) == 1
        assert users(memory, "ann", "bob") == ["bob"]
        tell(memory, "ann")
        assert other.replay_erasures(listed, actor="op", at=AT) == 0
        assert users(memory, "ann", "bob") == ["ann", "bob"]
        assert [(act.action, act.n) for act in other.acts(UserKey("ann"))] == [("replay", 1)]
