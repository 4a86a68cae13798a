"""What comes out over HTTP, made of the memory's values."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from prefmem import Card, LearnReport, Recall, UserState
from prefmem.types import RuleSource
from prefmem_server.schemas import Polarity, ScopeKind, Status

if TYPE_CHECKING:
    from prefmem.orders import Obeyed
    from prefmem.types import Erasure, Event

_CARD: dict[str, JsonValue] = {
    "id": "9f2c41d07be3a815",
    "text": "When writing SQL, use CTEs.",
    "condition": "writing SQL",
    "action": "use CTEs",
    "polarity": "do",
    "confidence": 1.0,
    "scope": {"kind": "conditional"},
    "evidence": [],
    "status": "active",
    "source": "added",
    "session_id": "",
    "valid_from": "2026-11-21T12:00:00Z",
    "valid_to": None,
    "recorded_at": "2026-11-21T12:00:00Z",
    "superseded_by": None,
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class EvidenceOut(_Answer):
    """A verbatim quote of the user."""

    turn_id: str
    quote: str


class ScopeOut(_Answer):
    """Where a rule holds."""

    kind: ScopeKind
    task: str | None = None
    audience: str | None = None
    language: str | None = None


class CardOut(_Answer):
    """A stored preference."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CARD]})

    id: str
    text: str = Field(description="The rule as one sentence.")
    condition: str
    action: str
    polarity: Polarity
    confidence: float
    scope: ScopeOut
    evidence: list[EvidenceOut]
    status: Status
    source: str
    session_id: str
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    superseded_by: str | None

    @classmethod
    def of(cls, card: Card) -> Self:
        """Write a card down."""
        p = card.preference
        return cls(
            id=card.id, text=card.text, condition=p.condition, action=p.action,
            polarity=p.polarity, confidence=p.confidence,
            scope=ScopeOut(
                kind=p.scope.kind, task=p.scope.task, audience=p.scope.audience,
                language=p.scope.language,
            ),
            evidence=[EvidenceOut(turn_id=e.turn_id, quote=e.quote) for e in p.evidence],
            status=card.status, source=card.source, session_id=card.session_id,
            valid_from=card.valid_from, valid_to=card.valid_to, recorded_at=card.recorded_at,
            superseded_by=card.superseded_by,
        )  # fmt: skip


class CardsOut(_Answer):
    """Cards, oldest first."""

    cards: list[CardOut]


class ChangeOut(_Answer):
    """One card as an event left it."""

    op: str
    card: CardOut
    because: str | None = Field(description="The relation that did it, if one did.")
    other_card: str | None = Field(description="The card on the other side of it.")


class EventOut(_Answer):
    """One entry of the log."""

    id: str = Field(description="What undo takes.")
    kind: str
    at: datetime
    seq: int
    undoes: str | None
    changes: list[ChangeOut]

    @classmethod
    def of(cls, event: "Event") -> Self:
        """Write an event down."""
        changes = [
            ChangeOut(
                op=change.op, card=CardOut.of(change.card),
                because=change.reason.relation if change.reason else None,
                other_card=(change.reason.card_id or None) if change.reason else None,
            )
            for change in event.changes
        ]  # fmt: skip
        return cls(
            id=event.id, kind=event.kind, at=event.at, seq=event.seq, undoes=event.undoes,
            changes=changes,
        )  # fmt: skip


class EventsOut(_Answer):
    """Entries of the log, oldest first."""

    events: list[EventOut]


class LearnedOut(_Answer):
    """What a window taught."""

    added: list[CardOut]
    updated: list[CardOut]
    closed: list[CardOut]
    events: list[str] = Field(description="What undo takes.")
    turns: int
    skipped: int

    @classmethod
    def of(cls, report: LearnReport) -> Self:
        """Write a report down."""
        return cls(
            added=[CardOut.of(card) for card in report.added],
            updated=[CardOut.of(card) for card in report.updated],
            closed=[CardOut.of(card) for card in report.closed],
            events=list(report.events), turns=report.turns, skipped=report.skipped,
        )  # fmt: skip


class QueuedOut(_Answer):
    """Whether a window waits to be learned; false when nothing in it is new."""

    queued: bool


class RuleOut(_Answer):
    """One line for the prompt."""

    text: str
    source: RuleSource = Field(description="`lora` for a rule that a preference agent wrote.")
    card_ids: list[str] = Field(description="Cards that it rests on; none of an agent's rule.")
    kind: ScopeKind
    since: datetime


class ExplainedOut(_Answer):
    """One candidate, and what decided about it."""

    card_id: str
    text: str
    status: Status
    relevance: float
    belief: float
    worth: float
    floor: float
    injected: bool
    reason: str
    by: str = Field(description="The card that overrules it or says the same; else empty.")


class WrittenOut(_Answer):
    """One rule that a preference agent wrote, and what decided about it."""

    text: str
    injected: bool
    reason: str
    by: str = Field(description="The card that says the same, or the contrary; else empty.")


