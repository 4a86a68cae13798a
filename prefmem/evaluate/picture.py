"""Draws a table: intervals as dots with bars, curves as lines (matplotlib, extra `plots`)."""

import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from prefmem.errors import MissingExtraError
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.table import VALUE, Lines, Part, Table

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
_WIDTH = 8.5  # inches
_ROW, _FRAME, _LINES = 0.28, 1.0, 3.6  # height of a row, of a panel's frame, of a panel of curves
_GAP = 0.6  # of the room of a row, how much several columns of it share

# matplotlib's own types are not needed to run
Axes: TypeAlias = Any


def check() -> None:
    """Say that pictures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError(
            'pictures need matplotlib: pip install "prefmem[plots]"; or pass --no-plots'
        )


def draw(table: Table, path: Path) -> bool:
    """Draw a table's parts and curves below one another; False where there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    parts = [part for part in table.parts if part.drawn and _marks(part)]
    if not parts and not table.lines:
        return False
    check()
    heights = [_FRAME + _ROW * len(_marks(part)) * _share(part) for part in parts]
    heights += [_LINES] * len(table.lines)
    figure: Any = import_module("matplotlib.figure").Figure(
        figsize=(_WIDTH, sum(heights) + 0.4), dpi=120, layout="constrained"
    )
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    figure.suptitle(table.title, fontsize=12)
    for axes, part in zip(panels, parts, strict=False):
        _intervals(axes, part)
    for axes, lines in zip(panels[len(parts) :], table.lines, strict=True):
        _curves(axes, lines)
    figure.savefig(path, format="png", metadata={"Software": None})
    return True


def _marks(part: Part) -> dict[str, dict[str, Figure]]:
    """Give the rows that hold a figure, with their figures."""
    rows = {
        name: {
            column: cell
            for column, cell in row.items()
            if isinstance(cell, Figure) and not math.isnan(cell.value)
        }
        for name, row in part.rows.items()
    }
    return {name: row for name, row in rows.items() if row}


def _share(part: Part) -> float:
    """Give more room to rows of many columns."""
    return 1 + 0.35 * max(0, len(part.columns) - 2)


def _intervals(axes: Axes, part: Part) -> None:
    rows, columns = _marks(part), part.columns
    step = _GAP / len(columns)
    for number, column in enumerate(columns):
        points = [
            (at + (number - (len(columns) - 1) / 2) * step, row[column])
            for at, row in enumerate(rows.values())
            if column in row
        ]
        if not points:
            continue
        ys, figures = zip(*points, strict=True)
        below = [max(0.0, f.value - f.low) if f.low == f.low else 0.0 for f in figures]
        above = [max(0.0, f.high - f.value) if f.high == f.high else 0.0 for f in figures]
        axes.errorbar(
            [f.value for f in figures], ys, xerr=[below, above], fmt="o", markersize=4.5,
            capsize=2.5, linewidth=1.4, color=_COLOURS[number % len(_COLOURS)], label=column,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(part.unit, fontsize=8)
    if part.unit == "share" and all(f.low >= 0 for row in rows.values() for f in row.values()):
        axes.set_xlim(-0.02, 1.02)
    if part.logarithmic:
        axes.set_xscale("log")
    if columns != (VALUE,):
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    _finish(axes, part.title)


def _curves(axes: Axes, lines: Lines) -> None:
    for number, (name, points) in enumerate(lines.series.items()):
        xs, ys = [x for x, _ in points], [y for _, y in points]
        colour, style = _COLOURS[number % len(_COLOURS)], "-" if number < len(_COLOURS) else "--"
        marker = "o" if lines.logarithmic else None
        axes.plot(
            xs, ys, style, color=colour, marker=marker, markersize=4, linewidth=1.4, label=name
        )
    for mark in lines.marks:
        axes.axvline(mark, color="0.6", linestyle=":", linewidth=1)
    if lines.logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel(lines.x, fontsize=8)
    axes.set_ylabel(lines.y, fontsize=8)
    if len(lines.series) > 1:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    _finish(axes, lines.title)


def _finish(axes: Axes, title: str) -> None:
    if title:
        axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(which="both", labelsize=8)
    axes.grid(visible=True, alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
