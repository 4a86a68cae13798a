"""Carrying out what users tell their memory: forget, narrow, pause, why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from prefmem.commands import Command, Known, reply, resolve
from prefmem.interaction import Offer
from prefmem.protocols import Embedder
from prefmem.types import LIVE, Card, Change, Event, ScopeKind, Status

_ONE = frozenset({"forget", "edit", "narrow", "undo"})  # of several fitting rules none is taken


_GONE = "What I've forgotten is gone for good. Say it again, and I'll keep it."
_ASIDE = "I've put that aside: it counts once you have confirmed it where you see your preferences."
_NOT_KEPT = "I can't keep that."
_NOTE = """<memory-note>
The user spoke to their memory, and it has done what they asked. It says: {reply}
Tell the user so in your own words, and answer what else they ask.
</memory-note>"""


@dataclass(frozen=True, slots=True)
class Obeyed:
    """What a user told their memory, and what came of it.

    Attributes:
        commands: What was told, in order; empty where the turn is not for the memory.
        reply: What the user may be told, in plain words; empty where there is no command.
        cards: Cards that it changed, shows or explains, as they are now; a forgotten one is not
            among them.
        rest: The turn without its commands: what is asked of the assistant.
    """

    commands: tuple[Command, ...] = ()
    reply: str = ""
    cards: tuple[Card, ...] = ()
    rest: str = ""

    @property
    def note(self) -> str:
        """What the model is told, so that it tells the user; empty where there is no reply."""
        return _NOTE.format(reply=self.reply) if self.reply else ""


class Verbs(Protocol):
    """The verbs of a memory that commands need."""

    def edit(
        self,
        card_id: str,
        *,
        user_id: str,
        condition: str | None = None,
        action: str | None = None,
        scope: ScopeKind | None = None,
        status: Literal["active", "quarantined"] | None = None,
    ) -> Card:
        """Change a card."""
        ...

    def forget(self, card_id: str, *, user_id: str) -> None:
        """Remove a card for good."""
        ...

    def undo(self, event_id: str, *, user_id: str) -> Event:
        """Take one event back."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What is at hand when a command comes.

    Attributes:
        user_id: Who gives it.
        memory: Carries it out.
        cards: All cards of the user, oldest first.
        injected: Ids of the cards that were injected for the last answer.
        newest: The newest event that can be taken back, or that forgot something; None where
            there is none.
        remember: Stores what is to be remembered, and gives the cards.
        pause: Leaves cards out of the conversation; without ids all of them.
        written: What a preference agent wrote for the last answer.
    """

    user_id: str
    memory: Verbs
    cards: tuple[Card, ...]
    injected: frozenset[str]
    newest: Event | None
    remember: Callable[[Command], tuple[Card, ...]]
    pause: Callable[[Sequence[str]], None]
    written: tuple[str, ...] = ()

    def carry_out(self, command: Command, embedder: Embedder) -> tuple[str, tuple[Card, ...]]:
        """Carry a command out; gives what the user may be told, and the cards that it is about."""
        if command.intent == "remember":
            kept = self.remember(command)
            if all(card.status == "quarantined" for card in kept):
                return (_ASIDE if kept else _NOT_KEPT), kept
            return reply(command, [card.text for card in kept]), kept
        if command.intent == "undo" and not command.target and self.newest is not None:
            if self.newest.kind == "forget":
                return _GONE, ()
            event = self.memory.undo(self.newest.id, user_id=self.user_id)
            return _taken_back(event.changes), tuple(change.card for change in event.changes)
        wanted: frozenset[Status] = frozenset({"active", "candidate", "quarantined"})
        if command.intent == "undo":
            wanted = frozenset({"superseded", "expired"})
        elif command.intent in ("show", "why", "pause"):
            wanted = frozenset({"active"})
        known = {card.id: card for card in self.cards if card.status in wanted}
        found = [known[i] for i in resolve(command, self._known(command, known, embedder))]
        said = [card.text for card in found]
        if command.intent == "why":
            wrote = [Known(text, text, injected=True, recorded=0.0) for text in self.written]
            said = [*map(self._told, found), *map(_by_agent, resolve(command, wrote))]
        answer = reply(command, said)
        if command.intent in _ONE and len(found) > 1 and not command.everything:
            return answer, tuple(found)
        return answer, tuple(self._done(command, found))

    def _known(
        self, command: Command, cards: Mapping[str, Card], embedder: Embedder
    ) -> list[Known]:
        near = dict.fromkeys(cards, 0.0)
        if command.target and cards:
            texts = [card.text for card in cards.values()]
            rows = embedder.embed([command.target, *texts])
            near = dict(zip(cards, (rows[1:] @ rows[0]).tolist(), strict=True))
        return [
            Known(i, c.text, i in self.injected, c.recorded_at.timestamp(), near[i])
            for i, c in cards.items()
        ]

    def _done(self, command: Command, found: Sequence[Card]) -> Sequence[Card]:
        """Do what is to be done with the cards."""
        user, memory = self.user_id, self.memory
        if command.intent == "pause":
            self.pause([] if command.everything else [card.id for card in found])
        elif command.intent == "forget":
            for card in found:
                memory.forget(card.id, user_id=user)
            return ()
        elif command.intent == "narrow" and command.content:
            return [
                memory.edit(
                    card.id, user_id=user, condition=_narrowed(card, command.content),
                    scope="conditional",
                )
                for card in found
            ]  # fmt: skip
        elif command.intent == "edit" and command.content:
            return [memory.edit(c.id, user_id=user, action=command.content) for c in found]
        elif command.intent == "undo":
            return [memory.edit(card.id, user_id=user, status="active") for card in found]
        return found

    def _told(self, card: Card) -> str:
        """Say where a rule comes from."""
        said = card.preference.evidence
        day = card.valid_from.date().isoformat()
        if said:
            return f'{card.text.rstrip(".")} (you said on {day}: "{said[0].quote}")'
        return f"{card.text.rstrip('.')} (since {day})"


def _by_agent(rule: str) -> str:
    """Say where a rule of a preference agent comes from."""
    return f"{rule.rstrip('.')} (you never said so; it is how you write)"


def _taken_back(changes: Sequence[Change]) -> str:
    """Say which rules hold no more, and which hold again."""
    gone = [c.card.text for c in changes if c.op == "remove"]
    back = [c.card.text for c in changes if c.op != "remove" and c.card.status in LIVE]
    said = [("I've dropped this again:", gone), ("I've brought this back:", back)]
    return " ".join(" ".join([opening, *texts]) for opening, texts in said if texts)


def shown(offer: Offer | None, numbers: Mapping[str, int]) -> frozenset[str]:
    """Name the cards that an offer injected."""
    if offer is None:
        return frozenset()
    injected = set(np.asarray(offer.numbers)[offer.shown].tolist())
    return frozenset(card_id for card_id, number in numbers.items() if number in injected)


def _narrowed(card: Card, where: str) -> str:
    """Word the condition of a rule that holds only somewhere."""
    condition, place = card.preference.condition.strip(), where.strip().rstrip(".")
    openers = ("in ", "for ", "when ", "at ", "on ", "during ", "with ", "while ")
    only = place if place.lower().startswith(openers) else f"for {place}"
    return f"{condition}, {only}" if condition else only
