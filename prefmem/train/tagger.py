"""Trains the gate and tagger on our own windows, and writes it as ONNX with its manifest.

Data: every written window of `data/windows/train` in each epoch, and fresh generated ones.
`data/windows/dev` gives the confidence map; `test` is not opened here. One seed fixes data, order
and weights on one machine. What is written is the running mean of the weights over the last steps.
"""

import copy
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from prefmem.extract.local import LocalExtractor
from prefmem.models.onnx import TOKENIZER
from prefmem.models.tagger import (
    AVOID,
    CHANNELS,
    GATE,
    GLOBAL,
    REFERS,
    TAGS,
    PreferenceTagger,
)
from prefmem.train import base
from prefmem.train.calibrate import Floats, calibration_error, platt
from prefmem.train.conditions import ConditionTargets, condition_list
from prefmem.train.examples import IGNORE, Example, examples, shuffled
from prefmem.train.export import data_hash, export, write_manifest
from prefmem.train.generate import generate
from prefmem.train.matching import Matcher
from prefmem.train.progress import Progress, silent
from prefmem.train.windows import WrittenWindow, load_split
from prefmem.types import Turn, Window

DATA = Path(__file__).resolve().parent / "data"
_TOPIC_SCALE = 2.0  # of the list's vectors, so that scores reach the size that a softmax needs
_TOPIC_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the tagger is trained.

    Attributes:
        epochs: Passes over the written windows.
        generated: Generated windows in each epoch.
        batch: Examples in a step.
        rate: Peak learning rate of the trunk.
        head_rate: Peak learning rate of the new layer.
        warmup: Share of the steps in which the rate rises.
        dropout: Before the new layer.
        decay: Weight decay.
        memory: Share that the running mean of the weights keeps in each step.
    """

    epochs: int = 8
    generated: int = 4_000
    batch: int = 32
    rate: float = 8e-5
    head_rate: float = 1e-3
    warmup: float = 0.06
    dropout: float = 0.1
    decay: float = 0.01
    memory: float = 0.99


QUICK = Recipe(epochs=1, generated=200)


class TaggerNet(torch.nn.Module):
    """MiniLM trunk with two linear layers: scores of words, and of the conditions of a list.

    Args:
        trunk: The encoder.
        topics: Unit vectors of the conditions, (k, 384).
        dropout: Before the new layers.
    """

    def __init__(self, trunk: torch.nn.Module, topics: torch.Tensor, *, dropout: float) -> None:
        """Put new layers on a trunk."""
        super().__init__()
        self.trunk = trunk
        self.dropout = torch.nn.Dropout(dropout)
        width = int(trunk.config.hidden_size)  # type: ignore[union-attr,arg-type]
        self.head = torch.nn.Linear(width, CHANNELS)
        # The mean of all words starts as MiniLM's own text vector, the words' part as nothing.
        self.topic = torch.nn.Linear(width, width, bias=False)
        self.word = torch.nn.Linear(width, width, bias=False)
        torch.nn.init.eye_(self.topic.weight)
        torch.nn.init.zeros_(self.word.weight)
        self.list = torch.nn.Linear(width, len(topics), bias=False)
        self.list.weight = torch.nn.Parameter(_TOPIC_SCALE * topics, requires_grad=False)

    def forward(
        self, ids: torch.Tensor, kinds: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Score word pieces, (n, seq), without a mask as nothing is padding.

        Returns:
            Scores of the words, (n, seq, 9), and of the conditions, (n, seq, k).
        """
        mask = torch.ones_like(ids) if mask is None else mask
        hidden = self.trunk(
            input_ids=ids, token_type_ids=kinds, attention_mask=mask
        ).last_hidden_state  # (n, seq, 384)
        hidden = self.dropout(hidden)
        present = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * present).sum(dim=1, keepdim=True) / present.sum(dim=1, keepdim=True)
        return self.head(hidden), self.list(self.topic(mean) + self.word(hidden))


