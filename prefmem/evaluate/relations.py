"""How well the relater tells what a new rule is to one that is there."""

from prefmem import defaults
from prefmem.cards.compare import verdict
from prefmem.cards.reconcile import CLOSING
from prefmem.cards.relate import RELATIONS
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.train.progress import Progress
from prefmem.train.relations import DATA, read_pairs
from prefmem.types import Relation


def measure(split: str, *, floor: float, seed: int, progress: Progress) -> dict[str, Figure]:
    """Judge the written pairs of a split as `learn` does.

    Args:
        split: `dev` or `test`.
        floor: Probability from which a rule counts as said again or as replaced.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Precision and recall of each relation, and what wrong ones would cost.
    """
    pairs = read_pairs(DATA / f"{split}.txt")
    relater = defaults.relater()
    found: list[Relation] = []
    for number, pair in enumerate(pairs):
        (chances,) = relater.relations(pair.new, [pair.old])
        found.append(verdict(chances, floor=floor)[0])
        progress("pairs", number + 1, len(pairs))
    gold = [pair.relation for pair in pairs]
    figures: dict[str, Figure] = {}
    for relation in RELATIONS:
        right = [float(a == b == relation) for a, b in zip(gold, found, strict=True)]
        told, there = ([float(r == relation) for r in side] for side in (found, gold))
        figures[f"{relation}: precision"] = ratio(right, told, seed=seed)
        figures[f"{relation}: recall"] = ratio(right, there, seed=seed)
    stays = [g not in CLOSING and g != "same" for g in gold]
    closes = [r in CLOSING for r in found]
    gone = [g in CLOSING for g in gold]
    return figures | {
        "right": mean([float(a == b) for a, b in zip(gold, found, strict=True)], seed=seed),
        "cards that stay and are closed": _share(stays, closes, seed),
        "cards that close and are closed": _share(gone, closes, seed),
        "new rules lost in a merge": _share(
            [g != "same" for g in gold], [r == "same" for r in found], seed
        ),
    }


def _share(of: list[bool], done: list[bool], seed: int) -> Figure:
    parts = [float(a and b) for a, b in zip(of, done, strict=True)]
    return ratio(parts, [float(a) for a in of], seed=seed)
