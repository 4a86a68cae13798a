"""How close the packaged embedder is to the model that it was made from."""

from typing import Any

import numpy as np

from prefmem.evaluate.metrics import Figure, mean
from prefmem.models.embed import MiniLMEmbedder
from prefmem.train.embedder import DATA
from prefmem.train.progress import Progress
from prefmem.train.ranking import load_families
from prefmem.types import Matrix


def measure(*, texts: int, seed: int, progress: Progress) -> dict[str, Figure]:
    """Compare vectors with those of the float32 base, through sentence-transformers.

    Args:
        texts: How many of our own queries and rules.
        seed: Which ones.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Mean, and least, cosine; and whether a vector depends on its batch (largest difference).
    """
    from sentence_transformers import SentenceTransformer

    from prefmem.train.base import base_folder

    families = load_families(DATA)
    every = [q for f in families for q, _ in f.queries] + [r for f in families for r in f.rules]
    order: list[int] = np.random.default_rng(seed).permutation(len(every))[:texts].tolist()
    drawn = [every[i] for i in order]
    original: Any = SentenceTransformer(str(base_folder()), device="cpu", local_files_only=True)
    wanted: Matrix = original.encode(drawn, normalize_embeddings=True, convert_to_numpy=True)
    progress("original", 1, 2)
    embedder = MiniLMEmbedder()
    rows = embedder.embed(drawn)
    progress("packaged", 2, 2)
    cosines = (rows * wanted).sum(axis=1)
    alone = np.concatenate([embedder.embed([text]) for text in drawn])
    apart, least = float(np.abs(rows - alone).max()), float(cosines.min())
    return {
        "cosine to the original, mean": mean(cosines.tolist(), seed=seed),
        "cosine to the original, least": Figure(least, least, least, texts),
        "largest difference alone and in a batch": Figure(apart, apart, apart, texts),
    }
