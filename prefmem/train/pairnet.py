"""The cross-encoder that is trained: two heads on one trunk, and the loss of both."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer

from prefmem.cards.relate import RELATIONS, told
from prefmem.models.pairs import pair_ids
from prefmem.train.relations import Pair
from prefmem.train.requests import Asked

_RELATED = 0.5  # weight of the relations in the loss
_TOGETHER = 16  # pairs that are read at once


class PairNet(torch.nn.Module):
    """MiniLM trunk with two linear layers over its first and its mean output."""

    def __init__(self, trunk: torch.nn.Module, *, dropout: float) -> None:
        """Put new layers, that begin at nought, on a trunk."""
        super().__init__()
        self.trunk = trunk
        self.dropout = torch.nn.Dropout(dropout)
        width = 2 * int(trunk.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.applies = torch.nn.Linear(width, 1)
        self.relation = torch.nn.Linear(width, len(RELATIONS))
        for head in self.heads:
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.zeros_(head.bias)

    @property
    def heads(self) -> tuple[torch.nn.Linear, torch.nn.Linear]:
        """The new layers."""
        return self.applies, self.relation

    def forward(
        self, ids: torch.Tensor, kinds: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read n pairs, (n, seq): corrections in log-odds, (n,), and scores of relations, (n, r).

        Without a mask nothing is padding.
        """
        both = self.dropout(pooled(self.trunk, ids, kinds, mask))
        return self.applies(both).squeeze(-1), self.relation(both)


def pooled(
    trunk: torch.nn.Module, ids: torch.Tensor, kinds: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Give the first output of the trunk beside the mean one, (n, seq) -> (n, 768)."""
    mask = torch.ones_like(ids) if mask is None else mask
    hidden = trunk(input_ids=ids, token_type_ids=kinds, attention_mask=mask).last_hidden_state
    present = mask.unsqueeze(-1).to(hidden.dtype)  # (n, seq, 1)
    mean = (hidden * present).sum(dim=1) / present.sum(dim=1)
    return torch.cat([hidden[:, 0], mean], dim=-1)


def batch_loss(
    net: PairNet,
    slope: torch.Tensor,
    batch: Sequence[Asked],
    pairs: Sequence[Pair],
    tokenizer: Tokenizer,
) -> torch.Tensor:
    """Cross-entropy of each pair, of a request's rules against each other, and of the relations."""
    rows = [(a.query, rule) for a in batch for rule in a.rules]
    rules = [(told(p.old), told(p.new)) for p in pairs]
    applies, relations = read_together(net, [pair_ids(tokenizer, *row) for row in (*rows, *rules)])
    cosines = torch.tensor(np.concatenate([a.cosines for a in batch]))
    scores = applies[: len(rows)] + slope[0] * cosines + slope[1]
    wanted = torch.tensor([RELATIONS.index(p.relation) for p in pairs])
    related = torch.nn.functional.cross_entropy(relations[len(rows) :], wanted)
    return relevance_loss(scores, batch) + _RELATED * related


def relevance_loss(scores: torch.Tensor, batch: Sequence[Asked]) -> torch.Tensor:
    """Cross-entropy of each pair's score, and of the scores of one request against each other."""
    labels = torch.tensor([float(x) for a in batch for x in a.applies])
    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels)
    start = 0
    ranked: list[torch.Tensor] = []
    for a in batch:
        stop = start + len(a.rules)
        if any(a.applies) and not all(a.applies):
            of_one = torch.log_softmax(scores[start:stop], dim=0)
            ranked.append(-of_one[labels[start:stop] > 0].mean())
        start = stop
    return loss + 0.3 * torch.stack(ranked).mean() if ranked else loss


def read_together(
    net: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    rows: Sequence[tuple[list[int], list[int]]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read n pairs of ids and segments, those of like length together, for little padding.

    Args:
        net: Takes ids, segments and mask, (b, seq), and gives the scores of two heads.
        rows: Ids and segments.

    Returns:
        The scores of both heads, float32, n rows each.
    """
    order = sorted(range(len(rows)), key=lambda n: len(rows[n][0]))
    read: list[tuple[torch.Tensor, torch.Tensor]] = []
    for start in range(0, len(order), _TOGETHER):
        some = [rows[n] for n in order[start : start + _TOGETHER]]
        longest = len(some[-1][0])
        parts = ([i for i, _ in some], [k for _, k in some], [[1] * len(i) for i, _ in some])
        inputs = [
            torch.tensor([[*row, *[0] * (longest - len(row))] for row in part]) for part in parts
        ]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            read.append(net(*inputs))
    back = torch.tensor(order).argsort()
    first, second = (torch.cat(part)[back].float() for part in zip(*read, strict=True))
    return first, second
