"""Trains the reader of follow-ups: a cross-encoder, shallow networks, and what joins them.

Both are trained on the written turns; the cross-encoder, besides, on the last turns of written
windows beside the rules that they state and others near by. What joins them, and from which chance
a turn counts as a complaint or restates or rejects a rule, is fitted on the development split.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from prefmem.feedback.joined import LABELS, Scores, traits_of
from prefmem.feedback.traits import TURN
from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.followup import NAME, NETS, FollowupReader, rule_ids, turn_ids
from prefmem.models.onnx import TOKENIZER
from prefmem.protocols import Embedder
from prefmem.train import base
from prefmem.train.embedder import rate
from prefmem.train.export import data_hash, export, write_manifest
from prefmem.train.follownet import (
    FollowupNet,
    Read,
    ShallowNet,
    drawn,
    rule_loss,
    stacked,
    turn_loss,
)
from prefmem.train.followups import DATA, Written, load
from prefmem.train.join import joined
from prefmem.train.pairnet import read_together
from prefmem.train.progress import Progress, silent
from prefmem.train.stated import stated
from prefmem.types import Matrix, Vector


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the networks are trained.

    Attributes:
        epochs: Passes of the cross-encoder.
        turns: Turns in a step.
        stated: Last turns of windows in a step, which teach rules alone.
        others: Rules of a turn in a step beside those that it restates or rejects.
        frozen: Lowest layers of the trunk that stay as they are, beside its embeddings.
        rate: Peak learning rate of the trunk.
        head_rate: Peak learning rate of the new layers.
        warmup: Share of the steps in which the rate rises.
        dropout: Before the new layers.
        decay: Weight decay.
        smoothing: Of the labels.
        shallow: Shallow networks of each kind, whose scores are averaged.
        hidden: Their width.
        passes: Their passes.
    """

    epochs: int = 5
    turns: int = 8
    stated: int = 2
    others: int = 2
    frozen: int = 1
    rate: float = 1e-4
    head_rate: float = 1e-3
    warmup: float = 0.06
    dropout: float = 0.1
    decay: float = 0.01
    smoothing: float = 0.05
    shallow: int = 5
    hidden: int = 128
    passes: int = 30


QUICK = Recipe(epochs=1, shallow=1, passes=2)


