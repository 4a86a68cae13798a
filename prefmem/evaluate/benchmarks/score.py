"""Figures that need no judge: what was learned, found and injected of what a benchmark wants."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from prefmem.evaluate.benchmarks.run import Asked, Outcome
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.publish import Measured
from prefmem.evaluate.table import Cell, Part, part

_NEAR = (1, 3, 5)  # candidates that recall@k looks at

_Figures: TypeAlias = Callable[[Sequence[Asked], int], Mapping[str, Figure]]


def measured(outcomes: Sequence[Outcome], *, seed: int) -> Measured:
    """Sum up outcomes; intervals come from resampling users for learning, requests for the rest.

    Args:
        outcomes: One for each user.
        seed: Of the resampling.
    """
    parts = [part(learned(outcomes, seed=seed), title="Learned", drawn=False)]
    asked = [one for outcome in outcomes for one in outcome.asked]
    groups = {"all": asked}
    for one in asked:
        if one.request.group:
            groups.setdefault(one.request.group, []).append(one)
    if len(groups) == 2:
        del groups["all"]
    known = {name: [one for one in found if one.request.gold] for name, found in groups.items()}
    if any(known.values()):
        parts.append(_part("Requests that a preference applies to", known, _found, seed))
    quiet = {
        name: [one for one in found if one.request.gold is not None and not one.request.gold]
        for name, found in groups.items()
    }
    if any(quiet.values()):
        parts.append(_part("Requests that none applies to", quiet, _quiet, seed))
    unsaid = {
        name: [one for one in found if one.request.gold is None] for name, found in groups.items()
    }
    if any(unsaid.values()):
        parts.append(_part("Requests of which the file does not say", unsaid, _quiet, seed))
    return Measured(tuple(parts))


def learned(outcomes: Sequence[Outcome], *, seed: int) -> dict[str, Figure]:
    """Give how much of what was said became active cards, and how much beside it."""
    said = [float(len(one.said)) for one in outcomes]
    got = [float(len(one.learned & one.said)) for one in outcomes]
    cards = [float(one.cards) for one in outcomes]
    figures: dict[str, Figure] = {}
    if sum(said):
        figures["preferences with an active rule"] = ratio(got, said, seed=seed)
        figures["active rules from turns without one"] = ratio(
            [float(one.idle) for one in outcomes], cards, seed=seed
        )
    turns = [float(one.turns) for one in outcomes]
    if sum(turns):
        figures["active rules for each user turn"] = ratio(cards, turns, seed=seed)
    return figures


def _part(title: str, groups: dict[str, list[Asked]], figures: _Figures, seed: int) -> Part:
    rows: dict[str, dict[str, Cell]] = {}
    for group, asked in groups.items():
        if asked:
            for name, figure in figures(asked, seed).items():
                rows.setdefault(name, {})[group] = figure
    return Part(rows, title)


def _found(asked: Sequence[Asked], seed: int) -> dict[str, Figure]:
    """Give how many of the wanted preferences were candidates and injected, and what else was."""
    wanted = [float(len(_gold(one))) for one in asked]
    figures = {
        f"recall@{k}, candidates": ratio([_hits(one, k) for one in asked], wanted, seed=seed)
        for k in _NEAR
    }
    injected = [float(len(_gold(one) & _all(one.injected))) for one in asked]
    figures["recall, injected"] = ratio(injected, wanted, seed=seed)
    figures["nothing wanted injected"] = mean([float(n == 0) for n in injected], seed=seed)
    figures["injected rules that are none of the wanted"] = ratio(
        [float(sum(not _gold(one) & rule for rule in one.injected)) for one in asked],
        [float(len(one.injected)) for one in asked], seed=seed,
    )  # fmt: skip
    return figures


def _quiet(asked: Sequence[Asked], seed: int) -> dict[str, Figure]:
    return {
        "something injected": mean([float(bool(one.injected)) for one in asked], seed=seed),
        "rules injected": mean([float(len(one.injected)) for one in asked], seed=seed),
    }


def _hits(one: Asked, k: int) -> float:
    return float(len(_gold(one) & _all(one.ranked[:k])))


def _gold(one: Asked) -> frozenset[int]:
    return one.request.gold or frozenset()


def _all(rules: Sequence[frozenset[int]]) -> frozenset[int]:
    return frozenset[int]().union(*rules)
