"""Figures for Prometheus: counts and times, never a text, a user or a tenant."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import prefmem
from prefmem import PrefmemError
from prefmem.guard.health import BOUNDS, Health, Times

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

_INJECTED = ("relevant", "global")  # the verdicts of what is injected
_STATES = {"closed": 0, "half-open": 1, "open": 2}


class Metrics:
    """What one process has counted.

    Args:
        memory: Asked, at each reading, for its queue and for what it went on without.
        proxy: What the proxy went on without, by what failed.
        clock: Gives the time, UTC.

    Attributes:
        requests: Requests by operation and status.
        request_seconds: Their time.
        failures: Failures of ours by the error's kind.
    """

    def __init__(
        self,
        memory: "PreferenceMemory",
        *,
        proxy: Mapping[str, int] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Start at zero, in a registry of its own."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "prefmem_requests", "Requests answered.", ("operation", "status"),
            registry=self._registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "prefmem_request_seconds", "Time of a request.", ("operation",), buckets=BOUNDS,
            registry=self._registry,
        )  # fmt: skip
        self.failures = Counter(
            "prefmem_failures", "Requests that failed here.", ("error",), registry=self._registry
        )
        self._registry.register(_OfMemory(memory, {} if proxy is None else proxy, clock))

    def text(self) -> bytes:
        """Give the figures in Prometheus' text format; asks the store."""
        return generate_latest(self._registry)


class _OfMemory(Collector):
    """What the memory and the proxy count themselves, read when it is asked for."""

    def __init__(
        self,
        memory: "PreferenceMemory",
        proxy: Mapping[str, int],
        clock: Callable[[], datetime],
    ) -> None:
        self._memory, self._proxy, self._clock = memory, proxy, clock

    def describe(self) -> Iterator[Metric]:
        """Name nothing ahead, so that making the registry asks no store."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read how the parts are and, where the store answers, the queue."""
        yield from _of_health(self._memory.health)
        yield _counted(
            "prefmem_proxy_degraded", "How often the proxy went on without the memory, or failed.",
            "what", self._proxy,
        )  # fmt: skip
        try:
            waits = self._memory.backlog()
        except PrefmemError:
            yield _gauge("prefmem_store_up", "Whether the store answers.", 0)
            return
        yield _gauge("prefmem_store_up", "Whether the store answers.", 1)
        age = (self._clock() - waits.oldest).total_seconds() if waits.oldest else 0.0
        yield _gauge("prefmem_queue_waiting", "Windows that wait to be learned.", waits.waiting)
        yield _gauge("prefmem_queue_running", "Windows that are being learned.", waits.running)
        yield _gauge("prefmem_queue_dead", "Windows that failed too often.", waits.dead)
        yield _gauge("prefmem_queue_oldest_seconds", "Age of the oldest waiting.", max(0.0, age))


def _of_health(health: Health) -> Iterator[Metric]:
    info = GaugeMetricFamily("prefmem_info", "1, with the version.", labels=("version",))
    info.add_metric((prefmem.__version__,), 1)
    yield info
    yield _timed("prefmem_recall_seconds", "Time of a recall.", health.recalls)
    yield _counted("prefmem_recalls", "Recalls by how they ended.", "outcome", health.recalled)
    injected = sum(health.verdicts.get(reason, 0) for reason in _INJECTED)
    yield CounterMetricFamily("prefmem_rules", "Rules that recalls gave.", value=injected)
    yield _counted(
        "prefmem_verdicts", "Candidates of recalls by what was decided.", "reason", health.verdicts
    )
    yield _counted("prefmem_followups", "What came back on recalls.", "label", health.followups)
    yield _counted("prefmem_erased", "Users and cards forgotten.", "what", health.erased)
    yield _timed_by("prefmem_verb_seconds", "Time of a call.", "verb", health.verbs)
    yield _counted("prefmem_verb_failures", "Calls that raised.", "verb", health.failed)
    parts = {name: part.times for name, part in health.parts.items() if part.times.count}
    yield _timed_by("prefmem_part_seconds", "Time of a call of a part.", "part", parts)
    yield _counted(
        "prefmem_degraded", "How often a part failed and the memory went on.", "part",
        health.degraded,
    )  # fmt: skip
    yield _counted("prefmem_learned", "Turns and cards learned here.", "what", health.learned)
    failures = {name: part.failures for name, part in health.parts.items()}
    refused = {name: part.refused for name, part in health.parts.items()}
    yield _counted("prefmem_part_failures", "Calls that failed or were late.", "part", failures)
    yield _counted("prefmem_part_refused", "Calls that a part was spared.", "part", refused)
    states = GaugeMetricFamily(
        "prefmem_breaker_state", "0 in use, 1 tried again, 2 left alone.", labels=("part",)
    )
    for name, part in health.parts.items():
        states.add_metric((name,), _STATES[part.state])
    yield states
    yield _gauge("prefmem_hanging_calls", "Calls that were given up and go on.", health.hanging)
    yield _gauge("prefmem_cache_bytes", "Memory that users' indexes take.", health.cache_bytes)


def _timed(name: str, text: str, times: Times) -> Metric:
    return HistogramMetricFamily(name, text, buckets=_buckets(times), sum_value=times.total)


def _timed_by(name: str, text: str, label: str, times: Mapping[str, Times]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=(label,))
    for what, took in times.items():
        family.add_metric((what,), _buckets(took), took.total)
    return family


def _buckets(times: Times) -> list[tuple[str, float]]:
    reached, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), times.counts, strict=True):
        reached += count
        buckets.append((bound, reached))
    return buckets


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counted(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for what, count in dict(counts).items():
        family.add_metric((what,), count)
    return family
