"""What holds for every user, whatever they say."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefmem.interaction import Deck, Observation, Offer, Slate, UserState
from prefmem.types import Reason, Vector
from prefmem.usermodel.ledger import Ledger

LEDGER = Ledger()
AT = datetime(2026, 1, 1, tzinfo=UTC)
RELEVANT: tuple[Reason, ...] = ("relevant",)
NONE = np.zeros(0, dtype=np.int64)
NOBODY = np.zeros(0, dtype=np.float32)
NOWHERE = Deck(NONE, np.zeros((0, 4), dtype=np.float32), NOBODY, NOBODY, "b")

numbers = st.lists(st.integers(1, 9), unique=True, max_size=6)
chance = st.floats(0, 1, width=32)
figure = st.floats(allow_nan=False, allow_infinity=False, width=32)


def vector(values: list[float]) -> Vector:
    return np.array(values, dtype=np.float32)


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    found = draw(numbers)
    k = len(found)

    def each(of: st.SearchStrategy[float]) -> Vector:
        return vector(draw(st.lists(of, min_size=k, max_size=k)))

    shown = draw(st.lists(st.booleans(), min_size=k, max_size=k))
    return Offer(
        "r", "s", "", np.array(found, dtype=np.int64), each(chance), each(figure), each(chance),
        np.array(shown, dtype=np.bool_), RELEVANT * k, "ledger/1", AT,
    )  # fmt: skip


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    found, taught = draw(numbers), draw(numbers)

    def each(of: st.SearchStrategy[float], k: int) -> Vector:
        return vector(draw(st.lists(of, min_size=k, max_size=k)))

    return Observation(
        "r",
        "s",
        reward=draw(st.floats(-1, 1)),
        said=draw(st.floats(0, 1)),
        rejects=draw(st.booleans()),
        numbers=np.array(found, dtype=np.int64),
        fit=each(st.floats(width=32), len(found)),
        prior=each(figure, len(found)),
        taught=np.array(taught, dtype=np.int64),
        taught_prior=each(figure, len(taught)),
    )


histories = st.lists(st.tuples(offers(), observations(), st.sampled_from("abc")), max_size=8)


def lived(history: list[tuple[Offer, Observation, str]]) -> UserState:
    state = LEDGER.fresh("ann")
    for offer, said, session_id in history:
        state = LEDGER.tick(state, session_id)
        state = LEDGER.observe(state, offer, said, NOWHERE)
    return state


def columns(state: UserState) -> tuple[bytes, ...]:
    return tuple(c.tobytes() for c in (state.numbers, state.evidence, state.amount, state.prior))


@given(histories)
def test_evidence_is_bounded_finite_and_in_order(
    history: list[tuple[Offer, Observation, str]],
) -> None:
    state = lived(history)
    assert (np.abs(state.evidence) <= 5).all()
    assert np.isfinite(state.amount).all()
    assert ((state.amount >= 0) & (state.amount <= 1000)).all()
    assert np.isfinite(state.prior).all()
    assert (np.diff(state.numbers) > 0).all()
    assert len(state.evidence) == len(state.amount) == len(state.prior) == len(state.numbers)
    assert state.evidence.dtype == state.amount.dtype == state.prior.dtype == np.float32
    for column in (state.amount, state.prior):
        assert (column == column.astype(np.float16)).all()
    assert 0 <= state.restated <= state.turns


@given(histories)
def test_the_same_history_gives_the_same_bytes(
    history: list[tuple[Offer, Observation, str]],
) -> None:
    one, other = lived(history), lived(history)
    assert columns(one) == columns(other)
    assert (one.turns, one.restated, one.steps) == (other.turns, other.restated, other.steps)


@given(histories, offers(), observations(), st.integers(0, 2**32 - 1))
def test_the_order_of_cards_does_not_matter_to_what_is_learned(
    history: list[tuple[Offer, Observation, str]], offer: Offer, said: Observation, seed: int
) -> None:
    state = lived(history)
    p, q, t = (
        np.random.default_rng(seed).permutation(n)
        for n in (offer.numbers.size, said.numbers.size, said.taught.size)
    )
    turned = replace(
        offer, numbers=offer.numbers[p], relevance=offer.relevance[p], prior=offer.prior[p],
        shown=offer.shown[p],
    )  # fmt: skip
    again = replace(
        said, numbers=said.numbers[q], fit=said.fit[q], prior=said.prior[q],
        taught=said.taught[t], taught_prior=said.taught_prior[t],
    )  # fmt: skip
    one = LEDGER.observe(state, offer, said, NOWHERE)
    other = LEDGER.observe(state, turned, again, NOWHERE)
    assert columns(one) == columns(other)


@given(st.integers(0, 2**32 - 1), histories, st.floats(0, 1))
def test_the_order_of_candidates_does_not_matter_to_what_is_selected(
    seed: int, history: list[tuple[Offer, Observation, str]], floor: float
) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(12, 4))
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    deck = Deck(
        np.arange(1, 13), matrix.astype(np.float32), vector(rng.random(12).tolist()),
        vector(rng.random(12).tolist()), "b",
    )  # fmt: skip
    places = rng.permutation(12)[: rng.integers(0, 13)]
    relevance = vector(rng.random(places.size).tolist())
    order = rng.permutation(places.size)
    state = lived(history)
    one = LEDGER.select(state, Slate(deck, places, relevance), floor=floor, limit=3)
    other = LEDGER.select(state, Slate(deck, places[order], relevance[order]), floor=floor, limit=3)
    for a, b in ((one.worth, other.worth), (one.belief, other.belief), (one.prior, other.prior)):
        assert np.isfinite(a).all()
        assert a[order] == pytest.approx(b, abs=1e-6)
    assert one.chance[order].tolist() == other.chance.tolist()
    assert one.chance.sum() <= 3
    assert ((one.belief >= 0.0066) & (one.belief <= 0.9934)).all()


@given(histories, st.floats(0, 1), st.integers(0, 5))
def test_an_empty_memory_selects_nothing(
    history: list[tuple[Offer, Observation, str]], floor: float, limit: int
) -> None:
    slate = Slate(NOWHERE, NONE, np.zeros(0, dtype=np.float32))
    assert LEDGER.select(lived(history), slate, floor=floor, limit=limit).chance.size == 0


def at(evidence: float) -> UserState:
    return replace(
        LEDGER.fresh("ann"), numbers=np.array([1]), evidence=vector([evidence]),
        amount=vector([9]), prior=vector([0]),
    )  # fmt: skip


def deck_of(confidence: float, doubt: float) -> Deck:
    return Deck(np.array([1]), np.ones((1, 1), dtype=np.float32), vector([confidence]),
                vector([doubt]), "b")  # fmt: skip


def selected(state: UserState, deck: Deck) -> bool:
    slate = Slate(deck, np.array([0]), vector([0.8]))
    return bool(LEDGER.select(state, slate, floor=0.24, limit=3).chance[0])


def told(state: UserState, deck: Deck, *, shown: bool, rejects: bool) -> UserState:
    """Let the user speak of the card, unmistakably, in their own words."""
    prior = LEDGER.prior(state, deck, np.array([0]))
    offer = Offer(
        "r", "s", "", deck.numbers, vector([0.8]), prior, vector([0]), np.array([shown]),
        ("relevant",), "ledger/1", AT,
    )  # fmt: skip
    said = Observation(
        "r", "s", said=float(np.nextafter(1, 0)), rejects=rejects, numbers=deck.numbers,
        fit=vector([0]), prior=prior,
    )  # fmt: skip
    return LEDGER.observe(state, offer, said, deck)


@given(chance, chance)
@settings(max_examples=20)
def test_two_clear_rejections_undo_all_that_spoke_for_a_card(
    confidence: float, doubt: float
) -> None:
    deck = deck_of(confidence, doubt)
    state = at(5)
    assert selected(state, deck)
    for _ in range(2):
        state = told(state, deck, shown=True, rejects=True)
    assert not selected(state, deck)


@given(chance, chance)
@settings(max_examples=20)
def test_two_clear_restatements_undo_all_that_spoke_against_it(
    confidence: float, doubt: float
) -> None:
    deck = deck_of(confidence, doubt)
    state = at(-5)
    assert not selected(state, deck)
    for _ in range(2):
        state = told(state, deck, shown=False, rejects=False)
    assert selected(state, deck)


def test_ten_thousand_rewards_move_nothing_beyond_the_bounds() -> None:
    deck = deck_of(0.5, 0)
    shown: npt.NDArray[np.bool_] = np.array([True])
    offer = Offer(
        "r", "s", "", deck.numbers, vector([1]), vector([-0.3]), vector([1]), shown,
        ("relevant",), "ledger/1", AT,
    )  # fmt: skip
    state = LEDGER.fresh("ann")
    for n in range(10_000):
        state = LEDGER.observe(state, offer, Observation("r", str(n), reward=1.0), deck)
    assert state.evidence.tolist() == [5]
    assert state.amount.tolist() <= [1000]
    for _ in range(2):
        state = told(state, deck, shown=True, rejects=True)
    assert not selected(state, deck)
