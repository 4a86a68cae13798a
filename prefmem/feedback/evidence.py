"""What the votes of several edits amount to: how sure a rule is, and where it holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prefmem.feedback.measure import Vote, Wish

Floats = npt.NDArray[np.float64]

SURE = 0.55  # lower bound of the share of edits a rule holds for, from which it is proposed
DOUBT = 0.2  # probability that the share is below the bound
_CHANGES = 2  # edits that must have changed towards a rule
_NEAR = 10  # edits with an opinion, nearest to the context, that decide there
_FULL = 2  # edits, the nearest, that count in full
_SOFT = 0.2  # difference of similarity at which an edit counts a third as much
_REACH = 0.1  # how much further than the supporting contexts from each other a context may be
_GRID = (np.arange(512) + 0.5) / 512


@dataclass(frozen=True, slots=True)
class Nearness:
    """How alike contexts are: of each of n edits to the one in question (n,), and to each other."""

    here: Floats
    among: Floats  # (n, n)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a rule in a context.

    Attributes:
        wish: The rule.
        sure: Lower bound of the share of edits that it holds for, in [0, 1].
        moved: Edits that changed towards it, the nearest first.
        against: Edits that speak against it.
        votes: What each edit says, by its number.
        wide: Whether all edits together bear it out, too.
    """

    wish: Wish
    sure: float
    moved: tuple[int, ...]
    against: tuple[int, ...]
    votes: Mapping[int, Vote]
    wide: bool = True


def judge(found: Sequence[Mapping[int, Vote]], near: Nearness) -> tuple[Verdict, ...]:
    """Judge rules by what edits say of each: those that can be proposed in the context.

    A rule holds where the nearest edits with an opinion keep to it. It also holds in a kind of
    context not met before, where nothing near speaks against it and it held in contexts that are as
    unlike each other as this one is unlike them.
    """
    rules = [(votes, _moved(votes, near)) for votes in found]
    rules = [(votes, moved) for votes, moved in rules if len(moved) >= _CHANGES]
    if not rules:
        return ()
    local = [_counts(votes, near, _nearest(votes, near)) for votes, _ in rules]
    whole = [_counts(votes, None, list(votes)) for votes, _ in rules]
    bounds = lower_bounds(np.array([*local, *whole]))
    verdicts: list[Verdict] = []
    for i, (votes, moved) in enumerate(rules):
        here, everywhere = float(bounds[i]), float(bounds[len(rules) + i])
        if local[i][0] >= local[i][1] and _reaches(moved, near):
            here = max(here, everywhere)
        if here >= SURE:
            against = tuple(n for n, vote in votes.items() if vote.weight <= -0.5)
            wish = next(vote.wish for vote in votes.values() if vote.wish.action)
            verdicts.append(Verdict(wish, here, moved, against, votes, everywhere >= SURE))
    return tuple(verdicts)


def lower_bounds(counts: Floats) -> Floats:
    """Give the bounds below which the share of successes lies with probability `DOUBT`.

    The share has the posterior Beta(1 + successes, 1 + failures); its density is summed on a grid.

    Args:
        counts: Successes and failures, (n, 2), from 0.

    Returns:
        The bounds, (n,), in [0, 1].
    """
    log = counts @ np.stack([np.log(_GRID), np.log1p(-_GRID)])  # (n, 2) @ (2, g) -> (n, g)
    density = np.exp(log - log.max(axis=1, keepdims=True))
    below = np.cumsum(density, axis=1) / density.sum(axis=1, keepdims=True)
    bounds: Floats = _GRID[(below >= DOUBT).argmax(axis=1)]
    return bounds


def _moved(votes: Mapping[int, Vote], near: Nearness) -> tuple[int, ...]:
    """Give the edits that changed towards a rule; two by the way count as one."""
    moved = [n for n, vote in votes.items() if vote.moved]
    weight = sum(min(1.0, 0.1 + votes[n].weight) for n in moved)
    if weight < _CHANGES * 0.9:
        return ()
    return tuple(sorted(moved, key=lambda n: (-near.here[n], -n)))


def _nearest(votes: Mapping[int, Vote], near: Nearness) -> list[int]:
    return sorted(votes, key=lambda n: (-near.here[n], -n))[:_NEAR]


def _counts(
    votes: Mapping[int, Vote], near: Nearness | None, counted: Sequence[int]
) -> tuple[float, float]:
    """Give the weight of what speaks for a rule and of what speaks against it.

    Args:
        votes: What each edit says.
        near: Weighs the edits by their nearness, if given.
        counted: Edits that count, the nearest first.
    """
    full = 0.0 if near is None else float(np.sort(near.here)[-_FULL:][0])
    yes = no = 0.0
    for n in counted:
        weight = votes[n].weight
        if near is not None:
            weight *= math.exp(min(0.0, float(near.here[n]) - full) / _SOFT)
        yes, no = yes + max(weight, 0.0), no + max(-weight, 0.0)
    return yes, no


def _reaches(moved: Sequence[int], near: Nearness) -> bool:
    """Whether a context is about as near to the supporting ones as these are to each other."""
    furthest = float(near.among[np.ix_(moved, moved)].min())
    return float(near.here[list(moved)].max()) >= furthest - _REACH
