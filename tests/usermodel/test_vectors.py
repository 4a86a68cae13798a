"""Long-term is a read-out of the cards; short-term follows the session."""

import numpy as np
import pytest

from prefmem import BasisMismatchError
from prefmem.types import Shelf
from prefmem.usermodel.vectors import follow, new_state, read_out

LONG = np.array([9, 9], dtype=np.float32)
TURNS = np.array([[1, 0], [0, 1]], dtype=np.float32)
NONE = np.zeros((0, 2), dtype=np.float32)


def test_a_new_user_has_zeros() -> None:
    state = new_state("ann", basis="b", width=3)
    assert state.long.tolist() == state.short.tolist() == [0, 0, 0]
    assert (state.user_id, state.basis, state.session_id, state.steps) == ("ann", "b", "", 0)


def test_long_is_the_sum_of_squared_confidence_times_vector() -> None:
    shelf = Shelf(
        1,
        ("a", "b"),
        np.zeros(2, dtype=np.bool_),
        np.array([0.5, 1.0], dtype=np.float32),
        np.array([[1, 0], [0.6, 0.8]], dtype=np.float32),
    )
    found = read_out(shelf)  # 0.25 (1, 0) + 1 (0.6, 0.8)
    assert found.dtype == np.float32
    assert found == pytest.approx([0.85, 0.8])
    empty = Shelf(1, (), np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.float32), NONE)
    assert read_out(empty).tolist() == [0, 0]


def test_short_is_a_weighted_mean_of_the_turns() -> None:
    start = new_state("ann", basis="b", width=2)
    state = follow(start, TURNS, long=LONG, session_id="s", basis="b", rate=0.25)
    assert state.short == pytest.approx([0.75 * 0.25, 0.25])
    assert state.long.tolist() == [9, 9]
    assert (state.session_id, state.steps) == ("s", 1)
    assert start.short.tolist() == [0, 0]
    again = follow(state, TURNS[:1], long=LONG, session_id="s", basis="b", rate=0.25)
    assert again.short == pytest.approx([0.75**2 * 0.25 + 0.25, 0.75 * 0.25])
    assert again.steps == 2
    assert follow(state, NONE, long=LONG, session_id="s", basis="b", rate=0.25).short == (
        pytest.approx(state.short)
    )


def test_another_session_starts_at_zero() -> None:
    state = follow(
        new_state("ann", basis="b", width=2), TURNS, long=LONG, session_id="s", basis="b", rate=1
    )
    assert state.short.tolist() == [0, 1]
    moved = follow(state, TURNS[:1], long=LONG, session_id="t", basis="b", rate=0.25)
    assert moved.short == pytest.approx([0.25, 0])
    assert moved.short.dtype == np.float32


def test_vectors_of_two_spaces_never_meet() -> None:
    with pytest.raises(BasisMismatchError, match=r"'a'.*'b'"):
        follow(
            new_state("ann", basis="a", width=2),
            TURNS,
            long=LONG,
            session_id="s",
            basis="b",
            rate=0.3,
        )
