"""The parts that a memory asks: each with a breaker, and all with threads that may hang in them."""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Literal, TypeAlias, TypeVar, get_args

from prefmem.errors import PrefmemError, StoreError, StoreUnavailableError
from prefmem.guard.breaker import Breaker
from prefmem.guard.calls import Calls
from prefmem.guard.course import Course, Leg, Part, spared
from prefmem.guard.health import Stopwatch
from prefmem.guard.pool import Pool, Task
from prefmem.interaction import Followup, Judgement
from prefmem.protocols import Judge

Tally: TypeAlias = Literal["learned", "recalled", "verdicts", "erased"]
T = TypeVar("T")


class Parts:
    """Breakers by part, threads, and what was done without; threads may share it.

    Args:
        rest: Seconds that a part which keeps failing is left alone.
        clock: Gives seconds that never go back.

    Attributes:
        breakers: By part.
        pool: Threads for calls that may hang.
        calls: Counts, times and tells what is asked.
        recalls: How long recalls took.
    """

    def __init__(self, *, rest: float, clock: Callable[[], float] = monotonic) -> None:
        """Start with every part in use."""
        names: tuple[Part, ...] = get_args(Part)
        self.breakers: dict[Part, Breaker] = {
            name: Breaker(name, rest=rest, clock=clock) for name in names
        }
        self.pool, self.calls = Pool(), Calls()
        self.recalls = Stopwatch()
        self._without: Counter[str] = Counter()
        self._tallies = {what: Counter[str]() for what in get_args(Tally)}
        self._lock = threading.Lock()

    @property
    def without(self) -> Counter[str]:
        """What recalls did without, and why."""
        with self._lock:
            return Counter(self._without)

    def tallied(self, what: Tally) -> Counter[str]:
        """What was learned, recalled, decided or erased, by kind."""
        with self._lock:
            return Counter(self._tallies[what])

    def count(self, *what: str) -> None:
        """Count what was done without."""
        with self._lock:
            self._without.update(what)

    def tally(self, what: Tally, numbers: Mapping[str, int]) -> None:
        """Count what was learned, recalled, decided or erased."""
        with self._lock:
            self._tallies[what].update(numbers)

    def room(self, *names: Part) -> int | None:
        """Calls that would be let through now by all of these; None for any number."""
        rooms = [room for name in names if (room := self.breakers[name].room) is not None]
        return min(rooms, default=None)

    def recall(
        self, work: Callable[[Leg[T]], T], *, soft: float, hard: float, loading: bool
    ) -> Course[T]:
        """Do a recall within its limits, and count what it did without; see `Course.follow`.

        Raises:
            PrefmemError: The memory is misused: closed, or made with another embedder.
        """
        began = monotonic()
        course = Course[T](self.pool, self.breakers, self.calls)
        if not self.pool.full:
            course.follow(work, soft=soft, hard=hard, loading=loading)
        self.recalls.took(monotonic() - began)
        if course.missing:
            self.count(*(f"recall without {part}" for part in course.missing))
        if course.passed:
            self.count("recall late" if course.passed == "soft" else "recall timeout")
        return course

    def ask(self, part: Part, call: Callable[[], T], *, seconds: float) -> T:
        """Ask a part on another thread, and wait for it no longer than this.

        Raises:
            StoreUnavailableError: It is left alone, or did not answer in time; what was begun may
                still be done.
        """
        ticket = self.breakers[part].enter()

        def asked() -> T:
            with self.calls.part(part):
                return call()

        try:
            found = self.bounded(asked, seconds=seconds)
        except Exception as error:
            ours = isinstance(error, PrefmemError) and not isinstance(error, StoreError)
            if not ours and not spared(error):
                ticket.failed()
            raise
        else:
            ticket.succeeded()
            return found
        finally:
            ticket.dropped()

    def bounded(self, call: Callable[[], T], *, seconds: float) -> T:
        """Make a call on another thread, and wait for it no longer than this.

        Raises:
            StoreUnavailableError: It did not come back in time; what was begun may still be done.
        """
        outcome: list[T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                outcome.append(call())
            except BaseException as error:  # noqa: BLE001  # raised where the caller is
                errors.append(error)

        task = self.pool.start(work)
        if not self._came(task, seconds):
            raise StoreUnavailableError(
                f"no answer within {seconds:g} seconds; what was begun may still be done, and "
                "nothing is done twice: call again later"
            )
        if errors:
            raise errors[0]
        return outcome[0]

    def _came(self, task: Task, seconds: float) -> bool:
        came = False
        try:
            came = task.wait(0.0 if self.pool.full else seconds)
        finally:
            if not came:
                self.pool.give_up(task)
        return came

    @contextmanager
    def watching(self, part: Part, *, refuses: bool = False) -> Generator[None]:
        """Tell a part's breaker how a call of it ends, without a limit.

        Args:
            part: The part.
            refuses: Whether the call is refused while the part is left alone.

        Raises:
            LeftAloneError: It is refused.
        """
        breaker = self.breakers[part]
        ticket = breaker.enter() if refuses else breaker.insist()
        try:
            with self.calls.part(part):
                yield
        except Exception as error:
            if not spared(error):
                ticket.failed()
            raise
        else:
            ticket.succeeded()
        finally:
            ticket.dropped()


class WatchedJudge:
    """A judge that is left alone for a while when it keeps failing.

    Args:
        judge: The judge.
        parts: Its breaker.
    """

    def __init__(self, judge: Judge, parts: Parts) -> None:
        """Keep both."""
        self._judge, self._parts = judge, parts

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        """Judge n follow-ups.

        Raises:
            LeftAloneError: The judge is left alone.
        """
        with self._parts.watching("judge", refuses=True):
            return self._judge.judge(followups)
