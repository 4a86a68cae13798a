"""What another policy would have earned, from rounds that this one played."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prefmem.errors import InputError

_Figures: TypeAlias = npt.NDArray[np.floating[Any]]

LEAST = 30.0
_WIDE = 1.959964  # standard errors of a 95 % interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a policy, estimated off-policy.

    Attributes:
        value: Mean reward that the new policy would have earned.
        low: Lower end of the 95 % interval, from the normal distribution.
        high: Its upper end.
        ess: Effective sample size: (sum w)^2 / sum w^2 of the clipped weights.
        clipped: Share of rounds whose weight was clipped, in [0, 1].
        modelled: Share of the new policy's choices that the log cannot show, as only one action was
            possible, in [0, 1]; for these the reward model alone speaks.
    """

    value: float
    low: float
    high: float
    ess: float
    clipped: float
    modelled: float


def doubly_robust(
    rewards: _Figures,
    logged: _Figures,
    target: _Figures,
    predicted: _Figures,
    expected: _Figures,
    *,
    clip: float = 10.0,
    least: float = LEAST,
) -> Estimate:
    """Estimate the value of a new policy by the clipped doubly robust estimate.

    The mean of q(x, pi) + min(w, clip) (r - q(x, a)) over n rounds, with w = target / logged: right
    on average when either the probabilities or the reward model is (Dudik, Langford and Li, ICML
    2011, arXiv 1103.4601). Clipping gives up a little of that for much less variance (Su et al.,
    ICML 2020, arXiv 1907.09623). A round is a card slot or a whole slate, as long as all figures
    are of the same kind.

    Args:
        rewards: Of the logged action, (n,).
        logged: Probability with which it was chosen, in (0, 1], (n,).
        target: Probability with which the new policy chooses it, in [0, 1], (n,).
        predicted: What a reward model expects of it, (n,).
        expected: What the model expects of the new policy's choice, (n,).
        clip: Weight at most, above 0.
        least: Effective sample size below which there is no estimate.

    Raises:
        InputError: Lengths differ, a figure is out of range, or the log says too little.
    """
    figures = [
        np.asarray(a, dtype=np.float64) for a in (rewards, logged, target, predicted, expected)
    ]
    _checked(figures, clip)
    r, p, q, own, new = figures
    raw = q / p
    weights = np.minimum(raw, clip)
    squares = float(np.square(weights).sum())
    ess = float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
    if ess < least:
        raise InputError(
            f"the log speaks for the other policy with an effective sample size of {ess:.1f}, "
            f"below {least:g}: {np.count_nonzero(weights)} of {len(weights)} rounds chose what it "
            "might choose. Log more rounds, or let the logging policy choose at random at times; "
            "one that always takes the same action has no support for any other"
        )
    each = new + weights * (r - own)  # (n,)
    value = float(each.mean())
    half = _WIDE * float(each.std(ddof=1)) / len(each) ** 0.5
    return Estimate(
        value,
        value - half,
        value + half,
        ess,
        clipped=float(np.mean(raw > clip)),
        modelled=float(np.mean(np.where(p == 1, 1 - q, 0))),
    )


def _checked(figures: list[npt.NDArray[np.float64]], clip: float) -> None:
    """Refuse figures that no log has."""
    shapes = [a.shape for a in figures]
    if len(set(shapes)) != 1 or figures[0].ndim != 1:
        raise InputError(f"figures of shapes {shapes!r}; give one of each kind for every round")
    if not all(np.isfinite(a).all() for a in figures):
        raise InputError("a figure is not finite; leave out rounds without reward or probability")
    _, logged, target, *_ = figures
    if not ((logged > 0) & (logged <= 1) & (target >= 0) & (target <= 1)).all():
        raise InputError(
            "probabilities are out of range: the logged action's is in (0, 1], as it was chosen, "
            "and the new policy's in [0, 1]"
        )
    if not clip > 0:
        raise InputError(f"clip={clip!r} has to be above 0")
