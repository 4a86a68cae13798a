"""One recall under way: what it waits for, what it did without, and what it could end with.

It runs on a thread of a pool, so that the caller can go on without it. Where a part is late, a
second leg makes the best of what is there while the first still waits.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Generic, Literal, TypeAlias, TypeVar

from prefmem.errors import (
    BasisMismatchError,
    ConfigError,
    InputError,
    MissingExtraError,
    NotFoundError,
    ShardDownError,
    StoreClosedError,
    StoreError,
)
from prefmem.guard.breaker import Breaker, Ticket
from prefmem.guard.calls import Calls
from prefmem.guard.pool import Pool, Task

Part: TypeAlias = Literal["store", "embedder", "reranker", "extractor", "judge", "agent"]
Limit: TypeAlias = Literal["", "soft", "hard"]

LOADING = 10.0  # seconds more for a model that has never answered: it may load weights
_LOOK = 0.02  # seconds between looks whether it has
_MISUSE = (BasisMismatchError, ConfigError, InputError, MissingExtraError, NotFoundError)
T = TypeVar("T")
R = TypeVar("R")
_log = logging.getLogger("prefmem")


class MissingPartError(Exception):
    """A part that cannot be done without failed, or is left alone."""


class Leg(Generic[T]):
    """The steps of a recall on one thread.

    A part is let through once for a leg, and has answered when the leg is at its end: a store that
    tells a number and hangs over the rest has not.

    Args:
        calls: Counts, times and tells what is asked.
        course: The recall; None where nothing is limited, and what fails raises.

    Attributes:
        missing: Parts that it did without, as they failed, were late, or are left alone.
        waits_for: Leave to ask the part that it waits for.
    """

    def __init__(self, calls: Calls, course: "Course[T] | None" = None) -> None:
        """Miss nothing yet."""
        self._calls = calls
        self.missing: set[str] = set()
        self.waits_for: Ticket | None = None
        self._course = course
        self._tickets: dict[Part, Ticket] = {}

    @property
    def late(self) -> bool:
        """Whether what can be done without should be left out by now."""
        return self._course is not None and self._course.late

    def ask(self, part: Part, call: Callable[[], R]) -> R:
        """Ask a part that cannot be done without.

        Raises:
            MissingPartError: It failed, or is left alone.
        """
        if self._course is None:
            with self._calls.part(part):
                return call()
        ticket = self._tickets.get(part)
        try:
            if ticket is None:
                ticket = self._tickets[part] = self._course.breakers[part].enter()
            self.waits_for = ticket
            with self._calls.part(part):
                return call()
        except Exception as error:
            if misused(error):
                raise
            self.missing.add(part)
            if ticket is not None:
                if not spared(error):
                    ticket.failed()
                survived(part, error)
            raise MissingPartError(part) from None
        finally:
            self.waits_for = None

    def try_(self, part: Part, call: Callable[[], R]) -> R | None:
        """Ask a part that can be done without; None where it failed or is left alone."""
        try:
            return self.ask(part, call)
        except MissingPartError:
            return None

    def could_end(self, finish: "Callable[[Leg[T]], T]") -> None:
        """Say how the recall would end with what is there by now."""
        if self._course is not None:
            self._course.finish = finish

    def settle(self, result: T) -> bool:
        """Give the result; False where another leg was quicker, or nobody waits any more."""
        return self._course is None or self._course.settle(result)

    def blame(self) -> None:
        """Count the part that is waited for as late; nothing where none is."""
        late = self.waits_for
        if late is not None:
            self.missing.add(late.breaker.name)
            late.failed()
            self.end(answered=False)

    def end(self, *, answered: bool) -> None:
        """Say of the parts that were asked and did not fail whether they have answered."""
        for ticket in tuple(self._tickets.values()):
            if answered:
                ticket.succeeded()
            else:
                ticket.dropped()


class Course(Generic[T]):
    """A recall that is given up in time.

    Args:
        pool: Its threads.
        breakers: By part.
        calls: Counts, times and tells what is asked.

    Attributes:
        breakers: By part.
        finish: Makes a result of what is there by now; None where that is nothing.
        late: Whether the soft limit has passed.
        result: The first that came in time.
        passed: Which limit passed.
    """

    def __init__(self, pool: Pool, breakers: Mapping[Part, Breaker], calls: Calls) -> None:
        """Begin nothing yet."""
        self.breakers = breakers
        self.finish: Callable[[Leg[T]], T] | None = None
        self.late = False
        self.result: T | None = None
        self.passed: Limit = ""
        self._pool, self._calls = pool, calls
        self._legs: list[tuple[Leg[T], Task]] = []
        self._error: BaseException | None = None
        self._closed, self._running = False, 0
        self._over = threading.Event()
        self._lock = threading.Lock()

    @property
    def missing(self) -> tuple[str, ...]:
        """Parts that one leg or the other did without, and `rules` where there is no result."""
        parts = {part for leg, _ in self._legs for part in leg.missing}
        return tuple(sorted(parts if self.result is not None else parts | {"rules"}))

    def follow(
        self, work: Callable[[Leg[T]], T], *, soft: float, hard: float, loading: bool
    ) -> None:
        """Do the work, or what can be done of it in time.

        Args:
            work: Does it, and settles its result with the leg that it is given.
            soft: Seconds until what is there has to do.
            hard: Seconds until the caller goes on with nothing.
            loading: Whether a model that has never answered has ten seconds more.

        Raises:
            PrefmemError: The memory is misused: closed, or made with another embedder.
        """
        began = monotonic()
        first = self._begin(work)
        try:
            while not self._over.wait(soft):
                if not (loading and self._loaded(first)):
                    self._hurry(first)
                    if self.result is None and not self._over.wait(began + hard - monotonic()):
                        self.passed = "hard"
                    break
                began = monotonic()
        finally:
            self._close()
        if self._error is not None and self.result is None:
            raise self._error

    def settle(self, result: T) -> bool:
        """Keep the first result that comes while somebody waits."""
        with self._lock:
            if self._closed or self.result is not None:
                return False
            self.result = result
        if self.late:
            self._over.set()
        return True

    def _begin(self, work: Callable[[Leg[T]], T]) -> Leg[T]:
        """Let a thread do the work."""
        leg = Leg(self._calls, self)
        with self._lock:
            self._running += 1

        def walk() -> None:
            try:
                work(leg)
                leg.end(answered=True)
            except MissingPartError:
                leg.end(answered=False)
            except BaseException as error:  # noqa: BLE001  # told, or raised where the caller is
                leg.end(answered=False)
                if misused(error):
                    self._error = error
                else:
                    survived("rules", error)
            finally:
                with self._lock:
                    self._running -= 1
                    ended = not self._running
                if ended or self._error is not None:
                    self._over.set()

        self._legs.append((leg, self._pool.start(walk)))
        return leg

    def _loaded(self, leg: Leg[T]) -> bool:
        """Wait for a model that has never answered; gives whether it has by now."""
        ticket, until = leg.waits_for, monotonic() + LOADING
        if ticket is None or ticket.breaker.name == "store" or ticket.breaker.answered:
            return False
        while not ticket.breaker.answered and monotonic() < until:
            if self._over.wait(_LOOK):
                break
        return ticket.breaker.answered

    def _hurry(self, first: Leg[T]) -> None:
        """Go on with what is there."""
        self.passed = "soft"
        with self._lock:
            self.late = True
            done = self.result is not None
        first.blame()
        if not done and self.finish is not None:
            self._begin(self.finish)

    def _close(self) -> None:
        """Wait for no leg any more."""
        with self._lock:
            self._closed = True
            if not self._running:
                return
        for leg, task in self._legs:
            if self.result is None:
                leg.blame()
            self._pool.give_up(task)


def misused(error: BaseException) -> bool:
    """Whether an error says that the memory is used wrongly, and not that a part is down."""
    return isinstance(error, _MISUSE) or type(error) in {StoreError, StoreClosedError}


def spared(error: BaseException) -> bool:
    """Whether an error tells nothing about a part: misuse, or one shard of several is down."""
    return misused(error) or isinstance(error, ShardDownError)


def survived(what: str, error: BaseException) -> None:
    """Log a failure by its kind and place; never its message, which may quote the user."""
    trace, name, line = error.__traceback__, "an unknown place", 0
    while trace is not None:
        name, line, trace = trace.tb_frame.f_code.co_name, trace.tb_lineno, trace.tb_next
    _log.warning(
        "the %s failed with %s in %s, line %s; the chat goes on without it",
        what, type(error).__name__, name, line,
    )  # fmt: skip
