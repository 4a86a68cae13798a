"""The injection decision on written users: what is injected, and whether it should have been."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.evaluate.metrics import Figure, f1, mean, ratio
from prefmem.memory import PreferenceMemory
from prefmem.train.calibrate import calibration_error
from prefmem.train.progress import Progress
from prefmem.train.risk import Apart, ask, relevances, stored
from prefmem.train.users import Request, WrittenUser, load_users
from prefmem.types import Recall

USERS = Path(__file__).resolve().parent.parent / "train" / "data" / "users"
_NEAR = 3  # rules that recall@3 looks at

Rows: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request, and what came of it.

    Attributes:
        request: The request with its labels.
        injected: Ids of the conditional rules that were injected.
        relevance: Relevance of every conditional rule, by id, in [0, 1].
        nearest: Ids of the conditional rules with the highest cosines, three of them.
    """

    request: Request
    injected: frozenset[str]
    relevance: Mapping[str, float]
    nearest: frozenset[str] = frozenset()


def measure(split: str, *, seed: int, progress: Progress) -> dict[str, Figure]:
    """Recall for every request of the written users of a split, with the product's defaults.

    Their rules are stored as they are: what `learn` would merge or close, `relations` measures.

    Args:
        split: `dev` or `test`.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Figures by name; intervals are over requests.
    """
    return figures(asked(load_users(USERS / split), progress), seed=seed)


def asked(users: Sequence[WrittenUser], progress: Progress) -> list[Outcome]:
    """Make all requests of written users, each to a memory of the user's rules alone."""
    outcomes: list[Outcome] = []
    for done, user in enumerate(users, start=1):
        with PreferenceMemory(":memory:", relater=Apart()) as memory:
            outcomes += outcomes_of(memory, user)
        progress("users", done, len(users))
    return outcomes


def outcomes_of(memory: PreferenceMemory, user: WrittenUser) -> list[Outcome]:
    """Give a user's rules to a memory, and make their requests."""
    names = stored(memory, user)
    return [_outcome(ask(memory, user, request), names, request) for request in user.requests]


def figures(outcomes: Sequence[Outcome], *, seed: int) -> dict[str, Figure]:
    """Sum up outcomes; only conditional rules count.

    Args:
        outcomes: At least one.
        seed: Of the resampling.

    Returns:
        Figures by name. Unwarranted is what does not apply, harmful what would make the answer
        worse; relevance is judged by how well it separates the two kinds, and by its calibration.
    """
    applying = [o for o in outcomes if o.request.applies]
    quiet = [o for o in outcomes if not o.request.applies]
    baits = [o for o in outcomes if o.request.kind == "bait"]
    right = [float(len(o.injected.intersection(o.request.applies))) for o in outcomes]
    injected = [float(len(o.injected)) for o in outcomes]
    wanted = [float(len(o.request.applies)) for o in outcomes]
    harmful = [float(not o.injected.isdisjoint(o.request.harms)) for o in outcomes]
    return {
        "warranted recall": ratio(right, wanted, seed=seed),
        "injected rules that apply": ratio(right, injected, seed=seed),
        "F1": f1(right, injected, wanted, seed=seed),
        "something unwarranted injected": mean([_unwarranted(o) for o in outcomes], seed=seed),
        "something injected where nothing applies": mean(
            [float(bool(o.injected)) for o in quiet], seed=seed
        ),
        "bait injected": mean(
            [float(not o.injected.isdisjoint(o.request.harms)) for o in baits], seed=seed
        ),
        "harmful injections per request": mean(harmful, seed=seed),
        "recall@3": mean([_found(o) for o in applying], seed=seed),
        "AUROC, applies against harms": separation(outcomes, seed=seed),
        "expected calibration error": _calibration(outcomes),
    }


def separation(outcomes: Sequence[Outcome], *, seed: int, rounds: int = 200) -> Figure:
    """Give the share of pairs of an applying and a harmful rule in which the first is ahead.

    Pairs are over all requests, ties count half, and requests are resampled.
    """
    good = [[_relevance(o, i) for i in o.request.applies] for o in outcomes]
    bad = [[_relevance(o, i) for i in o.request.harms] for o in outcomes]
    drawn = np.random.default_rng(seed).integers(0, len(outcomes), (rounds, len(outcomes)))
    values = [_auroc(good, bad, rows) for rows in drawn]
    values = [value for value in values if value == value]  # a draw may lack one of the two
    low, high = np.percentile(values, [2.5, 97.5]) if values else (float("nan"), float("nan"))
    value = _auroc(good, bad, np.arange(len(outcomes)))
    return Figure(value, float(low), float(high), sum(map(len, [*good, *bad])))


def _outcome(recall: Recall, names: dict[str, str], request: Request) -> Outcome:
    chosen = [recall.candidates[i].card for i in recall.chosen]
    injected = [names[c.id] for c in chosen if c.preference.scope.kind == "conditional"]
    near = sorted(recall.candidates, key=lambda c: -c.dense)
    nearest = [names[c.card.id] for c in near if c.card.preference.scope.kind == "conditional"]
    return Outcome(
        request, frozenset(injected), relevances(recall, names), frozenset(nearest[:_NEAR])
    )


def _relevance(outcome: Outcome, rule: str) -> float:
    """Relevance of a rule; 0 where it was not even a candidate."""
    return outcome.relevance.get(rule, 0.0)


def _unwarranted(outcome: Outcome) -> float:
    return float(not outcome.injected <= set(outcome.request.applies))


def _found(outcome: Outcome) -> float:
    """Share of the applying rules among the first three."""
    first = sorted(outcome.relevance, key=lambda i: -outcome.relevance[i])[:_NEAR]
    applies = outcome.request.applies
    return len(set(first).intersection(applies)) / len(applies)


def _auroc(good: Sequence[list[float]], bad: Sequence[list[float]], rows: Rows) -> float:
    picked: list[int] = rows.tolist()
    ahead = np.array([x for i in picked for x in good[i]], dtype=np.float64)
    behind = np.sort(np.array([x for i in picked for x in bad[i]], dtype=np.float64))
    if not len(ahead) or not len(behind):
        return float("nan")
    below = np.searchsorted(behind, ahead, "left") + np.searchsorted(behind, ahead, "right")
    return float(below.mean() / (2 * len(behind)))


def _calibration(outcomes: Sequence[Outcome]) -> Figure:
    pairs = [(p, i in o.request.applies) for o in outcomes for i, p in o.relevance.items()]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    error = calibration_error(table[:, 0], table[:, 1])
    return Figure(error, error, error, len(table))
