"""The cards are what the log's last changes left."""

from datetime import UTC, datetime

from prefmem import Card, Preference
from prefmem.cards.fold import fold
from prefmem.types import Change, Event

AT = datetime(2026, 1, 1, tzinfo=UTC)


def card(name: str, action: str) -> Card:
    return Card(name, "ann", Preference("", action), "active", "said", "", AT, AT)


def test_the_last_change_counts_and_the_first_gives_the_place() -> None:
    log = (
        Event("1", "learn", (Change("add", card("b", "x")), Change("add", card("a", "y"))), AT),
        Event("2", "forget", (), AT),
        Event("3", "edit", (Change("edit", card("b", "z")),), AT),
    )
    assert [*fold(log).items()] == [("b", card("b", "z")), ("a", card("a", "y"))]
    assert fold(()) == {}
