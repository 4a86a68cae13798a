"""Tables on what the product costs and withstands."""

from typing import Annotated

import typer

from prefmem.evaluate.publish import Json, Measured, OutFolder, Plots, Seed, publish
from prefmem.evaluate.table import part


def cost(
    ctx: typer.Context,
    cards: Annotated[int, typer.Option(min=1, help="Cards of the user.")] = 1000,
    rounds: Annotated[int, typer.Option(min=5, max=1000, help="Paired measurements.")] = 200,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Time recall and learn against one query embedding (CPU time, same run)."""
    from prefmem.evaluate.cost import measure
    from prefmem.train.requests import RANKING

    unit = "CPU time of one embedding"
    publish(
        ctx, f"CPU time in query embeddings, {cards} cards",
        lambda tell: Measured(
            (part(measure(cards=cards, rounds=rounds, seed=seed, progress=tell), unit=unit),)
        ),
        seed=seed, data=[RANKING],
    )  # fmt: skip
