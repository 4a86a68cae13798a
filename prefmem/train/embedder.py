"""Exports the embedder from its base, and fits the map from cosine to relevance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import TOKENIZER
from prefmem.protocols import Embedder
from prefmem.train import base
from prefmem.train.calibrate import Floats, calibration_error, platt
from prefmem.train.export import data_hash, export, write_manifest
from prefmem.train.progress import Progress, silent
from prefmem.train.ranking import Family, load_families, split
from prefmem.train.risk import counted
from prefmem.train.users import load_users

DATA = Path(__file__).resolve().parent / "data" / "ranking"
OTHERS = 19  # rules of other topics drawn for each query
APART = 0.6


class EmbedderNet(torch.nn.Module):
    """Trunk, mean over the word pieces, unit length: (1, seq) to (1, 384)."""

    def __init__(self, trunk: torch.nn.Module) -> None:
        """Wrap a trunk."""
        super().__init__()
        self.trunk = trunk

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed one text without padding."""
        hidden = self.trunk(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            token_type_ids=torch.zeros_like(ids),
        ).last_hidden_state
        return torch.nn.functional.normalize(hidden.mean(dim=1), dim=-1)


def build(out: Path, *, seed: int = 0, progress: Progress = silent) -> dict[str, Any]:
    """Export the embedder and calibrate it.

    Args:
        out: Folder for `embedder.onnx`, `embedder.json` and the tokenizer.
        seed: Draws the rules of other topics.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The manifest.
    """
    out.mkdir(parents=True, exist_ok=True)
    export(
        EmbedderNet(base.base_trunk()).eval(), (torch.tensor([[101, 2023, 102]]),),
        out / "embedder.onnx", inputs=("ids",), outputs=("vector",),
    )  # fmt: skip
    (out / TOKENIZER).write_text(base.base_tokenizer().to_str(), encoding="utf-8")
    manifest: dict[str, Any] = {
        "name": "all-MiniLM-L6-v2-int8",
        "width": 384,
        "base": {"name": base.NAME, "sha256": base.SHA256, "licence": base.LICENCE},
        "licence": "Apache-2.0",
        "command": f"prefmem train embedder --seed {seed}",
        "seed": seed,
        "data": {"ranking": data_hash(DATA)},
        "metrics": {},
        "relevance": {"platt": [1.0, 0.0]},
        "files": ("embedder.onnx", TOKENIZER),
    }
    write_manifest(out / "embedder.json", manifest)
    embedder = MiniLMEmbedder(folder=out)
    fit, held_out = split(load_families(DATA))
    slope, offset = platt(*pairs(fit, embedder, seed=seed, progress=progress))
    scores, labels = pairs(held_out, embedder, seed=seed, progress=progress)
    relevance = 1 / (1 + np.exp(-(slope * scores + offset)))
    manifest["relevance"] = {"platt": [slope, offset]}
    manifest["metrics"] = {
        "held_out_families": len(held_out),
        "held_out_pairs": len(labels),
        "held_out_calibration_error": round(calibration_error(relevance, labels), 4),
    }
    write_manifest(out / "embedder.json", manifest)
    users = load_users(DATA.parent / "users" / "dev")
    manifest["risk"] = counted(users, embedder=MiniLMEmbedder(folder=out), reranker=None)
    write_manifest(out / "embedder.json", manifest)
    return manifest


def pairs(
    families: Sequence[Family], embedder: MiniLMEmbedder, *, seed: int, progress: Progress
) -> tuple[Floats, Floats]:
    """Pair every query with one rule that applies and `OTHERS` rules of other families.

    That is about the share of a user's rules that apply to a request. A bait query is paired with
    one rule of its family, which does not apply. Rules that the labels leave open are not used:
    those of the own family, and those of families near it (`strangers`).

    Returns:
        Cosines and labels (1 applies, 0 does not), (n,) each.
    """
    rng = np.random.default_rng(seed)
    vectors = embedder.embed([r for f in families for r in f.rules])
    owner = np.array([i for i, f in enumerate(families) for _ in f.rules])
    far = strangers(families, embedder)
    cosines: list[np.ndarray[Any, Any]] = []
    labels: list[np.ndarray[Any, Any]] = []
    for number, family in enumerate(families):
        own, foreign = np.flatnonzero(owner == number), np.flatnonzero(far[number][owner])
        asked = [*family.queries, *((bait, ()) for bait in family.baits)]
        for (_, applies), query in zip(asked, embedder.embed([q for q, _ in asked]), strict=True):
            near = [rng.choice(own[list(applies)] if applies else own)]
            picked = [*near, *rng.choice(foreign, OTHERS, replace=False)]
            cosines.append(vectors[picked] @ query)
            labels.append(np.arange(len(picked)) < bool(applies))
        progress("relevance", number + 1, len(families))
    return np.concatenate(cosines).astype(np.float64), np.concatenate(labels).astype(np.float64)


def strangers(families: Sequence[Family], embedder: Embedder) -> np.ndarray[Any, Any]:
    """Say which families are so far apart that rules of one do not apply to the other.

    Between hotels and flights a rule about budget may well apply: such pairs are unknown, not
    negative. Families count as apart when the cosine of their mean queries is at most 0.6.

    Returns:
        Symmetric, (f, f), false on the diagonal.
    """
    centres = np.stack([embedder.embed([q for q, _ in f.queries]).mean(axis=0) for f in families])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    far: np.ndarray[Any, Any] = centres @ centres.T <= APART
    return far
