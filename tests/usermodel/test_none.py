"""Without a user model."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from prefmem.interaction import Deck, Observation, Offer, Slate
from prefmem.protocols import UserModel
from prefmem.types import Vector
from prefmem.usermodel.none import NoModel

NONE: UserModel = NoModel()
NEW = NONE.fresh("ann")


def floats(*values: float) -> Vector:
    return np.array(values, dtype=np.float32)


DECK = Deck(
    np.array([1, 2, 3]),
    np.array([[1, 0], [0.96, 0.28], [0, 1]], dtype=np.float32),
    floats(1, 0.5, 0),
    floats(0, 0, 1),
)


def test_worth_is_relevance() -> None:
    slate = Slate(DECK, np.array([0, 2]), floats(0.2, 0.6))
    found = NONE.select(NEW, slate, floor=0.25, limit=3)
    assert found.worth == pytest.approx([0.2, 0.6])
    assert found.belief.tolist() == [1, 1]
    assert found.chance.tolist() == [0, 1]
    assert found.floor == 0.25
    assert found.prior == pytest.approx([0.7, -0.3 - 1 - 1])


def test_the_best_are_taken_without_doubles() -> None:
    slate = Slate(DECK, np.array([0, 1, 2]), floats(0.8, 0.9, 0.7))
    assert NONE.select(NEW, slate, floor=0.25, limit=3).chance.tolist() == [0, 1, 1]
    assert NONE.select(NEW, slate, floor=0.25, limit=1).chance.tolist() == [0, 1, 0]
    assert NONE.select(NEW, slate, floor=0.95, limit=1).chance.tolist() == [0, 0, 0]


def test_nothing_is_learned() -> None:
    offer = Offer(
        "r", "s", "", np.array([1]), floats(1), floats(0), floats(1), np.array([True]),
        ("relevant",), "none/1", datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert NONE.observe(NEW, offer, Observation(reward=-1), DECK) is NEW


def test_sessions_are_counted() -> None:
    state = NONE.tick(replace(NEW, paused=np.array([2])), "a")
    assert (state.model, state.session_id, state.sessions, state.steps) == ("none/1", "a", 1, 1)
    assert state.paused.size == 0
    assert NONE.tick(state, "a") is state
