"""The parent's side of a worker: a real process, told by lines of JSON, and killed."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Worker:
    """A process that tells what it has done, a line of JSON each, flushed after the call returned.

    Its errors go where ours go. Leaving the context kills what still runs.

    Args:
        command: What is started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start it."""
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def next(self) -> Any:  # noqa: ANN401  # JSON data
        """Wait for the next thing that is told; None where the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None  # a kill may cut a line

    def all(self) -> Iterator[Any]:
        """Give what is told until the process ends."""
        while (found := self.next()) is not None:
            yield found

    def say(self, data: object) -> None:
        """Send a line to a worker that listens."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(data).encode() + b"\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kill it with -9."""
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, in seconds; gives the exit code, or minus the signal."""
        return self._process.wait(timeout)

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it for good."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent
                    pipe.close()
