"""Trains the cross-encoder: whether a rule applies to a request, and what a new rule is to an old.

Data: every pair of request and rule of the written users, the topic families of `data/ranking`
(what they leave open is not used), and the written pairs of rules. Both heads are trained in every
step. The first one's score is `slope * cosine + logit`, so that training begins with the ranking
that is there. The cosine is nearer to the truth on what the embedder was trained on, too, than
elsewhere: so the weights of both are fitted anew on the development users, as a probability.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from prefmem.cards.relate import RELATIONS, told
from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import TOKENIZER
from prefmem.models.pairs import NAME, PairReader
from prefmem.models.rerank import Reranker
from prefmem.train import base
from prefmem.train.calibrate import Floats, calibration_error, logistic
from prefmem.train.embedder import rate
from prefmem.train.export import data_hash, export, sha256, write_manifest
from prefmem.train.pairnet import PairNet, batch_loss
from prefmem.train.progress import Progress, silent
from prefmem.train.relations import Pair, read_pairs
from prefmem.train.requests import DATA, Asked, drawn, of_families, of_users
from prefmem.train.risk import counted
from prefmem.train.users import WrittenUser, load_users

_SLOPE, _OFFSET = 12.0, -6.0  # of the cosine at the start
_TURNED = 0.5  # share of the pairs that hold in either order which are turned


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the cross-encoder is trained.

    Attributes:
        epochs: Passes over the requests.
        others: Rules that do not apply, for each request: half of them the nearest, the others
            drawn.
        far: Rules of far topics for each request of a family, from which those are taken.
        requests: Requests in a step.
        pairs: Written pairs of rules in a step.
        strangers: Rules of different such pairs in a step; they have nothing to do with each other.
        rate: Peak learning rate of the trunk.
        head_rate: Peak learning rate of the new layer.
        warmup: Share of the steps in which the rate rises.
        dropout: Before the new layer.
        decay: Weight decay.
    """

    epochs: int = 4
    others: int = 8
    far: int = 24
    requests: int = 6
    pairs: int = 6
    strangers: int = 2
    rate: float = 6e-5
    head_rate: float = 5e-4
    warmup: float = 0.06
    dropout: float = 0.1
    decay: float = 0.01


QUICK = Recipe(epochs=1)


