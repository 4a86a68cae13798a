"""Spans of what a memory does: counts, times and hashed ids; content only where it is wanted."""

import secrets
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import blake2b
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

import prefmem
from prefmem import LearnReport, Recall
from prefmem.guard.calls import Call
from prefmem.guard.record import outcome, told
from prefmem.job import Job
from prefmem.orders import Obeyed
from prefmem.types import Erasure
from prefmem_otel.metrics import collecting

Value: TypeAlias = str | bool | int | float | list[str]
_MOST = 20  # rules whose text a span holds


class Spans:
    """Stands around the calls of a memory with a span each.

    Names from OpenTelemetry's conventions for generative AI where there are some, which is
    `retrieval` for a recall, `embeddings` for its embedder and the score of an evaluation for
    feedback; the others begin with `prefmem.`.

    Args:
        provider: Where they go; the global one if None.
        content: Whether they hold the query and the rules.
        key: Key of the users' hashes; random if None.
        basis: Name of the embedder.
    """

    def __init__(
        self, provider: TracerProvider | None, *, content: bool, key: bytes | None, basis: str
    ) -> None:
        """Take a tracer."""
        self._tracer = trace.get_tracer("prefmem", prefmem.__version__, tracer_provider=provider)
        self._content, self._basis = content, basis
        self._key = secrets.token_bytes(32) if key is None else key

    def __call__(self, call: Call) -> AbstractContextManager[None]:
        """Give the span of a call, to be entered and left."""
        return nullcontext() if collecting.get() else self._around(call)

    @contextmanager
    def _around(self, call: Call) -> Generator[None]:
        kind = SpanKind.CONSUMER if call.name == "job" else SpanKind.INTERNAL
        began = self._asked(call) if call.kind == "verb" else self._part(call)
        with self._tracer.start_as_current_span(
            f"prefmem.{call.name}", kind=kind, attributes=began,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield
            except Exception as error:
                kind_of = type(error).__name__  # never the message, which may quote the user
                span.set_attribute("error.type", kind_of)
                span.set_status(Status(StatusCode.ERROR, kind_of))
                raise
            if span.is_recording():
                self._answered(call, span)

    def _asked(self, call: Call) -> dict[str, Value]:
        """Say of a verb what is known before it runs."""
        given = call.given
        found: dict[str, Value] = {}
        if call.user_id:
            found["prefmem.user.hash"] = self._hash(call.tenant, call.user_id)
        job = given.get("job")
        session = job.session_id if isinstance(job, Job) else given.get("session_id")
        if isinstance(session, str) and session:
            found["gen_ai.conversation.id"] = self._hash(call.tenant, call.user_id, session)
        if isinstance(job, Job):
            found |= {"prefmem.job.tries": job.tries, "prefmem.job.turns": len(job.turns)}
        if call.name == "recall":
            found["gen_ai.operation.name"] = "retrieval"
            query = given.get("query")
            if self._content and isinstance(query, str):
                found["gen_ai.retrieval.query.text"] = query
        score = given.get("score")
        if call.name == "feedback" and isinstance(score, (int, float)):
            found["gen_ai.evaluation.name"] = "prefmem.feedback"
            found["gen_ai.evaluation.score.value"] = float(score)
        return found

    def _part(self, call: Call) -> dict[str, Value]:
        """Say which part is asked."""
        found: dict[str, Value] = {"prefmem.part": call.name}
        if call.name == "embedder":
            found |= {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": self._basis}
        return found

    def _answered(self, call: Call, span: Span) -> None:
        """Say how it ended."""
        result = call.result
        if isinstance(result, Recall):
            self._recalled(result, span)
        elif isinstance(result, LearnReport):
            _count(span, "prefmem.learn", told(result))
        elif isinstance(result, Obeyed):
            intents = [command.intent for command in result.commands]
            span.set_attribute("prefmem.command.intents", intents)
        elif isinstance(result, Erasure):
            numbers = {"cards": result.cards, "events": result.events, "jobs": result.jobs}
            _count(span, "prefmem.erased", numbers)
            span.set_attribute("prefmem.erased.checkpointed", result.checkpointed)
        elif isinstance(result, bool):  # learn_later, feedback: whether it was new
            span.set_attribute("prefmem.new", result)

    def _recalled(self, recall: Recall, span: Span) -> None:
        reasons = Counter(v.reason for v in recall.verdicts if not v.injected)
        _count(
            span, "prefmem.recall",
            {"candidates": len(recall.candidates), "rules": len(recall.rules)},
        )  # fmt: skip
        _count(
            span, "prefmem.recall.withheld", {k.replace(" ", "_"): n for k, n in reasons.items()}
        )
        span.set_attribute("prefmem.recall.id", recall.id)
        span.set_attribute("prefmem.recall.outcome", outcome(recall))
        span.set_attribute("prefmem.recall.card_ids", [i for r in recall.rules for i in r.card_ids])
        if recall.missing:
            span.set_attribute("prefmem.recall.missing", list(recall.missing))
        if self._content:
            span.set_attribute("gen_ai.retrieval.query.text", recall.query)
            texts = [rule.text for rule in recall.rules[:_MOST]]
            span.set_attribute("prefmem.recall.rules.text", texts)

    def _hash(self, *names: str) -> str:
        """Name a user or a conversation by a keyed hash, 16 hexadecimal digits."""
        return blake2b("\x1f".join(names).encode(), key=self._key, digest_size=8).hexdigest()


def _count(span: Span, prefix: str, numbers: Mapping[str, int]) -> None:
    for name, number in numbers.items():
        span.set_attribute(f"{prefix}.{name}", number)
