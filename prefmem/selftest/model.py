"""What a memory must hold, as dicts: the other side of the property test."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

Change: TypeAlias = tuple["Held | None", "Held | None"]  # a card before and after
Key: TypeAlias = str

_OVER = timedelta(days=15)  # after "for the next 10 days"


@dataclass(frozen=True, slots=True)
class Held:
    """A card that must be there.

    Attributes:
        name: What it is known by here, its whole life.
        text: The rule.
        quotes: The turns that said it.
        ends: When an end was set, ten days ahead; None for no end.
    """

    name: int
    text: str
    quotes: frozenset[Key] = frozenset()
    ends: datetime | None = None

    def over(self, now: datetime) -> bool:
        """Whether its end has come."""
        return self.ends is not None and now - self.ends > _OVER


@dataclass(frozen=True, slots=True)
class Said:
    """A turn that must be learned once.

    Attributes:
        key: What makes it the same turn.
        text: The rule that it says; empty for none.
        limited: Whether it says an end.
    """

    key: Key
    text: str = ""
    limited: bool = False


@dataclass(slots=True)
class Person:
    """What must be held about one user."""

    cards: dict[int, Held] = field(default_factory=dict[int, Held])
    known: set[Key] = field(default_factory=set[Key])
    waiting: list[tuple[tuple[Said, ...], datetime]] = field(
        default_factory=list[tuple[tuple[Said, ...], datetime]]
    )
    log: list[tuple[Change, ...]] = field(default_factory=list[tuple[Change, ...]])
    _names: int = 0

    def learn(self, turns: Sequence[Said], now: datetime) -> bool:
        """Learn turns that are new; gives whether any was."""
        fresh = [turn for turn in turns if turn.key not in self.known]
        for turn in fresh:
            self.known.add(turn.key)
            end = now if turn.limited else None
            changes = (self._told(turn.text, {turn.key}, end),) if turn.text else ()
            self.log.append(changes)
        return bool(fresh)

    def learn_later(self, turns: Sequence[Said], now: datetime) -> bool:
        """Put turns off; gives whether any was new."""
        fresh = any(turn.key not in self.known for turn in turns)
        if fresh:
            self.waiting.append((tuple(turns), now))
        return fresh

    def flush(self) -> None:
        """Learn what waits, in order."""
        waiting, self.waiting = self.waiting, []
        for turns, at in waiting:
            self.learn(turns, at)

    def add(self, text: str) -> None:
        """Store a rule by hand."""
        self.log.append((self._told(text, set(), None),))

    def edit(self, name: int, text: str) -> bool:
        """Give a card another text; False where another card says that."""
        if any(card.text == text for other, card in self.cards.items() if other != name):
            return False
        self._change(name, replace(self.cards[name], text=text))
        return True

    def forget(self, name: int) -> None:
        """Remove a card, from the log too."""
        del self.cards[name]
        self.log = [tuple(c for c in changes if _name(c) != name) for changes in self.log]
        self.log.append(())

    def undo(self, place: int) -> bool:
        """Take an event back; False where that cannot be."""
        names = {_name(change) for change in self.log[place]}
        later = {_name(change) for changes in self.log[place + 1 :] for change in changes}
        if not names or names & later:
            return False
        before = {_name(change): change[0] for change in self.log[place]}
        rest = {name: card for name, card in self.cards.items() if name not in names}
        back = {name: card for name, card in before.items() if card is not None}
        texts = [card.text for card in (*rest.values(), *back.values())]
        if len(set(texts)) < len(texts):
            return False
        self.log.append(tuple((self.cards.get(name), before[name]) for name in names))
        self.cards = rest | back
        return True

    def alive(self, now: datetime) -> dict[str, int]:
        """Give the texts that are in force, with the number of turns that said each."""
        return {c.text: len(c.quotes) for c in self.cards.values() if not c.over(now)}

    def over(self, now: datetime) -> dict[str, int]:
        """Give the texts whose end has come, with the number of turns that said each."""
        return {c.text: len(c.quotes) for c in self.cards.values() if c.over(now)}

    def _told(self, text: str, quotes: set[Key], end: datetime | None) -> Change:
        """Say a rule: a new card, or more evidence of the one that says the same."""
        same = next((card for card in self.cards.values() if card.text == text), None)
        if same is None:
            self._names += 1
            card = Held(self._names, text, frozenset(quotes), end)
        else:
            end = None if same.ends is None else end
            card = replace(same, quotes=same.quotes | quotes, ends=end)
        self.cards[card.name] = card
        return same, card

    def _change(self, name: int, card: Held) -> None:
        self.log.append(((self.cards[name], card),))
        self.cards[name] = card


def _name(change: Change) -> int:
    before, after = change
    card = before or after
    assert card is not None
    return card.name
