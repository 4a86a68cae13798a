"""Trains a causal language model as a preference extractor, by the recipe of the published one.

The training itself is transformers' `Trainer`. What comes out is a folder that `Qwen3Extractor`
loads: weights as safetensors, an adapter merged into them, the tokenizer, and a manifest.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefmem.errors import ConfigError
from prefmem.train import causal
from prefmem.train.chatdata import ChatExample, fingerprint
from prefmem.train.export import sha256, write_manifest
from prefmem.train.progress import Progress, silent
from prefmem.train.runs import Tell, newest_checkpoint

MANIFEST = "extractor.json"
_CHECKPOINTS = "checkpoints"
_SETTINGS = "settings.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an extractor is trained; the defaults are those of the published model card.

    The rate rises over the warm-up and falls as a cosine; the optimiser is AdamW without decay. On
    a GPU the arithmetic is bfloat16, on the CPU float32.

    Attributes:
        rate: Peak learning rate, above 0.
        epochs: Passes over the data, at least 1.
        batch: Examples that a device takes at once, at least 1.
        global_batch: Examples in a step; smaller batches add up to it, or just over it.
        warmup: Share of the steps in which the rate rises, in [0, 1).
        longest: Tokens of question and answer; an example with more is left out.
        lora: Rank of a LoRA adapter on all linear layers, its weight 2; None trains all weights.
        save_every: Steps between checkpoints.
    """

    rate: float = 2e-5
    epochs: int = 1
    batch: int = 8
    global_batch: int = 128
    warmup: float = 0.05
    longest: int = 2048
    lora: int | None = None
    save_every: int = 200


PUBLISHED = Recipe()


def train(
    base: str | Path,
    out: Path,
    examples: Sequence[ChatExample],
    held_out: Sequence[ChatExample],
    *,
    recipe: Recipe = PUBLISHED,
    seed: int = 0,
    revision: str | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train a model on the answers alone, and save it with its tokenizer and manifest.

    Args:
        base: Causal chat model: a name on the hub, or a folder as `save_pretrained` writes it.
        out: Folder for the result, and for checkpoints until there is one.
        examples: What to train on, at least one.
        held_out: What the loss is measured on at the end, at least one.
        recipe: How.
        seed: Fixes order and new weights, and so the result on one machine.
        revision: Commit, tag or branch on the hub.
        resume: Goes on from the last checkpoint in `out`, to the result of an unbroken run.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The manifest.

    Raises:
        ConfigError: There is nothing to resume, or it was begun with other settings; or there is an
            unfinished run and it is not to be resumed; or `out` is the base.
        InputError: No example is short enough.
        MissingExtraError: peft is needed and not installed.
        WeightsError: The base cannot be had, or is no causal chat model.
    """
    settings: dict[str, Any] = {
        "base": _base(base, revision),
        "recipe": asdict(recipe),
        "seed": seed,
        "data": {"train": _summary(examples), "held_out": _summary(held_out)},
    }
    folder = out / _CHECKPOINTS
    if Path(base).resolve() == out.resolve():
        raise ConfigError(f"{out} is the base itself; pass another folder for the result")
    checkpoint = _checkpoint(folder, settings, resume=resume)
    tokenizer, model = causal.load(base, revision)
    commit = getattr(model.config, "_commit_hash", None)
    trainer = _trainer(model, tokenizer, folder, (examples, held_out), recipe, seed, progress)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    trainer.train(resume_from_checkpoint=checkpoint)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    metrics = {
        "loss": round(float(np.mean(losses)), 4),
        "eval_loss": round(float(trainer.evaluate()["eval_loss"]), 4),
    }
    manifest: dict[str, Any] = {
        "name": "prefmem-extractor",
        **settings,
        "commit": commit,
        "used": {"train": len(trainer.train_dataset), "held_out": len(trainer.eval_dataset)},
        "steps": trainer.state.global_step,
        "device": str(trainer.args.device),
        "versions": {name: version(name) for name in ("prefmem", "torch", "transformers")},
        "metrics": metrics,
        "files": causal.save(trainer.model, tokenizer, out, merge=recipe.lora is not None),
    }
    write_manifest(out / MANIFEST, manifest)
    shutil.rmtree(folder)
    return manifest


def _base(base: str | Path, revision: str | None) -> dict[str, Any]:
    folder = Path(base)
    weights = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    return {
        "name": str(base),
        "revision": revision,
        "files": {path.name: sha256(path) for path in weights},
    }


def _summary(examples: Sequence[ChatExample]) -> dict[str, Any]:
    positive = sum(bool(example.rules) for example in examples)
    return {"examples": len(examples), "positive": positive, "sha256": fingerprint(examples)}


def _checkpoint(folder: Path, settings: Mapping[str, Any], *, resume: bool) -> str | None:
    """Find the last whole checkpoint of this very run; None where it has not come so far."""
    told = folder / _SETTINGS
    if not resume:
        if told.exists():
            raise ConfigError(
                f"{folder} holds an unfinished run; resume it, remove it, or pass another folder"
            )
        return None
    if not told.exists():
        raise ConfigError(f"{folder} holds no run to resume; start one without resume")
    begun = json.loads(told.read_text(encoding="utf-8"))
    other = [name for name, value in settings.items() if begun.get(name) != value]
    if other:
        raise ConfigError(
            f"the run in {folder} began with another {', '.join(other)}; give the same, or remove "
            "the folder"
        )
    return newest_checkpoint(folder)


def _trainer(
    model: Any,  # noqa: ANN401  # as above
    tokenizer: Any,  # noqa: ANN401  # as above
    folder: Path,
    splits: tuple[Sequence[ChatExample], Sequence[ChatExample]],
    recipe: Recipe,
    seed: int,
    progress: Progress,
) -> Any:  # noqa: ANN401  # as above
    """Set transformers' trainer up; it prints nothing."""
    transformers: Any = import_module("transformers")
    transformers.set_seed(seed)  # an adapter begins with random weights
    positions = getattr(model.config, "max_position_embeddings", None) or recipe.longest
    longest = min(recipe.longest, positions)
    rows, held_out = (
        causal.encoded(split, tokenizer, longest=longest, progress=progress) for split in splits
    )
    gpu = torch.cuda.is_available()
    bf16 = gpu and torch.cuda.is_bf16_supported()
    args = transformers.TrainingArguments(
        output_dir=str(folder), seed=seed,
        learning_rate=recipe.rate, num_train_epochs=recipe.epochs,
        lr_scheduler_type="cosine", warmup_steps=recipe.warmup,
        optim="adamw_torch_fused", bf16=bf16, dataloader_pin_memory=gpu,
        per_device_train_batch_size=recipe.batch, per_device_eval_batch_size=recipe.batch,
        prediction_loss_only=True, label_names=["labels"], logging_steps=1,
        save_steps=recipe.save_every, save_total_limit=1,
        report_to="none", disable_tqdm=True,
    )  # fmt: skip
    together = args.train_batch_size * args.world_size
    args.gradient_accumulation_steps = -(-recipe.global_batch // together)
    trainer = transformers.Trainer(
        causal.with_adapter(model, recipe.lora), args, train_dataset=rows, eval_dataset=held_out,
        data_collator=transformers.DataCollatorForSeq2Seq(tokenizer), callbacks=[Tell(progress)],
    )  # fmt: skip
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer
