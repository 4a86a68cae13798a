"""Figures of a model in a user's place: accuracy on easy and hard scenes, and its uncertainty."""

from collections.abc import Sequence

from prefmem.evaluate.metrics import Figure, mean
from prefmem.evaluate.simulate.mirror import (
    Decision,
    Scene,
    Uncertainty,
    chances,
    hits,
    split,
    uncertainty,
)
from prefmem.evaluate.table import Cell, Part

_Decisions = Sequence[Sequence[Decision | None]]


def parts(scenes: Sequence[Scene], decisions: _Decisions, *, seed: int) -> tuple[Part, ...]:
    """Sum up decisions; intervals come from resampling scenes.

    Args:
        scenes: The scenes.
        decisions: Those of each scene, as `decide` gives them.
        seed: Of the resampling.
    """
    found = [
        uncertainty(chances(mine, len(scene.options)))
        for scene, mine in zip(scenes, decisions, strict=True)
    ]
    easy, hard = split(found)
    groups = {"all": tuple(range(len(scenes))), "easy": easy, "hard": hard}
    shares: dict[str, dict[str, Cell]] = {}
    nats: dict[str, dict[str, Cell]] = {}
    for group, places in groups.items():
        if not places:
            continue
        for name, figure in _shares([(scenes[n], decisions[n]) for n in places], seed).items():
            shares.setdefault(name, {})[group] = figure
        for name, figure in _nats([found[n] for n in places], seed).items():
            nats.setdefault(name, {})[group] = figure
    return Part(shares, "Decisions"), Part(nats, "Uncertainty of the choices", unit="nats")


def _shares(
    rows: Sequence[tuple[Scene, Sequence[Decision | None]]], seed: int
) -> dict[str, Figure]:
    read = [sum(one is not None for one in mine) / len(mine) for _, mine in rows]
    whole = [sum(one is not None and _whole(one) for one in mine) / len(mine) for _, mine in rows]
    return {
        "as the user decided": mean([hits(scene, mine) for scene, mine in rows], seed=seed),
        "decisions that can be read": mean(read, seed=seed),
        "decisions with all stages": mean(whole, seed=seed),
    }


def _nats(found: Sequence[Uncertainty], seed: int) -> dict[str, Figure]:
    return {
        "total": mean([one.total for one in found], seed=seed),
        "of the data": mean([one.data for one in found], seed=seed),
        "of the model": mean([one.model for one in found], seed=seed),
    }


def _whole(one: Decision) -> bool:
    return bool(one.stimulus and one.knowledge and one.evaluation and one.style)