def train(
    out: Path, *, seed: int = 0, quick: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Train, export and calibrate the cross-encoder.

    Args:
        out: Folder for `ranker.onnx`, `ranker.json` and the tokenizer.
        seed: Fixes data, order and weights.
        quick: A pass over a small part of the data, to try the path.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The manifest.

    Raises:
        MissingExtraError: torch, transformers or the base weights are not installed.
    """
    recipe = QUICK if quick else Recipe()
    random.seed(seed)
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
    embedder = MiniLMEmbedder()
    users = load_users(DATA / "users" / "train")[: 3 if quick else None]
    asked = [*of_users(users, embedder)]
    if not quick:
        asked += of_families(embedder, seed=seed, far=recipe.far)
    net = PairNet(base.base_trunk(), dropout=recipe.dropout)
    slope = torch.nn.Parameter(torch.tensor([_SLOPE, _OFFSET]))
    pairs = read_pairs(DATA / "relations" / "train.txt")
    net, loss = fit(
        net, slope, asked, pairs, base.base_tokenizer(), recipe, seed=seed, progress=progress
    )

    out.mkdir(parents=True, exist_ok=True)
    example = torch.tensor([[101, 2023, 102]])
    export(
        net.float().eval(), (example, torch.zeros_like(example)), out / f"{NAME}.onnx",
        inputs=("ids", "kinds"), outputs=("applies", "relation"),
    )  # fmt: skip
    (out / TOKENIZER).write_text(base.base_tokenizer().to_str(), encoding="utf-8")
    manifest: dict[str, Any] = {
        "name": "prefmem-ranker",
        "base": {"name": base.NAME, "sha256": base.SHA256, "licence": base.LICENCE},
        "licence": "Apache-2.0",
        "command": f"prefmem train ranker --seed {seed}" + (" --quick" if quick else ""),
        "seed": seed,
        "recipe": asdict(recipe),
        "data": {
            "users": data_hash(DATA / "users" / "train"),
            "dev": data_hash(DATA / "users" / "dev"),
            "families": data_hash(DATA / "ranking"),
            "relations": sha256(DATA / "relations" / "train.txt"),
            "requests": len(asked),
            "pairs": len(pairs),
        },
        "metrics": {"loss": round(loss, 4)},
        "relations": RELATIONS,
        "files": (f"{NAME}.onnx", TOKENIZER),
    }
    return calibrated(out, manifest)


def calibrated(out: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Fit what makes probabilities of both heads on the development data, and count the risk."""
    users = load_users(DATA / "users" / "dev")
    write_manifest(out / f"{NAME}.json", manifest)
    reader = PairReader(folder=out)
    scores, labels = judged(reader, users)
    weights = logistic(scores, labels)
    chances = 1 / (1 + np.exp(-(scores @ weights[:-1] + weights[-1])))
    error = calibration_error(chances, labels)
    manifest["relevance"] = {"weights": weights, "dev_pairs": len(labels)}
    manifest["sharpness"] = sharpness(reader, DATA / "relations" / "dev.txt")
    manifest["metrics"]["dev_calibration_error"] = round(error, 4)
    write_manifest(out / f"{NAME}.json", manifest)
    reranker = Reranker(PairReader(folder=out))
    manifest["risk"] = counted(users, embedder=MiniLMEmbedder(), reranker=reranker)
    write_manifest(out / f"{NAME}.json", manifest)
    return manifest


def sharpness(reader: PairReader, path: Path) -> float:
    """Fit the factor on the scores of relations that makes written pairs likeliest, in [0.1, 2].

    Temperature scaling, arXiv 1706.04599.
    """
    pairs = read_pairs(path)
    scores = np.array([reader.relation(told(p.old), told(p.new)) for p in pairs], dtype=np.float64)
    wanted = scores[np.arange(len(pairs)), [RELATIONS.index(p.relation) for p in pairs]]

    def surprise(factor: float) -> float:
        rest = np.log(np.exp(factor * (scores - wanted[:, None])).sum(axis=1))
        return float(rest.mean())

    return min((step / 20 for step in range(2, 41)), key=surprise)


def judged(reader: PairReader, users: Sequence[WrittenUser]) -> tuple[Floats, Floats]:
    """Read every pair of the users: what reading adds and the cosine, (n, 2), and labels, (n,)."""
    rows: list[tuple[float, float]] = []
    labels: list[float] = []
    for asked in of_users(users, MiniLMEmbedder()):
        read = (reader.applies(asked.query, rule) for rule in asked.rules)
        rows += zip(read, asked.cosines.tolist(), strict=True)
        labels += map(float, asked.applies)
    return np.array(rows), np.array(labels)


def fit(
    net: PairNet,
    slope: torch.nn.Parameter,
    asked: Sequence[Asked],
    pairs: Sequence[Pair],
    tokenizer: Tokenizer,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> tuple[PairNet, float]:
    """Train net and slope in place; gives the net with its last weights, and the last loss."""
    trunk: Any = net.trunk
    trunk.embeddings.word_embeddings.weight.requires_grad_(False)
    groups = [
        {"params": [p for p in trunk.parameters() if p.requires_grad], "lr": recipe.rate},
        {"params": [p for head in net.heads for p in head.parameters()], "lr": recipe.head_rate},
        {"params": [slope], "lr": 0.05, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    rng = random.Random(seed)
    total = recipe.epochs * math.ceil(len(asked) / recipe.requests)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate(step, total, recipe.warmup)
    )
    losses: list[float] = []
    done = 0
    for _ in range(recipe.epochs):
        losses.clear()
        order = list(asked)
        rng.shuffle(order)
        for start in range(0, len(order), recipe.requests):
            batch = [drawn(a, recipe.others, rng) for a in order[start : start + recipe.requests]]
            loss = batch_loss(net, slope, batch, _related(pairs, recipe, rng), tokenizer)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
            schedule.step()
            losses.append(float(loss.detach()))
            done += 1
            progress("training", done, total)
    return net, float(np.mean(losses))


def _related(pairs: Sequence[Pair], recipe: Recipe, rng: random.Random) -> list[Pair]:
    """Draw pairs of rules; what is the same, or distinct, is so in either order."""
    drawn = rng.sample(pairs, min(recipe.pairs, len(pairs)))
    turned = [
        Pair(p.relation, p.new, p.old)
        if p.relation in ("same", "distinct") and rng.random() < _TURNED
        else p
        for p in drawn
    ]
    apart = [rng.sample(pairs, 2) for _ in range(recipe.strangers)]
    strange = [Pair("distinct", a.old, b.new) for a, b in apart if a.old != b.old]
    return turned + strange
