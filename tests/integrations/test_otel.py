"""Spans and metrics in OpenTelemetry: what they count, where they nest, no word in them."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefmem import ConfigError, MissingExtraError, NotFoundError, PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater

pytest.importorskip("opentelemetry.sdk", reason="no OpenTelemetry SDK")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import prefmem_otel

SECRET = "zanzibar"
RULE = ("user", f"When writing {SECRET}, always use capital letters.")


class Bench:
    """A memory with a tracer and a meter that keep what they are given."""

    def __init__(self, memory: PreferenceMemory) -> None:
        self.memory = memory
        self.spans_out, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans_out))
        self.meters = MeterProvider([self.reader])

    def instrument(self, **given: Any) -> Any:  # noqa: ANN401  # the arguments of instrument
        return prefmem_otel.instrument(
            self.memory, tracer_provider=self.tracers, meter_provider=self.meters, **given
        )

    def spans(self, name: str) -> list[ReadableSpan]:
        return [s for s in self.spans_out.get_finished_spans() if s.name == f"prefmem.{name}"]

    def told(self) -> str:
        """Give everything that was exported as one text."""
        data = self.reader.get_metrics_data()
        spans = "".join(span.to_json() for span in self.spans_out.get_finished_spans())
        return spans + (data.to_json() if data else "")

    def points(self, name: str) -> dict[str, Any]:
        """Give the newest points of a metric by the values of their attributes."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return {
            ",".join(str(value) for value in (point.attributes or {}).values()): point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }


@pytest.fixture
def bench() -> Iterator[Bench]:
    with PreferenceMemory(
        ":memory:", embedder=HashEmbedder(), extractor=PhraseExtractor(), reranker="none",
        relater=TableRelater(), judge="none",
    ) as memory:  # fmt: skip
        yield Bench(memory)


def test_a_recall_is_a_retrieval_with_counts_and_ids(bench: Bench) -> None:
    bench.instrument()
    bench.memory.learn([RULE], user_id="ann")
    found = bench.memory.recall(f"writing {SECRET}", user_id="ann", session_id="monday")
    (span,) = bench.spans("recall")
    told = dict(span.attributes or {})
    assert told["gen_ai.operation.name"] == "retrieval"
    assert told["prefmem.recall.id"] == found.id
    assert told["prefmem.recall.card_ids"] == found.rules[0].card_ids
    assert (told["prefmem.recall.rules"], told["prefmem.recall.candidates"]) == (1, 1)
    assert told["prefmem.recall.outcome"] == "injected"
    assert len(str(told["prefmem.user.hash"])) == len(str(told["gen_ai.conversation.id"])) == 16
    (learned,) = bench.spans("learn")
    assert (learned.attributes or {})["prefmem.learn.added"] == 1
    (embedder,) = (s for s in bench.spans("embedder") if s.parent == span.context)
    assert (embedder.attributes or {})["gen_ai.operation.name"] == "embeddings"


def test_no_word_and_no_id_of_a_user_is_told(bench: Bench) -> None:
    bench.instrument()
    memory, user = bench.memory, f"{SECRET}@example.org"
    memory.learn([RULE], user_id=user, session_id=SECRET)
    memory.learn_later([("user", f"Always mention {SECRET}.")], user_id=user, session_id=SECRET)
    assert memory.flush(20)
    found = memory.recall(f"writing {SECRET}", user_id=user, session_id=SECRET)
    memory.feedback(found, -0.5, user_id=user, key=SECRET)
    memory.command([("user", f"Forget what I said about {SECRET}.")], user_id=user)
    with pytest.raises(NotFoundError):
        memory.forget(SECRET, user_id=user)
    memory.forget_user(user_id=user)
    assert SECRET not in bench.told()
    (given,) = bench.spans("feedback")
    assert (given.attributes or {})["gen_ai.evaluation.score.value"] == -0.5
    failed = bench.spans("forget")[-1]
    assert (failed.status.status_code, failed.events) == (StatusCode.ERROR, ())
    assert (failed.attributes or {})["error.type"] == "NotFoundError"


def test_content_is_told_where_it_is_switched_on(bench: Bench) -> None:
    bench.instrument(content=True)
    bench.memory.learn([RULE], user_id="ann")
    bench.memory.recall(f"writing {SECRET}", user_id="ann")
    told = bench.spans("recall")[0].attributes or {}
    assert told["gen_ai.retrieval.query.text"] == f"writing {SECRET}"
    assert told["prefmem.recall.rules.text"] == (f"When writing {SECRET}, use capital letters.",)
    assert "ann" not in bench.spans("recall")[0].to_json().replace("channel", "")