def train(
    out: Path, *, seed: int = 0, quick: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Train, export and calibrate the tagger.

    Args:
        out: Folder for `tagger.onnx`, `tagger.json` and the tokenizer.
        seed: Fixes data, order and weights.
        quick: A pass over a small part of the data, to try the path.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The manifest.

    Raises:
        MissingExtraError: torch, transformers or the base weights are not installed.
    """
    recipe = QUICK if quick else Recipe()
    tokenizer = base.base_tokenizer()
    random.seed(seed)
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
    written = load_split(DATA / "windows" / "train")[: 60 if quick else None]
    embedder = base.BaseEmbedder()
    names = condition_list([*written, *generate(recipe.generated, seed=seed)], embedder)
    targets = ConditionTargets(names, embedder)
    net = TaggerNet(base.base_trunk(), torch.tensor(targets.vectors), dropout=recipe.dropout)
    net, loss = fit(net, written, tokenizer, targets, recipe=recipe, seed=seed, progress=progress)

    out.mkdir(parents=True, exist_ok=True)
    example = torch.tensor([[101, 2023, 102]])
    path = out / "tagger.onnx"
    export(
        net.float().eval(), (example, torch.zeros_like(example)), path,
        inputs=("ids", "kinds"), outputs=("scores", "topics"),
    )  # fmt: skip
    write_tokenizer(out)
    manifest: dict[str, Any] = {
        "name": "prefmem-tagger",
        "base": {"name": base.NAME, "sha256": base.SHA256, "licence": base.LICENCE},
        "licence": "Apache-2.0",
        "command": f"prefmem train tagger --seed {seed}" + (" --quick" if quick else ""),
        "seed": seed,
        "recipe": asdict(recipe),
        "data": {
            "train": data_hash(DATA / "windows" / "train"), "written": len(written),
            "dev": data_hash(DATA / "windows" / "dev"),
            "generator": data_hash(DATA / "generator"),
        },
        "metrics": {"loss": round(loss, 4)},
        "conditions": names,
        "files": ("tagger.onnx", TOKENIZER),
    }  # fmt: skip
    return calibrated(out, manifest)


def calibrated(out: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Fit the confidence map of the weights in `out`, and write their manifest."""
    manifest["confidence"] = {"platt": [1.0, 0.0]}
    write_manifest(out / "tagger.json", manifest)
    scores, right = judged(out, load_split(DATA / "windows" / "dev"))
    slope, offset = platt(scores, right)
    error = calibration_error(1 / (1 + np.exp(-(slope * scores + offset))), right)
    manifest["confidence"] = {"platt": [slope, offset], "dev_spans": len(scores)}
    manifest["metrics"]["dev_calibration_error"] = round(error, 4)
    write_manifest(out / "tagger.json", manifest)
    return manifest


def fit(
    net: TaggerNet,
    written: Sequence[WrittenWindow],
    tokenizer: Tokenizer,
    targets: ConditionTargets,
    *,
    recipe: Recipe,
    seed: int,
    progress: Progress,
) -> tuple[TaggerNet, float]:
    """Train the net in place; gives its running mean, and the mean loss of the last epoch."""
    trunk: Any = net.trunk
    trunk.embeddings.word_embeddings.weight.requires_grad_(False)
    groups = [
        {"params": [p for p in trunk.parameters() if p.requires_grad], "lr": recipe.rate},
        {
            "params": [p for m in (net.head, net.topic, net.word) for p in m.parameters()],
            "lr": recipe.head_rate,
        },
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    mean = copy.deepcopy(net)
    rng = random.Random(seed)
    epochs = [
        _epoch(written, tokenizer, recipe, random.Random(rng.random()), epoch)
        for epoch in range(recipe.epochs)
    ]
    total = sum(len(batches) for batches in epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, total, recipe.warmup)
    )
    done = 0
    losses: list[float] = []
    for batches in epochs:
        losses.clear()
        for batch in batches:
            loss = batch_loss(net, batch, targets)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
            schedule.step()
            _drift(mean, net, recipe.memory if done else 0.0)
            losses.append(float(loss.detach()))
            done += 1
            progress("training", done, total)
    return mean, float(np.mean(losses))


def _drift(mean: TaggerNet, net: TaggerNet, memory: float) -> None:
    """Move the running mean towards the net: mean * memory + net * (1 - memory)."""
    with torch.no_grad():
        for held, new in zip(mean.parameters(), net.parameters(), strict=True):
            held.lerp_(new, 1 - memory)


def _epoch(
    written: Sequence[WrittenWindow],
    tokenizer: Tokenizer,
    recipe: Recipe,
    rng: random.Random,
    epoch: int,
) -> list[list[Example]]:
    """Make one epoch's batches: alike lengths together, batches in random order."""
    windows = [shuffled(w, rng) for w in written]
    windows += generate(recipe.generated, seed=rng.randrange(2**31) + epoch)
    found = list(examples(windows, tokenizer))
    rng.shuffle(found)
    found.sort(key=lambda e: len(e.ids) + rng.random() * 8)
    batches = [found[i : i + recipe.batch] for i in range(0, len(found), recipe.batch)]
    rng.shuffle(batches)
    return batches


def _rate(step: int, total: int, warmup: float) -> float:
    rise = max(1, int(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def batch_loss(net: TaggerNet, batch: Sequence[Example], targets: ConditionTargets) -> torch.Tensor:
    """Mean loss of tags, gate, polarity, scope and condition over what has a label."""
    ids, kinds, mask = (
        _padded(rows, 0)
        for rows in (
            [e.ids for e in batch],
            [e.kinds for e in batch],
            [[1] * len(e.ids) for e in batch],
        )
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores, topics = net(ids, kinds, mask)
    scores = scores.float()
    tags = _padded([e.tags for e in batch], IGNORE)
    loss = torch.nn.functional.cross_entropy(
        scores[..., : len(TAGS)].flatten(0, 1), tags.flatten(), ignore_index=IGNORE
    )
    for channel, weight, rows in (
        (GATE, 1.0, [e.gate for e in batch]),
        (AVOID, 1.0, [e.avoid for e in batch]),
        (GLOBAL, 0.4, [e.everywhere for e in batch]),
        (REFERS, 0.4, [e.refers for e in batch]),
    ):
        labels = _padded(rows, IGNORE)
        known = labels != IGNORE
        if bool(known.any()):
            loss = loss + weight * torch.nn.functional.binary_cross_entropy_with_logits(
                scores[..., channel][known], labels[known].float()
            )
    return loss + _TOPIC_WEIGHT * _condition_loss(topics.float(), batch, targets)


def _condition_loss(
    topics: torch.Tensor, batch: Sequence[Example], targets: ConditionTargets
) -> torch.Tensor:
    """Cross-entropy to the soft targets of each action's condition, over its mean scores."""
    said: list[torch.Tensor] = []
    wanted: list[torch.Tensor] = []
    for n, example in enumerate(batch):
        for condition, positions in example.conditions.values():
            said.append(topics[n, positions].mean(dim=0))
            wanted.append(torch.tensor(targets(condition)))
    if not said:
        return topics.new_zeros(())
    return torch.nn.functional.cross_entropy(torch.stack(said), torch.stack(wanted))


def _padded(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


def judged(folder: Path, windows: Sequence[WrittenWindow]) -> tuple[Floats, Floats]:
    """Extract from windows without a threshold, and say of each rule whether it is right.

    Right is a rule that says a gold action of its turn, with the right polarity.

    Returns:
        Log-odds of the gate and labels (0 or 1), (n,) each.
    """
    extractor = LocalExtractor(PreferenceTagger(folder=folder), min_confidence=0.0)
    matcher = Matcher()
    scores: list[float] = []
    right: list[float] = []
    for window in windows:
        turns = tuple(Turn(str(i), t.role, t.text) for i, t in enumerate(window.turns))
        spoken = [turn.id for turn in turns if turn.role == "user"]
        for found in extractor.extract(Window("", "", turns), spoken):
            scores.append(math.log(found.confidence / max(1 - found.confidence, 1e-12)))
            said = [
                matcher.compare(found, gold)
                for gold in window.gold
                if found.evidence[0].turn_id == str(gold.turn)
            ]
            right.append(float(any(match.action and match.polarity for match in said)))
    return np.array(scores), np.array(right)


def write_tokenizer(out: Path) -> None:
    """Write the base tokenizer as the packaged models use it."""
    (out / TOKENIZER).write_text(base.base_tokenizer().to_str(), encoding="utf-8")
