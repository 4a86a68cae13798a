"""Metrics of what a memory does: histograms of times, counts of what came of it, the queue."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

import prefmem
from prefmem import LearnReport, PrefmemError, Recall
from prefmem.guard.calls import Call
from prefmem.guard.health import BOUNDS, Health
from prefmem.guard.record import outcome, told, verdicts
from prefmem.job import Backlog, Job

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

# Whether the queue is read for a collection: what is recorded within it would wait for its end.
collecting: ContextVar[bool] = ContextVar("prefmem_otel_collecting", default=False)
_STATES = {"closed": 0, "half-open": 1, "open": 2}
_Seen = Callable[[Health], Iterable[Observation]]


class Meters:
    """Stands around the calls of a memory with instruments, and reads its queue when asked.

    Args:
        memory: The memory.
        provider: Where they go; the global one if None.
    """

    def __init__(self, memory: "PreferenceMemory", provider: MeterProvider | None) -> None:
        """Make the instruments."""
        self._memory, self._ended = memory, False
        meter = metrics.get_meter("prefmem", prefmem.__version__, meter_provider=provider)
        self._verbs = meter.create_histogram(
            "prefmem.verb.duration",
            unit="s",
            description="Time of a call, by verb.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._parts = meter.create_histogram(
            "prefmem.part.duration",
            unit="s",
            description="Time of a call, by part.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._waited = meter.create_histogram(
            "prefmem.job.wait", unit="s", description="Time that a window waited to be learned."
        )
        self._recalls = meter.create_counter(
            "prefmem.recalls", unit="{recall}", description="Recalls, by how they ended."
        )
        self._verdicts = meter.create_counter(
            "prefmem.verdicts", unit="{rule}", description="Candidates, by what was decided."
        )
        self._learned = meter.create_counter(
            "prefmem.learned", unit="{item}", description="Turns and cards learned."
        )
        meter.create_observable_gauge(
            "prefmem.queue.jobs", [self._queue], unit="{job}", description="Windows that wait."
        )
        meter.create_observable_gauge(
            "prefmem.queue.age", [self._age], unit="s", description="Age of the oldest that waits."
        )
        for name, seen, text in (
            ("prefmem.breaker.state", _breakers, "0 in use, 1 tried again, 2 left alone."),
            ("prefmem.hanging", _hanging, "Calls that were given up and go on."),
            ("prefmem.cache.size", _cache, "Bytes that users' indexes take."),
        ):
            meter.create_observable_gauge(name, [self._of_health(seen)], description=text)
        for name, seen, text in (
            ("prefmem.degraded", _degraded, "How often a part failed and the memory went on."),
            ("prefmem.followups", _followups, "What came back, by what it shows."),
            ("prefmem.erased", _erased, "Users and cards that were forgotten for good."),
        ):
            meter.create_observable_counter(name, [self._of_health(seen)], description=text)

    def __call__(self, call: Call) -> AbstractContextManager[None]:
        """Give what measures a call, to be entered and left."""
        return nullcontext() if collecting.get() else self._around(call)

    def end(self) -> None:
        """Ask the memory no more."""
        self._ended = True

    @contextmanager
    def _around(self, call: Call) -> Generator[None]:
        began, told_of = monotonic(), {f"prefmem.{call.kind}": call.name}
        try:
            yield
        except BaseException as error:
            told_of["error.type"] = type(error).__name__
            raise
        finally:
            duration = self._verbs if call.kind == "verb" else self._parts
            duration.record(monotonic() - began, told_of)
        self._counted(call)

    def _counted(self, call: Call) -> None:
        result, job = call.result, call.given.get("job")
        if isinstance(result, Recall):
            self._recalls.add(1, {"prefmem.outcome": outcome(result)})
            for reason, count in verdicts(result).items():
                self._verdicts.add(count, {"prefmem.reason": reason})
        elif isinstance(result, LearnReport):
            for what, count in told(result).items():
                if count:
                    self._learned.add(count, {"prefmem.what": what})
        if isinstance(job, Job):
            waited = (datetime.now(UTC) - job.queued_at).total_seconds()
            self._waited.record(max(0.0, waited))

    def _queue(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        waits = None if self._ended else self._backlog()
        if waits is not None:
            for state in ("waiting", "running", "dead"):
                yield Observation(getattr(waits, state), {"prefmem.state": state})

    def _age(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        waits = None if self._ended else self._backlog()
        if waits is not None:
            age = (datetime.now(UTC) - waits.oldest).total_seconds() if waits.oldest else 0.0
            yield Observation(max(0.0, age))

    def _backlog(self) -> Backlog | None:
        """Count what waits; None where the store does not answer."""
        before = collecting.set(True)
        try:
            return self._memory.backlog()
        except PrefmemError:
            return None
        finally:
            collecting.reset(before)

    def _of_health(self, seen: _Seen) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(options: CallbackOptions) -> Iterable[Observation]:
            del options
            return () if self._ended else seen(self._memory.health)

        return read


def _breakers(health: Health) -> Iterable[Observation]:
    for name, part in health.parts.items():
        yield Observation(_STATES[part.state], {"prefmem.part": name})


def _hanging(health: Health) -> Iterable[Observation]:
    yield Observation(health.hanging)


def _cache(health: Health) -> Iterable[Observation]:
    yield Observation(health.cache_bytes)


def _degraded(health: Health) -> Iterable[Observation]:
    return _by("prefmem.what", health.degraded)


def _followups(health: Health) -> Iterable[Observation]:
    return _by("prefmem.label", health.followups)


def _erased(health: Health) -> Iterable[Observation]:
    return _by("prefmem.what", health.erased)


def _by(label: str, counts: Mapping[str, int]) -> Iterable[Observation]:
    return [Observation(count, {label: what}) for what, count in dict(counts).items()]
