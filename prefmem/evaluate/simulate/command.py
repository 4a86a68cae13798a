"""`prefmem evaluate user-model`: the table, the acceptance figures, the sweeps and the pictures."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from prefmem.evaluate.metrics import Figure

if TYPE_CHECKING:
    from prefmem.evaluate.simulate.report import Check
    from prefmem.evaluate.simulate.runs import Plan
    from prefmem.evaluate.simulate.speed import Cost
    from prefmem.evaluate.simulate.sweeps import Sweep
    from prefmem.train.progress import Progress as Tell

# Columns of the table: the figure, its heading, a factor, and places after the point.
_COLUMNS = (
    ("complaint rate", "complaint %", 100, 1), ("first-turn rate", "first turn %", 100, 1),
    ("complaint rate, sessions 0-9", "0-9", 100, 1), ("complaint rate, 21-35", "21-35", 100, 1),
    ("complaint rate, 36-45", "36-45", 100, 1), ("complaint rate, 50-59", "50-59", 100, 1),
    ("recall@J", "recall", 1, 2), ("injected a turn", "injected", 1, 2),
    ("bad cards", "bad %", 100, 0), ("harm turns", "harm %", 100, 1), ("regret", "regret", 1, 0),
    ("adaptation", "adaptation", 100, 1), ("recovery", "recovery", 1, 0),
    ("rho", "rho", 1, 2), ("rho, plain", "plain rho", 1, 2),
)  # fmt: skip
_COMPARED = ("complaint rate", "first-turn rate", "regret")
_COSTED = ("vars", "ledger")
_MICROSECONDS, _BYTES, _CARDS = 200, 1024, 100
_WIDE = 200  # characters of a line where nobody looks at a terminal


@dataclass(frozen=True, slots=True)
class _Measured:
    """All that a command prints and writes: figures by policy, those of sweeps by world first."""

    basis: str
    difficulty: float
    figures: Mapping[str, Mapping[str, Figure]]
    against: Mapping[str, Mapping[str, Figure]]
    swept: Mapping[str, Mapping[str, Mapping[str, Figure]]]
    checks: Sequence["Check"]
    costs: Mapping[str, Sequence["Cost"]]
    curves: Mapping[str, Mapping[str, Sequence[float]]]


def user_model(
    seeds: Annotated[list[int] | None, typer.Option(help="Populations: 1 2 3.")] = None,
    users: Annotated[int, typer.Option(min=1, max=10_000, help="Users of each seed.")] = 60,
    sessions: Annotated[int, typer.Option(min=1, max=1000, help="Sessions of a user.")] = 60,
    policies: Annotated[list[str] | None, typer.Option(help="Policies; all of them.")] = None,
    sweep: Annotated[list[str] | None, typer.Option(help="Other worlds too, or all.")] = None,
    embedder: Annotated[str, typer.Option(help="base, packaged or hash.")] = "base",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    cache: Annotated[Path | None, typer.Option(help="Folder for the pools' vectors.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Draw pictures into this folder.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here too.")
    ] = None,
) -> None:
    """Let simulated users live with user models: complaints, recall, harm, regret."""
    from prefmem.evaluate.simulate import plots as pictures
    from prefmem.evaluate.simulate import runs, sweeps
    from prefmem.evaluate.simulate.policies import check
    from prefmem.evaluate.simulate.setting import Setting

    if plots is not None:
        pictures.check()
    names, worlds = check(policies or []), sweeps.chosen(sweep or [])
    populations = tuple(dict.fromkeys(seeds or (1, 2, 3)))
    if min(populations) < 0:
        raise typer.BadParameter("0 or more", param_hint="--seeds")
    folder = cache or Path(typer.get_app_dir("prefmem")) / "simulate"
    plan = runs.Plan(Setting(sessions=sessions), populations, users, embedder, folder)
    with _progress() as tell:
        measured = _measured(plan, names, worlds, workers, tell)
    _print(measured, f"{len(populations)} x {users} users x {sessions} sessions")
    if plots is not None:
        pictures.draw(measured.curves, plots)
    if json_file is not None:
        settings = {"seeds": populations, "users": users, "sessions": sessions}
        content = {"table": "User models", **settings, **asdict(measured)}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _measured(
    plan: "Plan", names: Sequence[str], worlds: Mapping[str, "Sweep"], workers: int, tell: "Tell"
) -> _Measured:
    from prefmem.evaluate.simulate import report, runs
    from prefmem.evaluate.simulate.policies import make
    from prefmem.evaluate.simulate.pools import difficulty
    from prefmem.evaluate.simulate.speed import measure

    pools = runs.load(plan, tell)
    costs = {
        name: measure(make(name, pools).model, pools.basis, seed=0, progress=tell)
        for name in names
        if name in _COSTED
    }
    lived = runs.run(plan, names, workers=workers, progress=tell)
    checks = report.acceptance(lived, seed=0) + _affordable(costs)
    swept: dict[str, dict[str, dict[str, Figure]]] = {}
    for world, found in worlds.items():
        outcomes = runs.run(found.of(plan), names, workers=workers, progress=tell, world=world)
        swept[world] = {name: report.figures(outcomes[name], seed=0) for name in names}
        checks += report.stress(world, outcomes, seed=0)
    against = {
        name: {
            f"{metric} against vars": report.relative(lived[name], lived["vars"], metric, seed=0)
            for metric in _COMPARED
            if "vars" in lived
        }
        for name in names
    }
    return _Measured(
        pools.basis,
        difficulty(pools),
        {name: report.figures(lived[name], seed=0) for name in names},
        against,
        swept,
        checks,
        costs,
        {name: report.curves(lived[name]) for name in names},
    )


def _affordable(costs: Mapping[str, Sequence["Cost"]]) -> list["Check"]:
    from prefmem.evaluate.simulate.report import Check

    checks: list[Check] = []
    for cost in costs.get("ledger", ()):
        if cost.cards == _CARDS:
            size = Figure(cost.size, cost.size, cost.size, 1)
            checks.append(
                Check(
                    f"microseconds at {_CARDS} cards", cost.both, f"at most {_MICROSECONDS}",
                    cost.both.value <= _MICROSECONDS,
                )
            )  # fmt: skip
            checks.append(
                Check(f"bytes at {_CARDS} cards", size, f"at most {_BYTES}", cost.size <= _BYTES)
            )
    return checks


@contextmanager
def _progress() -> Generator["Tell"]:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield tell


def _print(measured: _Measured, size: str) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(f"Pools in {measured.basis}: restatements at {measured.difficulty:.2f}, {size}\n")
    rows = [
        [name, *(_cell(found.get(key), factor, places) for key, _, factor, places in _COLUMNS)]
        for name, found in measured.figures.items()
    ]
    _table(console, ["policy", *(heading for _, heading, _, _ in _COLUMNS)], rows)
    if any(measured.against.values()):
        rows = [
            [name, *(_percent(figure) for figure in found.values())]
            for name, found in measured.against.items()
        ]
        _table(console, ["% against vars", *_COMPARED], rows)
    rows = [
        [world, *(_swept(figures) for figures in found.values())]
        for world, found in measured.swept.items()
    ]
    heads = [f"{name}: complaint (recall, harm)" for name in measured.figures]
    _table(console, ["world", *heads], rows)
    rows = [
        [name, str(c.cards), f"{c.select.value:.0f}", f"{c.update.value:.0f}", str(c.size)]
        for name, found in measured.costs.items()
        for c in found
    ]
    _table(console, ["model", "cards", "select us", "update us", "bytes"], rows)
    rows = [
        [check.name, str(check.found), check.wanted, "yes" if check.passed else "no"]
        for check in measured.checks
    ]
    _table(console, ["acceptance", "found", "wanted", "passed"], rows)


def _table(console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=MARKDOWN)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _cell(figure: Figure | None, factor: int, places: int) -> str:
    return "-" if figure is None else f"{factor * figure.value:.{places}f}"


def _percent(figure: Figure) -> str:
    return f"{100 * figure.value:+.1f} [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"


def _swept(figures: Mapping[str, Figure]) -> str:
    complaint, recall, harm = (
        _cell(figures.get(name), factor, places)
        for name, factor, places in (
            ("complaint rate", 100, 1),
            ("recall@J", 1, 2),
            ("harm turns", 100, 0),
        )
    )
    return f"{complaint} ({recall}, {harm})"
