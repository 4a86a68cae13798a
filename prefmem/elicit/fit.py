"""A prior from answered profiles: penalised maximum likelihood by EM over fixed traits.

The E-step weighs the traits of `prior.traits` for each profile; the M-step is one Newton step of a
weighted logistic regression per dimension (Bock & Aitkin, Psychometrika 46, 1981). Unknown answers
are left out of the likelihood.
"""

import numpy as np
import numpy.typing as npt

from prefmem.elicit.prior import Floats, Prior, chances, check_factors, normalised, traits
from prefmem.errors import InputError

Answers = npt.NDArray[np.int64]

_ROUNDS = 200
_ENOUGH = 1e-4  # nats a profile gains in a round when it is time to stop
_BATCH = 1000  # profiles weighed at a time
_BIAS_RIDGE = 0.1  # of the loadings' ridge: rates may lie far from one half
_LONGEST = 1.0  # of a Newton step in any coordinate


def fit(
    answers: Answers,
    factors: int,
    *,
    names: tuple[str, ...],
    ridge: float = 1.0,
) -> Prior:
    """Fit a prior to what users answered.

    With few profiles the loadings shrink to 0 and the dimensions count as unrelated.

    Args:
        answers: 0, 1 or -1 for unknown, (users, d).
        factors: Traits that people differ in, 1 to 8.
        names: Of the d dimensions.
        ridge: Strength of the pull of all loadings to 0, above 0: 1 is the prior N(0, 1).

    Returns:
        The prior; the same for the same answers in another order, rounding aside.

    Raises:
        InputError: The answers are no such table, or a number is out of range.
    """
    _check(answers, factors, names, ridge)
    points = traits(factors)  # (s, f)
    design = np.concatenate([np.ones((len(points), 1)), points], axis=1)  # (s, 1 + f)
    weights = _start(answers, factors)  # (d, 1 + f)
    before = -np.inf
    for _ in range(_ROUNDS):
        ones, known, likelihood = _expected(answers, points, weights)
        now = likelihood - float((_pull(weights, ridge) * weights**2).sum()) / 2 / len(answers)
        if now - before < _ENOUGH:
            break
        before = now
        weights = _improved(weights, design, ones, known, ridge)
    return Prior(names, weights[:, 0].copy(), weights[:, 1:].copy())


def _start(answers: Answers, factors: int) -> Floats:
    """Start at the leading directions in which answers go together."""
    known = (answers >= 0).astype(np.float64)
    count = np.maximum(known.sum(axis=0), 1)
    rate = (np.where(answers == 1, 1.0, 0.0).sum(axis=0) + 0.5) / (count + 1)  # (d,)
    centred = (answers - rate) * known / np.sqrt(rate * (1 - rate))  # (users, d)
    together = centred.T @ centred / np.maximum(known.T @ known, 1)  # (d, d)
    values, vectors = np.linalg.eigh(together)
    order = np.argsort(-values)[:factors]
    leading = vectors[:, order]  # (d, up to f)
    strongest = leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])]
    loadings = np.zeros((len(rate), factors))
    loadings[:, : len(order)] = 2 * leading * np.sign(strongest)
    return np.concatenate([np.log(rate / (1 - rate))[:, None], loadings], axis=1)


def _expected(answers: Answers, points: Floats, weights: Floats) -> tuple[Floats, Floats, float]:
    """Count expected ones and known answers at each trait, (s, d) both; mean log-likelihood."""
    chance = chances(points, weights[:, 0], weights[:, 1:])  # (s, d)
    yes, no = np.log(chance), np.log1p(-chance)
    ones, known = np.zeros_like(chance), np.zeros_like(chance)
    total = 0.0
    for start in range(0, len(answers), _BATCH):
        batch = answers[start : start + _BATCH]
        said_yes = (batch == 1).astype(np.float64)  # (n, d)
        said = (batch >= 0).astype(np.float64)
        logs = said_yes @ (yes - no).T + said @ no.T  # (n, s)
        top = logs.max(axis=1, keepdims=True)
        total += float((top[:, 0] + np.log(np.exp(logs - top).mean(axis=1))).sum())
        share = normalised(logs)
        ones += share.T @ said_yes
        known += share.T @ said
    return ones, known, total / len(answers)


def _improved(weights: Floats, design: Floats, ones: Floats, known: Floats, ridge: float) -> Floats:
    """Take one bounded Newton step per dimension."""
    penalty = _pull(weights, ridge)
    chance = chances(design[:, 1:], weights[:, 0], weights[:, 1:])  # (s, d)
    slope = (ones - known * chance).T @ design - penalty * weights  # (d, 1 + f)
    width = design.shape[1]
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    curve = (known * chance * (1 - chance)).T @ outer  # (d, s) @ (s, w * w)
    curve = curve.reshape(-1, width, width) + np.diag(penalty)
    step = np.linalg.solve(curve, slope[:, :, None])[:, :, 0].astype(np.float64)
    longest = np.abs(step).max(axis=1, keepdims=True)
    step *= np.minimum(1, _LONGEST / np.maximum(longest, 1e-12))
    return weights + step


def _pull(weights: Floats, ridge: float) -> Floats:
    """Give the ridge of each coordinate, (1 + f,)."""
    pull = np.full(weights.shape[1], ridge)
    pull[0] *= _BIAS_RIDGE
    return pull


def _check(answers: Answers, factors: int, names: tuple[str, ...], ridge: float) -> None:
    check_factors(factors)
    if answers.ndim != 2 or not len(answers) or answers.shape[1] != len(names):
        raise InputError(
            f"answers of shape {answers.shape!r}: one row a user and {len(names)} columns, one "
            "for each name, are needed"
        )
    if not np.isin(answers, (-1, 0, 1)).all():
        raise InputError("answers are 0, 1, or -1 for unknown")
    if not ridge > 0:
        raise InputError(f"ridge={ridge!r} is not above 0")
