"""Trains the reranker: a cross-encoder over request and rule that corrects the embedder's cosine.

Data: every pair of request and rule of the written users, and the topic families of
`data/ranking` (what they leave open is not used). The score is `slope * cosine + logit`, so that
training begins with the ranking that is there; the sum is a log-odds, and a Platt map fitted on
the development users makes it the probability that the rule applies.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import TOKENIZER
from prefmem.models.rerank import Reranker, pair_ids
from prefmem.train import base
from prefmem.train.calibrate import Floats, calibration_error, platt
from prefmem.train.embedder import strangers
from prefmem.train.export import data_hash, export, write_manifest
from prefmem.train.progress import Progress, silent
from prefmem.train.ranking import load_families
from prefmem.train.risk import counted
from prefmem.train.users import WrittenUser, load_users
from prefmem.types import Matrix

DATA = Path(__file__).resolve().parent / "data"
_SLOPE, _OFFSET = 12.0, -6.0  # of the cosine at the start


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the reranker is trained.

    Attributes:
        epochs: Passes over the requests.
        others: Rules that do not apply, for each request of a written user: half of them the
            nearest, the others drawn. Harmful ones come on top.
        far: Rules of far topics for each request of a family.
        requests: Requests in a step.
        rate: Peak learning rate of the trunk.
        head_rate: Peak learning rate of the new layer.
        warmup: Share of the steps in which the rate rises.
        dropout: Before the new layer.
        decay: Weight decay.
    """

    epochs: int = 4
    others: int = 8
    far: int = 3
    requests: int = 6
    rate: float = 6e-5
    head_rate: float = 5e-4
    warmup: float = 0.06
    dropout: float = 0.1
    decay: float = 0.01


