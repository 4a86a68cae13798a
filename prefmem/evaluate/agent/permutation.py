"""Every agent against every user: does an agent know its own user, and could that be chance?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.metrics import Figure, mean

Floats = npt.NDArray[np.float64]

_EXACT = 8  # most users for which all assignments are looked at
_DRAWN = 20_000  # assignments that are drawn for more


@dataclass(frozen=True, slots=True)
class Permutation:
    """What a matrix of agents and users shows.

    Attributes:
        names: Of the users, in the order of rows and columns.
        matrix: Mean score of the agent of each row against the user of each column.
        gap: Mean of the diagonal less the mean of the rest.
        p: Share of the assignments of agents to users whose gap is at least as large; at least one
            over the number of assignments.
        own: How many agents score highest against their own user.
    """

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    gap: Figure
    p: float
    own: int


def permutation(
    names: Sequence[str],
    scores: Sequence[Sequence[Sequence[float]]],
    *,
    seed: int,
    rounds: int = 1000,
) -> Permutation:
    """Test whether agents fit their own users better than those of others.

    Args:
        names: Of n users, at least two.
        scores: Of agent, user and task, (n, n, tasks); all agents do the same tasks.
        seed: Of the resampling of tasks, and of assignments where there are too many.
        rounds: Resamplings of tasks.

    Raises:
        ValueError: There are not n x n lists of scores, of one length above 0, or n is below two.
    """
    cells = np.asarray(scores, dtype=np.float64)
    n = len(names)
    if n < 2 or cells.ndim != 3 or cells.shape[:2] != (n, n) or not cells.shape[2]:
        raise ValueError(f"{n} users need {n} x {n} lists of scores, there are {cells.shape}")
    matrix = cells.mean(axis=2)
    each = [gap(cells[:, :, task]) for task in range(cells.shape[2])]
    return Permutation(
        tuple(names),
        tuple(tuple(map(float, row)) for row in matrix),
        mean(each, seed=seed, rounds=rounds),
        p_value(matrix, seed=seed),
        int((matrix.argmax(axis=1) == np.arange(n)).sum()),
    )


def gap(matrix: Floats) -> float:
    """Give the mean of the diagonal of a square matrix less the mean of the rest."""
    n = len(matrix)
    diagonal = float(np.trace(matrix))
    return diagonal / n - (float(matrix.sum()) - diagonal) / (n * n - n)


def p_value(matrix: Floats, *, seed: int = 0) -> float:
    """Give the share of assignments of rows to columns that are as good as the diagonal.

    All are looked at for up to 8 rows, the diagonal being one of them; for more, 20,000 are drawn,
    and the diagonal is counted in.
    """
    n = len(matrix)
    rows = np.arange(n)
    own = float(np.trace(matrix)) - 1e-12
    if n <= _EXACT:
        return _share(matrix, rows, permutations(range(n)), own)
    rng = np.random.default_rng(seed)
    drawn = (tuple(map(int, rng.permutation(n))) for _ in range(_DRAWN))
    return (_share(matrix, rows, drawn, own) * _DRAWN + 1) / (_DRAWN + 1)


def _share(
    matrix: Floats, rows: npt.NDArray[np.int64], orders: Iterable[tuple[int, ...]], own: float
) -> float:
    columns = np.array(list(orders))
    return float((matrix[rows, columns].sum(axis=1) >= own).mean())
