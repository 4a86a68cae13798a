"""A lock on a file, by which processes take turns."""

import os
import threading
from contextlib import suppress
from time import monotonic, sleep

try:
    import fcntl
except ImportError:  # Windows: SQLite's own lock is enough, and less fair
    fcntl = None  # type: ignore[assignment]

_SHORT = 1.0  # seconds that are not worth a thread
_PAUSE = 0.002


class FileLock:
    """An exclusive lock that the system takes away from a process that dies.

    SQLite's own waiting is a poll that grows slower, which lets one process starve others; here
    whoever waits sleeps until it is its turn. Where the file cannot be made there is no lock, and
    SQLite's own decides.

    Args:
        path: The file; it is made if missing, holds nothing, and stays.
    """

    def __init__(self, path: str) -> None:
        """Make no file yet."""
        self._path = path
        self._file = -1

    def acquire(self, timeout: float) -> bool:
        """Take the lock; False where another process has kept it for `timeout` seconds."""
        if fcntl is None:
            return True
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError:  # a folder that cannot be written: the database cannot, either
                return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._wait(timeout) if timeout > _SHORT else self._poll(timeout)
        except OSError:  # a file system without locks
            pass
        return True

    def release(self) -> None:
        """Let another process have it."""
        if fcntl is not None and self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it up for good; another `acquire` opens the file again."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _poll(self, timeout: float) -> bool:
        """Look again until the time is up; who waits so has nothing to lose, and leaves nothing."""
        assert fcntl is not None
        until = monotonic() + timeout
        while (left := until - monotonic()) > 0:
            sleep(min(_PAUSE, left))
            with suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        return False

    def _wait(self, timeout: float) -> bool:
        """Sleep for the lock on a thread that may be left behind."""
        file, taken, deciding = self._file, threading.Event(), threading.Lock()
        left: list[bool] = []

        def wait() -> None:
            assert fcntl is not None
            fcntl.flock(file, fcntl.LOCK_EX)
            with deciding:
                if left:
                    os.close(file)
                else:
                    taken.set()

        threading.Thread(target=wait, name="prefmem-turn", daemon=True).start()
        if taken.wait(timeout):
            return True
        with deciding:
            if taken.is_set():
                return True
            left.append(True)
            self._file = -1  # the thread closes it
        return False
