"""Figures with their uncertainty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, its 95% percentile bootstrap interval, and the number of cases."""

    value: float
    low: float
    high: float
    cases: int

    def __str__(self) -> str:
        """Give the value with its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio(
    parts: Sequence[float], wholes: Sequence[float], *, seed: int, rounds: int = 1000
) -> Figure:
    """Give sum(parts) / sum(wholes) over cases, resampling cases.

    Args:
        parts: Numerators, (n,).
        wholes: Denominators, (n,); a case may have 0.
        seed: Of the resampling.
        rounds: Resamplings.

    Returns:
        The figure; nan where all denominators are 0.
    """
    a, b = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    return _bootstrap(
        lambda rows: _divide(a[rows].sum(axis=-1), b[rows].sum(axis=-1)), a, seed, rounds
    )


def f1(
    right: Sequence[float],
    found: Sequence[float],
    wanted: Sequence[float],
    *,
    seed: int,
    rounds: int = 1000,
) -> Figure:
    """Give 2 right / (found + wanted) over cases, resampling cases."""
    r, f, w = (np.asarray(x, dtype=np.float64) for x in (right, found, wanted))
    return _bootstrap(
        lambda rows: _divide(2 * r[rows].sum(axis=-1), (f[rows] + w[rows]).sum(axis=-1)),
        r,
        seed,
        rounds,
    )


def mean(values: Sequence[float], *, seed: int, rounds: int = 1000) -> Figure:
    """Give the mean over cases, resampling cases."""
    return ratio(values, np.ones(len(values)).tolist(), seed=seed, rounds=rounds)


def _divide(a: Floats, b: Floats) -> Floats:
    return np.where(b > 0, a / np.maximum(b, 1e-12), np.nan)


def _bootstrap(
    figure: Callable[[npt.NDArray[np.int64]], Floats], cases: Floats, seed: int, rounds: int
) -> Figure:
    n = len(cases)
    if n == 0:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    rows = np.random.default_rng(seed).integers(0, n, (rounds, n))
    drawn = figure(rows)
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return Figure(float(figure(np.arange(n)[None])[0]), float(low), float(high), n)