async def test_spans_nest_under_the_callers_over_threads(bench: Bench) -> None:
    bench.instrument()
    tracer = bench.tracers.get_tracer("host")

    async def chat(name: str) -> None:
        with tracer.start_as_current_span(name):
            await bench.memory.arecall("anything", user_id=name)

    bench.memory.learn([RULE], user_id="ann")
    await asyncio.gather(chat("ann"), chat("bob"))
    outer = {s.name: s for s in bench.spans_out.get_finished_spans() if s.name in ("ann", "bob")}
    recalls = bench.spans("recall")
    assert {s.parent.span_id for s in recalls if s.parent} == {
        s.context.span_id for s in outer.values() if s.context
    }
    stores = [s for s in bench.spans("store") if s.parent]
    within = {s.context.span_id for s in recalls if s.context}
    assert {s.parent.span_id for s in stores if s.parent} == within


def test_what_is_learned_later_is_a_root_span(bench: Bench) -> None:
    bench.instrument()
    with bench.tracers.get_tracer("host").start_as_current_span("chat"):
        bench.memory.learn_later([RULE], user_id="ann", session_id="monday")
    assert bench.memory.flush(20)
    (handed,), (job,) = bench.spans("learn_later"), bench.spans("job")
    assert handed.parent is not None
    assert (job.parent, job.kind) == (None, SpanKind.CONSUMER)
    both = [(s.attributes or {})["gen_ai.conversation.id"] for s in (handed, job)]
    assert both[0] == both[1]  # by which they are found together
    assert (job.attributes or {})["prefmem.learn.added"] == 1


def test_metrics_count_and_time(bench: Bench) -> None:
    bench.instrument()
    memory = bench.memory
    memory.recall("anything", user_id="ann")
    memory.learn([RULE], user_id="ann")
    memory.recall(f"writing {SECRET}", user_id="ann")
    memory.learn_later([("user", "Always be kind.")], user_id="ann")
    assert memory.flush(20)
    memory.forget_user(user_id="ann")
    assert {k: p.value for k, p in bench.points("prefmem.recalls").items()} == {
        "empty": 1, "injected": 1
    }  # fmt: skip
    assert bench.points("prefmem.verdicts")["relevant"].value == 1
    assert bench.points("prefmem.learned")["added"].value == 2
    assert bench.points("prefmem.verb.duration")["recall"].count == 2
    assert bench.points("prefmem.part.duration")["extractor"].count == 2
    assert bench.points("prefmem.job.wait")[""].count == 1
    assert bench.points("prefmem.queue.jobs")["waiting"].value == 0
    assert bench.points("prefmem.queue.age")[""].value == 0.0
    assert bench.points("prefmem.erased")["users"].value == 1
    assert bench.points("prefmem.breaker.state")["store"].value == 0


def test_hashes_hold_where_the_key_is_shared(bench: Bench) -> None:
    for key in (b"o" * 16, b"o" * 16, b"t" * 64):
        end = bench.instrument(key=key)
        bench.memory.recall("anything", user_id="ann")
        end()
    bench.memory.recall("anything", user_id="ann")
    one, two, other = [(s.attributes or {})["prefmem.user.hash"] for s in bench.spans("recall")]
    assert one == two != other


@pytest.mark.parametrize("key", [b"", b"k" * 15, b"k" * 65])
def test_a_key_that_keeps_nothing_is_refused(bench: Bench, key: bytes) -> None:
    with pytest.raises(ConfigError, match=f"key has {len(key)} bytes, 16 to 64"):
        bench.instrument(key=key)


def test_nothing_of_opentelemetry_is_imported_unasked() -> None:
    code = "import sys, prefmem_otel, prefmem.memory; assert 'opentelemetry' not in sys.modules"
    shelf = Path(prefmem_otel.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=shelf)


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("prefmem_otel.", "opentelemetry"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with (
        PreferenceMemory(":memory:", embedder=HashEmbedder()) as memory,
        pytest.raises(MissingExtraError, match=r"prefmem\[otel\]"),
    ):
        prefmem_otel.instrument(memory)
