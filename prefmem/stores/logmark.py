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

    def look(self) -> None:
        """See how far the log reaches, before a commit of one who holds SQLite's lock."""
        self._scan(most=None)

    def put(self) -> None:
        """Write down how far the log reaches with that commit, which is on disk by now.

        What others, who wait for no disk, committed behind it may be lost with the power: it does
        not count. Nothing is written where a file cannot be used.
        """
        self._scan(most=1)
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

    def _scan(self, most: int | None) -> None:
        """Go on from the last known commit, over so many at most."""
        try:
            log = os.open(self._log, os.O_RDONLY)
        except OSError:
            return
        try:
            self._follow(log, most)
        finally:
            os.close(log)

    def _follow(self, log: int, most: int | None) -> None:
        head = os.pread(log, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            self._salts, self._frames = bytes(8), 0
            return
        size, salts = _HEAD.unpack(head)[2], _HEAD.unpack(head)[4]
        if salts != self._salts:
            self._salts, self._frames = salts, 0
        at, commits = self._frames, 0
        while most is None or commits < most:
            frame = os.pread(log, _FRAME.size, _HEAD.size + at * (_FRAME_BYTES + size))
            if len(frame) < _FRAME.size or _FRAME.unpack(frame)[2] != salts:
                return
            at += 1
            if _FRAME.unpack(frame)[1]:
                self._frames, commits = at, commits + 1


def _read(path: str, count: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError:
        return b""


def _sum(data: bytes, head: bytes) -> tuple[int, int]:
    """Give SQLite's checksum of the log's head."""
    order = ">" if head[3] & _BIG_ENDIAN else "<"
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    one = two = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
