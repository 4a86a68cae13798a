"""Tables on simulated users who live with a memory for a while."""

from pathlib import Path
from typing import Annotated

import typer

from prefmem.evaluate.publish import (
    CACHE,
    Cache,
    Json,
    Measured,
    OutFolder,
    Plots,
    Seed,
    Tell,
    publish,
)
from prefmem.evaluate.table import part


def talk(
    ctx: typer.Context,
    users: Annotated[int, typer.Option(min=2, max=1000, help="Simulated users.")] = 20,
    sessions: Annotated[int, typer.Option(min=1, max=200, help="Sessions of each.")] = 20,
    cache: Cache = CACHE,
    seed: Seed = 1,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Let simulated users talk to the real memory with each user model: complaints, paired."""
    from prefmem.evaluate.simulate import embedders, pools, through
    from prefmem.evaluate.simulate.lines import POOLS, read
    from prefmem.evaluate.simulate.setting import Setting

    def work(tell: Tell) -> Measured:
        found = pools.load(read(), embedders.make("packaged"), cache=Path(cache), progress=tell)
        figures = through.compare(
            found, Setting(sessions=sessions), models=("ledger", "vars", "none"), seed=seed,
            users=users, progress=tell,
        )  # fmt: skip
        rates = {name: f for name, f in figures.items() if name.endswith("rate")}
        paired = {name: f for name, f in figures.items() if name not in rates}
        return Measured((part(rates, title="Complaint turns"), part(paired, title="Paired")))

    publish(
        ctx, f"Through the real memory, {users} users x {sessions} sessions", work, seed=seed,
        data=[POOLS],
        about="The simulated users of `user-model`, in words: extraction, ranking, judge and "
        "learning are the memory's own.",
    )  # fmt: skip
