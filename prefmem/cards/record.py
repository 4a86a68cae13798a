"""Preferences written into a user's cards and log, inside a transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from prefmem.cards.authority import must_wait
from prefmem.cards.fold import fold
from prefmem.cards.reconcile import (
    CLOSING,
    OnConflict,
    activated,
    handed_on,
    linked,
    merged,
    settle,
    yields,
)
from prefmem.defence.limits import Allowance
from prefmem.defence.privacy import PIIPolicy
from prefmem.ids import rule_hash
from prefmem.protocols import Transaction
from prefmem.types import (
    LIVE,
    Card,
    Change,
    Event,
    EventKind,
    LearnReport,
    Link,
    Preference,
    Source,
    Status,
    UserKey,
    Vector,
)


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A preference on its way to the cards.

    Attributes:
        id: Name of its card, should it become one.
        preference: What was extracted or added.
        vector: Unit vector of its text, (e,).
        valid_to: Until when it holds, UTC; None for no end.
        links: What it is to cards that are there, and to earlier drafts, by their ids.
        doubtful: Whether it waits for the user's confirmation, as it may be somebody else's wish.
    """

    id: str
    preference: Preference
    vector: Vector
    valid_to: datetime | None = None
    links: tuple[Link, ...] = ()
    doubtful: bool = False


@dataclass(slots=True, eq=False)
class Recorder:
    """Reconciles drafts with the cards that are there now, and logs them, an event a call.

    What a draft became is known to the later ones, in other events too.

    Attributes:
        transaction: The user's open transaction.
        user: Whose cards they become.
        source: How the preferences came to be known.
        session_id: Conversation that they come from.
        sure: Confidence, in [0, 1], below which what was said once is a candidate.
        on_conflict: What happens to a card whose place is taken; see `settle`.
        now: The time to record, UTC.
        pii: What happens to secrets and special categories; see `Config.pii`.
        allowance: New cards that may still come; a draft above it becomes none.
    """

    transaction: Transaction
    user: UserKey
    source: Source
    session_id: str
    sure: float
    on_conflict: OnConflict
    now: datetime
    pii: PIIPolicy = "quarantine"
    allowance: Allowance = field(default_factory=Allowance)
    _names: dict[str, str] = field(default_factory=dict[str, str])  # card of each draft, by id
    _changes: dict[str, Change] = field(default_factory=dict[str, Change])  # of the open event

    def record(self, kind: EventKind, key: str, drafts: Sequence[Draft]) -> Event:
        """Log one event, and give it: one change a card.

        Args:
            kind: What happened.
            key: Idempotency key of the event.
            drafts: What was found, in the order of saying.
        """
        self._changes = {}
        vectors: dict[str, Vector] = {}
        for draft in drafts:
            for change in self._met(draft):
                before = self._changes.get(change.card.id)
                added = before is not None and before.op == "add"
                self._changes[change.card.id] = replace(change, op="add") if added else change
            vectors.setdefault(draft.id, draft.vector)
        event = Event(key, kind, tuple(self._changes.values()), self.now)
        self.transaction.record(event, vectors)
        return event

    def _met(self, draft: Draft) -> tuple[Change, ...]:
        """Give what one draft does to the cards, its own first."""
        new = Card(
            draft.id, self.user.user_id, draft.preference, self._status(draft),
            self.source, self.session_id, self.now, self.now, draft.valid_to,
        )  # fmt: skip
        met = self._live(draft)
        same, why = self._twin(draft.preference), None
        if same is None and new.status != "quarantined":
            same, why = next(
                ((c, link) for c, link in met if link.relation == "same"), (None, None)
            )
        if same is None and not self.allowance.take():
            return ()
        if same is None:
            self._names[draft.id] = draft.id
            return handed_on(settle(new, met, on_conflict=self.on_conflict), self._card)
        self._names[draft.id] = same.id
        own = Change("merge", self._again(same, new), why)
        return self._grown(own, same.as_of(self.now), new, met)

    def _again(self, card: Card, new: Card) -> Card:
        """Give a card as it is when it is said again; what waits for an answer goes on waiting."""
        asked = self.on_conflict == "ask" and any(k.relation in CLOSING for k in card.links)
        held = asked or new.status == "quarantined"
        sure = not held and (card.id not in self._changes or new.status == "active")
        return merged(card, new.preference, sure=sure, valid_to=new.valid_to, now=self.now)

    def _grown(
        self, own: Change, before: Card, new: Card, met: Sequence[tuple[Card, Link]]
    ) -> tuple[Change, ...]:
        """Close what a card takes the place of, once it is active and the words are sure.

        `before` is the card as it stood; one that was not in force has to ask first where the user
        is to be asked.
        """
        card = own.card
        taken = [(c, k) for c, k in met if k.relation in CLOSING and c.id != card.id]
        fresh = [link for old, link in taken if yields(card, old)]
        comes = card.status == "active" and before.status != "active"
        if self.on_conflict == "ask":
            if comes and fresh:
                waits = replace(card, status="candidate", valid_from=self.now)
                own = replace(own, card=linked(waits, fresh))
            return (own,)
        if self.on_conflict == "keep_both" or not (comes or new.status == "active"):
            fresh = []
        if card.status == "active":
            return activated(own, self._card, fresh)
        return (replace(own, card=linked(card, fresh)),)

    def _live(self, draft: Draft) -> list[tuple[Card, Link]]:
        """Look up the live cards that a draft has to do with, the likeliest first."""
        met: dict[str, tuple[Card, Link]] = {}
        for link in sorted(draft.links, key=lambda link: -link.probability):
            card = self._card(self._names.get(link.card_id, link.card_id))
            if card is not None and card.as_of(self.now).status in LIVE - {"quarantined"}:
                met.setdefault(card.id, (card, replace(link, card_id=card.id)))
        return list(met.values())

    def _card(self, card_id: str) -> Card | None:
        change = self._changes.get(card_id)
        return change.card if change else self.transaction.card(card_id)

    def _twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same in the same words."""
        same = rule_hash(preference)
        for change in self._changes.values():
            if change.card.status in LIVE and rule_hash(change.card.preference) == same:
                return change.card
        found = self.transaction.twin(preference)
        return None if found is None or found.id in self._changes else found

    def _status(self, draft: Draft) -> Status:
        """Give the status of a new card: what comes by hand is sure, a model's find may not be."""
        preference = draft.preference
        if draft.doubtful or must_wait(preference, self.pii):
            return "quarantined"
        unsure = self.source in ("said", "imported") and preference.confidence < self.sure
        return "candidate" if unsure else "active"