def train(
    out: Path, *, seed: int = 0, quick: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Train, export and fit the reader of follow-ups.

    Args:
        out: Folder for `followup.onnx`, `followup.npz`, `followup.json` and the tokenizer.
        seed: Fixes order and weights.
        quick: A pass over a small part of the data, to try the path.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The manifest.

    Raises:
        MissingExtraError: torch, transformers or the base weights are not installed.
    """
    recipe = QUICK if quick else Recipe()
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
    tokenizer, embedder = base.base_tokenizer(), MiniLMEmbedder()
    written = load("train", embedder, every=60 if quick else 1)
    dev = load("dev", embedder, every=4 if quick else 1)
    reads = [_read(w, tokenizer, embedder) for w in written]
    extra = [_read(w, tokenizer, embedder, judged=False) for w in stated(embedder, quick=quick)]
    net = FollowupNet(base.base_trunk(), dropout=recipe.dropout)
    loss = fit(net, reads, extra, recipe, seed=seed, progress=progress)
    nets = shallow_nets(reads, recipe, seed=seed, progress=progress)

    out.mkdir(parents=True, exist_ok=True)
    example = torch.tensor([[101, 2023, 102]])
    export(
        net.float().eval(), (example, torch.zeros_like(example)), out / f"{NAME}.onnx",
        inputs=("ids", "kinds"), outputs=("turn", "rule"),
    )  # fmt: skip
    np.savez(out / NETS, allow_pickle=False, **{k: v.astype(np.float16) for k, v in nets.items()})
    (out / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    manifest: dict[str, Any] = {
        "name": "prefmem-followup",
        "base": {"name": base.NAME, "sha256": base.SHA256, "licence": base.LICENCE},
        "licence": "Apache-2.0",
        "command": f"prefmem train followup --seed {seed}" + (" --quick" if quick else ""),
        "seed": seed,
        "recipe": asdict(recipe),
        "data": {"followups": data_hash(DATA), "turns": len(reads), "stated": len(extra)},
        "metrics": {"loss": round(loss, 4)},
        "files": (f"{NAME}.onnx", NETS, TOKENIZER),
    }
    write_manifest(out / f"{NAME}.json", manifest)
    reader = FollowupReader(folder=out)
    scores = [Scores.of(reader, embedder, w.followup) for w in dev]
    manifest["joined"], found = joined(scores, dev)
    manifest["metrics"] |= found
    write_manifest(out / f"{NAME}.json", manifest)
    return manifest


def fit(
    net: FollowupNet,
    reads: Sequence[Read],
    extra: Sequence[Read],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> float:
    """Train the cross-encoder in place, and give the mean loss of its last pass."""
    trunk: Any = net.trunk
    for part in (trunk.embeddings, *trunk.encoder.layer[: recipe.frozen]):
        part.requires_grad_(False)
    heads = [*net.turn.parameters(), *net.rule.parameters()]
    groups = [
        {"params": [p for p in trunk.parameters() if p.requires_grad], "lr": recipe.rate},
        {"params": heads, "lr": recipe.head_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    rng = random.Random(seed)
    total = recipe.epochs * math.ceil(len(reads) / recipe.turns)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate(step, total, recipe.warmup)
    )
    losses: list[float] = []
    done = 0
    net.train()
    for _ in range(recipe.epochs):
        losses.clear()
        order = list(reads)
        rng.shuffle(order)
        for start in range(0, len(order), recipe.turns):
            batch = order[start : start + recipe.turns]
            batch += rng.sample(extra, min(recipe.stated, len(extra)))
            batch = [drawn(read, recipe.others, rng) for read in batch]
            loss = _loss(net, batch, recipe)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
            schedule.step()
            losses.append(float(loss.detach()))
            done += 1
            progress("training", done, total)
    return float(np.mean(losses))


def shallow_nets(
    reads: Sequence[Read], recipe: Recipe, *, seed: int, progress: Progress
) -> Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Train the shallow networks on the traits, and give their weights."""
    rules = np.concatenate([r.rule_traits for r in reads])
    kinds = {"turn": np.stack([r.traits for r in reads]), "rule": rules}
    scales = {kind: _scales(kind, rows) for kind, rows in kinds.items()}
    pairs: list[tuple[ShallowNet, ShallowNet]] = []
    for n in range(recipe.shallow):
        torch.manual_seed(seed + n)  # pyright: ignore[reportUnknownMemberType]  # untyped
        turn = ShallowNet(kinds["turn"].shape[1], recipe.hidden, 6, dropout=0.6)
        rule = ShallowNet(rules.shape[1], recipe.hidden // 4, 2, dropout=0.2)
        _fit_shallow(turn, rule, reads, scales, recipe, seed=seed + n)
        pairs.append((turn, rule))
        progress("shallow networks", n + 1, recipe.shallow)
    return {
        **stacked("turn", *scales["turn"], [turn for turn, _ in pairs]),
        **stacked("rule", *scales["rule"], [rule for _, rule in pairs]),
    }


def _fit_shallow(
    turn: ShallowNet,
    rule: ShallowNet,
    reads: Sequence[Read],
    scales: Mapping[str, tuple[Vector, Vector]],
    recipe: Recipe,
    *,
    seed: int,
) -> None:
    def scaled(kind: str, rows: Matrix) -> torch.Tensor:
        mean, scale = scales[kind]
        return torch.tensor(np.clip((rows - mean) / scale, -4, 4))

    both = [*turn.parameters(), *rule.parameters()]
    optimiser = torch.optim.AdamW(both, lr=3e-3, weight_decay=0.01)
    size = 64
    total = recipe.passes * math.ceil(len(reads) / size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.0, 1 - step / total))
    rng = random.Random(seed)
    for _ in range(recipe.passes):
        order = list(reads)
        rng.shuffle(order)
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            turns = turn(scaled("turn", np.stack([r.traits for r in batch])))
            rules = rule(scaled("rule", np.concatenate([r.rule_traits for r in batch])))
            loss = turn_loss(turns, batch, smoothing=recipe.smoothing)
            loss = loss + rule_loss(rules, turns, batch)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
            schedule.step()


def _scales(kind: str, rows: Matrix) -> tuple[Vector, Vector]:
    """Give mean and scale of the traits; embedding and bag of words are only stretched."""
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    if kind == "turn":
        mean[TURN:], scale[TURN:] = 0.0, 1 / 6
    return mean, scale


def _loss(net: FollowupNet, batch: Sequence[Read], recipe: Recipe) -> torch.Tensor:
    judged = [read for read in batch if read.judged]
    rows = [read.turn for read in judged]
    turns, rules = read_together(net, [*rows, *(rule for read in batch for rule in read.rules)])
    turns = turns[: len(rows)]
    labels = turn_loss(turns, judged, smoothing=recipe.smoothing)
    return labels + rule_loss(rules[len(rows) :], turns, batch)


def _read(
    written: Written, tokenizer: Tokenizer, embedder: Embedder, *, judged: bool = True
) -> Read:
    followup = written.followup
    reply, text = followup.reply, followup.text
    traits, of_rules = traits_of(followup, embedder)
    labels = [float(label == written.label) for label in LABELS]
    others = [written.shift, bool(written.restates.any()), bool(written.rejects.any())]
    return Read(
        turn_ids(tokenizer, followup.query, reply, text),
        tuple(rule_ids(tokenizer, rule, reply, text) for rule in followup.rules),
        traits,
        of_rules,
        np.array([*labels, *map(float, others)], dtype=np.float32),
        np.stack([written.restates, written.rejects], axis=1).astype(np.float32),
        followup.shown.astype(np.float32),
        judged,
    )
