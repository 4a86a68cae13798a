"""The parent's side of workers: real processes that tell lines of JSON, and that are killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

_MODULE = (sys.executable, "-m", "prefmem.selftest.worker")


class Worker:
    """A process that tells what it has done, a line of JSON each, flushed after the call returned.

    Its errors go where ours go. Leaving the context kills what still runs.

    Args:
        role: What it does, `module.function` of this package.
        args: What that is given, plain JSON data.
        options: What stands before the role on its command line.
    """

    def __init__(self, role: str, args: object, options: Sequence[str] = ()) -> None:
        """Start it."""
        command = [*_MODULE, *options, role, json.dumps(args)]
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


class Nest:
    """A process that has imported everything and forks workers, one at a time, within milliseconds.

    For faults that kill a thousand of them. Leaving the context ends it.
    """

    def __init__(self) -> None:
        """Start it; the first worker waits until it is ready."""
        self._process = Worker("worker.nest", {})
        self._pid: int | None = None

    def work(self, role: str, /, **args: object) -> None:
        """Fork a process that runs a role; what the one before told must have been read."""
        self._process.say({"role": role, "args": args})
        self._pid = int(self._process.next()["pid"])

    def some(self, count: int) -> list[Any]:
        """Wait for the first things that it tells; fewer where it ends."""
        told: list[Any] = []
        while len(told) < count and (line := self._process.next()) is not None:
            told.append(line)
            if "ended" in line:
                self._pid = None
                break
        return told

    def kill(self) -> list[Any]:
        """Kill the worker with -9; gives what it told since."""
        assert self._pid is not None
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        return self.rest()

    def rest(self) -> list[Any]:
        """Wait for the worker's end; gives all that it told."""
        told: list[Any] = []
        while (line := self._process.next()) is not None and "ended" not in line:
            told.append(line)
        self._pid = None
        return told

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, and the worker that still runs."""
        if self._pid is not None:
            self.kill()
        self._process.__exit__(kind, error, trace)
