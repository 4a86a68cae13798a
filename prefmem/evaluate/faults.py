"""The faults of `prefmem selftest` as a table."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.stages import Stages
from prefmem.evaluate.table import Cell, Part
from prefmem.selftest.ground import Backend, Fault
from prefmem.selftest.report import Row, versions
from prefmem.selftest.run import Plan, run
from prefmem.train.progress import Progress, silent


def measure(
    plan: Plan, chosen: Sequence[tuple[Fault, Backend]], stages: Stages, progress: Progress
) -> tuple[Part, Part]:
    """Run faults one after the other; one that is among the stages is not run again.

    Args:
        plan: How.
        chosen: Which, each with a backend.
        stages: Keeps what is done.
        progress: Told the stage, what is done and how much there is.

    Returns:
        What was found, in words, and how much was tried.
    """
    rows: list[Row] = []
    for done, (fault, backend) in enumerate(chosen):
        progress(fault.name, done, len(chosen))
        work = partial(_row, plan, fault, backend)
        settings = {"command": plan.command(fault), "versions": versions()}
        rows.append(Row.model_validate(stages.run(f"{fault.name}-{backend}", settings, work)))
    progress("faults", len(chosen), len(chosen))
    return Part({_name(row): _told(row) for row in rows}, drawn=False), _tried(rows)


def _row(plan: Plan, fault: Fault, backend: Backend) -> dict[str, Any]:
    return run(plan, fault, backend, silent).model_dump(mode="json")


def _name(row: Row) -> str:
    return row.title if row.backend == "sqlite" else f"{row.title} ({row.backend})"


def _told(row: Row) -> dict[str, Cell]:
    return {
        "has to hold": row.bound, "measured": row.told, "held": "yes" if row.passed else "no",
        "command": row.command,
    }  # fmt: skip


def _tried(rows: Sequence[Row]) -> Part:
    """Give the cases of each fault, apart by whether its bound held."""
    cases: dict[str, dict[str, Cell]] = {}
    for row in rows:
        size = Figure(row.size, row.size, row.size, row.size)
        cases[f"{row.fault} ({row.backend}), {row.unit}"] = {
            "held" if row.passed else "missed": size
        }
    return Part(cases, "Cases that were run", unit="cases", logarithmic=True)
