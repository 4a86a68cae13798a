"""A log that lost acknowledged commits is named, and one that a crash cut off is not."""

import shutil
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prefmem.errors import StoreUnavailableError
from prefmem.stores.logmark import LogMark, _sum  # pyright: ignore[reportPrivateUsage]  # frames as SQLite makes them
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import Event, UserKey

ANN, AT = UserKey("ann"), datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 8192 + 24  # bytes of a frame


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """Give a file as a process leaves it that was killed after five commits."""
    folder, copy = tmp_path / "live", tmp_path / "crashed"
    folder.mkdir()
    copy.mkdir()
    store = SQLiteStore(folder / "a.db")
    store.checkpoint()
    for number in range(5):
        write(store, number)
    for file in folder.iterdir():
        shutil.copy(file, copy / file.name)
    store.close()
    return copy / "a.db"


def write(store: SQLiteStore, number: int) -> None:
    with store.write(ANN) as transaction:
        transaction.record(Event(f"k{number}", "forget", (), AT), {})


def keys(path: Path) -> list[str]:
    store = SQLiteStore(path)
    try:
        return [event.key for event in store.events(ANN)]
    finally:
        store.close()


def log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def test_what_was_committed_is_there_after_a_crash(crashed: Path) -> None:
    assert keys(crashed) == ["k0", "k1", "k2", "k3", "k4"]


def test_half_a_frame_behind_the_last_commit_is_a_crash(crashed: Path) -> None:
    with log(crashed).open("ab") as file:
        file.write(bytes(1_000))
    assert keys(crashed) == ["k0", "k1", "k2", "k3", "k4"]


@pytest.mark.parametrize("place", [5, 32 + 100, 32 + PAGE + 8, -100])
def test_a_bit_that_flips_in_the_log_is_named(crashed: Path, place: int) -> None:
    data = bytearray(log(crashed).read_bytes())
    data[place] ^= 4
    log(crashed).write_bytes(data)
    for _ in range(2):  # not only the first time
        with pytest.raises(StoreUnavailableError, match=r"a\.db-wal was damaged.*restore a backup"):
            SQLiteStore(crashed)


def test_a_log_that_is_cut_is_named_and_can_be_left_behind(crashed: Path) -> None:
    data = log(crashed).read_bytes()
    log(crashed).write_bytes(data[: len(data) - PAGE])
    with pytest.raises(StoreUnavailableError, match="what was acknowledged last is not in it"):
        SQLiteStore(crashed)
    crashed.with_name("a.db-lock").unlink()
    assert keys(crashed) == ["k0", "k1", "k2", "k3"]


def test_a_log_that_was_emptied_or_begun_anew_is_no_damage(crashed: Path) -> None:
    one, other = SQLiteStore(crashed), SQLiteStore(crashed)
    one.checkpoint()
    write(other, 5)
    write(one, 6)
    held = one.events(ANN)
    other.close()
    one.close()
    assert [event.key for event in held] == keys(crashed) == [f"k{n}" for n in range(7)]


def test_a_file_without_a_mark_is_opened(crashed: Path) -> None:
    crashed.with_name("a.db-lock").write_bytes(b"")
    assert len(keys(crashed)) == 5


def frames(data: bytes) -> int:
    return (len(data) - 32) // PAGE


def rechained(data: bytes, added: bytes) -> bytes:
    """Give frames behind a log with the checksums that they would have there."""
    done = data
    for start in range(0, len(added), PAGE):
        frame = added[start : start + PAGE]
        before = struct.unpack(">2I", done[-PAGE + 16 : -PAGE + 24])
        sums = _sum(frame[:8] + frame[24:], data[:32], before)
        done += frame[:16] + struct.pack(">2I", *sums) + frame[24:]
    return done[len(data) :]


def test_what_a_killed_writer_left_behind_the_last_commit_does_not_count(
    crashed: Path, tmp_path: Path
) -> None:
    whole, beside = log(crashed).read_bytes(), tmp_path / "mark"
    commit = whole[-3 * PAGE :]
    left = rechained(whole, whole[32 : 32 + 2 * PAGE] + commit)  # before SQLite counted it
    shorter = rechained(whole, commit)
    for behind in (left[3 * PAGE :], left[3 * PAGE :] + left[4 * PAGE :], b""):
        early, late = (LogMark(str(crashed), str(beside)) for _ in range(2))
        log(crashed).write_bytes(whole)
        early.put()
        log(crashed).write_bytes(whole + shorter + behind)
        for mark in (early, late):
            mark.put()
            told = struct.unpack("<I", beside.read_bytes()[-4:])
            assert told == (frames(whole + shorter),)


def test_commits_of_others_count(crashed: Path) -> None:
    store, beside = SQLiteStore(crashed), crashed.with_name("mark")
    late = LogMark(str(crashed), str(beside))
    late.put()
    for number in range(5, 9):
        write(store, number)
        with store._file.aside() as db:  # pyright: ignore[reportPrivateUsage]  # as a note does
            db.execute("update users set steps = steps + 1")
    write(store, 9)
    late.put()
    assert beside.read_bytes() == crashed.with_name("a.db-lock").read_bytes()
    store.close()
