"""`prefmem evaluate user-model`: the table, the acceptance figures, the sweeps and the curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.publish import CACHE, Cache, Json, Measured, OutFolder, Plots, Tell, publish
from prefmem.evaluate.simulate.curves import lines
from prefmem.evaluate.table import Cell, Part

if TYPE_CHECKING:
    from prefmem.evaluate.simulate.report import Check
    from prefmem.evaluate.simulate.runs import Plan
    from prefmem.evaluate.simulate.speed import Cost
    from prefmem.evaluate.simulate.sweeps import Sweep

# What is shown of each policy, by the figure's name in the report.
_RATES = {
    "complaint rate": "complaints", "first-turn rate": "in the first turn",
    "complaint rate, sessions 0-9": "0-9", "complaint rate, 21-35": "21-35",
    "complaint rate, 36-45": "36-45", "complaint rate, 50-59": "50-59",
    "recall@J": "recall@3", "bad cards": "bad cards", "harm turns": "harm turns",
}  # fmt: skip
_AMOUNTS = {
    "injected a turn": "injected a turn", "regret": "regret", "adaptation": "adaptation",
    "recovery": "recovery", "rho": "rho", "rho, plain": "rho, plain", "bytes": "bytes",
}  # fmt: skip
_COMPARED = ("complaint rate", "first-turn rate", "regret")
_SWEPT = ("complaint rate", "recall@J", "harm turns")
_COSTED = ("vars", "ledger")
_MICROSECONDS, _BYTES, _CARDS = 200, 1024, 100


def user_model(
    ctx: typer.Context,
    seeds: Annotated[list[int] | None, typer.Option(min=0, help="Populations: 1 2 3.")] = None,
    users: Annotated[int, typer.Option(min=1, max=10_000, help="Users of each seed.")] = 60,
    sessions: Annotated[int, typer.Option(min=1, max=1000, help="Sessions of a user.")] = 60,
    policies: Annotated[list[str] | None, typer.Option(help="Policies; all of them.")] = None,
    sweep: Annotated[list[str] | None, typer.Option(help="Other worlds too, or all.")] = None,
    embedder: Annotated[str, typer.Option(help="base, packaged or hash.")] = "base",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    cache: Cache = CACHE / "simulate",
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Let simulated users live with user models: complaints, recall, harm, regret."""
    from prefmem.evaluate.simulate import runs, sweeps
    from prefmem.evaluate.simulate.lines import POOLS
    from prefmem.evaluate.simulate.policies import check
    from prefmem.evaluate.simulate.setting import Setting

    names, worlds = check(policies or []), sweeps.chosen(sweep or [])
    populations = tuple(dict.fromkeys(seeds or (1, 2, 3)))
    plan = runs.Plan(Setting(sessions=sessions), populations, users, embedder, Path(cache))
    publish(
        ctx, f"User models, {len(populations)} x {users} users x {sessions} sessions",
        lambda tell: _measured(plan, names, worlds, workers, tell),
        seed=populations, data=[POOLS],
        about="Simulated users hold, drop and repeat preferences; no language model takes part, "
        "and policies see what the memory would see. Differences are paired by user. In the "
        f"space `{embedder}`.",
    )  # fmt: skip


def _measured(
    plan: "Plan", names: Sequence[str], worlds: Mapping[str, "Sweep"], workers: int, tell: Tell
) -> Measured:
    from prefmem.evaluate.simulate import report, runs
    from prefmem.evaluate.simulate.policies import make
    from prefmem.evaluate.simulate.speed import measure

    pools = runs.load(plan, tell)
    costs = {
        name: measure(make(name, pools).model, pools.basis, seed=0, progress=tell)
        for name in names
        if name in _COSTED
    }
    lived = runs.run(plan, names, workers=workers, progress=tell)
    checks = report.acceptance(lived, seed=0) + _affordable(costs)
    swept: dict[str, Mapping[str, Mapping[str, Figure]]] = {}
    for world, found in worlds.items():
        outcomes = runs.run(found.of(plan), names, workers=workers, progress=tell, world=world)
        swept[world] = {name: report.figures(outcomes[name], seed=0) for name in names}
        checks += report.stress(world, outcomes, seed=0)
    figures = {name: report.figures(lived[name], seed=0) for name in names}
    parts = [
        Part(_columns(figures, _RATES), "Policies"),
        Part(_columns(figures, _AMOUNTS), "Further figures", unit="as named", drawn=False),
    ]
    if "vars" in lived:
        against: dict[str, dict[str, Cell]] = {
            name: {
                metric: report.relative(lived[name], lived["vars"], metric, seed=0)
                for metric in _COMPARED
            }
            for name in names
        }
        parts.append(Part(against, "Against `vars`, a share of its figure", unit="share of `vars`"))
    parts += [_world(world, found) for world, found in swept.items()]
    parts += [_costs(costs)] if costs else []
    parts += [_checks(checks)] if checks else []
    return Measured(tuple(parts), lines({name: report.curves(lived[name]) for name in names}))


def _columns(
    figures: Mapping[str, Mapping[str, Figure]], names: Mapping[str, str]
) -> dict[str, dict[str, Cell]]:
    return {
        policy: {told: found[name] for name, told in names.items() if name in found}
        for policy, found in figures.items()
    }


def _world(world: str, found: Mapping[str, Mapping[str, Figure]]) -> Part:
    names = {name: _RATES[name] for name in _SWEPT}
    return Part(_columns(found, names), f"World `{world}`", drawn=False)


def _costs(costs: Mapping[str, Sequence["Cost"]]) -> Part:
    rows: dict[str, dict[str, Cell]] = {}
    for name, found in costs.items():
        for cost in found:
            size = Figure(cost.size, cost.size, cost.size, cost.select.cases)
            rows[f"{name}, {cost.cards} cards"] = {
                "select, microseconds": cost.select, "update, microseconds": cost.update,
                "bytes": size,
            }  # fmt: skip
    return Part(rows, "Processor time and size of a state", unit="as named", drawn=False)


def _checks(checks: Sequence["Check"]) -> Part:
    rows: dict[str, dict[str, Cell]] = {
        check.name: {
            "found": check.found, "wanted": check.wanted, "reached": "yes" if check.passed else "no"
        }
        for check in checks
    }  # fmt: skip
    return Part(rows, "To be reached", drawn=False)


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
