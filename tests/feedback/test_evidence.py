"""What votes amount to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.feedback.evidence import SURE, Nearness, judge, lower_bounds
from prefmem.feedback.measure import Vote, Wish

WISH = Wish("brief", "Be brief.")
FOR, AGAINST = Vote(WISH, 1.0, True, "Yes."), Vote(WISH, -1.0)


def alike(n: int) -> Nearness:
    return Nearness(np.ones(n), np.ones((n, n)))


def apart(n: int, m: int) -> Nearness:
    """Give n edits of the kind of text in question, then m of another kind."""
    among = np.zeros((n + m, n + m))
    among[:n, :n] = among[n:, n:] = 1.0
    return Nearness(among[0], among)


def test_bounds() -> None:
    # a fifth of Beta(1, 1) is below 1/5; of Beta(3, 1) below the cube root of it, 0.585
    counts = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    expected = [0.2, 0.2 ** (1 / 3), 1 - 0.8 ** (1 / 3)]
    assert lower_bounds(counts) == pytest.approx(expected, abs=1 / 512)


@given(st.floats(0, 60), st.floats(0, 60), st.floats(0.1, 5))
def test_more_for_it_raises_the_bound_and_more_against_it_lowers_it(
    yes: float, no: float, more: float
) -> None:
    low, here, high = lower_bounds(np.array([[yes, no + more], [yes, no], [yes + more, no]]))
    assert 0 < low <= here <= high < 1


def test_two_edits_bear_a_rule_out_and_one_does_not() -> None:
    (verdict,) = judge([{0: FOR, 2: FOR}], alike(3))
    assert (verdict.wish, verdict.moved, verdict.against) == (WISH, (2, 0), ())
    assert verdict.sure == pytest.approx(0.585, abs=0.01)
    assert judge([{0: FOR}], alike(3)) == ()
    assert judge([{0: FOR, 1: FOR, 2: AGAINST}], alike(3)) == ()  # Beta(3, 2)
    assert judge([], alike(0)) == ()


def test_what_goes_by_the_way_counts_in_part() -> None:
    # weights 0.4 with 0.1 added each: five of them make 2.5 edits, three make 1.5
    aside = Vote(WISH, 0.4, True)
    assert judge([dict.fromkeys(range(3), aside)], alike(8)) == ()
    assert judge([dict.fromkeys(range(8), aside)], alike(8))


def test_finals_that_keep_to_a_rule_bear_it_out_too() -> None:
    kept = Vote(WISH, 0.25)
    (few,) = judge([{0: FOR, 1: FOR}], alike(6))
    (many,) = judge([{0: FOR, 1: FOR} | dict.fromkeys(range(2, 6), kept)], alike(6))
    assert many.sure > few.sure


def test_a_rule_of_one_kind_of_text_stays_there() -> None:
    votes = {0: FOR, 1: FOR, 2: AGAINST, 3: AGAINST}
    (here,) = judge([votes], apart(2, 2))
    assert (here.moved, here.against, here.wide) == ((1, 0), (2, 3), False)
    there = Nearness(np.array([0.0, 0.0, 1.0, 1.0]), apart(2, 2).among)
    assert judge([votes], there) == ()


def test_a_rule_of_unlike_texts_reaches_a_new_kind() -> None:
    among = np.eye(4)
    new = Nearness(np.zeros(4), among)
    (verdict,) = judge([dict.fromkeys(range(4), FOR)], new)
    assert verdict.wide
    # edits of one kind only say nothing about another kind
    one_kind = Nearness(np.array([0.0, 0.0, 0.0, 0.9]), np.ones((4, 4)))
    assert judge([{0: FOR, 1: FOR, 3: AGAINST}], one_kind) == ()


@given(
    st.lists(st.sampled_from([FOR, AGAINST, Vote(WISH, 0.4, True), Vote(WISH, 0.25)]), max_size=12)
)
def test_what_is_proposed_is_sure(votes: list[Vote]) -> None:
    for verdict in judge([dict(enumerate(votes))], alike(len(votes))):
        assert verdict.sure >= SURE
        assert len(verdict.moved) >= 2
        assert all(votes[n].moved for n in verdict.moved)
