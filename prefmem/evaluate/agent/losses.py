"""The loss of a base on held-out answers, with an adapter and without: one figure a lesson."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from prefmem.agent.lesson import Lesson
from prefmem.agent.recipe import Target, exercises
from prefmem.evaluate.metrics import Figure, ratio
from prefmem.models.loading import Loaded, load
from prefmem.train import causal
from prefmem.train.batches import loss_of, padded
from prefmem.train.progress import Progress

_LONGEST = 1024  # tokens of question and answer


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of n held-out answers, each the sum over its tokens, in nats.

    Attributes:
        before: Of the base alone, (n,).
        after: With the adapter, (n,).
        tokens: Of the answers, (n,).
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    tokens: tuple[int, ...]


def measure(
    source: str | Path,
    adapter: Path,
    lessons: Sequence[Lesson],
    target: Target,
    *,
    progress: Progress,
) -> Losses:
    """Measure a base before and after training.

    Args:
        source: The base, a folder or a name on the hub.
        adapter: Folder of the adapter.
        lessons: Held-out lessons that have rules (or a text).
        target: What the adapter was trained to write.
        progress: Told the stage, what is done and how much there is.
    """
    loaded = load(source)
    rows = causal.encoded(
        exercises(lessons, target), loaded.tokenizer, longest=_LONGEST, progress=progress
    )
    before = _each(loaded, loaded.model, rows)
    peft: Any = import_module("peft")
    adapted = peft.PeftModel.from_pretrained(loaded.model, adapter)
    after = _each(loaded, adapted.eval(), rows)
    return Losses(
        tuple(loss for loss, _ in before), tuple(loss for loss, _ in after),
        tuple(count for _, count in before),
    )  # fmt: skip


def figures(losses: Sequence[Losses], *, name: str, seed: int) -> dict[str, Figure]:
    """Give the loss of a token at the start and the end, and by which share it fell.

    Intervals come from resampling lessons, those of all authors together.
    """
    before, after, tokens = (
        [float(value) for found in losses for value in getattr(found, part)]
        for part in ("before", "after", "tokens")
    )
    fall = [a - b for a, b in zip(before, after, strict=True)]
    return {
        f"{name}: start": ratio(before, tokens, seed=seed),
        f"{name}: end": ratio(after, tokens, seed=seed),
        f"{name}: fall": ratio(fall, before, seed=seed),
    }


def _each(loaded: Loaded, model: Any, rows: causal.Rows) -> list[tuple[float, int]]:  # noqa: ANN401  # peft's own types
    """Give loss and tokens of each row by itself."""
    import torch

    collate = padded(loaded.model.generation_config.pad_token_id)
    found: list[tuple[float, int]] = []
    with torch.inference_mode():
        for n in range(len(rows)):
            batch = {k: v.to(loaded.model.device) for k, v in collate([rows[n]]).items()}
            loss, count = loss_of(model, batch)
            found.append((float(loss), count))
    return found
