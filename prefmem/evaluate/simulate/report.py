"""The metrics of the simulator: of each user first, then over users, differences by user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.simulate.runs import Outcome
from prefmem.evaluate.simulate.world import COUNTS

_Floats: TypeAlias = npt.NDArray[np.float64]
Runs: TypeAlias = Mapping[str, Sequence[Outcome]]

PHASES = {"sessions 0-9": (0, 10), "21-35": (21, 36), "36-45": (36, 46), "50-59": (50, 60)}
_BEFORE, _AFTER = PHASES["21-35"], PHASES["36-45"]
_RECOVERS = 3  # sessions that have to be back at the rate before the drift


@dataclass(frozen=True, slots=True)
class Check:
    """One figure that has to be reached.

    Attributes:
        name: What is measured.
        found: What was measured.
        wanted: What it has to be, in words.
        passed: Whether it is.
    """

    name: str
    found: Figure
    wanted: str
    passed: bool


def per_user(outcomes: Sequence[Outcome]) -> dict[str, _Floats]:
    """Give every metric of every user, (n,); nan where it is not defined."""
    counts = np.array([outcome.counts for outcome in outcomes])  # (n, sessions, 10)
    total = dict(zip(COUNTS, np.moveaxis(counts.sum(axis=1), -1, 0), strict=True))
    rates = {name: _rate(counts, *phase) for name, phase in PHASES.items()}
    sessions = counts.shape[1]
    return {
        "complaint rate": _divided(total["complaints"], total["turns"]),
        "first-turn rate": total["first"] / sessions,
        **{f"complaint rate, {name}": rate for name, rate in rates.items()},
        "recall@J": _divided(total["hits"], total["possible"]),
        "injected a turn": _divided(total["injected"], total["turns"]),
        "bad cards": _divided(total["bad"], total["injected"]),
        "harm turns": _divided(total["harmed"], total["turns"]),
        "miss turns": _divided(total["missed"], total["turns"]),
        "regret": total["regret"],
        "adaptation": _rate(counts, *_AFTER) - _rate(counts, *_BEFORE),
        "turns a session": total["turns"] / sessions,
        "bytes": np.array([float(outcome.size) for outcome in outcomes]),
    }


def figures(outcomes: Sequence[Outcome], *, seed: int) -> dict[str, Figure]:
    """Give every metric over users; those that no user has are left out.

    `adaptation` is the complaint rate of sessions 36-45 less that of 21-35; `recovery` the number
    of sessions after the drift until it is back, noisy. `rho` is the rank correlation, over pairs
    of users of a seed, of the cosine of their vectors with the Jaccard overlap of what they hold;
    `rho, plain` is that of the unweighted sums of their cards.

    Args:
        outcomes: Users under one policy.
        seed: Of the resampling.
    """
    found: dict[str, Figure] = {}
    for name, values in per_user(outcomes).items():
        known = values[~np.isnan(values)]
        if known.size:
            found[name] = mean(known.tolist(), seed=seed)
    for name, value in (
        ("recovery", _recovery(outcomes)),
        ("rho", _rho(outcomes, [outcome.vector for outcome in outcomes])),
        ("rho, plain", _rho(outcomes, [outcome.plain for outcome in outcomes])),
    ):
        if not np.isnan(value):
            found[name] = Figure(value, value, value, len(outcomes))
    return found


def relative(one: Sequence[Outcome], other: Sequence[Outcome], metric: str, *, seed: int) -> Figure:
    """Give the difference of two policies, paired by user, relative to the other's mean.

    Args:
        one: Users under one policy.
        other: The same users under another.
        metric: Name as in `per_user`.
        seed: Of the resampling.
    """
    a, b = per_user(one)[metric], per_user(other)[metric]
    known = ~(np.isnan(a) | np.isnan(b))
    return ratio((a - b)[known].tolist(), b[known].tolist(), seed=seed)


def curves(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """Give complaint rate and mean regret of each session over all users, (sessions,)."""
    total = np.sum([outcome.counts for outcome in outcomes], axis=0)  # (sessions, 10)
    column = dict(zip(COUNTS, total.T, strict=True))
    return {
        "complaint rate": _divided(column["complaints"], column["turns"]).tolist(),
        "regret": (column["regret"] / len(outcomes)).tolist(),
    }


def acceptance(runs: Runs, *, seed: int) -> list[Check]:
    """Hold the ledger against what it has to reach in the default world.

    Args:
        runs: Outcomes by policy; comparisons with policies that are not there are left out.
        seed: Of the resampling.
    """
    if "ledger" not in runs:
        return []
    ledger = runs["ledger"]
    checks: list[Check] = []
    for metric, other, most, bound in (
        ("complaint rate", "vars", -0.25, -0.22),
        ("complaint rate", "no-memory", -0.15, None),
        ("complaint rate", "threshold", -0.18, None),
        ("first-turn rate", "vars", -0.18, None),
        ("regret", "vars", -0.45, None),
    ):
        if other in runs:
            found = relative(ledger, runs[other], metric, seed=seed)
            sure = "" if bound is None else f", its interval {bound:+.0%}"
            passed = found.value <= most and (bound is None or found.high <= bound)
            checks.append(
                Check(f"{metric} against {other}", found, f"at most {most:+.0%}{sure}", passed)
            )
    own = figures(ledger, seed=seed)
    harm, recall = own["harm turns"], own["recall@J"]
    checks.append(Check("harm turns", harm, "at most 0.12", harm.value <= 0.12))
    checks.append(Check("recall@3", recall, "at least 0.55", recall.value >= 0.55))
    return checks


def stress(name: str, runs: Runs, *, seed: int) -> list[Check]:
    """Hold the ledger against the published policy in the sweeps that have a bound.

    Without any text about preferences it must not be above it on any seed; one malicious card must
    leave it 40 % below.

    Args:
        name: The sweep.
        runs: Outcomes by policy.
        seed: Of the resampling.
    """
    most = {"no-text": 0.0, "malicious": -0.40}.get(name)
    if most is None or "ledger" not in runs or "vars" not in runs:
        return []
    worst = max(
        (
            relative(
                [o for o in runs["ledger"] if o.seed == population],
                [o for o in runs["vars"] if o.seed == population],
                "complaint rate",
                seed=seed,
            )
            for population in {outcome.seed for outcome in runs["ledger"]}
        ),
        key=lambda figure: figure.value,
    )
    label = f"complaint rate against vars, {name}, worst seed"
    return [Check(label, worst, f"at most {most:+.0%}", worst.value <= most)]


def spearman(one: _Floats, other: _Floats) -> float:
    """Give the rank correlation, with mean ranks for ties; nan where one does not vary."""
    a, b = _ranks(one), _ranks(other)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")


def _rate(counts: _Floats, first: int, last: int) -> _Floats:
    part = counts[:, first:last].sum(axis=1)
    return _divided(part[:, COUNTS.index("complaints")], part[:, COUNTS.index("turns")])


def _divided(parts: _Floats, wholes: _Floats) -> _Floats:
    found: _Floats = np.where(wholes > 0, parts / np.maximum(wholes, 1e-12), np.nan)
    return found


def _recovery(outcomes: Sequence[Outcome]) -> float:
    rates = np.array(curves(outcomes)["complaint rate"])
    if len(rates) < _AFTER[0] + _RECOVERS:
        return float("nan")
    before = rates[slice(*_BEFORE)].mean()
    windows = np.convolve(rates[_AFTER[0] :], np.full(_RECOVERS, 1 / _RECOVERS), mode="valid")
    back = np.flatnonzero(windows <= before)
    return float(back[0]) if back.size else float("nan")


def _rho(outcomes: Sequence[Outcome], vectors: Sequence[npt.NDArray[np.float32]]) -> float:
    """Average over seeds the correlation of the pairs of users within each."""
    found: list[float] = []
    for population in sorted({outcome.seed for outcome in outcomes}):
        rows = [i for i, o in enumerate(outcomes) if o.seed == population and vectors[i].any()]
        if len(rows) < 3:
            return float("nan")
        matrix = np.array([vectors[i] for i in rows], dtype=np.float64)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        first, second = np.triu_indices(len(rows), 1)
        held = [set(outcomes[i].held.tolist()) for i in rows]
        overlap = np.array(
            [
                len(held[a] & held[b]) / max(len(held[a] | held[b]), 1)
                for a, b in zip(first.tolist(), second.tolist(), strict=True)
            ]
        )
        found.append(spearman((matrix @ matrix.T)[first, second], overlap))
    return float(np.mean(found))


def _ranks(values: _Floats) -> _Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: _Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks
