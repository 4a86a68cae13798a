"""Fits the projection of the published policy to our own rules."""

from pathlib import Path
from typing import Any

import numpy as np

from prefmem.models.embed import MiniLMEmbedder
from prefmem.protocols import Embedder
from prefmem.train.export import data_hash, sha256, write_manifest
from prefmem.train.progress import Progress, silent
from prefmem.train.ranking import load_families, load_situations
from prefmem.train.relations import read_pairs
from prefmem.train.requests import DATA, RANKING
from prefmem.train.users import load_users
from prefmem.types import Matrix
from prefmem.usermodel.projection import FILE, Projection, fit

_COMPONENTS = 256  # as published
_QUICK = 300


def rules() -> tuple[str, ...]:
    """Give the rules of the written users, the topic families and the pairs, each once, sorted.

    Those of the development and test splits are left out.
    """
    users = [
        rule.text for user in load_users(DATA / "users" / "train") for rule in user.rules.values()
    ]
    families = [
        rule
        for family in (*load_families(RANKING), *load_situations(RANKING))
        for rule in family.rules
    ]
    pairs = read_pairs(DATA / "relations" / "train.txt")
    stated = [rule.text for pair in pairs for rule in (pair.old, pair.new)]
    return tuple(sorted({*users, *families, *stated}))


def train(
    out: Path,
    *,
    embedder: Embedder | None = None,
    quick: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Fit the projection and write it.

    Args:
        out: Folder for `projection.npz` and `projection.json`.
        embedder: Whose vectors are projected; the packaged one unless given.
        quick: A part of the rules, to try the path.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The manifest.
    """
    embedder = embedder or MiniLMEmbedder()
    texts = rules()[:: 1 if not quick else max(1, len(rules()) // _QUICK)]
    matrix = np.zeros((len(texts), embedder.width), dtype=np.float32)
    for n, text in enumerate(texts):
        matrix[n] = embedder.embed([text])[0]
        progress("embedding", n + 1, len(texts))
    exact = fit(matrix, _COMPONENTS)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(
        out / FILE,
        mean=exact.mean.astype(np.float16),
        components=exact.components.astype(np.float16),
    )
    manifest: dict[str, Any] = {
        "name": f"pca{len(exact.components)}",
        "basis": embedder.basis,
        "width": embedder.width,
        "components": len(exact.components),
        "licence": "Apache-2.0",
        "command": "prefmem train projection" + (" --quick" if quick else ""),
        "data": {
            "users": data_hash(DATA / "users" / "train"),
            "families": data_hash(RANKING),
            "pairs": sha256(DATA / "relations" / "train.txt"),
            "rules": len(texts),
        },
        "metrics": {"variance_explained": round(_explained(exact, matrix), 4)},
        "files": (FILE,),
    }
    write_manifest(out / "projection.json", manifest)
    return manifest


def _explained(projection: Projection, matrix: Matrix) -> float:
    """Give the share of the rows' variance that is left after projection."""
    whole = np.square(matrix - projection.mean, dtype=np.float64).sum()
    return float(np.square(projection.apply(matrix), dtype=np.float64).sum() / whole)
