"""A user as one vector."""

import math
from dataclasses import replace

import numpy as np
import pytest

from prefmem.errors import BasisMismatchError, InputError
from prefmem.interaction import Deck, UserState
from prefmem.models.embed import MiniLMEmbedder
from prefmem.testing import HashEmbedder
from prefmem.train.projection import rules
from prefmem.types import Matrix, Vector
from prefmem.usermodel.vectors import evidence_of, generalised, read_out, refit, similarity

NEW = UserState("ann")
STATE = replace(
    NEW,
    numbers=np.array([2, 5]),
    evidence=np.array([2, -1], dtype=np.float32),
    amount=np.array([4, 1], dtype=np.float32),
    prior=np.zeros(2, dtype=np.float32),
)
DECK = Deck(
    np.array([1, 2, 5]),
    np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32),
    np.array([1, 0.5, 0.5], dtype=np.float32),
    np.array([0, 0, 1], dtype=np.float32),
)


def p(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def units(rng: np.random.Generator, *shape: int) -> Matrix:
    rows = rng.normal(size=shape)
    unit: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def agreement(old: Vector, new: Vector) -> float:
    return float(np.corrcoef(old, new)[0, 1])


def test_looking_up_evidence() -> None:
    evidence, rows = evidence_of(STATE, np.array([5, 9, 2, 1]))
    assert evidence.tolist() == [-1, 0, 2, 0]
    assert rows.tolist() == [1, -1, 0, -1]
    evidence, rows = evidence_of(NEW, np.array([5, 9]))
    assert (evidence.tolist(), rows.tolist()) == ([0, 0], [-1, -1])


def test_the_read_out_sums_squared_belief_times_vector() -> None:
    found = read_out(STATE, DECK)
    a, b, c = p(0.7) ** 2, p(-0.3 + 2) ** 2, p(-0.3 - 1 - 1) ** 2
    assert found == pytest.approx([a + 0.6 * b, 0.8 * b + c])
    assert found.dtype == np.float32
    assert read_out(NEW, DECK)[0] == pytest.approx(a + 0.6 * p(-0.3) ** 2)


def test_what_was_learned_sums_evidence_by_its_amount() -> None:
    found = generalised(STATE, DECK)  # (4 * 2 (0.6, 0.8) + 1 * -1 (0, 1)) / (4 + 1 + 5)
    assert found == pytest.approx([0.48, 0.54])
    assert found.dtype == np.float32
    assert generalised(NEW, DECK).tolist() == [0, 0]
    # A card that is not active says nothing.
    rest = Deck(DECK.numbers[:2], DECK.matrix[:2], DECK.confidence[:2], DECK.doubt[:2])
    assert generalised(STATE, rest) == pytest.approx([4 * 2 * 0.6 / 9, 4 * 2 * 0.8 / 9])


def test_vectors_of_nobody() -> None:
    none = np.zeros(0, dtype=np.float32)
    empty = Deck(np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.float32), none, none)
    assert read_out(STATE, empty).tolist() == [0, 0]
    assert generalised(STATE, empty).tolist() == [0, 0]


def test_similarity_is_the_cosine() -> None:
    one, other = (np.array(v, dtype=np.float32) for v in ([3, 4], [-4, 3]))
    assert similarity(one, one) == pytest.approx(1)
    assert similarity(one, other) == pytest.approx(0)
    assert similarity(one, np.array([30, 0], dtype=np.float32)) == pytest.approx(0.6)
    assert similarity(one, np.zeros(2, dtype=np.float32)) == 0
    with pytest.raises(BasisMismatchError, match="widths 2 and 3"):
        similarity(one, np.zeros(3, dtype=np.float32))


def test_refitting_by_hand() -> None:
    rows = np.array([[1, 0, 0], [0, 2, 0]], dtype=np.float32)
    scores = np.array([3, 4], dtype=np.float32)
    found = refit(scores, rows, ridge=1.0)  # 3 * 1 / (1 + 1), 4 * 2 / (4 + 1), nothing
    assert found == pytest.approx([1.5, 1.6, 0])
    assert found.dtype == np.float32
    assert refit(scores[:0], rows[:0]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("cards", [60, 300])
@pytest.mark.parametrize("seed", range(3))
def test_old_scores_survive_a_turned_and_noisy_space(seed: int, cards: int) -> None:
    rng = np.random.default_rng(seed)
    old = units(rng, cards, 128)
    turn, _ = np.linalg.qr(rng.normal(size=(128, 128)))
    noisy = old @ turn + 0.02 * rng.normal(size=old.shape)  # a quarter of a vector's length
    new = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    z = rng.normal(size=128).astype(np.float32)
    scores = old @ z
    assert abs(agreement(scores, new @ z)) < 0.3
    assert agreement(scores, new @ refit(scores, new)) >= 0.95


@pytest.mark.model
def test_old_scores_survive_another_embedder() -> None:
    texts = rules()[::40]
    assert len(texts) > 100
    packaged, hashed = MiniLMEmbedder().embed(texts), HashEmbedder(384).embed(texts)
    n = len(texts)
    numbers = np.arange(1, n + 1)
    rng = np.random.default_rng(0)
    state = replace(
        NEW,
        numbers=numbers,
        evidence=rng.uniform(-5, 5, n).astype(np.float32),
        amount=np.ones(n, dtype=np.float32),
        prior=np.zeros(n, dtype=np.float32),
    )
    sure, plain = np.full(n, 0.5, dtype=np.float32), np.zeros(n, dtype=np.float32)
    for old, new in ((packaged, hashed), (hashed, packaged)):
        scores = old @ read_out(state, Deck(numbers, old, sure, plain))
        assert agreement(scores, new @ refit(scores, new)) >= 0.95


def test_what_cannot_be_refitted() -> None:
    rows = np.eye(3, dtype=np.float32)
    scores = np.ones(3, dtype=np.float32)
    with pytest.raises(InputError, match="do not belong together"):
        refit(scores[:2], rows)
    with pytest.raises(InputError, match=r"ridge=0\.0 above 0"):
        refit(scores, rows, ridge=0.0)
    with pytest.raises(InputError, match="finite"):
        refit(scores * np.float32(np.nan), rows)
