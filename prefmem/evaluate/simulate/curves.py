"""The curves of a run: complaints over sessions, regret, and what happens after the drift."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.simulate.report import PHASES
from prefmem.evaluate.table import Lines

Curves: TypeAlias = Mapping[str, Sequence[float]]
_Floats: TypeAlias = npt.NDArray[np.float64]
_Series: TypeAlias = tuple[_Floats, _Floats]

_SMOOTH = 5  # sessions that a point is the mean of
_BEFORE, _DRIFT = PHASES["21-35"], PHASES["36-45"][0]


def lines(curves: Mapping[str, Curves]) -> tuple[Lines, ...]:
    """Give complaints, regret and, where there was a drift, adaptation over sessions.

    Args:
        curves: Of each policy, as `report.curves` gives them.
    """
    sessions = max(len(curve["regret"]) for curve in curves.values())
    pictures: list[tuple[str, str, Callable[[Curves], _Series]]] = [
        ("Complaints", "complaint turns / turns", _complaints),
        ("Regret, summed", "expected loss above the oracle's", _regret),
    ]
    if sessions > _DRIFT + _SMOOTH:
        label = "complaint rate less that of sessions 21-35"
        pictures.append(("Adaptation after the drift", label, _adaptation))
    marks = (float(_DRIFT),) if sessions > _DRIFT else ()
    return tuple(
        Lines(
            title, "session", label,
            {policy: _points(series(curve)) for policy, curve in curves.items()}, marks=marks,
        )
        for title, label, series in pictures
    )  # fmt: skip


def _points(series: _Series) -> tuple[tuple[float, float], ...]:
    xs, ys = (column.tolist() for column in series)
    return tuple(zip(xs, ys, strict=True))


def _complaints(curve: Curves) -> _Series:
    return _smooth(curve["complaint rate"], 0)


def _regret(curve: Curves) -> _Series:
    return np.arange(len(curve["regret"]), dtype=np.float64), np.cumsum(curve["regret"])


def _adaptation(curve: Curves) -> _Series:
    """Smooth the time before the drift and that after it apart, with a gap between them."""
    rates = curve["complaint rate"]
    x, y = _smooth(rates[slice(*_BEFORE)], _BEFORE[0])
    later, rate = _smooth(rates[_DRIFT:], _DRIFT)
    gap = np.array([np.nan])
    before = float(np.mean(rates[slice(*_BEFORE)]))
    return np.concatenate((x, gap, later)), np.concatenate((y, gap, rate)) - before


def _smooth(rates: Sequence[float], first: int) -> _Series:
    """Give running means, and the sessions that they are centred on."""
    width = min(_SMOOTH, len(rates))
    smooth = np.convolve(rates, np.full(width, 1 / width), mode="valid")
    return first + np.arange(len(smooth), dtype=np.float64) + (width - 1) / 2, smooth
