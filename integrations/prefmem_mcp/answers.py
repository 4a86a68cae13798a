"""What the tools give, as models whose schemas the clients see."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from prefmem import Card
from prefmem.types import LIVE, Event, Explanation, Polarity, Reason, ScopeKind, Status
from prefmem_mcp.sdk import Answer

_WITHHELD = "(withheld until the user confirms it)"
_REASONS: Mapping[Reason, str] = {
    "global": "used: it holds for every answer",
    "relevant": "used: it fits the request",
    "irrelevant": "left out: it does not fit the request well enough",
    "doubted": "left out: what the user said about it speaks against it",
    "paused": "left out: the user wants this conversation to go without it",
    "other audience": "left out: it is for somebody else, or for another language",
    "overruled": "left out: an exception to it applies",
    "duplicate": "left out: another rule says the same",
    "over limit": "left out: other rules fit better",
    "over global limit": "left out: too many rules hold for every answer",
    "over budget": "left out: no room in the prompt",
    "candidate": "left out: it is not sure yet",
    "quarantined": "left out: it waits for the user's confirmation",
    "superseded": "left out: another rule took its place",
    "expired": "left out: its time is over",
}


class Stored(Answer):
    """One preference as it is stored."""

    id: Annotated[str, Field(description="Name of the preference, for the other tools.")]
    rule: Annotated[str, Field(description="The rule as one sentence.")]
    condition: Annotated[str, Field(description="When it applies; empty for always.")]
    action: Annotated[str, Field(description="What to do or to avoid.")]
    polarity: Polarity
    scope: Annotated[ScopeKind, Field(description="global: for every answer.")]
    status: Annotated[
        Status,
        Field(
            description="Only active ones are used. A candidate is not sure yet; a quarantined one "
            "waits for the user's confirmation; the others are over."
        ),
    ]
    since: Annotated[str, Field(description="Since when it holds, UTC.")]
    until: Annotated[str | None, Field(description="Until when it holds; null for no end.")] = None

    @classmethod
    def of(cls, card: Card) -> "Stored":
        """Show a card; the words of a quarantined one are kept from the model."""
        p, hidden = card.preference, card.status == "quarantined"
        return cls(
            id=card.id,
            rule=_WITHHELD if hidden else card.text,
            condition="" if hidden else p.condition,
            action=_WITHHELD if hidden else p.action,
            polarity=p.polarity,
            scope=p.scope.kind,
            status=card.status,
            since=card.valid_from.isoformat(timespec="seconds"),
            until=card.valid_to.isoformat(timespec="seconds") if card.valid_to else None,
        )


class Changed(Answer):
    """What became of a preference."""

    message: Annotated[str, Field(description="What happened, to tell the user.")]
    preference: Stored

    @classmethod
    def of(cls, card: Card) -> "Changed":
        """Say what a card is like after a change."""
        return cls(message=_outcome(card), preference=Stored.of(card))


class Forgotten(Answer):
    """What was removed."""

    message: str
    id: str


class Listed(Answer):
    """A page of preferences."""

    preferences: list[Stored]
    total: Annotated[int, Field(description="How many there are on all pages.")]
    next_offset: Annotated[int | None, Field(description="Where the next page begins.")] = None


class Applying(Answer):
    """A rule that applies to a request."""

    id: Annotated[
        str,
        Field(
            description="Name of the preference, for the other tools; empty for a rule that was "
            "not said, but read off how the user writes."
        ),
    ]
    rule: str
    scope: Annotated[ScopeKind, Field(description="global: for every answer.")]
    since: Annotated[str, Field(description="Day of saying.")]


class Recalled(Answer):
    """The rules that apply to a request."""

    recall_id: Annotated[str, Field(description="Receipt: why_preference explains by it.")]
    rules: list[Applying]
    block: Annotated[str, Field(description="The rules with how to take them; empty for none.")]

    def told(self) -> str:
        """Give the block, or that there is none."""
        block = self.block or "No stored preference applies to this request."
        return f"{block}\n(recall_id: {self.recall_id})"


class Decision(Answer):
    """Why one preference was used for a request, or was not."""

    id: str
    rule: str
    used: bool
    reason: str
    relevance: Annotated[float, Field(description="How well it fits the request, 0 to 1.")]
    belief: Annotated[float, Field(description="How well it has worked for the user, 0 to 1.")]
    needed: Annotated[float, Field(description="What relevance and belief had to reach.")]
    because_of: Annotated[str, Field(description="Id of the rule that decided it, if any.")] = ""

    @classmethod
    def of(cls, row: Explanation, card: Card) -> "Decision":
        """Show a row of an explanation, with the words that the card has now."""
        shown = Stored.of(card)
        return cls(
            id=card.id,
            rule=shown.rule,
            used=row.verdict.injected,
            reason=_REASONS[row.verdict.reason],
            relevance=round(row.relevance, 3),
            belief=round(row.belief, 3),
            needed=round(row.floor, 3),
            because_of=row.verdict.by,
        )


class Happening(Answer):
    """One entry in the history of a preference."""

    at: str
    what: str
    rule: Annotated[str, Field(description="What it said after that.")]
    because_of: Annotated[str, Field(description="Id of the rule that caused it, if any.")] = ""

    @classmethod
    def all_of(cls, events: tuple[Event, ...], *, hidden: bool) -> list["Happening"]:
        """Show the history of one card, oldest first."""
        return [
            cls(
                at=event.at.isoformat(timespec="seconds"),
                what=f"{event.kind}: {change.op}",
                rule=Stored.of(change.card).rule if not hidden else _WITHHELD,
                because_of=change.reason.card_id if change.reason else "",
            )
            for event in events
            for change in event.changes
        ]


class Because(Answer):
    """Why a preference is there, or why preferences were used."""

    message: str
    preference: Annotated[Stored | None, Field(description="The preference asked about.")] = None
    evidence: Annotated[list[str], Field(description="The user's own words behind it.")] = []  # noqa: RUF012  # pydantic copies it
    history: list[Happening] = []  # noqa: RUF012  # as above
    recall_id: Annotated[str | None, Field(description="The recall that is explained.")] = None
    decisions: list[Decision] = []  # noqa: RUF012  # as above


def _outcome(card: Card) -> str:
    if card.status == "active":
        return "Stored. It is used from the next request on."
    if card.status == "quarantined":
        return (
            "Stored, but NOT in use: it reads as an order about what to do rather than about how "
            "to answer, so the user has to confirm it outside this chat. You cannot. Tell them: "
            f"prefmem edit {card.id} --status active"
        )
    if card.status == "candidate":
        return (
            "Stored as a candidate, not in use yet: it waits until the user says it again, or "
            f"confirms it outside this chat: prefmem edit {card.id} --status active"
        )
    if card.status in LIVE:
        return "Stored."
    return "Taken back: this preference is not in use any more."
