"""Taking one event back."""

from collections.abc import Sequence
from datetime import datetime

from prefmem.cards.fold import fold
from prefmem.errors import InputError, NotFoundError
from prefmem.types import LIVE, Card, Change, Event


def undone(log: Sequence[Event], event_id: str, *, unique: str, now: datetime) -> Event:
    """Give the event that takes another one back: its cards are as they were before it.

    Args:
        log: The user's events, in order; left as they are.
        event_id: Id of the event to take back.
        unique: Letters and digits that no other event's key holds.
        now: The time to record, UTC.

    Returns:
        An event of kind `undo`: cards that the other one added go, the others are restored.

    Raises:
        NotFoundError: There is no such event.
        InputError: It changed no card, its cards were forgotten, or one is not as it left it.
    """
    position = next((i for i, event in enumerate(log) if event.id == event_id), None)
    if position is None:
        raise NotFoundError(f"there is no event {event_id!r}; history shows the ids")
    event = log[position]
    if not event.changes:
        raise InputError(f"event {event_id!r} ({event.kind}) {_nothing(event)}")
    left, now_held = fold(log[: position + 1]), fold(log)
    changed = [
        i for i in (change.card.id for change in event.changes) if left.get(i) != now_held.get(i)
    ]
    if changed:
        later = _in_the_way(log[position + 1 :], changed[0])
        raise InputError(
            f"card {changed[0]!r} was changed since event {event_id!r}; "
            f"undo {later.id!r} ({later.kind}) first"
        )
    before = fold(log[:position])
    changes = [_back(change, before.get(change.card.id)) for change in event.changes]
    # a text is free before it comes back
    changes.sort(key=lambda change: (change.op != "remove", change.card.status in LIVE))
    return Event(f"undo:{event.id}:{unique}", "undo", tuple(changes), now)


def _in_the_way(later: Sequence[Event], card_id: str) -> Event:
    """Give the newest event that changed a card and is in effect: neither undone nor an undoing."""
    touched = [e for e in later if any(change.card.id == card_id for change in e.changes)]
    void: set[str] = set()
    for event in reversed(touched):
        if event.id in void:
            continue
        if not event.undoes:
            return event
        void.add(event.undoes)
    return touched[-1]


def _back(change: Change, before: Card | None) -> Change:
    return Change("remove", change.card) if before is None else Change("restore", before)


def _nothing(event: Event) -> str:
    if event.kind == "forget":
        return "erased a card for good: what is forgotten cannot come back"
    return "changed no card, or its cards were forgotten: there is nothing to undo"
