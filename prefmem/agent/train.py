"""Trains a user's adapter: a causal model learns to write rules for a task, or the text itself."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments, set_seed

from prefmem.agent.base import DEFAULT, Weights, source_of, weights_of
from prefmem.agent.lesson import Lesson
from prefmem.agent.recipe import Exercise, Recipe, Target, exercises
from prefmem.agent.registry import Registry
from prefmem.agent.unfinished import Watch, run_folder
from prefmem.agent.version import Version
from prefmem.errors import ConfigError, InputError
from prefmem.models.loading import load
from prefmem.train import causal
from prefmem.train.batches import Collate, mean_loss, packed, packs, padded
from prefmem.train.progress import Progress, silent
from prefmem.train.runs import AnswerTrainer, Tell, losses, newest_checkpoint
from prefmem.types import UserKey

_LATEST = 10  # steps whose mean is the loss at the end


@dataclass(frozen=True, slots=True)
class _Data:
    rows: causal.Rows
    held_out: causal.Rows
    collate: Collate


def train(
    base: str | Path = DEFAULT,
    lessons: Sequence[Lesson] = (),
    held_out: Sequence[Lesson] = (),
    *,
    registry: Registry,
    user: UserKey,
    recipe: Recipe | None = None,
    seed: int = 0,
    target: Target = "rules",
    revision: str | None = None,
    resume: bool = True,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Version:
    """Train an adapter on lessons, and publish it as the user's next version.

    Args:
        base: A causal chat model: a name on the hub, a folder, or `smollm2`.
        lessons: What to learn, of one user.
        held_out: What the loss is measured on; the best checkpoint by it is kept. With none the
            last one is.
        registry: Where the version goes, and what a run leaves until then.
        user: Whose it is.
        recipe: How.
        seed: Fixes order and new weights, and so the result on one machine.
        target: `rules`, or `text` for naive fine-tuning, the baseline; such a version writes no
            rules and is never current.
        revision: Commit, tag or branch on the hub.
        resume: Goes on where the very same run was killed, to the result of an unbroken one; else,
            and where there is none, begins.
        cache: Folder for the unpacked weights of `smollm2`.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The version.

    Raises:
        InputError: No lesson has rules (or a text), or none is short enough.
        ConfigError: Another training of this user is going on, or the recipe does not fit the base.
        AdapterError: The user was removed meanwhile.
        StoreUnavailableError: A file cannot be written; started again, the training goes on.
        MissingExtraError: A package that this needs is not installed.
        WeightsError: The base cannot be had, or is no causal chat model.
    """
    recipe = recipe or Recipe()
    splits = exercises(lessons, target), exercises(held_out, target)
    if not splits[0]:
        raise InputError(
            f"none of {len(lessons)} lessons has {target} to learn; distil documents into lessons"
        )
    source = source_of(base, cache=cache)
    loaded = load(source, revision=revision, load_in_4bit=recipe.four_bit)
    weights = weights_of(source, revision=revision)
    settings: dict[str, Any] = {
        "base": _base(base, revision, weights),
        "target": target,
        "seed": seed,
        "recipe": asdict(recipe),
        "data": {"train": _summary(splits[0]), "held_out": _summary(splits[1])},
    }
    with run_folder(registry.training(user), settings, resume=resume) as folder:
        data = _data(loaded, splits, recipe, progress)
        trainer = _trainer(loaded.model, data, folder, recipe, seed, progress)
        before = _measured(trainer.model, data, recipe)
        trainer.train(resume_from_checkpoint=newest_checkpoint(folder))
        manifest = {
            "name": "prefmem-agent",
            **settings,
            "used": {"train": len(data.rows), "held_out": len(data.held_out)},
            "steps": trainer.state.global_step,
            "packed": data.collate is packed,
            "device": str(trainer.args.device),
            "versions": {p: version(p) for p in ("prefmem", "torch", "transformers", "peft")},
            "metrics": _metrics(trainer.state, before),
        }
        made = _saved(trainer.model, folder / "made", settings["base"])
        return registry.publish(user, made, manifest)


def _base(name: str | Path, revision: str | None, weights: Weights) -> dict[str, Any]:
    return {
        "name": str(name),
        "revision": revision,
        "commit": weights.commit,
        "weights": weights.sha256,
    }


def _summary(split: Sequence[Exercise]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for one in split:
        digest.update(f"{json.dumps([list(one.messages), one.answer])}\n".encode())
    return {"lessons": len(split), "sha256": digest.hexdigest()}


def _data(
    loaded: Any,  # noqa: ANN401  # models.loading's Loaded, of transformers' parts
    splits: tuple[Sequence[Exercise], Sequence[Exercise]],
    recipe: Recipe,
    progress: Progress,
) -> _Data:
    """Encode both splits, and choose how batches are made of them."""
    model, tokenizer = loaded.model, loaded.tokenizer
    positions = getattr(model.config, "max_position_embeddings", None) or recipe.longest
    longest = min(recipe.longest, positions)
    rows = causal.encoded(splits[0], tokenizer, longest=longest, progress=progress)
    held_out = causal.Rows()
    if splits[1]:
        held_out = causal.encoded(splits[1], tokenizer, longest=longest, progress=progress)
    wanted = model.device.type != "cpu" if recipe.packing is None else recipe.packing
    can = wanted and packs(model, [rows[0], rows[len(rows) - 1]])
    if recipe.packing and not can:
        raise ConfigError(
            f"packing: a {model.config.model_type} model does not keep packed lessons apart; leave "
            "packing out"
        )
    pad = model.generation_config.pad_token_id
    return _Data(rows, held_out, packed if can else padded(pad))


def _trainer(
    model: Any,  # noqa: ANN401  # as above
    data: _Data,
    folder: Path,
    recipe: Recipe,
    seed: int,
    progress: Progress,
) -> Any:  # noqa: ANN401  # AnswerTrainer, partly untyped
    """Set transformers' trainer up."""
    gpu = model.device.type != "cpu"
    set_seed(seed)  # an adapter begins with random weights
    if recipe.four_bit:
        model = import_module("peft").prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=recipe.checkpointing
        )
    model = causal.with_adapter(
        model, recipe.rank, alpha=recipe.rank, dropout=recipe.dropout, layers=recipe.layers
    )
    steps, at_once = recipe.steps_for(len(data.rows)), min(recipe.at_once, recipe.batch)
    checks: dict[str, Any] = {}
    callbacks: list[TrainerCallback] = [Watch(folder), Tell(progress)]
    if len(data.held_out):
        checks = {
            "eval_strategy": "steps", "eval_steps": min(recipe.check_every, steps),
            "load_best_model_at_end": True, "metric_for_best_model": "eval_loss",
            "greater_is_better": False, "restore_callback_states_from_checkpoint": True,
        }  # fmt: skip
        if recipe.patience:
            callbacks.append(EarlyStoppingCallback(early_stopping_patience=recipe.patience))
    args = TrainingArguments(
        output_dir=str(folder), seed=seed, use_cpu=not gpu,
        max_steps=steps, learning_rate=recipe.rate,
        lr_scheduler_type="cosine", warmup_steps=recipe.warmup,
        optim="adamw_torch_fused", bf16=gpu and torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=gpu, remove_unused_columns=False,
        per_device_train_batch_size=at_once, per_device_eval_batch_size=recipe.at_once,
        gradient_accumulation_steps=-(-recipe.batch // at_once),
        prediction_loss_only=True, label_names=["labels"], logging_steps=1,
        save_strategy="steps", save_steps=min(recipe.check_every, steps), save_total_limit=1,
        report_to="none", disable_tqdm=True, **checks, **_checkpointing(recipe),
    )  # fmt: skip
    return AnswerTrainer(
        model, args, rows=data.rows, held_out=data.held_out, collate=data.collate,
        callbacks=callbacks,
    )  # fmt: skip


def _checkpointing(recipe: Recipe) -> dict[str, Any]:
    """Give the setting under the name that this transformers has for it."""
    if not recipe.checkpointing:
        return {}
    known = TrainingArguments.__dataclass_fields__
    name = next(n for n in ("activation_checkpointing", "gradient_checkpointing") if n in known)
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


def _measured(model: Any, data: _Data, recipe: Recipe) -> float | None:  # noqa: ANN401  # as above
    """Give the held-out loss before the first step, when an adapter changes nothing yet."""
    if not len(data.held_out):
        return None
    return mean_loss(model, data.held_out, data.collate, batch=recipe.at_once)


def _metrics(state: Any, before: float | None) -> dict[str, Any]:  # noqa: ANN401  # transformers' own
    """Give the losses in nats a token: before, after, and the course of both."""
    course = losses(state.log_history, "loss")
    checks = losses(state.log_history, "eval_loss")
    latest = [loss for _, loss in course[-_LATEST:]]
    held_out: dict[str, Any] = {"held_out_before": None, "held_out": None, "best_step": None}
    if before is not None:
        best = min(checks, key=lambda pair: pair[1])
        held_out = {
            "held_out_before": round(before, 4), "held_out": best[1], "best_step": best[0],
        }  # fmt: skip
        checks = [[0, round(before, 4)], *checks]
    return {
        "loss_before": course[0][1],
        "loss": round(sum(latest) / len(latest), 4),
        **held_out,
        "curve": {"loss": course, "held_out": checks},
    }


def _saved(model: Any, folder: Path, base: Mapping[str, Any]) -> Path:  # noqa: ANN401  # as above
    """Write the adapter as peft does, under the name of its base."""
    config = model.peft_config["default"]
    config.base_model_name_or_path, config.revision = base["name"], base["revision"]
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    return folder
