"""Threads for calls that may never come back: the caller waits as long as it wants to."""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context

AT_ONCE = 16  # calls that run at once, those that were given up aside
MOST = 48  # threads in all; as many calls may hang before no other one is begun
_IDLE = 10.0  # seconds after which a thread without work ends


class Task:
    """A call on another thread."""

    __slots__ = ("_call", "_context", "given_up", "over")

    def __init__(self, call: Callable[[], object]) -> None:
        """Keep the call, and the caller's context for it."""
        self._call: Callable[[], object] | None = call
        self._context: Context | None = copy_context()
        self.over = threading.Event()
        self.given_up = False

    def wait(self, seconds: float) -> bool:
        """Wait until the call has ended, or for some seconds; gives whether it has."""
        return self.over.wait(max(0.0, seconds))

    def run(self) -> None:
        """Make the call."""
        call, context = self._call, self._context
        assert call is not None
        assert context is not None
        try:
            context.run(call)
        finally:
            self._call = self._context = None  # what they hold may be large
            self.over.set()


class Pool:
    """A bounded number of threads, started as they are needed, none of which holds up an exit.

    A call that was given up goes on, if it has begun, but counts no more among those that run at
    once; its thread is one of `most` until it comes back. Safe to share between threads; in a
    process that was forked it starts anew.

    Args:
        at_once: Calls that run at once, at most; more wait.
        most: Threads in all, at most.
        idle: Seconds after which a thread without work ends.
    """

    def __init__(self, *, at_once: int = AT_ONCE, most: int = MOST, idle: float = _IDLE) -> None:
        """Start no thread yet."""
        self._at_once, self._most, self._idle_seconds = at_once, most, idle
        self._begin_anew()

    @property
    def stuck(self) -> int:
        """Calls that were given up and have not come back."""
        return self._stuck

    @property
    def threads(self) -> int:
        """Threads that are there."""
        return self._threads

    @property
    def full(self) -> bool:
        """Whether every thread that there may be hangs in a call that was given up."""
        return self._stuck >= self._most

    def start(self, call: Callable[[], object]) -> Task:
        """Let a thread make a call, as soon as one is free.

        What the call raises is lost: it must keep it itself.
        """
        if self._pid != os.getpid():
            self._begin_anew()
        task = Task(call)
        with self._changed:
            self._waiting.append(task)
            self._staff()
            self._changed.notify()
        return task

    def give_up(self, task: Task) -> None:
        """Wait for a call no more; one that has not begun never will."""
        with self._changed:
            if task.over.is_set() or task.given_up:
                return
            task.given_up = True
            if task in self._waiting:
                self._waiting.remove(task)
            else:
                self._stuck += 1
                self._staff()

    def close(self) -> None:
        """Let the threads end that have no work; calling `start` again is fine."""
        with self._changed:
            self._closings += 1
            self._changed.notify_all()

    def _begin_anew(self) -> None:
        """Forget the threads of another process."""
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._threads = self._idle = self._stuck = self._closings = 0
        self._pid = os.getpid()

    def _staff(self) -> None:
        """Start a thread where calls wait and none is free; needs the lock."""
        if len(self._waiting) <= self._idle:
            return
        if self._threads - self._stuck < self._at_once and self._threads < self._most:
            self._threads += 1
            name = f"prefmem-part-{self._threads}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._rested():
                    self._threads -= 1
                    return
                task = self._waiting.popleft()
            with suppress(BaseException):  # the call keeps what it raises
                task.run()
            with self._changed:
                if task.given_up:
                    self._stuck -= 1
                    if self._threads - self._stuck > self._at_once:
                        self._threads -= 1
                        return
            del task

    def _rested(self) -> bool:
        """Wait for work; False where there was none for long. Needs the lock."""
        closings = self._closings
        self._idle += 1
        try:
            return self._changed.wait_for(
                lambda: bool(self._waiting) or self._closings != closings, self._idle_seconds
            ) and bool(self._waiting)
        finally:
            self._idle -= 1
