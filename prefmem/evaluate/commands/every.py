"""`prefmem evaluate all`: every table that needs nothing but the package, and an index."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from prefmem.errors import MissingExtraError, PrefmemError
from prefmem.evaluate import picture, stamp
from prefmem.evaluate.publish import Plots

_INDEX = "index.md"


@dataclass(frozen=True, slots=True)
class Entry:
    """A table of the index.

    Attributes:
        name: The command.
        full: Its options.
        quick: Its options where minutes are to do.
    """

    name: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()

    def options(self, *, quick: bool) -> tuple[str, ...]:
        """Give the options, in the order of the command's own."""
        return self.quick if quick else self.full


_QUICK_FAULTS = ("full", "damage", "clock", "restore", "property")
TABLES = (
    Entry("extraction"),
    Entry("retrieval"),
    Entry("recall"),
    Entry("over-personalisation"),
    Entry("relations"),
    Entry("evolution"),
    Entry("followups"),
    Entry("edits", quick=("--seeds", "1", "--each", "20")),
    Entry("elicitation", quick=("--users", "100")),
    Entry(
        "user-model", full=("--embedder", "packaged"),
        quick=("--seeds", "1", "--users", "10", "--sessions", "50", "--embedder", "packaged"),
    ),
    Entry("talk", quick=("--users", "3", "--sessions", "4")),
    Entry(
        "performance",
        quick=("--cards", "200", "--rounds", "30", "--sizes", "10", "100", "1000", "--calls", "10"),
    ),
    Entry("faults", quick=("--only", *_QUICK_FAULTS)),
)  # fmt: skip


def every(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the tables.")],
    only: Annotated[list[str] | None, typer.Option(help="Only these tables.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes where a table takes long: minutes.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make tables anew that are there already.")
    ] = False,
    plots: Plots = True,
) -> None:
    """Make every table that needs nothing but the package, and an index.md beside them.

    A table that lies in the folder, made by the same command, versions and weights, is kept: a run
    that was ended goes on where it was. One that needs a package that is not installed is left out,
    and the index says which. Exit code 1 where a table could not be made or a fault was found.
    """
    known = {entry.name: entry for entry in TABLES}
    if unknown := [name for name in only or () if name not in known]:
        raise typer.BadParameter(f"{unknown[0]!r}; known are {', '.join(known)}")
    if plots:
        picture.check()
    group: Any = ctx.parent.command if ctx.parent else None  # typer carries its own click or not
    folder, failed, lacking = Path(out), dict[str, str](), dict[str, str]()
    chosen = [known[name] for name in only] if only else list(TABLES)
    for number, entry in enumerate(chosen, start=1):
        options = entry.options(quick=quick)
        if not fresh and _made(folder, entry.name, options):
            typer.echo(f"{number}/{len(chosen)} {entry.name}: is there", err=True)
            continue
        typer.echo(f"{number}/{len(chosen)} {entry.name}", err=True)
        drawn = () if plots else ("--no-plots",)
        words = [*options, "--out", str(folder), *drawn]
        try:
            failed |= _run(group, entry.name, words)
        except MissingExtraError as error:
            lacking[entry.name] = f"left out: {error}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _INDEX).write_text(index(folder, lacking | failed), encoding="utf-8")
    for name, reason in (lacking | failed).items():
        typer.echo(f"{name}: {reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _run(group: Any, name: str, words: Sequence[str]) -> dict[str, str]:  # noqa: ANN401  # as above
    """Run a command; gives why it failed, by its name."""
    try:
        code = group.commands[name].main([*words], prog_name=name, standalone_mode=False)
    except MissingExtraError:
        raise
    except PrefmemError as error:
        return {name: str(error)}
    return {name: "a bound was missed; the table says which"} if code else {}


def index(folder: Path, notes: Mapping[str, str]) -> str:
    """Write the index of the tables in a folder, those of `all` first.

    Args:
        folder: Where the tables lie.
        notes: Why a table is not there or not as it should be, by name.
    """
    there = {path.stem: told for path in folder.glob("*.json") if (told := _read(path))}
    names = [*(entry.name for entry in TABLES if entry.name in there)]
    names += sorted({*there} - {*names})
    lines = [
        "# Measured", "",
        "Each table is the output of its command; its page says with which versions, weights, data "
        "and seed, and on what machine.", "",
        "| table | command | made | processor time |", "|---|---|---|---:|",
    ]  # fmt: skip
    for name in names:
        told = there[name]
        lines.append(
            f"| [{told['title']}]({name}.md) | `{told['command']}` | {told['at'][:10]} | "
            f"{told['cpu_seconds']:,.0f} s |"
        )
    lines += [""]
    lines += [f"- `{name}`: {reason}" for name, reason in notes.items()]
    return "\n".join(lines) + "\n"


def _made(folder: Path, name: str, options: Sequence[str]) -> bool:
    """Whether a table is there, of the same command, versions and weights."""
    told = _read(folder / f"{name}.json")
    return told is not None and stamp.made_by(told, " ".join(["prefmem evaluate", name, *options]))


def _read(path: Path) -> dict[str, Any] | None:
    """Read a table's JSON; None where there is none, or it is no table."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict):
        return None
    found = cast(dict[str, Any], told)
    return found if found.get("format") == "prefmem.evaluate" else None
