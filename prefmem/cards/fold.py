"""Cards as a fold over the log."""

from collections.abc import Iterable

from prefmem.types import Card, Event


def fold(events: Iterable[Event]) -> dict[str, Card]:
    """Replay events in their order: the cards as the last change left them, by id, oldest first."""
    cards: dict[str, Card] = {}
    for event in events:
        for change in event.changes:
            cards[change.card.id] = change.card
    return cards
