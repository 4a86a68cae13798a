"""Cards as a fold over the log."""

from collections.abc import Iterable

from prefmem.types import Card, Event


def fold(events: Iterable[Event]) -> dict[str, Card]:
    """Replay events in their order: the cards as the last change left them, by id.

    They come in the order in which the log first tells of them; one that is removed and restored is
    back in its place.
    """
    cards: dict[str, Card | None] = {}
    for event in events:
        for change in event.changes:
            cards[change.card.id] = None if change.op == "remove" else change.card
    return {card_id: card for card_id, card in cards.items() if card is not None}
