"""Runs users under policies, on several processes if wanted: the same figures on any number."""

from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import PrefmemError
from prefmem.evaluate.simulate import embedders, policies, pools
from prefmem.evaluate.simulate.lines import read
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.users import draw
from prefmem.evaluate.simulate.world import Life, live
from prefmem.interaction import Numbers
from prefmem.stores.journal import write_state
from prefmem.train.progress import Progress, silent
from prefmem.types import Vector
from prefmem.usermodel.vectors import read_out

_Floats: TypeAlias = npt.NDArray[np.float64]
_USERS = 10  # that a process takes at a time


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run; it can be sent to another process.

    Attributes:
        setting: The world.
        seeds: Populations.
        users: Users of each.
        embedder: Name of the space.
        cache: Folder of the pools' vectors.
    """

    setting: Setting
    seeds: tuple[int, ...]
    users: int
    embedder: str
    cache: Path


_Work: TypeAlias = tuple[Plan, str, int, range]  # users of one seed under one policy


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What is kept of a life.

    Attributes:
        seed: Population.
        index: Number of the user.
        counts: Sums over the turns of each session, as in `Life`.
        vector: The user's vector at the end, empty in models without one.
        plain: Unweighted sum of the vectors of all stored cards, (e,).
        held: Preferences at the end, rows of the pools.
        cards: Cards at the end.
        size: Bytes of the user's state as it is stored.
    """

    seed: int
    index: int
    counts: _Floats
    vector: Vector
    plain: Vector
    held: Numbers
    cards: int
    size: int


def load(plan: Plan, progress: Progress) -> pools.Pools:
    """Load the pools of a plan, embedding them where the cache has no vectors."""
    space = embedders.make(plan.embedder)
    return pools.load(read(), space, cache=plan.cache, progress=progress)


def run(
    plan: Plan, names: Sequence[str], *, workers: int, progress: Progress, world: str = ""
) -> dict[str, tuple[Outcome, ...]]:
    """Let every user live under every policy.

    Args:
        plan: What is run.
        names: Policies.
        workers: Processes; 1 stays in this one.
        progress: Told the stage, what is done and how much there is.
        world: What the stage is called beside the policy.

    Returns:
        Outcomes of each policy, by seed and user.
    """
    load(plan, progress)  # so that workers find the vectors in the cache
    parts = [
        (plan, name, seed, range(first, min(first + _USERS, plan.users)))
        for name in names
        for seed in plan.seeds
        for first in range(0, plan.users, _USERS)
    ]
    found: list[tuple[Outcome, ...]] = []
    for done, outcomes in enumerate(_spread(parts, workers), start=1):
        found.append(outcomes)
        progress(f"{world} {parts[done - 1][1]}".strip(), done, len(parts))
    each = len(parts) // max(len(names), 1)
    return {
        name: tuple(chain.from_iterable(found[i * each : (i + 1) * each]))
        for i, name in enumerate(names)
    }


def _spread(parts: Sequence[_Work], workers: int) -> Generator[tuple[Outcome, ...]]:
    """Give the outcomes of the parts, in their order."""
    if workers == 1:
        yield from map(_part, parts)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield from pool.map(_part, parts)
    except BrokenProcessPool as error:
        raise PrefmemError(
            "a worker process was killed, as when memory runs out; give fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _part(part: _Work) -> tuple[Outcome, ...]:
    plan, name, seed, users = part
    loaded = load(plan, silent)
    policy = policies.make(name, loaded)
    return tuple(
        _kept(
            seed, index, live(draw(loaded, plan.setting, seed, index), loaded, plan.setting, policy)
        )
        for index in users
    )


def _kept(seed: int, index: int, life: Life) -> Outcome:
    state, deck = life.state, life.deck
    vector = read_out(state, deck) if state.numbers.size else state.long
    return Outcome(
        seed, index, life.counts, vector, deck.matrix.sum(axis=0), life.held, deck.numbers.size,
        len(write_state(state)),
    )  # fmt: skip
