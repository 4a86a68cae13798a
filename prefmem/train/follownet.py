"""The networks that judge follow-ups, as they are trained: a cross-encoder, and shallow ones."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from prefmem.models.followup import OUTPUTS
from prefmem.train.pairnet import pooled
from prefmem.types import Matrix, Vector

_LABELS = 3
_LIKELIHOOD = 3.0  # weight of a rule's own loss: few rules are said again
_LISTED = 0.3  # weight of the rules of one turn against each other


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A turn as the networks get it.

    Attributes:
        turn: Ids and segments of the turn.
        rules: Ids and segments of each rule beside it, (j,).
        traits: Traits of the turn, (d,).
        rule_traits: Traits of each rule, (j, r).
        wanted: What the turn shows, as `OUTPUTS`: 0 or 1, (6,).
        wanted_rules: Whether each rule is restated, and rejected, (j, 2).
        shown: Which rules were injected, (j,).
        judged: Whether the turn teaches labels; else it teaches rules alone.
    """

    turn: tuple[list[int], list[int]]
    rules: tuple[tuple[list[int], list[int]], ...]
    traits: Vector
    rule_traits: Matrix
    wanted: Vector
    wanted_rules: Matrix
    shown: Vector
    judged: bool = True


class FollowupNet(torch.nn.Module):
    """MiniLM trunk with two linear layers over its first and its mean output."""

    def __init__(self, trunk: torch.nn.Module, *, dropout: float) -> None:
        """Put new layers, that begin at nought, on a trunk."""
        super().__init__()
        self.trunk = trunk
        self.dropout = torch.nn.Dropout(dropout)
        width = 2 * int(trunk.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.turn = torch.nn.Linear(width, len(OUTPUTS))
        self.rule = torch.nn.Linear(width, 2)
        for head in (self.turn, self.rule):
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)

    def forward(
        self, ids: torch.Tensor, kinds: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read n inputs, (n, seq): scores of a turn, (n, 6), and of a rule, (n, 2).

        Without a mask nothing is padding.
        """
        both = self.dropout(pooled(self.trunk, ids, kinds, mask))
        return self.turn(both), self.rule(both)


class ShallowNet(torch.nn.Module):
    """One hidden layer over standardised traits."""

    def __init__(self, width: int, hidden: int, outputs: int, *, dropout: float) -> None:
        """Make the layers."""
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Dropout(0.1),
            torch.nn.Linear(width, hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(hidden, outputs),
        )

    def forward(self, traits: torch.Tensor) -> torch.Tensor:
        """Score n rows of traits, (n, d) -> (n, o)."""
        scores: torch.Tensor = self.layers(traits)
        return scores

    def weights(self) -> tuple[Matrix, Vector, Matrix, Vector]:
        """Give the weights: (d, h), (h,), (h, o), (o,)."""
        first, last = self.layers[1], self.layers[4]
        assert isinstance(first, torch.nn.Linear)
        assert isinstance(last, torch.nn.Linear)
        return (
            first.weight.detach().numpy().T,
            first.bias.detach().numpy(),
            last.weight.detach().numpy().T,
            last.bias.detach().numpy(),
        )


def turn_loss(scores: torch.Tensor, reads: Sequence[Read], *, smoothing: float) -> torch.Tensor:
    """Cross-entropy of the label, and of each of the other outputs, of the turns.

    Args:
        scores: (n, 6).
        reads: n turns.
        smoothing: Of the labels.
    """
    wanted = torch.tensor(np.stack([r.wanted for r in reads]))
    label = torch.nn.functional.cross_entropy(
        scores[:, :_LABELS], wanted[:, :_LABELS].argmax(dim=1), label_smoothing=smoothing
    )
    others = torch.nn.functional.binary_cross_entropy_with_logits(
        scores[:, _LABELS:], wanted[:, _LABELS:]
    )
    return label + others


def rule_loss(scores: torch.Tensor, turns: torch.Tensor, reads: Sequence[Read]) -> torch.Tensor:
    """Cross-entropy of each rule, and of the rules of a turn against each other.

    What the whole turn shows is added to the score of each rule, so that a rule's own score only
    tells it from the others.

    Args:
        scores: Of the rules of all turns, one after the other, (k, 2).
        turns: Of the judged turns, (m, 6), which come first.
        reads: n turns.
    """
    turns = torch.cat([turns, turns.new_zeros(len(reads) - len(turns), len(OUTPUTS))])
    counts = [len(r.wanted_rules) for r in reads]
    wanted = torch.tensor(np.concatenate([r.wanted_rules for r in reads]))  # (k, 2)
    shown = torch.tensor(np.concatenate([r.shown for r in reads])) > 0
    both = scores + turns[:, 4:6].repeat_interleave(torch.tensor(counts), dim=0)
    own = torch.nn.functional.binary_cross_entropy_with_logits
    loss = own(both[:, 0], wanted[:, 0])
    if bool(shown.any()):
        loss = loss + 0.5 * own(both[shown, 1], wanted[shown, 1])
    listed: list[torch.Tensor] = []
    start = 0
    for count in counts:
        part, truth = scores[start : start + count], wanted[start : start + count]
        start += count
        for column in (0, 1):
            right = truth[:, column] > 0
            if bool(right.any()) and not bool(right.all()):
                listed.append(-torch.log_softmax(part[:, column], dim=0)[right].mean())
    total = _LIKELIHOOD * loss
    return total + _LISTED * torch.stack(listed).sum() / 4 if listed else total


def drawn(read: Read, others: int, rng: random.Random) -> Read:
    """Keep the rules that a turn restates or rejects, and draw some of the others."""
    wanted = read.wanted_rules.any(axis=1)
    rest = np.flatnonzero(~wanted).tolist()
    kept = sorted([*np.flatnonzero(wanted).tolist(), *rng.sample(rest, min(others, len(rest)))])
    return replace(
        read,
        rules=tuple(read.rules[i] for i in kept),
        rule_traits=read.rule_traits[kept],
        wanted_rules=read.wanted_rules[kept],
        shown=read.shown[kept],
    )


def stacked(
    kind: str, mean: Vector, scale: Vector, nets: Sequence[ShallowNet]
) -> Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Name the weights of shallow networks as `prefmem.models.followup.shallow` takes them."""
    parts = list(zip(*(net.weights() for net in nets), strict=True))
    names = ("in", "in_bias", "out", "out_bias")
    found = {f"{kind}.{name}": np.stack(part) for name, part in zip(names, parts, strict=True)}
    return {f"{kind}.mean": mean, f"{kind}.scale": scale} | found
