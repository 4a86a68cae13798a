"""Trains the embedder: rules that apply to a request are to lie near it.

From all-MiniLM-L6-v2, on the requests and rules that the cross-encoder is trained on, too. A rule
that applies competes with those of the same user that do not, and with the other users' rules in
the step (InfoNCE, arXiv 1807.03748).
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

from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import TOKENIZER
from prefmem.train import base
from prefmem.train.calibrate import Floats, calibration_error, platt
from prefmem.train.export import data_hash, export, write_manifest
from prefmem.train.progress import Progress, silent
from prefmem.train.requests import DATA, Asked, drawn, of_families, of_users
from prefmem.train.risk import counted
from prefmem.train.users import WrittenUser, load_users
from prefmem.types import Matrix

_TOGETHER = 32  # texts that are read at once
_MAX_TOKENS = 128
_COMPARED = 500  # texts on which the packaged weights are compared with the trained ones


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the embedder is trained.

    Attributes:
        epochs: Passes over the requests to which a rule applies.
        requests: Requests in a step.
        others: Rules of the same user that do not apply, for each request: half of them the
            nearest, the others drawn.
        far: Rules of far topics for each request of a family, from which those are taken.
        scale: Of the cosines in the loss, the inverse of its temperature.
        rate: Peak learning rate.
        warmup: Share of the steps in which the rate rises.
        decay: Weight decay.
    """

    epochs: int = 3
    requests: int = 32
    others: int = 6
    far: int = 8
    scale: float = 20.0
    rate: float = 3e-5
    warmup: float = 0.06
    decay: float = 0.01


QUICK = Recipe(epochs=1, requests=4, others=2)
_TRIED = 12  # requests of a quick training


class EmbedderNet(torch.nn.Module):
    """Trunk, mean over the word pieces, unit length: (n, seq) to (n, 384)."""

    def __init__(self, trunk: torch.nn.Module) -> None:
        """Wrap a trunk."""
        super().__init__()
        self.trunk = trunk

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Embed n texts; without a mask nothing is padding."""
        mask = torch.ones_like(ids) if mask is None else mask
        hidden = self.trunk(
            input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)
        ).last_hidden_state.float()
        present = mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * present).sum(dim=1) / present.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=-1)


def train(
    out: Path, *, seed: int = 0, quick: bool = False, progress: Progress = silent
) -> dict[str, Any]:
    """Train, export and calibrate the embedder.

    Args:
        out: Folder for `embedder.onnx`, `embedder.json` and the tokenizer.
        seed: Fixes data and order.
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
    owned = requests(base.BaseEmbedder(), recipe, seed=seed, quick=quick)
    net = EmbedderNet(base.base_trunk())
    loss = fit(net, owned, base.base_tokenizer(), recipe, seed=seed, progress=progress)
    manifest: dict[str, Any] = {
        "name": "prefmem-minilm-int8",
        "width": 384,
        "base": {"name": base.NAME, "sha256": base.SHA256, "licence": base.LICENCE},
        "licence": "Apache-2.0",
        "command": f"prefmem train embedder --seed {seed}" + (" --quick" if quick else ""),
        "seed": seed,
        "recipe": asdict(recipe),
        "data": {
            "users": data_hash(DATA / "users" / "train"),
            "dev": data_hash(DATA / "users" / "dev"),
            "families": data_hash(DATA / "ranking"),
            "requests": len(owned),
        },
        "metrics": {"loss": round(loss, 4)},
        "files": ("embedder.onnx", TOKENIZER),
    }
    return packed(net, out, manifest)


