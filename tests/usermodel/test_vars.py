"""The published policy, and the two propositions about it."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest

from prefmem.errors import BasisMismatchError, ConfigError, InputError
from prefmem.interaction import Deck, Observation, Offer, Slate, UserState
from prefmem.models.embed import MiniLMEmbedder
from prefmem.protocols import UserModel
from prefmem.types import Reason, Vector
from prefmem.usermodel.ledger import pick
from prefmem.usermodel.projection import Projection
from prefmem.usermodel.vars import Gates, Vars, direction

VARS = Vars()
NEW = VARS.fresh("ann")
AT = datetime(2026, 1, 1, tzinfo=UTC)
RELEVANT: tuple[Reason, ...] = ("relevant",)
EMPTY = np.zeros(0, dtype=np.float32)


def floats(*values: float) -> Vector:
    return np.array(values, dtype=np.float32)


def deck(rows: npt.ArrayLike, basis: str = "b") -> Deck:
    matrix = np.array(rows, dtype=np.float32)
    m = len(matrix)
    half = np.full(m, 0.5, dtype=np.float32)
    return Deck(np.arange(1, m + 1), matrix, half, np.zeros(m, dtype=np.float32), basis)


PLANE = deck([[1, 0], [0, 1], [-1, 0]])


def offer(cards: list[int], relevance: list[float], shown: list[bool]) -> Offer:
    k = len(cards)
    none = np.zeros(k, dtype=np.float32)
    return Offer(
        "r", "s", "", np.array(cards, dtype=np.int64), floats(*relevance), none, none,
        np.array(shown, dtype=np.bool_), RELEVANT * k, VARS.name, AT,
    )  # fmt: skip


def heard(reward: float, similarity: float = 0.3) -> Observation:
    return Observation("r", "s", reward=reward, similarity=similarity)


def units(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
    rows = rng.normal(size=shape)
    unit: npt.NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def test_it_is_a_user_model_with_the_papers_constants() -> None:
    model: UserModel = VARS
    assert model.name == NEW.model == "vars/1"
    assert (VARS.beta_long, VARS.beta_short, VARS.eta_long, VARS.eta_short) == (2, 5, 0.01, 0.05)
    assert (VARS.decay, VARS.smoothing, VARS.tau) == (0.1, 0.05, 1)


@pytest.mark.parametrize(
    ("reward", "similarity", "gate"),
    [
        (-1, 0.1, 0.9), (-1, 0.6, 0.2), (-1, 0.3, 0.5), (-0.5, 0.1, 0.5), (0, 0.9, 0.5),
        (1, 0.5, 0.6), (1, 0.4, 0.3), (0.5, 0.9, 0.5),
    ],
)  # fmt: skip
def test_the_gate_table(reward: float, similarity: float, gate: float) -> None:
    assert Gates().of(reward, similarity) == gate


def test_a_new_user_is_ranked_by_relevance() -> None:
    slate = Slate(PLANE, np.array([0, 1, 2]), floats(0.2, 0.5, 0.3))
    found = VARS.select(NEW, slate, floor=0.24, limit=3)
    assert found.worth == pytest.approx([0.2, 0.5, 0.3])  # softmax of log relevance
    assert found.chance == pytest.approx([0.2, 0.5, 0.3])
    assert found.floor == 0
    assert found.belief.tolist() == [1, 1, 1]
    assert found.prior == pytest.approx([-0.3, -0.3, -0.3])
    assert pick(found, PLANE.matrix, 2, alike=2) == (1, 2)
    nothing = Slate(PLANE, np.zeros(0, dtype=np.int64), EMPTY)
    assert VARS.select(NEW, nothing, floor=0.24, limit=3).worth.size == 0


def test_both_vectors_move_the_scores() -> None:
    state = replace(NEW, basis="b", long=floats(0.5, 0), short=floats(0, 0.1))
    slate = Slate(PLANE, np.array([0, 1, 2]), floats(0.5, 0.5, 0.5))
    found = VARS.select(state, slate, floor=0, limit=3)
    weights = np.exp([2 * 0.5, 5 * 0.1, -2 * 0.5])
    assert found.worth == pytest.approx(weights / weights.sum())
    cold = Vars(tau=0.5).select(state, slate, floor=0, limit=3)
    assert cold.worth == pytest.approx(weights**2 / (weights**2).sum())


def test_an_update_by_hand() -> None:
    state = VARS.observe(NEW, offer([1, 2], [0.5, 0.5], [True, False]), heard(-1, 0.1), PLANE)
    # 0.9 (-1 - 0) ((1, 0) - ((1, 0) + (0, 1)) / 2) = (-0.45, 0.45)
    assert state.long == pytest.approx([-0.0045, 0.0045])
    assert state.short == pytest.approx([-0.0225, 0.0225])
    assert state.baseline == pytest.approx(-0.05)
    assert (state.basis, state.turns, state.steps, state.model) == ("b", 1, 1, "vars/1")
    assert state.long.dtype == state.short.dtype == np.float32
    again = VARS.observe(state, offer([3], [0.5], [True]), heard(0), PLANE)
    assert again.long == pytest.approx(state.long)  # one candidate: it was sure to be shown
    assert again.short == pytest.approx(0.9 * state.short)
    assert again.baseline == pytest.approx(-0.05 * 0.95)


@pytest.mark.parametrize("seed", range(20))
def test_the_update_is_the_gradient_of_the_log_policy(seed: int) -> None:
    """Proposition 1, on the float64 path and through `observe`."""
    rng = np.random.default_rng(seed)
    k, d = 8, 5
    tau, reward = float(rng.uniform(0.5, 2)), float(rng.uniform(-1, 1))
    vectors = units(rng, k, d)
    relevance = rng.uniform(0.05, 1, k)
    shown = np.isin(np.arange(k), rng.permutation(k)[:3])
    z = rng.normal(size=d)

    def value(at: npt.NDArray[np.float64]) -> float:
        scores = (np.log(relevance) + vectors @ at) / tau
        logs = scores - math.log(np.exp(scores).sum())
        return float(logs[shown].mean())

    step = 1e-5
    wanted = [(value(z + step * e) - value(z - step * e)) / (2 * step) for e in np.eye(d)]
    scores = np.exp((np.log(relevance) + vectors @ z) / tau)
    found = direction(vectors, scores / scores.sum(), shown, tau)
    assert found == pytest.approx(wanted, abs=1e-6)

    model = Vars(tau=tau, eta_long=1.0)
    state = replace(
        NEW, basis="b", baseline=0.25, long=(z / 4).astype(np.float32),
        short=(z / 10).astype(np.float32),
    )  # fmt: skip
    asked = offer(list(range(1, k + 1)), relevance.tolist(), shown.tolist())
    moved = model.observe(state, asked, heard(reward, 0.3), deck(vectors)).long - state.long
    gate = {True: 0.3, False: 0.5}[reward > 0.5]
    assert moved == pytest.approx(np.array(wanted) * gate * (reward - 0.25), abs=1e-6)


def test_what_is_older_than_h_turns_hardly_counts_in_the_short_vector() -> None:
    """Proposition 2: the tail is at most G (1 - decay)^H / decay, on 1,000 random streams."""
    most = 0.05 * 0.9 * 2 * 2  # eta, gate, reward less baseline, distance of two unit vectors
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        h = int(rng.integers(1, 8))
        state, steps = NEW, list[npt.NDArray[np.float64]]()
        for _ in range(10):
            places = rng.permutation(12)[:4]
            asked = offer(
                (places + 1).tolist(), rng.uniform(0.05, 1, 4).tolist(), [True, False] * 2
            )
            before = state.short.astype(np.float64) if state.short.size else np.zeros(4)
            said = heard(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
            state = VARS.observe(state, asked, said, CUBE)
            steps.append(state.short - 0.9 * before)
        newest = sum(0.9**age * step for age, step in enumerate(reversed(steps[-h:])))
        assert np.linalg.norm(state.short - newest) <= most * 0.9**h / 0.1


CUBE = deck(units(np.random.default_rng(7), 12, 4))


def vectors(state: UserState) -> tuple[list[float], list[float]]:
    return state.long.tolist(), state.short.tolist()


def test_without_credit_only_time_goes_by() -> None:
    asked = offer([1, 2], [0.5, 0.5], [True, False])
    shut = Vars(gates=Gates(0, 0, 0, 0, 0))
    hidden = replace(asked, shown=np.zeros(2, dtype=np.bool_))
    started = replace(NEW, basis="b", long=floats(0.1, 0.2), short=floats(0, 0))
    for model, what in ((shut, asked), (VARS, hidden)):
        state = model.observe(started, what, heard(1), PLANE)
        assert vectors(state) == vectors(started)
        assert state.baseline == pytest.approx(0.05)
        state = model.observe(replace(started, short=floats(1, -2)), what, heard(1), PLANE)
        assert state.long.tolist() == started.long.tolist()
        assert state.short == pytest.approx([0.9, -1.8])
    assert VARS.observe(started, offer([], [], []), heard(1), PLANE) is started


def test_the_order_of_candidates_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    state = replace(NEW, basis="b", long=floats(*rng.normal(size=4)), short=floats(0, 1, 0, 0))
    cards, relevance = rng.permutation(12)[:6], rng.uniform(0.05, 1, 6)
    shown = np.array([True, False, True, False, False, False])
    order = rng.permutation(6)
    one, other = (
        VARS.observe(
            state, offer((cards[o] + 1).tolist(), relevance[o].tolist(), shown[o].tolist()),
            heard(-1), CUBE,
        )
        for o in (np.arange(6), order)
    )  # fmt: skip
    assert one.long == pytest.approx(other.long)
    assert one.short == pytest.approx(other.short)
    a, b = (
        VARS.select(
            state, Slate(CUBE, cards[o], relevance[o].astype(np.float32)), floor=0, limit=3
        ).worth
        for o in (np.arange(6), order)
    )
    assert a[order] == pytest.approx(b)


def test_a_card_that_is_gone_is_left_out() -> None:
    asked = offer([1, 2, 9], [0.5, 0.5, 0.9], [True, False, True])
    state = VARS.observe(NEW, asked, heard(-1, 0.1), PLANE)
    assert state.long == pytest.approx([-0.0045, 0.0045])
    nobody = deck(np.zeros((0, 2)))
    assert VARS.observe(NEW, asked, heard(-1), nobody).long.tolist() == [0, 0]


def test_a_session_begins_without_short_term() -> None:
    state = replace(NEW, basis="b", long=floats(1, 2), short=floats(3, 4), paused=np.array([1]))
    state = VARS.tick(state, "a")
    assert vectors(state) == ([1, 2], [0, 0])
    assert (state.session_id, state.sessions, state.steps, state.paused.size) == ("a", 1, 1, 0)
    assert VARS.tick(state, "a") is state


def test_it_learns_in_the_space_of_a_projection() -> None:
    tilt = Projection(floats(0.3, 0.4), np.array([[0.6, 0.8]], dtype=np.float32), "line")
    model = Vars(projection=tilt)
    state = model.observe(NEW, offer([1, 2], [0.5, 0.5], [True, False]), heard(-1, 0.1), PLANE)
    # Projected, (1, 0) and (0, 1) are 0.6 and 0.8 apart from the same mean: 0.45 (0.8 - 0.6).
    assert state.long == pytest.approx([0.01 * 0.45 * 0.2])
    assert state.basis == "line"
    state = replace(state, long=floats(1), short=floats(0))
    slate = Slate(PLANE, np.array([0, 1]), floats(0.5, 0.5))
    weights = np.exp(2 * tilt.apply(PLANE.matrix[:2])[:, 0])
    found = model.select(state, slate, floor=0, limit=3)
    assert found.worth == pytest.approx(weights / weights.sum())
    with pytest.raises(BasisMismatchError, match="'line', the cards in 'b'"):
        VARS.select(state, slate, floor=0, limit=3)


def test_the_packaged_projection_is_for_the_packaged_embedder() -> None:
    embedder = MiniLMEmbedder()
    rng = np.random.default_rng(0)
    own = deck(units(rng, 3, 384), embedder.basis)
    asked = offer([1, 2], [0.5, 0.5], [True, False])
    state = VARS.observe(NEW, asked, heard(-1, 0.1), own)
    assert state.long.shape == (256,)
    assert state.basis.startswith("pca256@")
    slate = Slate(own, np.array([0, 1]), floats(0.5, 0.5))
    found = VARS.select(state, slate, floor=0, limit=3)
    assert found.worth[1] > found.worth[0]
    assert VARS.observe(NEW, asked, heard(-1, 0.1), PLANE).basis == "b"


def test_what_does_not_add_up_is_refused() -> None:
    with pytest.raises(InputError, match="2 cards, relevance of 1 and 2 marks"):
        VARS.observe(NEW, offer([1, 2], [0.5], [True, False]), heard(1), PLANE)
    with pytest.raises(ConfigError, match=r"tau=0\.0"):
        Vars(tau=0.0)
    with pytest.raises(ConfigError, match=r"decay=1\.5"):
        Vars(decay=1.5)
    with pytest.raises(ConfigError, match="weights are finite"):
        Vars(beta_long=math.inf)
