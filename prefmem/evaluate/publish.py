"""What the commands of `prefmem evaluate` share: options, progress, printing, files."""

import os
import shlex
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, TypeAlias, cast

import typer
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Shown
from typer.core import TyperCommand

from prefmem.evaluate import picture, stamp
from prefmem.evaluate.table import Lines, Part, Table, grid, markdown, text

Seed = Annotated[int, typer.Option(min=0, help="Of every draw and of the resampling.")]
Split = Annotated[str, typer.Option(help="test, or dev for development.")]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", file_okay=False, help="Write JSON, Markdown and a PNG here too."),
]
AnswersFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", file_okay=False,
        help="Write JSON, Markdown and a PNG here, and keep answers: an ended run goes on.",
    ),
]  # fmt: skip
CHATS = "smollm2, a folder, a name on the hub, or the URL of an OpenAI-compatible endpoint."
ChatName = Annotated[str, typer.Option(help=f"Chat model: {CHATS}")]
ModelName = Annotated[str | None, typer.Option(help="Name of the model at the URL.")]
ApiKey = Annotated[str | None, typer.Option(envvar="PREFMEM_API_KEY", help="Key for the URL.")]
Plots = Annotated[bool, typer.Option(help="Whether --out draws the PNG (needs matplotlib).")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for machines.")]
Cache = Annotated[Path, typer.Option(help="Folder for unpacked weights and vectors.")]
CACHE = Path(typer.get_app_dir("prefmem"))
Tell: TypeAlias = Callable[[str, int, int], None]  # stage, done, total

_WIDE = 160  # characters of a line where nobody looks at a terminal
# Options that change where things go or how fast, not what is found; and secrets.
_APART = ("out", "plots", "as_json", "cache", "api_key", "workers")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement found."""

    parts: tuple[Part, ...]
    lines: tuple[Lines, ...] = ()


Work: TypeAlias = Callable[[Tell], Measured]


def publish(
    ctx: typer.Context, title: str, work: Work, *, seed: int | Iterable[int],
    settings: Mapping[str, object] | None = None, data: Iterable[Path] = (), about: str = "",
) -> Table:  # fmt: skip
    """Measure with a progress bar, print the table, and write it where `--out` says.

    The command has the options `--out` (`OutFolder`), `--plots` (`Plots`) and `--json` (`Json`),
    under the names `out`, `plots` and `as_json`.

    Args:
        ctx: The command's context.
        title: What stands above.
        work: Measures; it is given what moves the bar.
        seed: Of the draws.
        settings: All that was asked for but the seed; the command's options unless given.
        data: Files and folders of the texts that are measured on.
        about: What is measured and how, one or two sentences in Markdown.

    Raises:
        MissingExtraError: A picture is asked for and matplotlib is not installed.
    """
    given: dict[str, Any] = ctx.params
    out = Path(given["out"]) if given.get("out") else None
    if out is not None and given.get("plots"):
        picture.check()
    begun, used = monotonic(), _processor()
    with progress() as tell:
        found = work(tell)
    made = stamp.Stamp(
        command=command_line(ctx),
        seed=seed if isinstance(seed, int) else tuple(seed),
        settings=_settings(ctx) if settings is None else dict(settings),
        at=datetime.now(UTC).replace(microsecond=0), versions=stamp.installed(),
        weights=stamp.weights(), data=stamp.texts(data), machine=stamp.here(),
        seconds=round(monotonic() - begun, 1), cpu_seconds=round(_processor() - used, 1),
    )  # fmt: skip
    name = ctx.info_name or "table"
    table = Table(name, title, found.parts, made, about, found.lines)
    if given.get("as_json"):
        typer.echo(text(table), nl=False)
    else:
        show(table)
    if out is not None:
        write(table, out, plots=bool(given.get("plots")))
    return table


def write(table: Table, folder: Path, *, plots: bool) -> None:
    """Write `<name>.json`, `<name>.md` and, with plots, `<name>.png`; the JSON comes last.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = ""
    if plots:
        path = folder / f".{table.name}.png"
        if picture.draw(table, path):
            drawn = f"{table.name}.png"
            path.replace(folder / drawn)
    for name, content in (
        (f"{table.name}.md", markdown(table, picture=drawn)), (f"{table.name}.json", text(table)),
    ):  # fmt: skip
        partial = folder / f".{name}"
        partial.write_text(content, encoding="utf-8")
        partial.replace(folder / name)


def show(table: Table) -> None:
    """Print a table for people."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, highlight=False, width=_WIDE)
    console.print(table.title)
    for one in table.parts:
        heads, rows = grid(one)
        shown = Shown(title=one.title or None, title_justify="left", box=MARKDOWN)
        for number, head in enumerate(heads):
            shown.add_column(head, justify="right" if number else "left", overflow="fold")
        for row in rows:
            shown.add_row(*row)
        console.print(shown)


@contextmanager
def progress() -> Generator[Tell]:
    """Show a bar on stderr, where that is a terminal; gives what moves it."""
    screen = Console(stderr=True, markup=False, emoji=False, highlight=False)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield tell


def known_split(split: str) -> str:
    """Give a split that there is.

    Raises:
        BadParameter: It is neither `test` nor `dev`.
    """
    if split not in ("test", "dev"):
        raise typer.BadParameter("test or dev", param_hint="--split")
    return split


def command_line(ctx: typer.Context) -> str:
    """Give what makes the table again; addresses and keys are left out."""
    words = ["prefmem", "evaluate", ctx.info_name or ""]
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "")
        if option.name in _APART or value == option.get_default(ctx) or value in (None, (), []):
            continue
        flag = option.opts[0] if value is not False else (option.secondary_opts or [""])[0]
        words += [flag, *(_shown(one) for one in _several(value) if not isinstance(one, bool))]
    return shlex.join(words)


class ManyValues(TyperCommand):
    """Lets options that may be repeated take several values at once: `--seeds 1 2 3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # click's context; typer carries its own click or not
        """Read `--seeds 1 2` as `--seeds 1 --seeds 2`."""
        many = {flag for one in self.params if getattr(one, "multiple", False) for flag in one.opts}
        spread: list[str] = []
        option, filled = "", False
        for arg in args:
            if arg.startswith("-"):
                option, filled = (arg if arg in many else ""), False
                spread.append(arg)
            else:
                spread += [option, arg] if option and filled else [arg]
                filled = True
        return super().parse_args(ctx, spread)


def _settings(ctx: typer.Context) -> dict[str, object]:
    left = {*_APART, "seed", "seeds"}
    return {name: _plain(value) for name, value in ctx.params.items() if name not in left}


def _plain(value: object) -> object:
    several = _several(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in several]
    return value if isinstance(value, (int, float, bool)) or value is None else _shown(value)


def _several(value: object) -> list[object]:
    return list(cast(Iterable[object], value)) if isinstance(value, (list, tuple)) else [value]


def _shown(value: object) -> str:
    """Show a value, without an address, which may hold a password."""
    told = str(value)
    return "URL" if "://" in told else told


def _processor() -> float:
    """Give the seconds that this process and its children spent on a core."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