def packed(net: EmbedderNet, out: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Export a trained embedder, compare it with what it was, and calibrate it."""
    out.mkdir(parents=True, exist_ok=True)
    export(
        net.eval(), (torch.tensor([[101, 2023, 102]]),), out / "embedder.onnx",
        inputs=("ids",), outputs=("vector",),
    )  # fmt: skip
    (out / TOKENIZER).write_text(base.base_tokenizer().to_str(), encoding="utf-8")
    manifest["relevance"] = {"platt": [1.0, 0.0]}
    write_manifest(out / "embedder.json", manifest)
    embedder = MiniLMEmbedder(folder=out)
    manifest["metrics"] |= _fidelity(net, embedder)
    users = load_users(DATA / "users" / "dev")
    scores, labels = _judged(embedder, users)
    slope, offset = platt(scores, labels)
    error = calibration_error(1 / (1 + np.exp(-(slope * scores + offset))), labels)
    manifest["metrics"]["dev_calibration_error"] = round(error, 4)
    manifest["relevance"] = {"platt": [slope, offset], "dev_pairs": len(labels)}
    write_manifest(out / "embedder.json", manifest)
    manifest["risk"] = counted(users, embedder=MiniLMEmbedder(folder=out), reranker=None)
    write_manifest(out / "embedder.json", manifest)
    return manifest


def requests(
    embedder: base.Vectors, recipe: Recipe, *, seed: int, quick: bool
) -> list[tuple[str, Asked]]:
    """Give the requests to which a rule applies, each with the name of whose it is."""
    users = load_users(DATA / "users" / "train")[: 3 if quick else None]
    owned = [(user.id, asked) for user in users for asked in of_users([user], embedder)]
    if not quick:
        families = of_families(embedder, seed=seed, far=recipe.far, situations=True)
        owned += [(f"family {n}", asked) for n, asked in enumerate(families)]
    owned = [(owner, asked) for owner, asked in owned if any(asked.applies)]
    return owned[:_TRIED] if quick else owned


def fit(
    net: EmbedderNet,
    owned: Sequence[tuple[str, Asked]],
    tokenizer: Tokenizer,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> float:
    """Train the net in place; gives the mean loss of the last pass."""
    trunk: Any = net.trunk
    trunk.embeddings.word_embeddings.weight.requires_grad_(False)
    learned = [p for p in trunk.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=recipe.rate, weight_decay=recipe.decay)
    rng = random.Random(seed)
    total = recipe.epochs * math.ceil(len(owned) / recipe.requests)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate(step, total, recipe.warmup)
    )
    losses: list[float] = []
    done = 0
    for _ in range(recipe.epochs):
        losses.clear()
        order = list(owned)
        rng.shuffle(order)
        for start in range(0, len(order), recipe.requests):
            some = order[start : start + recipe.requests]
            batch = [(owner, drawn(asked, recipe.others, rng)) for owner, asked in some]
            loss = batch_loss(net, batch, tokenizer, scale=recipe.scale)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
            schedule.step()
            losses.append(float(loss.detach()))
            done += 1
            progress("training", done, total)
    return float(np.mean(losses))


def batch_loss(
    net: EmbedderNet, batch: Sequence[tuple[str, Asked]], tokenizer: Tokenizer, *, scale: float
) -> torch.Tensor:
    """Give InfoNCE of every rule that applies against those that do not.

    A rule that another request of the same user, or of a near family, brought is left out: whether
    it applies here, no label says.
    """
    rules = [(n, k) for n, (_, asked) in enumerate(batch) for k in range(len(asked.rules))]
    said = [batch[n][1].rules[k] for n, k in rules]
    texts = [a.query for _, a in batch] + said
    vectors = _embedded(net, texts, tokenizer)
    scores = scale * vectors[: len(batch)] @ vectors[len(batch) :].T  # (b, e) @ (e, r) -> (b, r)
    own = torch.tensor([[n == m for n, _ in rules] for m in range(len(batch))])
    applies = own & torch.tensor([batch[n][1].applies[k] for n, k in rules])
    known = own | torch.tensor(
        [
            [
                batch[n][0] != owner and rule not in asked.unknown
                for (n, _), rule in zip(rules, said, strict=True)
            ]
            for owner, asked in batch
        ]
    )
    against = scores.masked_fill(applies | ~known, -1e9).logsumexp(dim=1, keepdim=True)
    each = torch.nn.functional.softplus(against - scores) * applies
    return (each.sum(dim=1) / applies.sum(dim=1)).mean()


def rate(step: int, total: int, warmup: float) -> float:
    """Give a step's share of the peak learning rate: a linear rise, then half a cosine."""
    rise = max(1, int(total * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def _embedded(net: EmbedderNet, texts: Sequence[str], tokenizer: Tokenizer) -> torch.Tensor:
    """Embed texts, those of like length together, for little padding: (n, e)."""
    rows = [tokenizer.encode(text).ids[:_MAX_TOKENS] for text in texts]
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    read: list[torch.Tensor] = []
    for start in range(0, len(order), _TOGETHER):
        some = [rows[n] for n in order[start : start + _TOGETHER]]
        longest = len(some[-1])
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in some])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in some])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            read.append(net(ids, mask))
    return torch.cat(read)[torch.tensor(order).argsort()]


def _judged(embedder: MiniLMEmbedder, users: Sequence[WrittenUser]) -> tuple[Floats, Floats]:
    """Give cosine and label of every pair of the users, (n,) each."""
    asked = list(of_users(users, embedder))
    cosines = np.concatenate([a.cosines for a in asked]).astype(np.float64)
    return cosines, np.array([float(x) for a in asked for x in a.applies])


def _fidelity(net: EmbedderNet, embedder: MiniLMEmbedder) -> dict[str, float]:
    """Compare packaged vectors with those of the trained net, over requests and rules."""
    users = load_users(DATA / "users" / "dev")
    texts = [t for a in of_users(users, embedder) for t in (a.query, a.rules[0])][:_COMPARED]
    tokenizer = base.base_tokenizer()
    with torch.no_grad():
        rows = [net(torch.tensor([tokenizer.encode(text).ids])) for text in texts]
    wanted: Matrix = torch.cat(rows).numpy()
    cosines = (embedder.embed(texts) * wanted).sum(axis=1)
    return {
        "cosine_to_float32_mean": round(float(cosines.mean()), 5),
        "cosine_to_float32_least": round(float(cosines.min()), 5),
    }
