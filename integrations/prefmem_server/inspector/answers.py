"""What the inspector's routes take and give, made of the memory's values."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from prefmem import Card, Recall
from prefmem.interaction import PastRecall
from prefmem.types import Explanation, Link
from prefmem_server.answers import CardOut, EventOut, WrittenOut
from prefmem_server.auth import Scope
from prefmem_server.schemas import CardId, CardIn, CardPatch, ScopeKind, Status, Text


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class WhoOut(_Answer):
    """What the caller's key opens."""

    name: str = Field(description="Name of the key.")
    tenant: str
    user_id: str | None = Field(description="The one user that it may act for, if it is bound.")
    scopes: list[Scope]


class UsersOut(_Answer):
    """Users whose id holds what was asked for, by id."""

    users: list[str]
    total: int = Field(description="How many there are of them.")


class RulesOut(_Answer):
    """A page of a user's rules."""

    rules: list[CardOut]
    total: int = Field(description="Rules that fit what was asked for.")
    counts: dict[Status, int] = Field(description="Rules by status that fit the words asked for.")


class BesideOut(_Answer):
    """Another rule that rests on the same turn."""

    card_id: str
    text: str
    quote: str


class QuoteOut(_Answer):
    """A verbatim quote of the user, and what is known of where it was said."""

    turn_id: str
    quote: str
    at: datetime | None = Field(description="When it was learned; null where no log tells.")
    event_id: str | None
    session_id: str | None = Field(description="The conversation; kept of the first quote alone.")
    beside: list[BesideOut]


class LinkOut(_Answer):
    """What the rule is to another one."""

    relation: str
    card_id: str
    text: str | None = Field(description="The other rule; null where it is gone.")
    probability: float


class RuleOut(_Answer):
    """One rule with all that is known about it."""

    card: CardOut
    quotes: list[QuoteOut]
    links: list[LinkOut]
    replaced_by: str | None = Field(description="The rule that took its place, as a sentence.")
    history: list[EventOut]


class AnsweredOut(_Answer):
    """What came back on a recall."""

    label: str
    reward: float
    heard: bool = Field(description="Whether it was read off a follow-up.")
    at: datetime


class RecallLineOut(_Answer):
    """One logged recall in a list."""

    id: str
    at: datetime
    session_id: str
    model: str
    considered: int
    injected: int
    answers: list[AnsweredOut]

    @classmethod
    def of(cls, past: PastRecall) -> Self:
        """Count what a recall considered."""
        return cls(
            id=past.recall_id, at=past.at, session_id=past.session_id, model=past.model,
            considered=len(past.candidates),
            injected=sum(found.injected for found in past.candidates),
            answers=[
                AnsweredOut(label=a.label, reward=a.reward, heard=a.heard, at=a.at)
                for a in past.answers
            ],
        )  # fmt: skip


class RecallsOut(_Answer):
    """Logged recalls, newest first."""

    recalls: list[RecallLineOut]
    more: bool = Field(description="Whether there are older ones.")


class TermsOut(_Answer):
    """One candidate with its terms, and what decided about it.

    Belief and worth of a rule that is not active are null, as it is not weighed; so is what a
    logged recall does not keep, such as the cosine.
    """

    card_id: str
    text: str | None
    scope: ScopeKind | None
    status: Status | None
    dense: float | None = Field(description="Cosine of query and rule, in [-1, 1].")
    dense_relevance: float | None = Field(description="Chance that it applies by the cosine alone.")
    relevance: float = Field(description="Chance that it applies.")
    reranked: bool | None
    belief: float | None = Field(description="Chance that injecting it is right where it applies.")
    worth: float | None = Field(description="Both together, as it is held against the floor.")
    floor: float
    injected: bool
    reason: str
    by: str = Field(description="The card that overrules it or says the same; else empty.")
    by_text: str | None

    @classmethod
    def of(cls, found: Explanation, texts: Mapping[str, str]) -> Self:
        """Write a candidate down."""
        weighed = found.status == "active"
        return cls(
            card_id=found.card_id, text=found.text, scope=found.scope, status=found.status,
            dense=found.dense, dense_relevance=found.dense_relevance, relevance=found.relevance,
            reranked=found.reranked, belief=found.belief if weighed else None,
            worth=found.worth if weighed else None, floor=found.floor,
            injected=found.verdict.injected, reason=found.verdict.reason, by=found.verdict.by,
            by_text=texts.get(found.verdict.by),
        )  # fmt: skip


class WhyOut(RecallLineOut):
    """One logged recall with every candidate, the injected first."""

    candidates: list[TermsOut]

    @classmethod
    def told(cls, past: PastRecall, cards: Mapping[str, Card]) -> Self:
        """Write a recall down with the rules as they are now."""
        return cls(
            **RecallLineOut.of(past).model_dump(),
            candidates=sorted(_terms(past, cards), key=lambda found: not found.injected),
        )


def _terms(past: PastRecall, cards: Mapping[str, Card]) -> Iterable[TermsOut]:
    for found in past.candidates:
        card = cards.get(found.card_id)
        scope = card.preference.scope.kind if card else None
        yield TermsOut(
            card_id=found.card_id, text=card.text if card else None, scope=scope,
            status=card.status if card else None, dense=None, dense_relevance=None,
            relevance=found.relevance, reranked=None, belief=found.belief, worth=found.worth,
            floor=0.0 if scope == "global" else past.floor, injected=found.injected,
            reason=found.reason, by="", by_text=None,
        )  # fmt: skip


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EditIn(_Change):
    """A rule that would say something else, or be confirmed."""

    kind: Literal["edit"]
    card_id: CardId
    patch: CardPatch


class ForgetIn(_Change):
    """A rule that would be gone."""

    kind: Literal["forget"]
    card_id: CardId


class AddIn(_Change):
    """A rule that would be there."""

    kind: Literal["add"]
    card: CardIn


ChangeIn: TypeAlias = Annotated[EditIn | ForgetIn | AddIn, Field(discriminator="kind")]


class WhatIfIn(_Change):
    """A query, and a change that is not made."""

    query: Annotated[Text, Field(min_length=1)]
    context: Text = Field(default="", description="What the user asked for before.")
    change: ChangeIn | None = None


class SupposedOut(_Answer):
    """What a recall would give."""

    block: str = Field(description="The exact text for the system prompt; empty for no rule.")
    candidates: list[TermsOut] = Field(description="The injected first, in order.")
    written: list[WrittenOut] = Field(description="What a preference agent would write.")

    @classmethod
    def of(cls, recall: Recall, block: str) -> Self:
        """Write a recall down."""
        texts = {found.card.id: found.card.text for found in recall.candidates}
        return cls(
            block=block,
            candidates=[TermsOut.of(found, texts) for found in recall.explain()],
            written=[
                WrittenOut(
                    text=w.text, injected=w.verdict.injected, reason=w.verdict.reason,
                    by=w.verdict.by,
                )
                for w in recall.written
            ],
        )  # fmt: skip


class WhatIfOut(_Answer):
    """What a recall gives as things are, and what it would give after the change."""

    before: SupposedOut
    after: SupposedOut | None
    changed: CardOut | None = Field(description="The rule as the change would leave it.")


def linked(links: Iterable[Link], texts: Mapping[str, str]) -> list[LinkOut]:
    """Write down what a rule is to others."""
    return [
        LinkOut(
            relation=link.relation, card_id=link.card_id, text=texts.get(link.card_id),
            probability=link.probability,
        )
        for link in links
    ]  # fmt: skip
