"""Preferences written into a user's cards and log, inside a transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from prefmem.cards.authority import claims_authority
from prefmem.cards.fold import fold
from prefmem.cards.reconcile import reconcile
from prefmem.ids import rule_hash
from prefmem.protocols import Transaction
from prefmem.types import (
    LIVE,
    Card,
    Change,
    Event,
    EventKind,
    Preference,
    Source,
    Status,
    UserKey,
    Vector,
)


def record(
    transaction: Transaction,
    drafts: Sequence[tuple[Preference, Vector]],
    *,
    user: UserKey,
    kind: EventKind,
    key: str,
    source: Source,
    session_id: str,
    sure: float,
    ids: Callable[[], str],
    now: datetime,
) -> tuple[Change, ...]:
    """Reconcile preferences with the cards that are there now, and log them as one event.

    Args:
        transaction: The user's open transaction.
        drafts: Preferences with the unit vectors of their texts, (e,).
        user: Whose cards they become.
        kind: What happened.
        key: Idempotency key of the event.
        source: How the preferences came to be known.
        session_id: Conversation that they come from.
        sure: Confidence, in [0, 1], below which what was said once is a candidate.
        ids: Names new cards.
        now: The time to record, UTC.

    Returns:
        What was written, one change a card.
    """
    changes: dict[bytes, Change] = {}
    vectors: dict[str, Vector] = {}
    for preference, vector in drafts:
        same = rule_hash(preference)
        before = changes.get(same)
        change = reconcile(
            preference,
            before.card if before else transaction.twin(preference),
            user=user, card_id=ids(), status=_status(preference, source, sure), source=source,
            session_id=session_id, again=before is None, now=now,
        )  # fmt: skip
        changes[same] = replace(change, op=before.op) if before else change
        vectors.setdefault(change.card.id, vector)  # of the text that the card keeps
    event = Event(key, kind, tuple(changes.values()), now)
    transaction.record(event, vectors)
    return event.changes


def restore(
    transaction: Transaction,
    log: Sequence[Event],
    vectors: Mapping[str, Vector],
    *,
    user: UserKey,
    sure: float,
    ids: Callable[[], str],
    now: datetime,
) -> tuple[tuple[Card, ...], tuple[Change, ...]] | None:
    """Replay another log into the user's: what is known already changes nothing.

    Args:
        transaction: The user's open transaction.
        log: Events of an export, in order.
        vectors: Unit vectors, (e,), of the cards' last texts, by card id.
        user: Whose cards they become.
        sure: Confidence, in [0, 1], below which what was said once is a candidate.
        ids: Names events.
        now: The time to record, UTC.

    Returns:
        The cards that are new, and the changes of cards that said the same and gained the evidence;
        None when every event was known.
    """
    news = {e.key: e for e in log if not transaction.knows(e.key)}.values()
    if not news:
        return None
    cards = fold(log)
    told = {c.card.id for event in news for c in event.changes}
    fresh = {i: cards[i] for i in cards if i in told and transaction.card(i) is None}
    taken = _taken(transaction, news, fresh)
    said = [c for i, c in fresh.items() if i in taken and _taken_now(transaction, c)]
    for event in news:
        mine = (c for c in event.changes if c.card.id in fresh and c.card.id not in taken)
        transaction.record(replace(event, changes=tuple(mine)), vectors)
    late = tuple(Change("add", c) for i, c in fresh.items() if i in taken and c not in said)
    if late:
        transaction.record(Event(f"load:{ids()}", "load", late, now), vectors)
    merged: tuple[Change, ...] = ()
    if said:
        merged = record(
            transaction, [(c.preference, vectors[c.id]) for c in said], user=user, kind="load",
            key=f"load:{ids()}", source="imported", session_id="", sure=sure, ids=ids,
            now=now,
        )  # fmt: skip
    return tuple(c for c in fresh.values() if c not in said), merged


def _status(preference: Preference, source: Source, sure: float) -> Status:
    """Give the status of a new card: what comes by hand is sure, what a model found may not be."""
    if claims_authority(preference):
        return "quarantined"
    unsure = source in ("said", "imported") and preference.confidence < sure
    return "candidate" if unsure else "active"


def _taken_now(transaction: Transaction, card: Card) -> bool:
    """Whether a live card would say the same as another card of the user."""
    return card.status in LIVE and transaction.twin(card.preference) is not None


def _taken(
    transaction: Transaction, news: Iterable[Event], fresh: Mapping[str, Card]
) -> frozenset[str]:
    """Name the new cards that say, or once said, the same as another card of the user."""
    return frozenset(
        change.card.id
        for event in news
        for change in event.changes
        if change.card.id in fresh and _taken_now(transaction, change.card)
    )
