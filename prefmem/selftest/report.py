"""The report: one row a fault and backend, merged over many runs, as JSON and Markdown."""

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

import prefmem
from prefmem.errors import InputError
from prefmem.selftest.ground import Backend

_JSON, _MARKDOWN = "report.json", "report.md"
_COLUMNS = ("fault", "figure", "what was measured", "size", "passed", "seconds", "command", "run")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Strict):
    """What one run of a fault on one backend showed, when, and on what.

    Attributes:
        fault: Name of the fault.
        title: What went wrong.
        bound: What had to hold.
        backend: Kind of store.
        size: Cases that were run.
        unit: What a case is.
        passed: Whether the bound was met.
        told: What was measured, in words.
        figures: What was measured, by name.
        seconds: How long it took.
        command: What runs it again.
        seed: What fixed the draws.
        at: When it ended, UTC.
        versions: Versions of what took part, by name.
        machine: Cores, memory, system and file system.
    """

    fault: str
    title: str
    bound: str
    backend: Backend
    size: int
    unit: str
    passed: bool
    told: str
    figures: dict[str, float]
    seconds: float
    command: str
    seed: int
    at: datetime
    versions: dict[str, str]
    machine: dict[str, str]


class Report(_Strict):
    """The newest row of every fault and backend that was ever run into a folder."""

    format: Literal["prefmem.selftest"] = "prefmem.selftest"
    version: Literal[1] = 1
    rows: tuple[Row, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """Read a folder's report; an empty one where there is none.

        Raises:
            InputError: The file is no report of ours.
        """
        path = folder / _JSON
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_text("utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            first = str(error).splitlines()[0]
            raise InputError(f"{path} is no report ({first}); pass another folder") from None

    def merged(self, rows: Iterable[Row], order: Iterable[str]) -> "Report":
        """Put rows in the places of older ones, in the order of the faults' names."""
        held = {(row.fault, row.backend): row for row in (*self.rows, *rows)}
        places = {name: place for place, name in enumerate(order)}

        def place(row: Row) -> tuple[int, str, str]:
            return places.get(row.fault, len(places)), row.fault, row.backend

        return Report(rows=tuple(sorted(held.values(), key=place)))

    def write(self, folder: Path) -> None:
        """Write both files, each in one step."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.model_dump(mode="json"), indent=2) + "\n"
        for name, content in ((_JSON, text), (_MARKDOWN, self.markdown())):
            partial = folder / f".{name}.{os.getpid()}"
            partial.write_text(content, encoding="utf-8")
            partial.replace(folder / name)

    def markdown(self) -> str:
        """Give the table of the report."""
        lines = [_row(_COLUMNS), _row("---" for _ in _COLUMNS)]
        lines += [_row(_cells(row)) for row in self.rows]
        grounds = dict.fromkeys(_ground(row) for row in self.rows)
        notes = [f"{number}. {ground}" for number, ground in enumerate(grounds, start=1)]
        return "\n".join([*lines, "", *notes, ""])


def machine(folder: Path) -> dict[str, str]:
    """Describe what the faults are run on."""
    found = {"cores": str(os.cpu_count()), "system": f"{platform.system()} {platform.machine()}"}
    with suppress(OSError, ValueError, AttributeError):  # where the system does not say
        found["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GB"
    if files := _file_system(folder):
        found["files"] = files
    return found


def versions() -> dict[str, str]:
    """Give the versions of what takes part."""
    return {
        "prefmem": prefmem.__version__, "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version, "numpy": np.__version__,
    }  # fmt: skip


def _file_system(folder: Path) -> str:
    """Name the file system that a folder lies on, where Linux tells it."""
    with suppress(OSError):
        mounts = [
            line.split()[1:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()
        ]
        path = folder.resolve()
        over = [(len(at), kind) for at, kind in mounts if path.is_relative_to(at)]
        return max(over)[1] if over else ""
    return ""


def _cells(row: Row) -> tuple[str, ...]:
    title = row.title if row.backend == "sqlite" else f"{row.title} ({row.backend})"
    return (
        title, row.bound, row.told, f"{row.size:,} {row.unit}", "yes" if row.passed else "NO",
        f"{row.seconds:,.0f}", f"`{row.command}`", f"{row.at:%Y-%m-%d}",
    )  # fmt: skip


def _ground(row: Row) -> str:
    return f"{row.at:%Y-%m-%d}: {_listed(row.versions)}; {_listed(row.machine)}"


def _listed(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(c.split()).replace('|', '/') for c in cells)} |"
