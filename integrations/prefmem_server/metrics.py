"""Figures for Prometheus: counts and times, never a text, a user or a tenant."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from prefmem import PrefmemError

if TYPE_CHECKING:
    from prefmem import PreferenceMemory

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0, 2.5, 10.0)


class Metrics:
    """What one process has counted.

    Args:
        memory: Asked, at each reading, for its queue and for what it went on without.
        proxy: What the proxy went on without, by what failed.
        clock: Gives the time, UTC.

    Attributes:
        recall_seconds: Time of each recall, rendering included.
        rules: Rules that recalls gave.
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
        self.recall_seconds = Histogram(
            "prefmem_recall_seconds", "Time of a recall.", buckets=_SECONDS, registry=self._registry
        )
        self.rules = Counter("prefmem_rules", "Rules that recalls gave.", registry=self._registry)
        self.requests = Counter(
            "prefmem_requests", "Requests answered.", ("operation", "status"),
            registry=self._registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "prefmem_request_seconds", "Time of a request.", ("operation",), buckets=_SECONDS,
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
        """Read the queue, where the store answers, and what was gone on without."""
        yield _counted(
            "prefmem_degraded", "How often a part failed and the memory went on.", "part",
            self._memory.degraded,
        )  # fmt: skip
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


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counted(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for what, count in dict(counts).items():
        family.add_metric((what,), count)
    return family
