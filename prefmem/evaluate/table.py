"""A table of measured figures, and how it is written as JSON and Markdown."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.stamp import Stamp

VALUE = "value"  # heading of the column of a part that has one
Cell: TypeAlias = Figure | str


@dataclass(frozen=True, slots=True)
class Part:
    """Figures in rows and columns, all of one unit.

    Attributes:
        rows: Cells by name of the row, then of the column; a row may lack columns. A cell is a
            figure, or words.
        title: What stands above; empty where the table's own title says it.
        unit: What the figures are: `share` for those in [0, 1], else as it stands at an axis.
        drawn: Whether it belongs into the picture.
        logarithmic: Whether its axis is.
    """

    rows: Mapping[str, Mapping[str, Cell]]
    title: str = ""
    unit: str = "share"
    drawn: bool = True
    logarithmic: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, as they first come."""
        return tuple(dict.fromkeys(name for row in self.rows.values() for name in row))


@dataclass(frozen=True, slots=True)
class Lines:
    """Curves of one picture.

    Attributes:
        title: What stands above.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        series: Points (x, y) of each curve by its name; nan breaks a curve.
        logarithmic: Whether both axes are.
        marks: Places on the horizontal axis where something happens.
    """

    title: str
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    logarithmic: bool = False
    marks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """What a command measured, and everything that it takes to measure it again.

    Attributes:
        name: Of the command, and of the files.
        title: What stands above.
        parts: The figures.
        stamp: What made it.
        about: Sentences on what is measured and how, Markdown.
        lines: Curves, drawn below the parts.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    stamp: Stamp
    about: str = ""
    lines: tuple[Lines, ...] = ()


def part(
    figures: Mapping[str, Figure], *, title: str = "", unit: str = "share", drawn: bool = True
) -> Part:
    """Put figures below one another, in one column."""
    return Part({name: {VALUE: figure} for name, figure in figures.items()}, title, unit, drawn)


def spread(
    figures: Mapping[str, Figure], columns: Sequence[str], *, title: str = "", unit: str = "share"
) -> Part:
    """Put figures called "<column>, <row>" into several columns; the others are left out."""
    rows: dict[str, dict[str, Cell]] = {}
    for name, figure in figures.items():
        column, comma, row = name.partition(", ")
        if comma and column in columns:
            rows.setdefault(row, {})[column] = figure
    return Part(rows, title, unit)


def figure_text(figure: Figure) -> str:
    """Give a value with its interval: three places below 1, two below 100, none above."""
    ends = (figure.value, figure.low, figure.high)
    largest = max((abs(end) for end in ends if not math.isnan(end)), default=0.0)
    places = 3 if largest <= 1 else 2 if largest < 100 else 0
    value, low, high = (f"{end:,.{places}f}" for end in ends)
    return f"{value} [{low}, {high}]" if figure.low < figure.high else value


def grid(part: Part) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Give headings and rows of a part as text; a column `n` tells the cases."""
    counted = any(isinstance(cell, Figure) for row in part.rows.values() for cell in row.values())
    columns = part.columns
    heads = ("", *columns, *(("n",) if counted else ()))
    rows: list[tuple[str, ...]] = []
    for name, row in part.rows.items():
        cells = [_text(row.get(column)) for column in columns]
        rows.append((name, *cells, *((_cases(row.values()),) if counted else ())))
    return heads, rows


def markdown(table: Table, *, picture: str = "") -> str:
    """Write a table as a page.

    Args:
        table: The table.
        picture: File of its picture; empty for none.
    """
    lines = [f"# {table.title}", ""]
    lines += [table.about, ""] if table.about else []
    lines += [f"`{table.stamp.command}`", ""]
    for one in table.parts:
        lines += [f"## {one.title}", ""] if one.title else []
        lines += [*_rows(*grid(one)), ""]
    if any(_spans(one) for one in table.parts):
        lines += ["Brackets hold 95% bootstrap intervals; n is the number of cases.", ""]
    if picture:
        lines += [f"![{table.title}]({picture})", ""]
    return "\n".join([*lines, *table.stamp.notes(), ""])


def content(table: Table) -> dict[str, Any]:
    """Give a table as JSON data; what is not a number is null."""
    return {
        "format": "prefmem.evaluate",
        "version": 1,
        "table": table.name,
        "title": table.title,
        "about": table.about,
        **table.stamp.content(),
        "parts": [
            {
                "title": one.title,
                "unit": one.unit,
                "rows": {
                    name: {column: _data(cell) for column, cell in row.items()}
                    for name, row in one.rows.items()
                },
            }
            for one in table.parts
        ],
        "lines": [
            {
                "title": one.title,
                "x": one.x,
                "y": one.y,
                "series": {
                    name: [[_number(x), _number(y)] for x, y in points]
                    for name, points in one.series.items()
                },
            }
            for one in table.lines
        ],
    }


def text(table: Table) -> str:
    """Write a table as JSON."""
    return json.dumps(content(table), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else figure_text(cell)


def _cases(cells: Iterable[Cell]) -> str:
    counts = sorted({cell.cases for cell in cells if isinstance(cell, Figure)})
    if not counts:
        return ""
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def _spans(part: Part) -> bool:
    cells = (cell for row in part.rows.values() for cell in row.values())
    return any(isinstance(cell, Figure) and cell.low < cell.high for cell in cells)


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(heads)
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(c.split()).replace('|', chr(92) + '|') for c in cells)} |"


def _data(cell: Cell) -> object:
    if isinstance(cell, str):
        return cell
    ends = {"value": cell.value, "low": cell.low, "high": cell.high}
    return {**{name: _number(end) for name, end in ends.items()}, "cases": cell.cases}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