QUICK = Recipe(epochs=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with rules: which apply, by position, and each one's cosine, (k,)."""

    query: str
    rules: tuple[str, ...]
    applies: tuple[bool, ...]
    cosines: Matrix


class RerankerNet(torch.nn.Module):
    """MiniLM trunk with one linear layer over the mean of the pair: (n, seq) to (n,)."""

    def __init__(self, trunk: torch.nn.Module, *, dropout: float) -> None:
        """Put a new layer, that begins at nought, on a trunk."""
        super().__init__()
        self.trunk = trunk
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(2 * int(trunk.config.hidden_size), 1)  # type: ignore[union-attr,arg-type]
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def forward(
        self, ids: torch.Tensor, kinds: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Give each pair's correction, in log-odds; without a mask nothing is padding."""
        mask = torch.ones_like(ids) if mask is None else mask
        hidden = self.trunk(
            input_ids=ids, token_type_ids=kinds, attention_mask=mask
        ).last_hidden_state  # (n, seq, 384)
        present = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * present).sum(dim=1) / present.sum(dim=1)
        both = torch.cat([hidden[:, 0], mean], dim=-1)
        logits: torch.Tensor = self.head(self.dropout(both)).squeeze(-1)
        return logits


def train(
    out: Path, *, seed: int = 0, quick: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Train, export and calibrate the reranker.

    Args:
        out: Folder for `reranker.onnx`, `reranker.json` and the tokenizer.
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
        asked += of_families(embedder, seed=seed, far=24)
    net = RerankerNet(base.base_trunk(), dropout=recipe.dropout)
    slope = torch.nn.Parameter(torch.tensor([_SLOPE, _OFFSET]))
    net, loss = fit(net, slope, asked, base.base_tokenizer(), recipe, seed=seed, progress=progress)

    out.mkdir(parents=True, exist_ok=True)
    example = torch.tensor([[101, 2023, 102]])
    export(
        net.float().eval(), (example, torch.zeros_like(example)), out / "reranker.onnx",
        inputs=("ids", "kinds"), outputs=("logit",),
    )  # fmt: skip
    (out / TOKENIZER).write_text(base.base_tokenizer().to_str(), encoding="utf-8")
    manifest: dict[str, Any] = {
        "name": "prefmem-reranker",
        "base": {"name": base.NAME, "sha256": base.SHA256, "licence": base.LICENCE},
        "licence": "Apache-2.0",
        "command": f"prefmem train reranker --seed {seed}" + (" --quick" if quick else ""),
        "seed": seed,
        "recipe": asdict(recipe),
        "data": {
            "users": data_hash(DATA / "users" / "train"),
            "dev": data_hash(DATA / "users" / "dev"),
            "families": data_hash(DATA / "ranking"),
            "requests": len(asked),
        },
        "metrics": {"loss": round(loss, 4)},
        "cosine": [round(float(slope.detach()[n]), 4) for n in range(2)],
        "files": ("reranker.onnx", TOKENIZER),
    }
    return calibrated(out, manifest)


def calibrated(out: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Fit the map from score to probability on the development users, and count its risk."""
    manifest["relevance"] = {"platt": [1.0, 0.0]}
    write_manifest(out / "reranker.json", manifest)
    scores, labels = judged(Reranker(folder=out), load_users(DATA / "users" / "dev"))
    slope, offset = platt(scores, labels)
    error = calibration_error(1 / (1 + np.exp(-(slope * scores + offset))), labels)
    manifest["relevance"] = {"platt": [slope, offset], "dev_pairs": len(labels)}
    manifest["metrics"]["dev_calibration_error"] = round(error, 4)
    write_manifest(out / "reranker.json", manifest)
    users = load_users(DATA / "users" / "dev")
    manifest["risk"] = counted(users, embedder=MiniLMEmbedder(), reranker=Reranker(folder=out))
    write_manifest(out / "reranker.json", manifest)
    return manifest


def judged(reranker: Reranker, users: Sequence[WrittenUser]) -> tuple[Floats, Floats]:
    """Score every pair of the users: log-odds before the map, and labels, (n,) each."""
    embedder = MiniLMEmbedder()
    scores: list[float] = []
    labels: list[float] = []
    for asked in of_users(users, embedder):
        scores += reranker.scores(asked.query, asked.rules, asked.cosines).tolist()
        labels += map(float, asked.applies)
    return np.array(scores), np.array(labels)


def of_users(users: Sequence[WrittenUser], embedder: MiniLMEmbedder) -> Iterator[Asked]:
    """Give each request of the users with all their conditional rules."""
    for user in users:
        names = user.conditional
        rules = tuple(user.rules[name].text for name in names)
        vectors = embedder.embed(rules)
        queries = embedder.embed([request.query for request in user.requests])
        for request, query in zip(user.requests, queries, strict=True):
            applies = tuple(name in request.applies for name in names)
            yield Asked(request.query, rules, applies, vectors @ query)


def of_families(embedder: MiniLMEmbedder, *, seed: int, far: int) -> list[Asked]:
    """Give each query of the families with the rules that apply, and rules of far families.

    A query that names its rules also has the rest of its family, which does not apply; a bait has
    all of its family.
    """
    rng = random.Random(seed)
    families = load_families(DATA / "ranking")
    apart = strangers(families, embedder)
    rules = [family.rules for family in families]
    vectors = [embedder.embed(of_one) for of_one in rules]
    found: list[Asked] = []
    for number, family in enumerate(families):
        strange: list[int] = np.flatnonzero(apart[number]).tolist()
        foreign = [(i, j) for i in strange for j in range(len(rules[i]))]
        asked = [*family.queries, *((bait, ()) for bait in family.baits)]
        for (query, applies), vector in zip(
            asked, embedder.embed([q for q, _ in asked]), strict=True
        ):
            own = list(range(len(family.rules)))
            if len(applies) == len(own):
                own = rng.sample(own, min(2, len(own)))
            places = [(number, n) for n in own] + rng.sample(foreign, min(far, len(foreign)))
            cosines = np.array([vectors[i][j] @ vector for i, j in places], dtype=np.float32)
            labels = tuple(i == number and j in applies for i, j in places)
            found.append(Asked(query, tuple(rules[i][j] for i, j in places), labels, cosines))
    return found


def fit(
    net: RerankerNet,
    slope: torch.nn.Parameter,
    asked: Sequence[Asked],
    tokenizer: Tokenizer,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> tuple[RerankerNet, float]:
    """Train net and slope in place; gives the net with its last weights, and the last loss."""
    trunk: Any = net.trunk
    trunk.embeddings.word_embeddings.weight.requires_grad_(False)
    groups = [
        {"params": [p for p in trunk.parameters() if p.requires_grad], "lr": recipe.rate},
        {"params": [*net.head.parameters()], "lr": recipe.head_rate},
        {"params": [slope], "lr": 0.05, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    rng = random.Random(seed)
    total = recipe.epochs * math.ceil(len(asked) / recipe.requests)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, total, recipe.warmup)
    )
    losses: list[float] = []
    done = 0
    for _ in range(recipe.epochs):
        losses.clear()
        order = list(asked)
        rng.shuffle(order)
        for start in range(0, len(order), recipe.requests):
            batch = [_drawn(a, recipe, rng) for a in order[start : start + recipe.requests]]
            loss = batch_loss(net, slope, batch, tokenizer)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
            schedule.step()
            losses.append(float(loss.detach()))
            done += 1
            progress("training", done, total)
    return net, float(np.mean(losses))


def _drawn(asked: Asked, recipe: Recipe, rng: random.Random) -> Asked:
    """Keep the rules that apply, and a few of the others: the nearest ones and some at random."""
    on = [n for n, applies in enumerate(asked.applies) if applies]
    off = sorted(
        (n for n in range(len(asked.rules)) if n not in on), key=lambda n: -asked.cosines[n]
    )
    near = off[: recipe.others // 2]
    rest = off[recipe.others // 2 :]
    drawn = rng.sample(rest, min(recipe.others - len(near), len(rest)))
    kept = [*on, *near, *drawn]
    return Asked(
        asked.query,
        tuple(asked.rules[n] for n in kept),
        tuple(asked.applies[n] for n in kept),
        asked.cosines[kept],
    )


def batch_loss(
    net: RerankerNet, slope: torch.Tensor, batch: Sequence[Asked], tokenizer: Tokenizer
) -> torch.Tensor:
    """Cross-entropy of each pair, and of the request's rules against each other."""
    rows = [pair_ids(tokenizer, a.query, rule) for a in batch for rule in a.rules]
    longest = max(len(ids) for ids, _ in rows)
    ids, kinds, mask = (
        torch.tensor([[*row, *[0] * (longest - len(row))] for row in part])
        for part in (
            [ids for ids, _ in rows],
            [kinds for _, kinds in rows],
            [[1] * len(ids) for ids, _ in rows],
        )
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(ids, kinds, mask)
    cosines = torch.tensor(np.concatenate([a.cosines for a in batch]))
    scores = logits.float() + slope[0] * cosines + slope[1]
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


def _rate(step: int, total: int, warmup: float) -> float:
    rise = max(1, int(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
