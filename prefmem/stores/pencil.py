"""A store in which changes are seen and never kept: another one, with pencil marks on it.

For asking what would be if a rule were changed. The other store is read and never written.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NoReturn

import numpy as np

from prefmem.errors import InputError
from prefmem.ids import rule_hash
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.job import Job
from prefmem.protocols import Jobs, Store
from prefmem.types import (
    LIVE,
    Action,
    Card,
    Erasure,
    Event,
    Preference,
    Shelf,
    Status,
    UserKey,
    Vector,
)


@dataclass(slots=True, eq=False)
class _Marks:
    """What was changed of one user.

    Attributes:
        cards: Cards as they are now, by id; None for one that is gone.
        vectors: Vectors of texts that came.
        events: What happened, in order.
        state: The user's state; None where it is as it was.
        forgot: Ids of cards that were forgotten.
    """

    cards: dict[str, Card | None] = field(default_factory=dict[str, Card | None])
    vectors: dict[str, Vector] = field(default_factory=dict[str, Vector])
    events: list[Event] = field(default_factory=list[Event])
    state: UserState | None = None
    forgot: set[str] = field(default_factory=set[str])

    def copy(self) -> "_Marks":
        return _Marks(
            dict(self.cards), dict(self.vectors), list(self.events), self.state, set(self.forgot)
        )


class Pencil:
    """Reads a store, and keeps what is written to itself until it is dropped; for one thread.

    Args:
        store: What is read.
    """

    def __init__(self, store: Store) -> None:
        """Mark nothing yet."""
        self._store = store
        self._marks: dict[UserKey, _Marks] = {}

    @property
    def jobs(self) -> Jobs:
        """Nothing waits here: refused."""
        refuse("queue a window")

    def bind(self, basis: str, width: int) -> None:
        """Check that the store is tied to a vector space."""
        self._store.bind(basis, width)

    def revision(self, user: UserKey) -> int:
        """Number that changes whenever the user's cards do."""
        return self._store.revision(user) + len(self._of(user).events)

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        shelf, marks = self._store.shelf(user, status=status), self._of(user)
        if not marks.cards:
            return shelf
        numbers = self.numbers(user)
        stays = [i for i, card_id in enumerate(shelf.ids) if card_id not in marks.cards]
        fresh = [c for c in marks.cards.values() if c is not None and c.status == status]
        ids = [*(shelf.ids[i] for i in stays), *(card.id for card in fresh)]
        count = len(shelf.ids)
        was = np.full(count, np.inf) if shelf.ends is None else shelf.ends
        rows = np.array([self._vector(user, card.id) for card in fresh], dtype=np.float32)
        rows = rows.reshape(len(fresh), -1) if fresh else shelf.matrix[:0]
        kinds = [card.preference.scope.kind == "global" for card in fresh]
        sure = [card.preference.confidence for card in fresh]
        ends = [np.inf if c.valid_to is None else c.valid_to.timestamp() for c in fresh]
        order: list[int] = np.argsort([numbers[card_id] for card_id in ids], kind="stable").tolist()
        return Shelf(
            self.revision(user),
            tuple(ids[i] for i in order),
            np.concatenate([shelf.always[stays], np.array(kinds, dtype=np.bool_)])[order],
            np.concatenate([shelf.confidence[stays], np.array(sure, dtype=np.float32)])[order],
            np.concatenate([shelf.matrix[stays].reshape(len(stays), rows.shape[1]), rows])[order],
            np.concatenate([was[stays], np.array(ends, dtype=np.float64)])[order],
            np.array([numbers[ids[i]] for i in order], dtype=np.int64),
        )

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id: new ones count on."""
        numbers = dict(self._store.numbers(user))
        known = max(numbers.values(), default=0)
        cards = self._of(user).cards
        new = [card_id for card_id in cards if card_id not in numbers]
        numbers |= {card_id: known + place for place, card_id in enumerate(new, start=1)}
        return {i: n for i, n in numbers.items() if cards.get(i, ...) is not None}

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        marks = self._of(user)
        if card_id in marks.cards:
            return marks.cards[card_id]
        found = self._store.card(user, card_id)
        return None if found is None else _unlinked(found, marks.forgot)

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards, oldest first; only those in `ids`, only those of `status`."""
        wanted, marks = None if ids is None else frozenset(ids), self._of(user)
        found: dict[str, Card | None] = {
            card.id: _unlinked(card, marks.forgot) for card in self._store.cards(user, ids=wanted)
        }
        found |= {i: card for i, card in marks.cards.items() if wanted is None or i in wanted}
        cards = (card for card in found.values() if card is not None)
        return tuple(card for card in cards if status in (None, card.status))

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        mine = {event.key for event in self._of(user).events}
        return self._store.known(user, keys) | (mine & set(keys))

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        mine = self._of(user).events
        told = [*self._store.events(user), *mine] if mine else self._store.events(user)
        if card_id is None:
            return tuple(told)
        narrowed = (
            replace(event, changes=tuple(c for c in event.changes if c.card.id == card_id))
            for event in told
        )
        return tuple(event for event in narrowed if event.changes)

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._of(user).state or self._store.state(user)

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Drop what a recall offered: it was not offered to anybody."""
        del user, entry
        return False

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        return self._store.edits(user)

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        return self._store.noted(user, key)

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order."""
        return self._store.interactions(user, asked=asked, recall_id=recall_id)

    @contextmanager
    def write(self, user: UserKey) -> Generator["PencilTransaction"]:
        """Open a transaction; an exception inside undoes all of it."""
        before = self._of(user)
        self._marks[user] = before.copy()
        try:
            yield PencilTransaction(self, user, self._marks[user])
        except BaseException:
            self._marks[user] = before
            raise

    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Refuse: nobody is erased in pencil."""
        del user, actor, at
        refuse("erase a user")

    def audit(self, user: UserKey, action: Action, *, actor: str, at: datetime, n: int = 1) -> None:
        """Tell nobody: nothing was done."""

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        return self._store.users(tenant)

    def close(self) -> None:
        """Leave the store open: it is another one's."""

    def _of(self, user: UserKey) -> _Marks:
        return self._marks.get(user) or _Marks()

    def _vector(self, user: UserKey, card_id: str) -> Vector:
        """Give the vector of a card, from here or from where the card was."""
        fresh = self._of(user).vectors.get(card_id)
        held = self._store.card(user, card_id) if fresh is None else None
        if held is None:
            assert fresh is not None  # a card that came brought its vector
            return fresh
        shelf = self._store.shelf(user, status=held.status)
        row: Vector = shelf.matrix[shelf.ids.index(card_id)]
        return row


