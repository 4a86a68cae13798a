"""A user as the commits tell: cards, log and numbers, folded in one order in every process.

Two processes may write at the same instant, each without the other's commit. What then comes
twice, or contradicts, is settled here, by the order of the commits alone:

- An event whose key came before is left out, with its cards: each turn teaches once.
- A card that both changed is as the later commit says; both events stay in the log.
- Of two live cards that say the same, the later is closed in favour of the earlier, by an event
  `twin:<card>` that the next write makes permanent.
- Of two cards with one number, the earlier keeps it.
- Of a forgotten card nothing counts that does not add it anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from prefmem.errors import InputError, StoreError
from prefmem.ids import rule_hash
from prefmem.interaction import Entry, UserState
from prefmem.stores import codec, journal
from prefmem.types import LIVE, Card, Change, Event, Link, Preference, Shelf, Status
from prefmem_langchain.store_commit import Commit, Told, entry_key

_REWORDED = frozenset({"add", "edit", "restore"})  # changes that may bring another text
_TWIN = "twin:"


@dataclass(slots=True, eq=False)
class View:
    """A user's cards and log. A write works on a copy.

    Attributes:
        token: Of the version item that it is a picture of; empty for an unknown user.
        root: Name of the commit that the log begins with; empty before the first.
        state: What a user model learned.
        commits: The commits that count, by name, as they ought to be.
        unclean: Names of those that the store holds in another form, or holds in vain.
        events: The log.
        cards: Cards by id in the order of saying; None for one that was removed.
        vectors: Their float16 vectors.
        numbers: Numbers of all cards that are there or were removed.
        numbered: The highest number that was ever given.
        renumbered: Numbers that were worked out here, to be made permanent.
        twins: Events that were worked out here, to be made permanent.
        entries: Lines of the log of interaction within commits, by key.
        forgotten: Numbers of forgotten cards, by card id.
        edits_until: Place in the log up to which kept edits are dropped.
        last: Place of the newest line of the log.
        revision: Changes whenever the cards do; 0 before the first.
    """

    token: str = ""
    root: str = ""
    state: UserState | None = None
    commits: dict[str, Commit] = field(default_factory=dict[str, Commit])
    unclean: frozenset[str] = frozenset()
    events: list[Event] = field(default_factory=list[Event])
    cards: dict[str, Card | None] = field(default_factory=dict[str, Card | None])
    vectors: dict[str, bytes] = field(default_factory=dict[str, bytes])
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    numbered: int = 0
    renumbered: dict[str, int] = field(default_factory=dict[str, int])
    twins: list[Event] = field(default_factory=list[Event])
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    forgotten: dict[str, int] = field(default_factory=dict[str, int])
    edits_until: int = 0
    last: int = 0
    revision: int = 0
    _keys: set[str] = field(default_factory=set[str])
    _words: set[str] = field(default_factory=set[str])
    _live: dict[bytes, str] = field(default_factory=dict[bytes, str])

    def copy(self) -> "View":
        """Give a view that can be changed."""
        return replace(
            self, commits=dict(self.commits), events=list(self.events), cards=dict(self.cards),
            vectors=dict(self.vectors), numbers=dict(self.numbers), entries=dict(self.entries),
            renumbered=dict(self.renumbered), twins=list(self.twins),
            forgotten=dict(self.forgotten), _keys=set(self._keys), _words=set(self._words),
            _live=dict(self._live),
        )  # fmt: skip

    def knows(self, key: str) -> bool:
        """Whether an event has this key; `words:` is `words:x`, told without the turn before."""
        words, colon, before = key.partition(":")
        if colon and not before:
            return words in self._words
        return key in self._keys or f"{words}:" in self._keys

    def held(self, *, status: Status | None = None) -> tuple[Card, ...]:
        """Give the cards in the order of saying."""
        there = (card for card in self.cards.values() if card is not None)
        return tuple(card for card in there if status in (None, card.status))

    def twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same, letter case and spacing aside."""
        return self.cards.get(self._live.get(rule_hash(preference), ""))

    def shelf(self, width: int, status: Status) -> Shelf:
        """Give the vectors of the cards with a status, ordered by number."""
        held = sorted(self.held(status=status), key=lambda card: self.numbers[card.id])
        return Shelf(
            self.revision,
            tuple(card.id for card in held),
            np.array([card.preference.scope.kind == "global" for card in held], dtype=np.bool_),
            np.array([card.preference.confidence for card in held], dtype=np.float32),
            codec.read_vectors([self.vectors[card.id] for card in held], width),
            np.array([_end(card) for card in held], dtype=np.float64),
            np.array([self.numbers[card.id] for card in held], dtype=np.int64),
        )

    def counted(self) -> dict[str, int]:
        """Give the numbers of the cards that are there, in their order."""
        there = (card_id for card_id, card in self.cards.items() if card is not None)
        return dict(sorted(((i, self.numbers[i]) for i in there), key=lambda pair: pair[1]))

    def record(self, told: Told) -> None:
        """Append an event of a write; its cards get numbers.

        Raises:
            InputError: A card would say the same as another live one.
            StoreError: The key was recorded before.
        """
        if told.event.key in self._keys:
            raise StoreError("an event with this key was recorded before; nothing was stored")
        for change in told.event.changes:
            self._change(change, told.vectors)
            self._number(change.card.id)
            self._alone(change.card)
        self._append(told.event)

    def note(self, entry: Entry) -> None:
        """Append a line of the log of interaction."""
        self.entries[entry_key(entry)] = entry
        self.last = max(self.last, entry.seq)

    def without_forgotten(self, entry: Entry) -> Entry:
        """Take the columns of forgotten cards out of a line of the log of interaction."""
        payload = entry.payload
        for number in self.forgotten.values():
            payload = journal.without_number(payload, number) if number else payload
        return entry if payload is entry.payload else replace(entry, payload=payload)

    def _change(self, change: Change, vectors: Mapping[str, bytes]) -> None:
        card = change.card
        old = self.cards.get(card.id)
        if old is not None and self._live.get(rule_hash(old.preference)) == card.id:
            del self._live[rule_hash(old.preference)]
        if change.op == "remove":
            self.cards[card.id] = None
            return
        if card.id in vectors and (change.op in _REWORDED or old is None):
            self.vectors[card.id] = vectors[card.id]
        self.cards[card.id] = card
        if card.status in LIVE:
            self._live.setdefault(rule_hash(card.preference), card.id)

    def _alone(self, card: Card) -> None:
        """Refuse a second live card that says the same."""
        now = self.cards.get(card.id)
        if now is None or now.status not in LIVE:
            return
        if self._live.get(rule_hash(now.preference)) != card.id:
            raise InputError(
                f"another card of this user says the same as {card.id!r} would; edit or forget "
                "that one"
            )

    def _number(self, card_id: str) -> None:
        if card_id not in self.numbers:
            self.numbered += 1
            self.numbers[card_id] = self.renumbered[card_id] = self.numbered

    def _append(self, event: Event) -> None:
        self.events.append(event)
        self._keys.add(event.key)
        words, colon, _ = event.key.partition(":")
        if colon:
            self._words.add(words)
        self.last = max(self.last, event.seq)

    # Folding

    @classmethod
    def of(cls, commits: Iterable[Commit]) -> "View":
        """Work out what commits tell together."""
        ordered = sorted(commits, key=lambda commit: commit.key)
        keys = {commit.key for commit in ordered}
        living = [commit for commit in ordered if commit.root in keys]
        view = cls(unclean=frozenset(keys - {commit.key for commit in living}))
        view.root = min((commit.root for commit in living), default="")
        gone: dict[str, str] = {}
        for commit in living:
            view.forgotten |= commit.forgotten
            gone |= dict.fromkeys(commit.forgotten, commit.key)
        for commit in living:
            view._take(commit, gone)
        for card_id in gone:
            if view.cards.get(card_id) is None:
                view.cards.pop(card_id, None)
                view.vectors.pop(card_id, None)
        view._settle_numbers()
        view._settle_twins()
        return view

    def _take(self, commit: Commit, gone: Mapping[str, str]) -> None:
        """Take a commit in, without what came before and what was forgotten."""
        kept: list[Told] = []
        for told in commit.told:
            event = told.event
            if event.key in self._keys or (event.kind == "learn" and self.knows(event.key)):
                continue  # another process was quicker
            clean = self._without_gone(event, commit.key, gone)
            if clean is not event:
                left = {change.card.id for change in clean.changes}
                told = Told(clean, {i: v for i, v in told.vectors.items() if i in left})
            for change in clean.changes:
                self._change(change, told.vectors)
            self._append(clean)
            kept.append(told)
        lines = [entry for entry in commit.entries if entry.key not in self.entries]
        entries = [self.without_forgotten(entry) for entry in lines]
        for entry in entries:
            self.note(entry)
        numbers = {i: n for i, n in commit.numbers.items() if commit.key > gone.get(i, "")}
        now = (kept, entries, len(numbers))
        if now != (list(commit.told), list(commit.entries), len(commit.numbers)):
            commit = replace(commit, told=tuple(kept), entries=tuple(entries), numbers=numbers)
            self.unclean |= {commit.key}
        self.commits[commit.key] = commit
        self.revision ^= commit.mark
        self.edits_until = max(self.edits_until, commit.edits_until)

    def _without_gone(self, event: Event, at: str, gone: Mapping[str, str]) -> Event:
        """Take forgotten cards out of an event of the commit `at`, but not one that is added anew.

        `gone` says with which commit a card was forgotten.
        """
        taken = {
            card_id
            for change in event.changes
            for card_id in _named(change) & gone.keys()
            if at <= gone[card_id]
            or (self.cards.get(card_id) is None and (change.op, change.card.id) != ("add", card_id))
        }
        if not taken:
            return event
        user_id, text = event.changes[0].card.user_id, codec.write_changes(event.changes)
        for card_id in taken:
            text = codec.without_card(text, card_id)
        return replace(event, changes=codec.read_changes(text, user_id))

    def _settle_numbers(self) -> None:
        """Give every card a number of its own, by the order of the claims."""
        owners = {number: card_id for card_id, number in self.forgotten.items()}
        for commit in self.commits.values():
            for card_id, number in commit.numbers.items():
                if card_id not in self.numbers and owners.setdefault(number, card_id) == card_id:
                    self.numbers[card_id] = number
        self.numbered = max(owners, default=0)
        for card_id in self.cards:
            self._number(card_id)

    def _settle_twins(self) -> None:
        """Close live cards that say the same as an earlier one."""
        first: dict[bytes, str] = {}
        for card in self.held():
            if card.status not in LIVE:
                continue
            same = first.setdefault(rule_hash(card.preference), card.id)
            if same == card.id:
                continue
            closed = replace(
                card, status="superseded", valid_to=card.recorded_at, superseded_by=same
            )
            change = Change("supersede", closed, Link("same", same, 1.0))
            event = Event(f"{_TWIN}{card.id}", "learn", (change,), card.recorded_at, self.last + 1)
            self._change(change, {})
            self._append(event)
            self.twins.append(event)
        self._live = first


def twins_of(view: View, card_id: str) -> tuple[str, ...]:
    """Name the cards that were closed because they said the same as one at the same instant."""
    return tuple(
        event.key.removeprefix(_TWIN)
        for event in view.events
        if event.key.startswith(_TWIN)
        and any(c.reason is not None and c.reason.card_id == card_id for c in event.changes)
    )


def _named(change: Change) -> set[str]:
    """Name every card that a change speaks of."""
    card, reason = change.card, change.reason
    linked = {link.card_id for link in card.links} | {card.superseded_by or card.id, card.id}
    return linked if reason is None else linked | {reason.card_id}


def _end(card: Card) -> float:
    return float("inf") if card.valid_to is None else card.valid_to.timestamp()
