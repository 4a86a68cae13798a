"""`prefmem selftest`: faults against the own disk and database, and the table of what held."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.text import Text

from prefmem.cli.options import Json
from prefmem.cli.show import console, emit, grid, line, progress, say
from prefmem.errors import InputError
from prefmem.selftest.faults import FAULTS
from prefmem.selftest.report import Report, Row
from prefmem.selftest.run import Plan, order, run

app = typer.Typer(invoke_without_command=True)

_NAMES = ", ".join(fault.name for fault in FAULTS)


@app.callback()
def selftest(
    ctx: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="The sizes of a nightly run: hours, not minutes.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME[,NAME]", help=f"Only these: {_NAMES}.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", "--minutes", min=1, help="Cases, or minutes of the soak."),
    ] = None,
    dsn: Annotated[
        str, typer.Option(envvar="PREFMEM_SELFTEST_DSN", help="A PostgreSQL server to test, too.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("--dir", file_okay=False, help="A folder of the disk to test.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder of the report, merged into it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes what is drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Run faults against this disk, and print what held: kills, a full disk, damage, a crowd.

    Everything is done in folders and databases of its own, which are removed at the end. Exit code
    1 where a figure was missed. What is run into one folder makes one report, row by row.
    """
    if ctx.invoked_subcommand is not None:
        return
    names = tuple(name.strip() for given in only or () for name in given.split(","))
    plan = Plan(names, full, size, dsn, folder, seed)
    chosen = plan.chosen()
    rows: list[Row] = []
    for fault, backend in chosen:
        with progress(unit=fault.unit) as tell:
            row = run(plan, fault, backend, tell)
        rows.append(row)
        say(f"{_mark(row)} {row.fault} ({row.backend}, {row.seconds:.0f} s): {line(row.told)}")
        if out is not None:
            Report.read(out).merged([row], order()).write(out)
    if as_json:
        emit(
            {
                "passed": all(r.passed for r in rows),
                "rows": [r.model_dump(mode="json") for r in rows],
            }
        )
    else:
        _print(rows)
    if not all(row.passed for row in rows):
        raise typer.Exit(1)


@app.command("report")
def report(
    out: Annotated[Path, typer.Option(file_okay=False, exists=True, help="Folder of the report.")],
) -> None:
    """Print the report of a folder as Markdown."""
    held = Report.read(out)
    if not held.rows:
        raise InputError(f"there is no report in {out}; prefmem selftest --out {out} makes one")
    typer.echo(held.markdown(), nl=False)


def _mark(row: Row) -> str:
    return "ok" if row.passed else "FAILED"


def _print(rows: list[Row]) -> None:
    table = grid("", "fault", "measured", "size", "s", wide="measured")
    for row in rows:
        told = Group(line(row.told), Text(row.bound, style="dim"))
        size = f"{row.size:,} {row.unit}"
        table.add_row("ok" if row.passed else "!!", row.fault, told, size, f"{row.seconds:.0f}")
    console().print(table)
