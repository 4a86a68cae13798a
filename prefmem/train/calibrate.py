"""Probabilities from scores: Platt's logistic map, and how well calibrated it is."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_ROUNDS = 100


def platt(scores: Floats, labels: Floats, *, ridge: float = 1e-6) -> tuple[float, float]:
    """Fit slope and offset of sigmoid(slope * score + offset).

    Args:
        scores: (n,).
        labels: 0 or 1, (n,).
        ridge: As in `logistic`.

    Returns:
        Slope and offset.
    """
    slope, offset = logistic(scores[:, None], labels, ridge=ridge)
    return slope, offset


def logistic(scores: Floats, labels: Floats, *, ridge: float = 1e-6) -> tuple[float, ...]:
    """Fit the weights of sigmoid(scores @ weights + offset) by Newton's method.

    Labels are smoothed towards (n1 + 1) / (n1 + 2) and 1 / (n0 + 2) as in Platt (1999), so that
    separable scores give finite weights.

    Args:
        scores: (n, k).
        labels: 0 or 1, (n,).
        ridge: Added to the Hessian's diagonal.

    Returns:
        k weights, and the offset.
    """
    ones, zeros = float(labels.sum()), float((1 - labels).sum())
    target = np.where(labels > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    x = np.concatenate([scores, np.ones((len(scores), 1))], axis=1)  # (n, k + 1)
    weights = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-(x @ weights)))
        gradient = x.T @ (p - target)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return tuple(weights.tolist())


def calibration_error(probabilities: Floats, labels: Floats, *, bins: int = 10) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over equal-width bins.

    Args:
        probabilities: In [0, 1], (n,).
        labels: 0 or 1, (n,).
        bins: Number of bins.

    Returns:
        Error in [0, 1], 0 for no examples.
    """
    if len(labels) == 0:
        return 0.0
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        abs(float(probabilities[place == b].mean() - labels[place == b].mean()))
        * float((place == b).mean())
        for b in range(bins)
        if bool((place == b).any())
    ]
    return float(sum(gaps))
