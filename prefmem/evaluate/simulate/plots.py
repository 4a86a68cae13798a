"""Pictures of a run: complaints over sessions, regret, and what happens after the drift."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import MissingExtraError
from prefmem.evaluate.simulate.report import PHASES

Curves: TypeAlias = Mapping[str, Sequence[float]]
_Floats: TypeAlias = npt.NDArray[np.float64]

_SMOOTH = 5  # sessions that a point is the mean of
_BEFORE, _DRIFT = PHASES["21-35"], PHASES["36-45"][0]


def check() -> None:
    """Say that pictures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError('plots need matplotlib: pip install "prefmem[plots]"')


def draw(curves: Mapping[str, Curves], folder: Path) -> tuple[Path, ...]:
    """Draw complaints.png, regret.png and, where there was a drift, adaptation.png.

    Args:
        curves: Of each policy, as `report.curves` gives them.
        folder: Where they go; made if missing.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check()
    folder.mkdir(parents=True, exist_ok=True)
    sessions = max(len(curve["regret"]) for curve in curves.values())
    pictures: list[tuple[str, str, str, Callable[[Curves], tuple[_Floats, _Floats]]]] = [
        ("complaints", "Complaints", "complaint turns / turns", _complaints),
        ("regret", "Regret, summed", "expected loss above the oracle's", _regret),
    ]
    if sessions > _DRIFT + _SMOOTH:
        title = "Adaptation after the drift"
        pictures.append(
            ("adaptation", title, "complaint rate less that of sessions 21-35", _adaptation)
        )
    paths: list[Path] = []
    for name, title, label, series in pictures:
        paths.append(folder / f"{name}.png")
        lines = {policy: series(curve) for policy, curve in curves.items()}
        _draw(lines, title, label, paths[-1], drift=sessions > _DRIFT)
    return tuple(paths)


def _complaints(curve: Curves) -> tuple[_Floats, _Floats]:
    return _smooth(curve["complaint rate"], 0)


def _regret(curve: Curves) -> tuple[_Floats, _Floats]:
    return np.arange(len(curve["regret"]), dtype=np.float64), np.cumsum(curve["regret"])


def _adaptation(curve: Curves) -> tuple[_Floats, _Floats]:
    """Smooth the time before the drift and that after it apart, with a gap between them."""
    rates = curve["complaint rate"]
    x, y = _smooth(rates[slice(*_BEFORE)], _BEFORE[0])
    later, rate = _smooth(rates[_DRIFT:], _DRIFT)
    gap = np.array([np.nan])
    before = float(np.mean(rates[slice(*_BEFORE)]))
    return np.concatenate((x, gap, later)), np.concatenate((y, gap, rate)) - before


def _smooth(rates: Sequence[float], first: int) -> tuple[_Floats, _Floats]:
    """Give running means, and the sessions that they are centred on."""
    width = min(_SMOOTH, len(rates))
    smooth = np.convolve(rates, np.full(width, 1 / width), mode="valid")
    return first + np.arange(len(smooth), dtype=np.float64) + (width - 1) / 2, smooth


def _draw(
    lines: Mapping[str, tuple[_Floats, _Floats]], title: str, label: str, path: Path, *, drift: bool
) -> None:
    figure: Any = import_module("matplotlib.figure").Figure(
        figsize=(7.5, 4.5), dpi=120, layout="constrained"
    )
    axes = figure.subplots()
    for name, (x, y) in lines.items():
        axes.plot(x, y, label=name, linewidth=2.4 if name == "ledger" else 1.3)
    if drift:
        axes.axvline(_DRIFT, color="0.6", linestyle=":", linewidth=1)
    axes.set(title=title, xlabel="session", ylabel=label)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, format="png", metadata={"Software": None})
