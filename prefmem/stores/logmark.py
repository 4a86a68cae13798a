"""How far the write-ahead log reached with the last commit: what SQLite does not remember.

SQLite takes a damaged log for one that was cut off by a crash, and goes on with what comes before,
without a word: commits that were acknowledged are gone. So each commit writes down how many frames
the log has, after they are on disk, and opening compares.

The log may be read beside SQLite. The database and its `-shm` may not: closing them would take away
the locks that SQLite has on them.
"""

import os
import struct
from collections.abc import Callable
from contextlib import suppress

from prefmem.errors import StoreUnavailableError

_MARK = struct.Struct("<4s8sI")  # magic, salts of the log, frames
_MAGIC, _LOST = b"pfm1", b"pfm!"  # the second once something was found missing
_HEAD = struct.Struct(">4I8s2I")  # magic, version, bytes of a page, number, salts, checksum
_FRAME = struct.Struct(">2I8s")  # page, pages of the database where it commits or 0, salts
_FRAME_BYTES = 24
_SUMS = struct.Struct(">2I")  # checksum so far: the last bytes of the log's head and of a frame's
_BIG_ENDIAN = 1  # bit of the log's magic: words of its checksums


class LogMark:
    """Remembers how far the log of a database reaches.

    One thread at a time may use it, in a process that has the turn to write.

    Args:
        path: The database.
        beside: The file that keeps the mark, which is made if missing.
    """

    def __init__(self, path: str, beside: str) -> None:
        """Read nothing yet."""
        self._log, self._beside = f"{path}-wal", beside
        self._salts, self._frames = b"", 0

    def put(self) -> None:
        """Write down how far the log reaches, after a commit that is on disk by now.

        Whoever commits has the turn, so nothing lies behind it that nobody waited for. Nothing is
        written where a file cannot be used.
        """
        try:
            log = os.open(self._log, os.O_RDONLY)
        except OSError:
            return
        try:
            self._follow(log)
        finally:
            os.close(log)
        with suppress(OSError):
            self._write(_MARK.pack(_MAGIC, self._salts, self._frames))

    def check(self, frames_found: Callable[[], int]) -> None:
        """Compare with the frames that SQLite finds in the log.

        Args:
            frames_found: Gives the frames, by a checkpoint; the mark is read before.

        Raises:
            StoreUnavailableError: It found fewer than were there, or the log's head is damaged.
        """
        told = _read(self._beside, _MARK.size)
        recovered, head = frames_found(), _read(self._log, _HEAD.size)
        if len(told) < _MARK.size:
            return
        magic, salts, frames = _MARK.unpack(told)
        if magic == _LOST:
            raise self._damaged()
        if magic != _MAGIC or len(head) < _HEAD.size:
            return  # it is not ours, or the log was emptied
        whole = _sum(head[:24], head) == _HEAD.unpack(head)[-2:]
        if not whole or (salts == _HEAD.unpack(head)[4] and recovered < frames):
            with suppress(OSError):  # SQLite empties the log as it closes: the mark remembers
                self._write(_MARK.pack(_LOST, salts, frames))
            raise self._damaged()

    def _damaged(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self._log} was damaged: what was acknowledged last is not in it; restore a backup, "
            f"or remove {self._beside} to go on without"
        )

    def _write(self, mark: bytes) -> None:
        file = os.open(self._beside, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, mark, 0)
        finally:
            os.close(file)

    def _follow(self, log: int) -> None:
        """Go on from the last known commit to the last one that is whole.

        A writer that was killed before SQLite counted its frames leaves them: what is written over
        them may be shorter. Their rest ends like a commit, but does not go on from what is before.
        """
        head = os.pread(log, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            self._salts, self._frames = bytes(8), 0
            return
        size, salts = _HEAD.unpack(head)[2], _HEAD.unpack(head)[4]
        if salts != self._salts:
            self._salts, self._frames = salts, 0
        at, commits = self._frames, list[int]()
        while True:
            frame = os.pread(log, _FRAME.size, _HEAD.size + at * (_FRAME_BYTES + size))
            if len(frame) < _FRAME.size or _FRAME.unpack(frame)[2] != salts:
                break
            at += 1
            if _FRAME.unpack(frame)[1]:
                commits.append(at)
        while len(commits) > 1 and not _continues(log, commits[-2], size, head):
            commits.pop()
        if commits:
            self._frames = commits[-1]


def _read(path: str, count: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError:
        return b""


def _continues(log: int, at: int, size: int, head: bytes) -> bool:
    """Whether the checksum of the frame behind the first `at`, one or more, goes on from theirs."""
    length = _FRAME_BYTES + size
    place = _HEAD.size + at * length
    before = os.pread(log, _FRAME_BYTES, place - length)[-_SUMS.size :]
    frame = os.pread(log, length, place)
    if len(frame) < length:
        return False
    found = _sum(frame[:8] + frame[_FRAME_BYTES:], head, _SUMS.unpack(before))
    return found == _SUMS.unpack(frame[_FRAME_BYTES - _SUMS.size : _FRAME_BYTES])


def _sum(data: bytes, head: bytes, before: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Go on with SQLite's checksum, in the order of bytes that the log's head tells."""
    order = ">" if head[3] & _BIG_ENDIAN else "<"
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    one, two = before
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
