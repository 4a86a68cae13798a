"""How well the default ranking finds rules, on topics that it was not calibrated on."""

import numpy as np

from prefmem import defaults
from prefmem.evaluate import plugs
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.train.calibrate import calibration_error
from prefmem.train.embedder import DATA, strangers
from prefmem.train.progress import Progress
from prefmem.train.ranking import load_families, split


def measure(*, stores: int, seed: int, floor: float, progress: Progress) -> dict[str, Figure]:
    """Rank stores of `stores` rules for every query of the held-out families.

    A store holds one rule that applies and rules of far families; what the labels leave open is
    left out.

    Args:
        stores: Rules in a store.
        seed: Draws the stores, and the resampling.
        floor: Relevance from which a rule is injected.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name.
    """
    rng = np.random.default_rng(seed)
    _, families = split(load_families(DATA))
    rules = [rule for family in families for rule in family.rules]
    owner = np.array([i for i, family in enumerate(families) for _ in family.rules])
    far = strangers(families, defaults.embedder())
    ranks: list[int] = []
    injected: list[tuple[float, float]] = []
    quiet: list[float] = []
    probabilities: list[float] = []
    for number, family in enumerate(families):
        own, foreign = np.flatnonzero(owner == number), np.flatnonzero(far[number][owner])
        table = plugs.score(rules, [q for q, _ in family.queries] + family.baits)
        for row, (_, applies) in zip(table, family.queries, strict=False):
            gold = int(rng.choice(own[list(applies)]))
            rest = rng.choice(foreign, min(stores - 1, len(foreign)), replace=False)
            ranks.append(1 + int((row[rest] >= row[gold]).sum()))
            shown = row[rest] >= floor
            injected.append((float(row[gold] >= floor), float(shown.sum())))
            quiet.append(float(shown.any()))
            probabilities += [float(row[gold]), *row[rest].tolist()]
        progress("families", number + 1, len(families))
    labels = np.array(([1.0] + [0.0] * (len(probabilities) // len(ranks) - 1)) * len(ranks))
    error = calibration_error(np.array(probabilities), labels)
    hits = [a for a, _ in injected]
    figures = {f"hit@{k}": mean([float(r <= k) for r in ranks], seed=seed) for k in (1, 3, 5)}
    return figures | {
        "MRR": mean([1 / r for r in ranks], seed=seed),
        "the rule that applies is injected": mean(hits, seed=seed),
        "injected rules that apply": ratio(hits, [a + b for a, b in injected], seed=seed),
        "something injected where nothing applies": mean(quiet, seed=seed),
        "expected calibration error": Figure(error, error, error, len(labels)),
    }