class RecallOut(_Answer):
    """The rules that apply, and the block to put into the system prompt."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "2b1d7c09a4e6f583",
                    "block": "<preferences ...>",
                    "rules": [
                        {
                            "text": "When writing SQL, use CTEs.",
                            "source": "card",
                            "card_ids": ["9f2c41d07be3a815"],
                            "kind": "conditional",
                            "since": "2026-11-21T12:00:00Z",
                        }
                    ],
                    "ids": ["9f2c41d07be3a815"],
                    "explained": [],
                    "written": [],
                    "missing": [],
                }
            ]
        }
    )

    id: str = Field(description="What feedback is charged to.")
    block: str = Field(description="The exact text for the system prompt; empty for no rule.")
    rules: list[RuleOut]
    ids: list[str] = Field(
        description="What /v1/render takes later: ids of cards, and names of an agent's rules, "
        "which are known until this server ends or the user's cards change."
    )
    explained: list[ExplainedOut] = Field(description="Empty unless `why` was asked for.")
    written: list[WrittenOut] = Field(
        description="What a preference agent wrote; empty unless `why` was asked for."
    )
    missing: list[str] = Field(
        description="What was done without, as it failed or was late: `reranker`, `embedder`, "
        "`store`, `agent`; with `rules` nothing was found out."
    )

    @classmethod
    def of(cls, recall: Recall, block: str, *, why: bool) -> Self:
        """Write a recall down."""
        return cls(
            id=recall.id, block=block, missing=list(recall.missing),
            rules=[
                RuleOut(
                    text=r.text, source=r.source, card_ids=list(r.card_ids), kind=r.kind,
                    since=r.since,
                )
                for r in recall.rules
            ],
            ids=list(recall.ids),
            written=[
                WrittenOut(
                    text=w.text, injected=w.verdict.injected, reason=w.verdict.reason,
                    by=w.verdict.by,
                )
                for w in (recall.written if why else ())
            ],
            explained=[
                ExplainedOut(
                    card_id=e.card_id, text=e.text, status=e.status, relevance=e.relevance,
                    belief=e.belief, worth=e.worth, floor=e.floor, injected=e.verdict.injected,
                    reason=e.verdict.reason, by=e.verdict.by,
                )
                for e in (recall.explain() if why else ())
            ],
        )  # fmt: skip


class BlockOut(_Answer):
    """The text for the system prompt; empty when no rule is left."""

    block: str


class ObeyedOut(_Answer):
    """What the user told the memory, and what came of it."""

    intents: list[str] = Field(description="Empty where the turn is not for the memory.")
    reply: str = Field(description="What the user may be told.")
    cards: list[CardOut]
    rest: str = Field(description="What is asked of the assistant.")

    @classmethod
    def of(cls, done: "Obeyed") -> Self:
        """Write down what was done."""
        return cls(
            intents=[told.intent for told in done.commands], reply=done.reply,
            cards=[CardOut.of(card) for card in done.cards], rest=done.rest,
        )  # fmt: skip


class AcceptedOut(_Answer):
    """Whether it was new."""

    new: bool


class ReplayedOut(_Answer):
    """One logged recall, and what another user model would have shown."""

    recall_id: str
    at: datetime
    shown: list[str] = Field(description="Cards that were injected.")
    shows: list[str] = Field(description="Cards that would have been.")


class ReplayOut(_Answer):
    """Every logged recall, oldest first."""

    recalls: list[ReplayedOut]


class UserOut(_Answer):
    """What is known of a user beside the cards; an export has it card by card."""

    model: str = Field(description="The user model; empty before the first follow-up.")
    basis: str
    turns: int
    restated: float
    sessions: int
    steps: int
    baseline: float
    cards: int = Field(description="Cards with evidence.")
    long: list[float]
    short: list[float]

    @classmethod
    def of(cls, state: UserState) -> Self:
        """Write a state down."""
        return cls(
            model=state.model, basis=state.basis, turns=state.turns, restated=state.restated,
            sessions=state.sessions, steps=state.steps, baseline=state.baseline,
            cards=len(state.numbers), long=state.long.tolist(), short=state.short.tolist(),
        )  # fmt: skip


class ErasedOut(_Answer):
    """Receipt of an erasure."""

    cards: int
    events: int
    checkpointed: bool = Field(description="Whether the freed bytes have left the files.")
    interactions: int = Field(description="Entries of the log of interaction among the events.")
    edits: int = Field(description="Kept edits removed.")
    jobs: int = Field(description="Windows removed that waited to be learned from.")
    states: int = Field(description="Users of whom something learned from use was removed.")
    busy: bool = Field(description="Whether another reader keeps freed bytes in the store's log.")
    listed: bool = Field(description="Whether the list that outlives the store has the erasure.")
    adapters: int = Field(description="Adapters of a preference agent removed.")

    @classmethod
    def of(cls, receipt: "Erasure") -> Self:
        """Write a receipt down."""
        return cls(**asdict(receipt))


class FlushedOut(_Answer):
    """Whether nothing waits any more."""

    drained: bool


class HealthOut(_Answer):
    """How it is."""

    status: str


class ReadyOut(HealthOut):
    """How it is, and what it does without."""

    left_alone: list[str] = Field(default=[], description="Models that recalls do without now.")
