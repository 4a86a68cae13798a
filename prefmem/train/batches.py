"""Batches of encoded examples for a causal model, and its loss on the answers alone.

Logits are made only where an answer is: with a vocabulary of 50,000 tokens they are the largest
part of what a step keeps in memory, and a fifth of its time for a small model.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch.nn.functional import cross_entropy

IGNORE = -100  # a label that does not count

Row: TypeAlias = dict[str, list[int]]  # input_ids, attention_mask, labels
Batch: TypeAlias = dict[str, torch.Tensor]
Collate: TypeAlias = Callable[[Sequence[Row]], Batch]


class Encoded(Protocol):
    """Rows by number."""

    def __len__(self) -> int:
        """Count them."""
        ...

    def __getitem__(self, n: int, /) -> Row:
        """Give one."""
        ...


def padded(pad: int) -> Collate:
    """Give what puts n rows below each other, padded at the front with this token."""

    def collate(rows: Sequence[Row]) -> Batch:
        longest = max(len(row["input_ids"]) for row in rows)
        gaps = [longest - len(row["input_ids"]) for row in rows]
        pairs = list(zip(gaps, rows, strict=True))
        mask = torch.tensor([[0] * gap + row["attention_mask"] for gap, row in pairs])
        return {
            "input_ids": torch.tensor([[pad] * gap + row["input_ids"] for gap, row in pairs]),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
            **_kept(torch.tensor([[IGNORE] * gap + row["labels"] for gap, row in pairs])),
        }

    return collate


def packed(rows: Sequence[Row]) -> Batch:
    """Put rows behind each other, (1, all tokens); positions begin anew with each.

    By its positions transformers lets each row read itself alone.
    """
    ids = [token for row in rows for token in row["input_ids"]]
    positions = [n for row in rows for n in range(len(row["input_ids"]))]
    labels = [label for row in rows for label in (IGNORE, *row["labels"][1:])]
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        **_kept(torch.tensor([labels])),
    }


def loss_of(model: Any, batch: Batch) -> tuple[torch.Tensor, int]:  # noqa: ANN401  # transformers' own
    """Give the summed loss of a batch's answers in nats, and how many tokens they have."""
    wanted = batch["labels"][:, 1:]  # (n, k)
    given = {name: tensor for name, tensor in batch.items() if name != "labels"}
    logits = model(**given, use_cache=False).logits.float()  # (n, k, v)
    loss = cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    return loss, int((wanted != IGNORE).sum())


def mean_loss(model: Any, rows: Encoded, collate: Collate, *, batch: int) -> float:  # noqa: ANN401  # as above
    """Give the mean loss of an answer's token over all rows, whatever the batches."""
    training, total, tokens = model.training, 0.0, 0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            made = collate([rows[n] for n in range(start, min(start + batch, len(rows)))])
            loss, count = loss_of(model, {k: v.to(model.device) for k, v in made.items()})
            total, tokens = total + float(loss), tokens + count
    model.train(training)
    return total / tokens


def packs(model: Any, rows: Sequence[Row]) -> bool:  # noqa: ANN401  # as above
    """Whether a model's loss of two rows is the same when they are packed; not every kind's is."""
    two = [rows[0], rows[-1]]
    try:
        behind = mean_loss(model, two, packed, batch=2)
    except (TypeError, ValueError, RuntimeError):
        return False
    apart = mean_loss(model, two, packed, batch=1)
    return abs(behind - apart) <= 0.01 * apart + 1e-4


def _kept(labels: torch.Tensor) -> Batch:
    """Give the columns whose next token is of some row's answer, and those tokens.

    The labels, (n, k + 1), begin with a column that does not count, as transformers skips it when
    it counts the tokens of a step.
    """
    keep = (labels[:, 1:] != IGNORE).any(0).nonzero().squeeze(1)  # (k,)
    first = torch.full_like(labels[:, :1], IGNORE)
    return {"logits_to_keep": keep, "labels": torch.cat([first, labels[:, keep + 1]], 1)}
