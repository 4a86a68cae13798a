"""What instrumentation costs: processor time of a recall and of a learning, with it and without.

python -m prefmem_otel.overhead; needs opentelemetry-sdk.
"""

import argparse
import sys
from collections.abc import Callable
from statistics import median
from time import process_time

from opentelemetry.metrics import MeterProvider as MeterProviderAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import TracerProvider as TracerProviderAPI

import prefmem_otel
from prefmem import PreferenceMemory

_RULES = 50


class _Dropped(SpanExporter):
    """Takes spans, and drops them."""

    def export(self, spans: object) -> SpanExportResult:
        """Drop."""
        del spans
        return SpanExportResult.SUCCESS


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--calls", type=int, default=200, help="calls of a round")
    asked.add_argument("--rounds", type=int, default=7, help="rounds, of which the median counts")
    given = asked.parse_args()
    with PreferenceMemory(":memory:") as memory:
        for n in range(_RULES):
            memory.add(f"writing report number {n}", f"begin with section {n}", user_id="ann")
        number = iter(range(sys.maxsize))

        def recall() -> None:
            memory.recall(f"write report number {next(number) % _RULES}", user_id="ann")

        def learn() -> None:
            memory.learn([("user", f"This is message number {next(number)}.")], user_id="ann")

        for name, call in (("recall", recall), ("learn", learn)):
            call()
            plain, traced = _both(memory, call, given.calls, given.rounds)
            sys.stdout.write(
                f"{name}: {plain * 1e3:.3f} ms of processor time, instrumented {traced * 1e3:.3f} "
                f"ms: ratio {traced / plain:.3f}\n"
            )


def _both(
    memory: PreferenceMemory, call: Callable[[], None], calls: int, rounds: int
) -> tuple[float, float]:
    """Give seconds a call without and with, each round of the one beside one of the other."""
    tracers, meters = _providers()
    plain, traced = list[float](), list[float]()
    for _ in range(rounds):
        plain.append(_timed(call, calls))
        end = prefmem_otel.instrument(memory, tracer_provider=tracers, meter_provider=meters)
        traced.append(_timed(call, calls))
        end()
    return median(plain), median(traced)


def _timed(call: Callable[[], None], calls: int) -> float:
    began = process_time()
    for _ in range(calls):
        call()
    return (process_time() - began) / calls


def _providers() -> tuple[TracerProviderAPI, MeterProviderAPI]:
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_Dropped()))
    return tracers, MeterProvider([InMemoryMetricReader()])


if __name__ == "__main__":
    main()
