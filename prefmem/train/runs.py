"""Runs of transformers' trainer: how far they are, and where a killed one goes on."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from transformers import Trainer, TrainerCallback

from prefmem.train.batches import Batch, Collate, Encoded, loss_of, mean_loss
from prefmem.train.progress import Progress


class Tell(TrainerCallback):
    """Passes on how far the training is."""

    def __init__(self, progress: Progress) -> None:
        """Remember whom to tell."""
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401  # transformers' own
        """Tell the step."""
        del args, control
        self._progress("training", state.global_step, state.max_steps)


class AnswerTrainer(Trainer):
    """Trains on the answers alone, and measures the loss of held-out ones by the token.

    Args:
        model: A causal model.
        args: transformers' TrainingArguments.
        rows: What to train on.
        held_out: What is measured; may be empty, then nothing is.
        collate: Makes the batches.
        callbacks: Called as the training goes on.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401  # as above
        args: Any,  # noqa: ANN401  # as above
        *,
        rows: Encoded,
        held_out: Encoded,
        collate: Collate,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        """Set the trainer up; it prints nothing."""
        if args.device.type == "cuda":
            args._n_gpu = 1  # several would share out what all rows of a batch need
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # partly untyped
            model,
            args,
            train_dataset=cast(Any, rows),
            eval_dataset=cast(Any, held_out),
            data_collator=cast(Any, collate),
            callbacks=list(callbacks),
        )
        self.remove_callback(import_module("transformers").PrinterCallback)
        self._held_out, self._collate = held_out, collate

    def compute_loss(
        self,
        model: Any,  # noqa: ANN401  # as above
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401  # as above
        """Give the loss of a batch as its share of a step's mean over tokens."""
        del return_outputs
        loss, count = loss_of(model, inputs)
        return loss / (count if num_items_in_batch is None else num_items_in_batch)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:  # noqa: ANN401  # as above
        """Measure the held-out loss, as `eval_loss`."""
        size = self.args.per_device_eval_batch_size
        me = cast(Any, self)  # partly untyped
        loss = mean_loss(me.model, self._held_out, self._collate, batch=size)
        metrics = {"eval_loss": loss}
        self.log(metrics)
        me.control = me.callback_handler.on_evaluate(self.args, self.state, me.control, metrics)
        return metrics


def newest_checkpoint(folder: Path) -> str | None:
    """Find the last whole checkpoint below a folder; None where no run has come so far.

    The trainer writes its state last, so a checkpoint with one is whole.
    """
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda path: int(path.name.partition("-")[2]), default=None)
    return str(newest) if newest else None


def losses(history: Sequence[Mapping[str, Any]], name: str) -> list[list[float]]:
    """Give the course of a loss in a trainer's history, as pairs of step and loss."""
    return [[entry["step"], round(float(entry[name]), 4)] for entry in history if name in entry]