def reported(events: Sequence[Event], *, turns: int, skipped: int) -> LearnReport:
    """Sum up what the events of one call did, each card as the last of them left it."""
    last: dict[str, Change] = {}
    for change in (c for event in events for c in event.changes):
        before = last.get(change.card.id)
        last[change.card.id] = (
            replace(change, op="add") if before and before.op == "add" else change
        )
    by_op: dict[str, list[Card]] = {"add": [], "merge": [], "supersede": []}
    for change in last.values():
        by_op[change.op].append(change.card)
    return LearnReport(
        tuple(by_op["add"]), tuple(by_op["merge"]), skipped, turns, tuple(by_op["supersede"]),
        tuple(event.id for event in events if event.changes),
    )  # fmt: skip


def restore(
    log: Sequence[Event],
    vectors: Mapping[str, Vector],
    *,
    recorder: Recorder,
    ids: Callable[[], str],
) -> tuple[tuple[Card, ...], tuple[Change, ...]] | None:
    """Replay another log into the user's: what is known already changes nothing.

    Args:
        log: Events of an export, in order.
        vectors: Unit vectors, (e,), of the last text of every card in the log, by card id.
        recorder: Writes into the user's open transaction.
        ids: Names events and drafts.

    Returns:
        The cards that are new, and the changes of cards that said the same and gained the evidence;
        None when every event was known.
    """
    transaction = recorder.transaction
    news = list({e.key: e for e in log if not transaction.knows(e.key)}.values())
    if not news:
        return None
    cards = fold(log)
    replayed = _replayed(transaction, news, cards)
    taken = _taken(transaction, news, replayed)
    fresh = {i: card for i, card in cards.items() if i in replayed}
    said = [c for i, c in fresh.items() if i in taken and _taken_now(transaction, c)]
    twins = ((c.id, transaction.twin(c.preference)) for c in said)
    names = {card_id: twin.id for card_id, twin in twins if twin is not None}
    for event in news:
        mine = (_renamed(c, names) for c in event.changes if c.card.id in replayed - taken)
        transaction.record(replace(event, changes=tuple(mine)), vectors)
    rest = (c for i, c in fresh.items() if i in taken and c not in said)
    late = tuple(_renamed(Change("add", card), names) for card in rest)
    if late:
        transaction.record(Event(f"load:{ids()}", "load", late, recorder.now), vectors)
    merges: tuple[Change, ...] = ()
    if said:
        drafts = [Draft(ids(), c.preference, vectors[c.id], c.valid_to) for c in said]
        merges = recorder.record("load", f"load:{ids()}", drafts).changes
    added = (_renamed(Change("add", c), names).card for c in fresh.values() if c not in said)
    return tuple(added), merges


def _renamed(change: Change, names: Mapping[str, str]) -> Change:
    """Give a change that names other cards as they are called here."""

    def here(link: Link) -> Link:
        return replace(link, card_id=names.get(link.card_id, link.card_id))

    card, reason = change.card, change.reason
    by = card.superseded_by
    card = replace(
        card,
        superseded_by=None if by is None else names.get(by, by),
        links=tuple(here(link) for link in card.links),
    )
    return replace(change, card=card, reason=None if reason is None else here(reason))


def _replayed(
    transaction: Transaction, news: Sequence[Event], cards: Mapping[str, Card]
) -> frozenset[str]:
    """Name the cards whose changes are taken over: none that the user has.

    Of a card that is gone at the end, only a history that begins with it: another one belongs to a
    card that the user forgot.
    """
    first: dict[str, Change] = {}
    for event in news:
        for change in event.changes:
            first.setdefault(change.card.id, change)
    return frozenset(
        i
        for i, change in first.items()
        if (i in cards or change.op == "add") and transaction.card(i) is None
    )


def _taken_now(transaction: Transaction, card: Card) -> bool:
    """Whether a live card would say the same as another card of the user."""
    return card.status in LIVE and transaction.twin(card.preference) is not None


def _taken(
    transaction: Transaction, news: Sequence[Event], replayed: frozenset[str]
) -> frozenset[str]:
    """Name the new cards that say, or once said, the same as another card of the user."""
    return frozenset(
        change.card.id
        for event in news
        for change in event.changes
        if change.card.id in replayed and _taken_now(transaction, change.card)
    )
