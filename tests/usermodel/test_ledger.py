"""The formulas of the ledger, worked out by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from prefmem.errors import ConfigError, InputError
from prefmem.interaction import Choice, Deck, Numbers, Observation, Offer, Slate, UserState
from prefmem.protocols import UserModel
from prefmem.types import Reason, Vector
from prefmem.usermodel.ledger import Ledger, pick
from prefmem.usermodel.prototypes import Prototypes

LEDGER = Ledger()
NEW = LEDGER.fresh("ann")
AT = datetime(2026, 1, 1, tzinfo=UTC)
RELEVANT: tuple[Reason, ...] = ("relevant",)
EVEN = 1 / (1 + math.exp(0.3))  # belief of a card of confidence 0.5: 0.4256


def floats(*values: float) -> Vector:
    return np.array(values, dtype=np.float32)


def cards(*numbers: int) -> Numbers:
    return np.array(numbers, dtype=np.int64)


def deck(
    rows: Sequence[Sequence[float]], confidence: Sequence[float], doubt: Sequence[float] = ()
) -> Deck:
    numbers = np.arange(1, len(rows) + 1, dtype=np.int64)
    doubts = floats(*doubt) if doubt else np.zeros(len(rows), dtype=np.float32)
    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), 2)
    return Deck(numbers, matrix, floats(*confidence), doubts, "b")


NOWHERE = deck([], [])


def offer(
    numbers: Sequence[int] = (), relevance: Sequence[float] = (), shown: Sequence[bool] = ()
) -> Offer:
    """Offer cards of confidence 0.5."""
    k = len(numbers)
    return Offer(
        "r", "s", "", cards(*numbers), floats(*relevance), np.full(k, -0.3, dtype=np.float32),
        np.zeros(k, dtype=np.float32), np.array(shown, dtype=np.bool_), RELEVANT * k,
        LEDGER.name, AT,
    )  # fmt: skip


def says(
    said: float, numbers: Sequence[int], fit: Sequence[float] = (), *, rejects: bool = False
) -> Observation:
    fits = floats(*fit) if fit else np.zeros(len(numbers), dtype=np.float32)
    prior = np.full(len(numbers), -0.3, dtype=np.float32)
    return Observation(
        "r", "s", said=said, rejects=rejects, numbers=cards(*numbers), fit=fits, prior=prior
    )


def evidence(state: UserState) -> dict[int, float]:
    return dict(zip(state.numbers.tolist(), state.evidence.tolist(), strict=True))


def knowing(numbers: Sequence[int], found: Sequence[float], amount: Sequence[float]) -> UserState:
    prior = np.zeros(len(numbers), dtype=np.float32)
    return replace(
        NEW, numbers=cards(*numbers), evidence=floats(*found), amount=floats(*amount), prior=prior
    )


def choice(worth: Sequence[float], floor: float) -> Choice:
    none = np.zeros(len(worth), dtype=np.float32)
    return Choice(floats(*worth), none, none, none, floor)


def test_it_is_a_user_model() -> None:
    model: UserModel = LEDGER
    assert model.name == "ledger/1"
    assert (NEW.user_id, NEW.model, NEW.basis, NEW.numbers.size) == ("ann", "ledger/1", "", 0)


def test_a_prior_comes_from_confidence_and_doubt() -> None:
    some = deck([[1, 0]] * 3, [1, 0.5, 0.5], [0, 0, 1])
    found = LEDGER.prior(NEW, some, np.arange(3))
    assert found == pytest.approx([0.7, -0.3, -1.3])
    assert found.dtype == np.float32


def test_a_new_card_learns_from_those_along_its_vector() -> None:
    some = deck([[1, 0], [0.6, 0.8], [0, 1]], [0.5, 0.5, 0.5])
    # z = 4 * -1 / (4 + 5) (1, 0); the second card has 0.6 of it, the third nothing.
    found = LEDGER.prior(knowing([1], [-1], [4]), some, np.arange(3))
    assert found == pytest.approx([-0.3, -0.3 - 0.6 * 4 / 9, -0.3])
    # 10 * 4 / (10 + 5) * 0.6 = 1.6 is cut at half a unit.
    found = LEDGER.prior(knowing([1], [4], [10]), some, np.arange(3))
    assert found == pytest.approx([-0.3, 0.2, -0.3])
    assert Ledger(z_scale=0).prior(knowing([1], [4], [10]), some, np.arange(3)) == (
        pytest.approx([-0.3, -0.3, -0.3])
    )


def test_worth_is_relevance_times_belief() -> None:
    some = deck([[1, 0], [0, 1], [0.6, 0.8]], [1, 0.5, 0.5])
    state = knowing([3], [-4.0], [4])
    slate = Slate(some, np.array([1, 0, 2]), floats(0.9, 0.5, 1.0))
    found = LEDGER.select(state, slate, floor=0.24, limit=3)
    sure = 1 / (1 + math.exp(-0.7))  # 0.668
    gone = 1 / (1 + math.exp(4.3))  # 0.013
    # z = 4 * -4 / (4 + 5) (0.6, 0.8) takes half a unit from each of the others.
    doubtful, still = 1 / (1 + math.exp(0.8)), 1 / (1 + math.exp(-0.2))
    assert found.belief == pytest.approx([doubtful, still, gone], rel=1e-5)
    assert found.worth == pytest.approx([0.9 * doubtful, 0.5 * still, gone], rel=1e-5)
    assert found.prior == pytest.approx([-0.8, 0.2, -0.3])
    assert found.floor == pytest.approx(0.24 * sure)
    assert found.floor == pytest.approx(0.16, abs=0.001)
    assert found.chance.tolist() == [1, 1, 0]


def test_what_is_likely_to_be_chosen() -> None:
    some = deck([[1, 0], [0.96, 0.28], [0, 1], [-1, 0]], [1, 1, 1, 1])
    slate = Slate(some, np.arange(4), floats(0.9, 0.8, 0.7, 0.2))
    assert LEDGER.select(NEW, slate, floor=0.24, limit=3).chance.tolist() == [1, 0, 1, 0]
    assert LEDGER.select(NEW, slate, floor=0.1, limit=3).chance.tolist() == [1, 0, 1, 1]
    assert LEDGER.select(NEW, slate, floor=0.24, limit=1).chance.tolist() == [1, 0, 0, 0]
    assert Ledger(alike=1).select(NEW, slate, floor=0.24, limit=2).chance.tolist() == [1, 1, 0, 0]


def test_of_equals_the_older_card_is_taken_wherever_it_stands() -> None:
    some = deck([[1, 0], [0, 1]], [1, 1])
    for places in ([0, 1], [1, 0]):
        slate = Slate(some, np.array(places), floats(0.9, 0.9))
        found = LEDGER.select(NEW, slate, floor=0.24, limit=1)
        assert [p for p, chance in zip(places, found.chance, strict=True) if chance] == [0]


def test_no_cards_no_choice() -> None:
    slate = Slate(NOWHERE, np.zeros(0, dtype=np.int64), floats())
    found = LEDGER.select(NEW, slate, floor=0.24, limit=3)
    assert found.worth.size == found.belief.size == found.prior.size == found.chance.size == 0


def test_picking() -> None:
    vectors = np.array([[1, 0], [0.96, 0.28], [0, 1], [-1, 0]], dtype=np.float32)
    assert pick(choice([0.5, 0.6, 0.3, 0.1], 0.2), vectors, 3) == (1, 2)
    assert pick(choice([0.5, 0.6, 0.3, 0.1], 0.2), vectors, 3, alike=2) == (1, 0, 2)
    assert pick(choice([0.5, 0.6, 0.3, 0.1], 0.2), vectors, 1) == (1,)
    assert pick(choice([0.5, 0.6, 0.3, 0.1], 0.2), vectors, 0) == ()
    assert pick(choice([0.2, 0.2, 0.2, 0.2], 0.2), vectors, 3) == ()
    assert pick(choice([0.2, 0.1, 0.2, 0.2], 0.1), vectors, 2) == (0, 2)


def test_what_was_missed_gains_and_what_stood_beside_it_loses() -> None:
    state = LEDGER.observe(
        NEW, offer([1, 2], [0.8, 0.5], [True, False]), replace(says(0.8, [2]), reward=-1), NOWHERE
    )
    kept = 0.1 - 0.2 * 2 * (1 - EVEN)
    # A user without history is taken to restate 3 of 20 turns: silence counts 0.15 / 0.15 - 0.2.
    silence = -0.25 * 0.8 * 0.5
    assert evidence(state) == pytest.approx(
        {1: -0.2 * 0.8 + 0.2 * kept, 2: 3 * 0.8 + 0.2 * silence}, rel=1e-5
    )
    assert state.amount == pytest.approx([0.16 - 0.2 * kept, 2.4 + 0.2 * silence], rel=1e-3)
    assert state.prior == pytest.approx([-0.3, -0.3], abs=1e-3)
    assert (state.turns, state.restated, state.steps) == (1, 0.8, 1)


def test_what_is_said_again_is_shared_by_fit_relevance_and_belief() -> None:
    asked = offer([1, 2], [0.8, 0.5], [True, False])
    state = LEDGER.observe(NEW, asked, says(0.99, [2, 1], [math.log(2), 0]), NOWHERE)
    injected = (0.8 + 0.02) * (EVEN + 0.1) * 0.3
    absent = (0.5 + 0.02) * (EVEN + 0.1) * 2
    one, two = (0.99 * w / (injected + absent) for w in (injected, absent))
    silence = -0.25 * 0.8 * 0.5
    assert evidence(state) == pytest.approx(
        {1: 0.8 * one - 0.2 * (0.99 - one) + 0.01 * 0.1, 2: 3 * two + 0.01 * silence}, rel=1e-5
    )


def test_a_rejection_is_about_what_was_injected() -> None:
    asked = offer([1, 2], [0.8, 0.5], [True, False])
    state = LEDGER.observe(NEW, asked, says(0.5, [1, 2], rejects=True), NOWHERE)
    one, two = 0.5 / 1.02, 0.5 * 0.02 / 1.02
    silence = -0.25 * 0.8 * 0.5
    assert evidence(state) == pytest.approx(
        {1: -4 * one + 0.5 * 0.1, 2: -0.4 * two + 0.5 * silence}, rel=1e-5
    )
    assert (state.turns, state.restated) == (1, 0)


def test_silence_speaks_against_what_was_not_missed_and_praise_for_what_was_shown() -> None:
    asked = offer([1, 2, 3], [0.8, 0.5, 0], [True, False, False])
    happy = Observation("r", "s", reward=1)
    found = evidence(LEDGER.observe(NEW, asked, happy, NOWHERE))
    assert found == pytest.approx({1: 0.1 + 0.2, 2: -0.25 * 0.8 * 0.5}, rel=1e-5)
    # Who restated 1 of 40 turns counts for 4 / 60 / 0.15 - 0.2; who restates half of them, for 1.
    seldom = replace(NEW, turns=40, restated=1.0)
    found = evidence(LEDGER.observe(seldom, asked, happy, NOWHERE))
    assert found[2] == pytest.approx(-0.25 * (4 / 9 - 0.2) * 0.5, rel=1e-5)
    often = replace(NEW, turns=40, restated=20.0)
    found = evidence(LEDGER.observe(often, asked, happy, NOWHERE))
    assert found[2] == pytest.approx(-0.25 * 0.5, rel=1e-5)


def test_a_card_that_was_not_offered_can_be_said_again() -> None:
    state = LEDGER.observe(NEW, offer([1], [0.8], [True]), says(0.9, [7]), NOWHERE)
    assert evidence(state)[7] == pytest.approx(2.7)


def test_a_thumb_counts_in_full_and_for_its_card_alone() -> None:
    asked = offer([1, 2], [0.8, 0.5], [True, False])
    for number in (1, 2, 7):
        up = LEDGER.observe(NEW, asked, says(1, [number]), NOWHERE)
        down = LEDGER.observe(NEW, asked, says(1, [number], rejects=True), NOWHERE)
        assert evidence(up) == {number: 3}
        assert evidence(down) == {number: -4}
        assert (up.turns, up.restated, up.steps) == (0, 0, 1)


def test_what_a_complaint_taught_starts_ahead() -> None:
    taught = replace(says(0, []), taught=cards(4, 3), taught_prior=floats(0.2, 0.4))
    state = LEDGER.observe(NEW, offer(), taught, NOWHERE)
    assert evidence(state) == {3: 1.5, 4: 1.5}
    assert state.prior == pytest.approx([0.4, 0.2], abs=1e-3)
    assert (state.turns, state.steps) == (0, 1)
    # Once it has evidence, being said again in a complaint is no second start.
    assert evidence(LEDGER.observe(state, offer(), taught, NOWHERE)) == {3: 1.5, 4: 1.5}


def test_next_to_nothing_is_not_stored() -> None:
    asked = offer([1, 2, 3], [0.0, 0.004, 0.006], [False, False, False])
    state = LEDGER.observe(NEW, asked, says(0.0, [9]), NOWHERE)
    assert state.numbers.tolist() == [3]  # 0.25 * 0.8 * 0.006 is above a thousandth
    assert state.turns == 1


def test_nothing_offered_and_nothing_said_is_nothing_to_learn() -> None:
    assert LEDGER.observe(NEW, offer(), Observation(reward=-1), NOWHERE) is NEW


def test_what_is_stored_is_small() -> None:
    state = NEW
    for _ in range(300):
        state = LEDGER.observe(state, offer(), says(1, [5], rejects=True), NOWHERE)
    assert (state.evidence.tolist(), state.amount.tolist()) == ([-5], [1000])
    assert state.numbers.dtype == np.int64
    assert state.evidence.dtype == state.amount.dtype == state.prior.dtype == np.float32
    assert state.prior.tolist() == [float(np.float16(-0.3))]


def test_a_session_lets_belief_return_to_the_prior() -> None:
    first = LEDGER.tick(knowing([1], [2], [2]), "a")
    assert evidence(first) == {1: 2}  # there was no session before it
    assert (first.session_id, first.sessions, first.steps) == ("a", 1, 1)
    assert LEDGER.tick(first, "a") is first
    second = LEDGER.tick(replace(first, paused=cards(1)), "b")
    p = 0.99 / (1 + math.exp(-2)) + 0.01 * 0.5
    assert evidence(second) == pytest.approx({1: math.log(p / (1 - p))}, rel=1e-6)
    assert (second.session_id, second.sessions, second.paused.size) == ("b", 2, 0)
    state = second
    for n in range(2000):
        state = LEDGER.tick(state, str(n))
    assert evidence(state) == pytest.approx({1: 0}, abs=1e-5)


def test_an_offer_names_a_card_once() -> None:
    with pytest.raises(InputError, match=r"cards \[3\] are named twice"):
        LEDGER.observe(NEW, offer([3, 1, 3], [0.5, 0.5, 0.5], [True] * 3), says(0.5, [1]), NOWHERE)
    with pytest.raises(InputError, match="one for each"):
        LEDGER.observe(NEW, offer([3, 1], [0.5], [True, True]), says(0.5, [1]), NOWHERE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("missed", -1.0), ("rejected", math.nan), ("drift", 1.0), ("silence", math.inf)],
)
def test_impossible_constants_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Ledger(**cast(Any, {name: value}))


def test_prototypes_lend_a_newcomer_what_similar_users_came_to() -> None:
    held = deck([[1, 0], [0, 1]], [0.65, 0.65])  # b = -0.3 + 2 * 0.15 = 0
    along = np.array([[1, 0]], dtype=np.float32)
    lent = Prototypes("b", along, np.array([50]), along)
    plain, helped = Ledger(), Ledger(prototypes=lent)
    new = plain.fresh("ann")
    assert plain.prior(new, held, np.arange(2)) == pytest.approx([0, 0], abs=1e-6)
    assert helped.prior(new, held, np.arange(2)) == pytest.approx([0.5, 0], abs=1e-6)  # bounded
    old = replace(new, turns=60)
    assert helped.prior(old, held, np.arange(2)) == pytest.approx([0, 0], abs=1e-6)
    other = replace(held, basis="c")  # another space: nothing is lent
    assert helped.prior(new, other, np.arange(2)) == pytest.approx([0, 0], abs=1e-6)
