"""`prefmem evaluate peers`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from prefmem.evaluate.peers import disk, envs, kill, material, size, table
from prefmem.evaluate.peers.envs import DRIVERS, Peer
from prefmem.evaluate.peers.link import Link, ProcessLink
from prefmem.evaluate.peers.work import QUICK, Cell, Cells, Plan, Workshop
from prefmem.evaluate.publish import CACHE, Json, Measured, OutFolder, Plots, Seed, Tell, publish

ABOUT = (
    "The same memories and the same precomputed vectors (synthetic, 384 wide) on prefmem and on "
    "others, each in its own environment and process, one thread for products of matrices, no LLM. "
    "Processor time is user and system time of the peer's process, around its own call. The first "
    "search of a process is told apart; `search` is warm. Spread is that of the repeats, each in a "
    "fresh process. `prefmem` is set to do what the peers do: the five nearest, no model, nothing "
    'logged (`reranker`, `relater`, `user_model` and `judge` are `"none"`; '
    "`Config(candidates=5, log_offers=False, max_cards=1_000_000)`); the row with user model and "
    "log leaves these on; as shipped it embeds, compares and reranks with its own models, whose "
    "time is in its row alone."
)
Prepare = Callable[[Tell], tuple[Mapping[str, Cell], Callable[[Peer, Path], Link]]]


def peers(
    ctx: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option(help="Peers whose names hold this; prefmem besides.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few minutes: less of everything.")
    ] = False,
    envs_folder: Annotated[
        Path, typer.Option("--envs", file_okay=False, help="The peers' environments; kept.")
    ] = CACHE / "peers",
    work: Annotated[
        Path, typer.Option(file_okay=False, help="For what peers write, on a disk that counts.")
    ] = Path("prefmem-peers"),
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew what an earlier run measured.")
    ] = False,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Put mem0, LangGraph's stores, langmem and prefmem to the same work: cost, faults, traces.

    The first run installs the peers from PyPI. An interrupted run goes on where it stopped.
    """
    if sys.platform == "win32":
        raise typer.BadParameter("kill -9 and processor time of processes need Linux or macOS")
    every, made = envs.read()
    wanted = [p for p in every if not only or p.env == "prefmem" or any(o in p.name for o in only)]
    plan = replace(QUICK if quick else Plan(), seed=seed)
    used = {name: env for name, env in made.items() if name in {p.env for p in wanted}}

    def measure(tell: Tell) -> Measured:
        pythons = envs.prepare(envs_folder.resolve(), used, tell)

        def opener(peer: Peer, folder: Path) -> Link:
            return ProcessLink(pythons[peer.env], DRIVERS / peer.driver, peer.args, folder)

        folder = work.resolve()
        drawn = material.make(
            folder / "material", memories=plan.memories, queries=plan.searches + 1, seed=seed
        )
        cells = Cells(folder / "cells.json", plan)
        if again:
            cells.found.clear()
        marks = {name: env.mark for name, env in used.items()}
        for name, mark in marks.items():
            cells.get(f"weight/{name}", mark, lambda name=name: envs.weigh(pythons[name]))  # type: ignore[misc]
        shop = Workshop(folder / "at-work", plan, drawn, opener)
        run(shop, cells, wanted, marks, tell)
        shop.clear()
        return Measured(
            table.parts(cells.found, wanted, plan), table.lines(cells.found, wanted, plan)
        )

    publish(ctx, "prefmem and other memories", measure, seed=seed, about=ABOUT)


def run(
    shop: Workshop, cells: Cells, peers: Sequence[Peer], marks: Mapping[str, str], tell: Tell
) -> None:
    """Measure what is not measured yet, stage by stage, the peers in turn.

    Args:
        shop: Where they work.
        cells: What was measured; is added to.
        peers: In the order of their turns.
        marks: Of the environments, by name.
        tell: Told the stage, what is done and how much there is.
    """
    plan = shop.plan
    todo: list[tuple[str, Peer, Callable[[Peer], Cell]]] = []

    def stage(name: str, work: Callable[[Workshop, Peer], Cell], memories: int) -> None:
        todo.extend(
            (f"{name}/{peer.name}", peer, lambda peer: work(shop, peer))
            for peer in peers
            if memories <= peer.most
        )

    for repeat in range(plan.repeats):
        stage(f"import/{repeat}", size.at_import, 0)
    for count in plan.sizes:
        for repeat in range(plan.repeats):
            stage(f"size/{count}/{repeat}", _sized(count), count)
    stage("users", size.at_users, plan.users * plan.each)
    stage("threads", kill.threads, plan.before)
    stage("processes", kill.processes, plan.before)
    stage("kill", kill.kill, plan.before)
    stage("disk", disk.disk, 0)
    for number, (name, peer, work) in enumerate(todo):
        tell(name, number, len(todo))
        cells.get(name, marks[peer.env], lambda work=work, peer=peer: work(peer))  # type: ignore[misc]
    tell("done", len(todo), len(todo))


def _sized(count: int) -> Callable[[Workshop, Peer], Cell]:
    return lambda shop, peer: size.at_size(shop, peer, count)
