"""A user as one vector, read out of the cards and what was learned about them.

The vectors have no state of their own that could drift from the cards: `read_out` describes what
the user wants, for inspection and for finding similar users; `generalised` tells a new card what
the cards before it came to. A vector that was kept without its cards moves to another embedder's
space with `refit`.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import BasisMismatchError, InputError
from prefmem.interaction import Deck, Numbers, UserState
from prefmem.types import Matrix, Vector

_Floats: TypeAlias = npt.NDArray[np.float64]

BASE = -0.3  # log-odds of a card of confidence 0.5
TRUST = 2.0  # log-odds per unit of confidence
_BOUND = 5.0
_WEIGHT = 5.0  # evidence that counts as much as knowing nothing


def evidence_of(state: UserState, numbers: Numbers) -> tuple[_Floats, Numbers]:
    """Look up what cards have learned.

    Args:
        state: The user's state.
        numbers: Card numbers in any order, (j,).

    Returns:
        The evidence, 0 where there is none, (j,), and each card's place in the state, -1 where it
        is not there, (j,).
    """
    if not state.numbers.size:
        return np.zeros(numbers.size), np.full(numbers.size, -1, dtype=np.int64)
    rows = np.searchsorted(state.numbers, numbers)
    rows[rows == state.numbers.size] = 0
    known = state.numbers[rows] == numbers
    return np.where(known, state.evidence[rows], 0).astype(np.float64), np.where(known, rows, -1)


def read_out(state: UserState, deck: Deck) -> Vector:
    """Sum the cards' vectors, weighted by squared belief: z = sum p^2 v, (e,), float32.

    p is the probability that injecting a card is right where it applies, by its evidence and the
    default prior of the ledger without generalisation.
    """
    evidence, _ = evidence_of(state, deck.numbers)
    prior: Vector = BASE + TRUST * (deck.confidence - 0.5) - deck.doubt
    belief: _Floats = 1 / (1 + np.exp(-np.clip(prior + evidence, -_BOUND, _BOUND)))
    weights: Vector = (belief**2).astype(np.float32)  # (m,)
    total: Vector = weights @ deck.matrix
    return total


def generalised(state: UserState, deck: Deck) -> Vector:
    """Sum the cards' vectors, weighted by what was learned: z = sum w v, (e,), float32.

    With evidence D and its amount n, w = n D / (sum n + 5): z . v is the mean evidence of the
    cards, each counted by its amount and its cosine with v, and shrunk towards 0 while there is
    little. Without evidence it is 0. It is bounded by the bound of the evidence.
    """
    evidence, rows = evidence_of(state, deck.numbers)
    known = rows >= 0
    if not known.any():
        return np.zeros(int(deck.matrix.shape[1]), dtype=np.float32)
    amount = np.where(known, state.amount[rows], 0).astype(np.float64)  # (m,)
    weights: _Floats = amount * evidence / (amount.sum() + _WEIGHT)
    total: Vector = weights.astype(np.float32) @ deck.matrix
    return total


def similarity(one: Vector, other: Vector) -> float:
    """Give the cosine of two users' vectors, in [-1, 1]; 0 where one is zero.

    Raises:
        BasisMismatchError: They are of different widths.
    """
    if one.shape != other.shape:
        raise BasisMismatchError(f"vectors of widths {one.size} and {other.size} do not compare")
    a, b = one.astype(np.float64), other.astype(np.float64)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / size, -1, 1)) if size > 0 else 0.0


def refit(scores: Vector, vectors: Matrix, *, ridge: float = 1e-3) -> Vector:
    """Find the vector of a new space whose products with the cards reproduce old scores.

    Ridge least squares in its dual form, z = V' (V V' + ridge I)^-1 s: the smallest vector that
    does it, so directions that no card has stay at 0.

    Args:
        scores: What the old vector gave for n cards, (n,).
        vectors: The same cards in the new space, (n, d).
        ridge: Added to the diagonal, above 0; unit vectors want little.

    Returns:
        The vector, (d,), float32; zero without cards.

    Raises:
        InputError: Shapes differ, a figure is not finite, or the ridge is not above 0.
    """
    if scores.shape != vectors.shape[:1] or vectors.ndim != 2:
        raise InputError(
            f"scores {scores.shape} and vectors {vectors.shape} do not belong together"
        )
    if not (np.isfinite(scores).all() and np.isfinite(vectors).all() and ridge > 0):
        raise InputError(f"scores and vectors are to be finite, and ridge={ridge!r} above 0")
    rows = vectors.astype(np.float64)
    gram = rows @ rows.T + ridge * np.eye(len(rows))  # (n, n)
    shares = np.linalg.solve(gram, scores.astype(np.float64))  # (n,)
    return (rows.T @ shares).astype(np.float32)
