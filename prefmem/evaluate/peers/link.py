"""The way to a driver: a process of the peer's environment, asked in JSON lines."""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Reply: TypeAlias = dict[str, Any]
_MINUTES = 60.0
_ENDING = 20.0  # seconds that a driver has to end by itself


class Link(Protocol):
    """A driver at work."""

    def start(self, **request: object) -> None:
        """Ask for something, and wait for nothing."""
        ...

    def told(self) -> Iterator[Reply]:
        """Give the lines of the reply to what was asked, as they come.

        A driver that died, or took too long, gives a line with `error` as the last one.
        """
        ...

    def ask(self, **request: object) -> Reply:
        """Ask, and give the last line of the reply."""
        ...

    def kill(self) -> None:
        """End the process at once, as `kill -9` does."""
        ...

    def end(self) -> None:
        """Let the process end by itself."""
        ...


class ProcessLink:
    """A driver in a process of its own.

    Args:
        python: The environment's interpreter.
        script: The driver.
        args: Its arguments.
        folder: Working directory, and HOME, so that nothing is written elsewhere.
        seconds: How long a reply may take.
    """

    def __init__(
        self, python: Path, script: Path, args: Sequence[str], folder: Path,
        *, seconds: float = 10 * _MINUTES,
    ) -> None:  # fmt: skip
        """Start it."""
        self._seconds = seconds
        self._process = subprocess.Popen(
            [str(python), str(script), *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment(folder), cwd=folder, start_new_session=True,
        )  # fmt: skip
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, **request: object) -> None:
        """Ask for something, and wait for nothing."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it died; `told` says so
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def told(self) -> Iterator[Reply]:
        """Give the lines of the reply, as they come."""
        while True:
            try:
                line = self._lines.get(timeout=self._seconds)
            except queue.Empty:
                self.kill()
                yield {"error": f"no answer in {self._seconds:.0f} s"}
                return
            if line is None:
                self._lines.put(None)
                yield {"error": f"the process died ({self._process.wait()})"}
                return
            if not line.strip():
                return
            told: Reply = json.loads(line)
            yield told

    def ask(self, **request: object) -> Reply:
        """Ask, and give the last line of the reply."""
        self.start(**request)
        last: Reply = {}
        for last in self.told():  # noqa: B007  # the last one is wanted
            pass
        return last

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close()
        self._reader.join()

    def end(self) -> None:
        """Let the process end by itself; kill it where it does not."""
        self._close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it died before it had read everything
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # a torn one was not acknowledged
                    self._lines.put(line)
        self._lines.put(None)


def environment(folder: Path) -> Mapping[str, str]:
    """Give the environment of a driver: one thread for products of matrices, and no network."""
    outside = os.environ  # noqa: TID251  # four names that any process needs
    kept = {name: outside[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in outside}
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **single, "HOME": str(folder), "HF_HUB_OFFLINE": "1"}
