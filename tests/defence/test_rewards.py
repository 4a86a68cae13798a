"""Hostile rewards of one user move that user's cards within bounds, and nobody else's."""

from collections.abc import Callable

import numpy as np
import pytest

from prefmem import PreferenceMemory

Open = Callable[..., PreferenceMemory]


def told(memory: PreferenceMemory, user: str) -> tuple[bytes, ...]:
    state = memory.get_user(user)
    arrays = (state.numbers, state.evidence, state.amount, state.long, state.short)
    return tuple(array.tobytes() for array in arrays)


@pytest.mark.parametrize("times", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_rewards_are_bounded_and_stay_with_their_user(open_memory: Open, times: int) -> None:
    memory = open_memory()
    for user in ("ann", "bob"):
        memory.add("", "be brief", user_id=user)
        memory.add("writing mails", "sign with my name", user_id=user)
        offered = memory.recall("writing mails", user_id=user)
        memory.feedback(offered, 1.0, user_id=user, card_id=offered.rules[0].card_ids[0])
    before, mine = told(memory, "ann"), memory.recall("writing mails", user_id="bob")
    card = mine.rules[0].card_ids[0]
    for number in range(times):
        key = None if number % 100 == 0 else f"again{number % 7}"  # most are the same ones
        memory.feedback(mine, -1.0, user_id="bob", card_id=card, key=key)
    state = memory.get_user("bob")
    assert np.all(np.abs(state.evidence) <= 5)
    assert np.all(np.isfinite(state.amount))
    assert len(memory.replay(user_id="bob")) == 2
    assert told(memory, "ann") == before


def test_one_name_counts_once(memory: PreferenceMemory) -> None:
    memory.add("", "be brief", user_id="ann")
    offered = memory.recall("hello", user_id="ann")
    card = offered.rules[0].card_ids[0]
    said = [memory.feedback(offered, -1.0, user_id="ann", card_id=card, key="k") for _ in range(9)]
    assert said == [True, *[False] * 8]
