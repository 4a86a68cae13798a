"""Fits what joins the readers of follow-ups, on the development turns."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from prefmem.feedback.joined import LABELS, Joined, Scores, named, rule_columns, shift_columns
from prefmem.interaction import Numbers
from prefmem.train.calibrate import Floats, logistic
from prefmem.train.followups import Written

_RIDGE = 1.0
_CALM = 0.08  # share of neutral turns that may count as complaints, at most
_BOUND = 1.28  # standard errors to the upper bound of that share


def joined(scores: Sequence[Scores], written: Sequence[Written]) -> tuple[dict[str, Any], Any]:
    """Fit weights and thresholds.

    Args:
        scores: What the readers say of n turns.
        written: The turns.

    Returns:
        The weights for the manifest, and figures on the same turns.
    """
    truth = np.array([LABELS.index(w.label) for w in written])
    label = _label_weights(scores, truth)
    open_ended = Joined(label, (), (), (), 0.0, 0.0, 0.0, 0.0)
    found = [open_ended.labels(s) for s in scores]
    columns = [rule_columns(s, lead) for s, (lead, _) in zip(scores, found, strict=True)]
    shown = np.concatenate([s.shown for s in scores]) > 0
    restated = np.concatenate([w.restates for w in written]).astype(np.float64)
    rejected = np.concatenate([w.rejects for w in written]).astype(np.float64)[shown]
    shift = np.array([float(w.shift) for w in written])
    of_restates = np.concatenate([c for c, _ in columns]).astype(np.float64)
    of_rejects = np.concatenate([c for _, c in columns]).astype(np.float64)[shown]
    of_shift = np.stack([shift_columns(s) for s in scores]).astype(np.float64)
    counts = [len(w.restates) for w in written]
    weights = [
        logistic(x, y, ridge=_RIDGE)
        for x, y in ((of_restates, restated), (of_rejects, rejected), (of_shift, shift))
    ]
    chances = [
        _chances(x, w) for x, w in zip((of_restates, of_rejects, of_shift), weights, strict=True)
    ]
    whose = np.repeat(np.arange(len(written)), counts)
    floors = (
        best_floor(chances[0], restated, whose),
        best_floor(chances[1], rejected, whose[shown]),
        best_floor(chances[2], shift, np.arange(len(written))),
    )
    calm = calm_floor(np.stack([chances for _, chances in found]).astype(np.float64), truth)
    made = Joined(label, weights[0], weights[1], weights[2], calm, *(f for f, _ in floors))
    figures = {
        f"dev_{name}_f1": round(f1, 3)
        for name, (_, f1) in zip(("restates", "rejects", "shift"), floors, strict=True)
    }
    return asdict(made), figures


def best_floor(chances: Floats, truth: Floats, whose: Numbers) -> tuple[float, float]:
    """Give the chance from which counting as `named` does gives the best F1, and that F1.

    Args:
        chances: Of the rules of all turns, (k,).
        truth: 0 or 1, (k,).
        whose: Number of the turn of each, ascending, (k,).
    """
    rows = chances.astype(np.float32)
    parts = np.split(np.arange(len(whose)), np.flatnonzero(np.diff(whose)) + 1)
    rated: list[tuple[float, float]] = []
    for floor in np.linspace(0.05, 0.95, 91):
        said = [part[named(rows[part], float(floor))] for part in parts]
        right = sum(float(truth[s].sum()) for s in said)
        rated.append((2 * right / (sum(map(len, said)) + float(truth.sum())), float(floor)))
    f1, floor = max(rated)
    return floor, f1


def calm_floor(chances: Floats, truth: np.ndarray[Any, Any]) -> float:
    """Give the chance from which a turn counts as a complaint: the best macro-F1 that stays calm.

    Calm is when at most 8% of the neutral turns count as complaints, by the upper bound of a
    one-sided 90% interval.

    Args:
        chances: Of the labels, (n, 3).
        truth: The labels, (n,).
    """
    neutral = truth == LABELS.index("neutral")
    rated: list[tuple[bool, float, float]] = []
    for floor in np.linspace(0.34, 0.9, 57):
        said = chances.argmax(axis=1)
        unsure = (said == 1) & (chances[:, 1] < floor)
        said = np.where(unsure, np.where(chances[:, 0] > chances[:, 2], 0, 2), said)
        wrong = float((said[neutral] == 1).mean())
        calm = wrong + _BOUND * (wrong * (1 - wrong) / int(neutral.sum())) ** 0.5 <= _CALM
        rated.append((calm, _macro_f1(said, truth) if calm else float(floor), float(floor)))
    return max(rated)[2]


def _macro_f1(said: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    found = [
        2 * float(((said == c) & (truth == c)).sum())
        / max(1, int((said == c).sum() + (truth == c).sum()))
        for c in range(len(LABELS))
    ]  # fmt: skip
    return float(np.mean(found))


def _chances(columns: Floats, weights: tuple[float, ...]) -> Floats:
    chances: Floats = 1 / (1 + np.exp(-(columns @ np.array(weights[:-1]) + weights[-1])))
    return chances


def _label_weights(scores: Sequence[Scores], truth: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """Fit weights of readers, offsets of labels, weights of cues, towards halves and noughts."""
    read = torch.tensor(np.stack([s.read[:3] for s in scores]))
    shallow = torch.tensor(np.stack([s.shallow[:3] for s in scores]))
    wanted = torch.tensor(truth)
    cues = torch.tensor(np.stack([s.cues for s in scores]))
    cues = torch.cat([cues, torch.zeros(len(cues), 1)], dim=1)  # (n, 3): nothing for neutral
    start = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    weights = start.clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = weights[0] * read + weights[1] * shallow + weights[2:5]
        logits = logits + torch.cat([weights[5:], torch.zeros(1)]) * cues
        surprise = torch.nn.functional.cross_entropy(logits, wanted)
        total = surprise + 2 * ((weights - start) ** 2).sum() / len(wanted)
        torch.autograd.backward(total)
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
    return tuple(float(w) for w in weights.detach())