class PencilTransaction:
    """One change of one user that is not kept; made by `Pencil.write`."""

    def __init__(self, store: Pencil, user: UserKey, marks: _Marks) -> None:
        """Work on marks that nobody else writes."""
        self._store, self._user, self._marks = store, user, marks

    def knows(self, key: str) -> bool:
        """Whether an event with this idempotency key was recorded before."""
        return bool(self._store.known(self._user, (key,)))

    def card(self, card_id: str) -> Card | None:
        """Read a card."""
        return self._store.card(self._user, card_id)

    def twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same, letter case and spacing aside."""
        name = rule_hash(preference)
        live = (card for card in self._store.cards(self._user) if card.status in LIVE)
        return next((card for card in live if rule_hash(card.preference) == name), None)

    def revision(self) -> int:
        """Number that changes whenever the user's cards do."""
        return self._store.revision(self._user)

    def record(self, event: Event, vectors: Mapping[str, Vector]) -> None:
        """Mark the event and what became of its cards."""
        last = max((told.seq for told in self._store.events(self._user)), default=0)
        self._marks.events.append(replace(event, seq=last + 1))
        for change in event.changes:
            self._marks.cards[change.card.id] = None if change.op == "remove" else change.card
            if change.card.id in vectors:
                self._marks.vectors[change.card.id] = vectors[change.card.id]

    def state(self) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._store.state(self._user)

    def save_state(self, state: UserState) -> None:
        """Mark the user's state."""
        self._marks.state = state

    def note(self, entry: Entry) -> bool:
        """Take what came back for known: nothing is learned from it."""
        del entry
        return False

    def interactions(self) -> tuple[Entry, ...]:
        """Read the log of interaction in order."""
        return self._store.interactions(self._user)

    def keep_edit(self, edit: KeptEdit, *, most: int) -> bool:
        """Keep no edit, but let its rules come."""
        del edit, most
        return True

    def numbers(self) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._store.numbers(self._user)

    def shelf(self) -> Shelf:
        """Read the active cards' vectors as they are now."""
        return self._store.shelf(self._user)

    def finish(self, job: Job) -> bool:
        """Refuse: nothing waits here."""
        del job
        refuse("finish a job")

    def forget(self, card_id: str) -> bool:
        """Mark a card as gone, and take the links to it out of the others; False for none."""
        if self.card(card_id) is None:
            return False
        self._marks.cards[card_id] = None
        self._marks.forgot.add(card_id)
        for other, card in self._marks.cards.items():
            if card is not None:
                self._marks.cards[other] = _unlinked(card, self._marks.forgot)
        return True

    def audit(
        self, action: Action, *, actor: str, at: datetime, card_id: str = "", n: int = 1
    ) -> None:
        """Tell nobody: nothing was done."""


def _unlinked(card: Card, gone: set[str]) -> Card:
    """Give a card without its links to those that are gone."""
    if not gone:
        return card
    by = None if card.superseded_by in gone else card.superseded_by
    links = tuple(link for link in card.links if link.card_id not in gone)
    return replace(card, superseded_by=by, links=links)


def refuse(what: str) -> NoReturn:
    """Say what a memory in pencil cannot do.

    Raises:
        InputError: Always.
    """
    raise InputError(f"a supposing memory cannot {what}, as nothing in it lasts; use the memory")
