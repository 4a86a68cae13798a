"""The worker: learns what waits in a store, off the reply path.

A job is a row of the store, so what is not learned yet survives the process. One job of a user runs
at a time, in the order of putting in; jobs of several users run at once. A job is leased while it
runs: should this process die, another one takes it over when the lease runs out. What a job teaches
and its removal are one transaction, so it teaches once.
"""

import atexit
import logging
import os
import threading
import traceback
import weakref
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from time import monotonic
from typing import TypeVar

from prefmem.errors import InputError, StoreClosedError
from prefmem.job import Backlog, Job
from prefmem.protocols import Jobs

LEASE = timedelta(seconds=60)
KEPT = timedelta(days=7)  # that a job which failed too often stays
_FIRST_WAIT = timedelta(seconds=2)  # after a failure; doubles with each
_LONGEST_WAIT = timedelta(minutes=5)
_LOOK = 5.0  # seconds between looks for what other processes left
_GRACE = 5.0  # seconds that running jobs have at the end
_TOO_MANY = 16  # jobs of a store that begin at once, at most
T = TypeVar("T")
_log = logging.getLogger("prefmem")


class Worker:
    """Learns jobs on threads of this process, which start with the first `wake`.

    Safe to use from several threads. In a process that was forked it starts anew with the next
    `wake`. Where the interpreter ends it stops, and gives back what it has not begun.

    Args:
        jobs: The queue.
        learn: Learns a job and removes it; whatever it raises counts as a failed try.
        threads: Jobs that run at once, at least 1.
        tries: Times that a job is tried before it counts as dead, at least 1.
        room: Gives how many jobs may begin now, None for any number; the others wait, and that
            counts as no try.
        clock: Gives the time, UTC.

    Attributes:
        failures: Tries that failed, by kind; `dead` for jobs that were given up.
    """

    def __init__(
        self,
        jobs: Jobs,
        learn: Callable[[Job], None],
        *,
        threads: int,
        tries: int,
        room: Callable[[], int | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Start nothing yet."""
        self._room = room
        self._jobs, self._learn, self._clock = jobs, learn, clock
        self._most, self._tries = min(threads, _TOO_MANY), tries
        self.failures: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._at_exit: Callable[[], None] | None = None
        self._running: set[str] = set()
        self._stopped = False
        self._hurried, self._calls, self._looked = 0, 0, -1
        self._extended = self._purged = -1e9
        self._owner = ""
        self._pid = -1
        self._begin_anew()

    @property
    def awake(self) -> bool:
        """Whether its thread runs in this process."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Start the thread if there is none, and let it look for jobs; nothing after `stop`."""
        if self._pid != os.getpid():
            self._begin_anew()
        with self._changed:
            if self._stopped:
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="prefmem", daemon=True)
                self._thread.start()
                self._at_exit = _stop_at_exit(self)
            self._calls += 1
            self._changed.notify_all()

    def drain(self, timeout: float | None = None) -> bool:
        """Learn what waits now, without waiting for more turns; True when nothing waits any more.

        Args:
            timeout: Seconds; without end if None. What failed and is put off is not waited for.
        """
        until = None if timeout is None else monotonic() + timeout
        self.wake()
        with self._changed:
            self._hurried += 1
            self._calls += 1  # a look of before would not be a hurried one
            self._changed.notify_all()
        try:
            while not self._quiet():
                left = 0.2 if until is None else min(0.2, until - monotonic())
                if left <= 0 or self._stopped:
                    return False
                with self._changed:
                    self._changed.wait(left)
            left_over = self._jobs.backlog(self._clock())
            return not left_over.waiting
        finally:
            with self._changed:
                self._hurried -= 1

    def stop(self) -> bool:
        """Begin no more jobs, and wait for those that run, for five seconds at most.

        Gives whether they have ended. Threads that an interpreter leaves behind in a model may
        abort the process at its end, so they are waited for.
        """
        if self._pid != os.getpid():
            return True
        until = monotonic() + _GRACE
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.1, until - monotonic()))
        with self._changed:
            while self._running and until > monotonic():
                self._changed.wait(max(0.0, until - monotonic()))
            ended = not self._running
        if thread is not None and not ended:
            self._survive("release", lambda: self._jobs.release(self._owner))
        if self._at_exit is not None:
            atexit.unregister(self._at_exit)
        return ended

    def _begin_anew(self) -> None:
        """Forget the threads of another process."""
        self._changed = threading.Condition()
        self._thread, self._at_exit = None, None
        self._running = set()
        self._stopped = False
        self._hurried, self._calls, self._looked = 0, 0, -1
        self._extended = self._purged = -1e9
        self._owner = f"{os.getpid()}-{token_hex(6)}"
        self._pid = os.getpid()

    def _quiet(self) -> bool:
        """Whether a look since the last change found nothing to begin, and nothing runs."""
        with self._changed:
            mine = bool(self._running) or self._looked < self._calls
        return not mine and not self._jobs.backlog(self._clock()).running

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                free, calls = self._most - len(self._running), self._calls
                hurry, idle = self._hurried > 0, not self._running
            room = self._room()
            free = free if room is None else min(free, room)
            begun = self._survive("lease", lambda: self._look(free, hurry=hurry))  # noqa: B023  # called at once
            held = begun is None or room == 0  # a store or a model that is down is left alone
            pause = _LOOK if held or begun else self._pause()
            with self._changed:
                if begun == 0 and hurry and idle:
                    self._looked = calls
                    self._changed.notify_all()
                if not begun and calls == self._calls and not self._stopped:
                    self._changed.wait(min(pause, 0.05) if hurry and begun == 0 else pause)

    def _look(self, free: int, *, hurry: bool) -> int:
        """Keep up the leases, and begin due jobs; gives how many."""
        now, seconds = self._clock(), monotonic()
        if seconds - self._purged > 3_600:
            self._jobs.purge(now - KEPT)
            self._purged = seconds
        if seconds - self._extended > LEASE.total_seconds() / 3:
            self._jobs.extend(self._owner, until=now + LEASE)
            self._extended = seconds
        if free <= 0:
            return 0
        found = self._jobs.lease(self._owner, now=now, until=now + LEASE, most=free, hurry=hurry)
        for job in found:
            with self._changed:
                self._running.add(job.id)
            threading.Thread(
                target=self._do, args=(job,), name=f"prefmem-{job.id}", daemon=True
            ).start()
        return len(found)

    def _pause(self) -> float:
        """Give the seconds until the next job is due, at most those between two looks."""
        backlog = self._survive("backlog", lambda: self._jobs.backlog(self._clock())) or Backlog()
        if backlog.next_due is None:
            return _LOOK
        return min(_LOOK, max(0.01, (backlog.next_due - self._clock()).total_seconds()))

    def _do(self, job: Job) -> None:
        try:
            self._learn(job)
        except Exception as error:  # noqa: BLE001  # anybody's extractor; the job is kept
            self._failed(job, error)
        finally:
            with self._changed:
                self._running.discard(job.id)
                self._calls += 1
                self._changed.notify_all()

    def _failed(self, job: Job, error: Exception) -> None:
        """Put a job off, or give it up where another try is no use."""
        kind = type(error).__name__
        self.failures[kind] += 1
        gave_up = job.tries >= self._tries or isinstance(error, InputError)
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.warning(
            "learning failed with %s in %s, line %s; %s",
            kind, place.name, place.lineno,
            "the job is dead: see the backlog" if gave_up else "it is tried again",
        )  # fmt: skip
        self.failures["dead"] += gave_up
        self._survive("retry", lambda: self._put_back(job, kind, gave_up=gave_up))

    def _put_back(self, job: Job, kind: str, *, gave_up: bool) -> None:
        now = self._clock()
        if gave_up:
            self._jobs.bury(job, self._owner, at=now, error=kind)
        else:
            wait = min(_FIRST_WAIT * 2 ** (job.tries - 1), _LONGEST_WAIT)
            self._jobs.retry(job, self._owner, due=now + wait, error=kind)

    def _survive(self, doing: str, step: Callable[[], T]) -> T | None:
        """Do something with the queue; None where the store fails, which is counted.

        Where the store was closed under it, the worker ends.
        """
        try:
            return step()
        except StoreClosedError:  # nothing can be learned any more
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            return None
        except Exception as error:  # noqa: BLE001  # anybody's store; the thread must go on
            if not self._stopped:
                self.failures["queue"] += 1
                _log.warning("the queue failed with %s on %s", type(error).__name__, doing)
            return None


def _stop_at_exit(worker: Worker) -> Callable[[], None]:
    """Stop a worker, if it is still there, before the interpreter takes its threads away."""
    alive = weakref.ref(worker)

    def stop() -> None:
        held = alive()
        if held is not None:
            held.stop()

    atexit.register(stop)
    return stop
