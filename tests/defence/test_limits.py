"""A user gets so many new cards an hour from dialogue, and so many in all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from prefmem import Config, InputError, PreferenceMemory

Open = Callable[..., PreferenceMemory]


class Watch:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def rules(memory: PreferenceMemory, first: int, last: int) -> int:
    """Say rules with these numbers, one a turn; gives how many became cards."""
    said = [("user", f"Always greet guest number {n}.") for n in range(first, last)]
    return len(memory.learn(said, user_id="ann", session_id=str(first)).added)


def test_twenty_an_hour(open_memory: Open) -> None:
    watch = Watch()
    memory = open_memory(clock=watch)
    assert rules(memory, 0, 15) == 15
    watch.now += timedelta(minutes=30)
    assert rules(memory, 15, 30) == 5
    assert rules(memory, 30, 31) == 0
    assert memory.degraded["cards"] == 11
    watch.now += timedelta(minutes=30)  # the first fifteen are an hour old
    assert rules(memory, 40, 60) == 15
    assert memory.learn([("user", "Always greet guest number 3.")], user_id="ann").updated
    assert len(memory.learn([("user", "Always be brief.")], user_id="bob").added) == 1


def test_by_hand_goes_on(open_memory: Open) -> None:
    memory = open_memory(clock=Watch(), config=Config(max_new_cards_per_hour=2))
    assert rules(memory, 0, 3) == 2
    for n in range(100):  # beside which the hour's cards are still found
        memory.add("", f"number {n} is nice", user_id="ann")
    assert rules(memory, 3, 4) == 0
    assert open_memory(clock=Watch(), config=Config(max_new_cards_per_hour=None))
    told = memory.command([("user", "Remember that I like tea.")], user_id="ann", session_id="r")
    assert (told.cards, told.reply) == ((), "I can't keep that.")


def test_a_clock_that_was_set_back_blocks_nobody(open_memory: Open) -> None:
    watch = Watch()
    memory = open_memory(clock=watch)
    assert rules(memory, 0, 20) == 20
    watch.now -= timedelta(days=400)
    assert rules(memory, 20, 25) == 5


def test_no_limit(open_memory: Open) -> None:
    memory = open_memory(clock=Watch(), config=Config(max_new_cards_per_hour=None))
    assert rules(memory, 0, 40) == 40


def test_live_cards(open_memory: Open) -> None:
    memory = open_memory(clock=Watch(), config=Config(max_cards=3))
    assert rules(memory, 0, 2) == 2
    card = memory.add("", "be brief", user_id="ann")
    assert memory.add("", "be brief", user_id="ann").id == card.id  # no new one
    with pytest.raises(InputError, match="has 3 live cards"):
        memory.add("", "be warm", user_id="ann")
    assert rules(memory, 2, 4) == 0
    assert len(memory.list(user_id="ann")) == 3
    memory.forget(card.id, user_id="ann")
    assert memory.add("", "be warm", user_id="ann").status == "active"


def test_an_import_above_the_limit_is_refused_whole(open_memory: Open) -> None:
    source = open_memory()
    for n in range(4):
        source.add("", f"be brief {n}", user_id="ann")
    target = open_memory(config=Config(max_cards=3))
    with pytest.raises(InputError, match="at most 3 fit"):
        target.load(source.export(user_id="ann"), user_id="bob")
    assert target.list(user_id="bob") == ()


def test_room_that_forgotten_cards_leave_is_used(open_memory: Open) -> None:
    memory = open_memory(clock=Watch(), config=Config(max_cards=80))
    cards = [memory.add("", f"like number {n}", user_id="ann") for n in range(80)]
    with pytest.raises(InputError, match="80 live cards"):
        memory.add("", "like tea", user_id="ann")
    for card in cards[:2]:
        memory.forget(card.id, user_id="ann")
    memory.add("", "like tea", user_id="ann")  # the 81st that ever came
    memory.add("", "like jam", user_id="ann")
    with pytest.raises(InputError, match="80 live cards"):
        memory.add("", "like rum", user_id="ann")
