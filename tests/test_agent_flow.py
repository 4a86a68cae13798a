"""A preference agent in the memory: its rules beside the cards, late, wrong, and forgotten."""

from collections.abc import Callable

import pytest

from prefmem import InputError, PreferenceMemory

Opener = Callable[..., PreferenceMemory]


def test_a_distilled_rule_is_a_card_with_that_source(memory: PreferenceMemory) -> None:
    card = memory.add("writing mails", "sign off with Ann", user_id="ann", source="distilled")
    assert (card.source, card.status) == ("distilled", "active")
    assert memory.get(card.id, user_id="ann") == card
    assert memory.add("writing mails", "be brief", user_id="ann").source == "added"
    copied = memory.export(user_id="ann")
    assert [row["source"] for row in copied["cards"]] == ["distilled", "added"]
    memory.forget_user(user_id="ann")
    memory.load(copied, user_id="ann")
    assert {c.source for c in memory.list(user_id="ann")} == {"distilled", "added"}


def test_a_card_by_hand_has_no_other_source(memory: PreferenceMemory) -> None:
    with pytest.raises(InputError, match="known are 'added' and 'distilled'"):
        memory.add("", "be brief", user_id="ann", source="said")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point
