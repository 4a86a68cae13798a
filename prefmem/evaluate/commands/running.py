"""Tables on what the product costs and withstands."""

from pathlib import Path
from typing import Annotated

import typer

from prefmem.evaluate.publish import Json, Measured, OutFolder, Plots, Seed, Tell, publish
from prefmem.evaluate.stages import Stages
from prefmem.evaluate.table import part

_SIZES = (10, 100, 1000, 10_000)


def performance(
    ctx: typer.Context,
    cards: Annotated[int, typer.Option(min=1, help="Cards of the user, for ratios.")] = 1000,
    rounds: Annotated[int, typer.Option(min=5, max=1000, help="Paired measurements.")] = 200,
    sizes: Annotated[
        list[int] | None, typer.Option(min=1, help="Numbers of cards: 10 100 1000 10000.")
    ] = None,
    calls: Annotated[int, typer.Option(min=5, max=1000, help="Timed calls at each size.")] = 20,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Time recall and learn in CPU time; what a card takes; start-up; size of the install."""
    from prefmem.evaluate import cost
    from prefmem.evaluate.performance import by_cards, starts, weight
    from prefmem.train.requests import RANKING

    chosen = sorted({*(sizes or _SIZES)})

    def work(tell: Tell) -> Measured:
        ratios = cost.measure(cards=cards, rounds=rounds, seed=seed, progress=tell)
        parts, curves = by_cards(chosen, rounds=calls, seed=seed, progress=tell)
        unit = "CPU time of one query embedding"
        title = f"CPU time, one query embedding = 1, {cards:,} cards"
        first = part(ratios, title=title, unit=unit)
        return Measured((first, *parts, starts(progress=tell), weight()), (curves,))

    publish(
        ctx, "Performance", work, seed=seed, data=[RANKING],
        about="Processor time, so that other work on the machine counts little; ratios are paired "
        "within the run. Recall reads 20 candidates with the cross-encoder.",
    )  # fmt: skip


def faults(
    ctx: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option(help="Only these, by the names of prefmem selftest.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="The sizes of a nightly run.")] = False,
    size: Annotated[int | None, typer.Option(min=1, help="Cases of each fault.")] = None,
    dsn: Annotated[
        str, typer.Option(envvar="PREFMEM_SELFTEST_DSN", help="A PostgreSQL server to test, too.")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("--dir", file_okay=False, help="A folder of the disk to test.")
    ] = None,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Run the faults of prefmem selftest: kills, a full disk, damage, a crowd.

    With --out each fault that is done is kept, and is not run again with the same command. Exit
    code 1 where a bound was missed.
    """
    from prefmem.evaluate.faults import measure
    from prefmem.selftest.run import Plan

    plan = Plan(tuple(only or ()), full, size, dsn, None if folder is None else Path(folder), seed)
    chosen = plan.chosen()
    stages = Stages(None if out is None else Path(out) / ".stages" / "faults")
    done = publish(
        ctx, "Faults", lambda tell: Measured(measure(plan, chosen, stages, tell)), seed=seed,
        about="Each fault is run on a disk and in databases of its own; *acknowledged* means on "
        "disk or committed. `prefmem selftest` runs the same.",
    )  # fmt: skip
    if any(row["held"] != "yes" for row in done.parts[0].rows.values()):
        raise typer.Exit(1)
