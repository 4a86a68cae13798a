"""A hashing embedder, so that the simulator runs without a model."""

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from prefmem.types import Matrix, Vector


class GramEmbedder:
    """Embeds a text as the signed sum of its words and of their runs of four characters.

    Every feature has a place and a sign by its hash; words weigh twice as much as their runs.

    Args:
        width: Width of a vector.
    """

    def __init__(self, width: int = 384) -> None:
        """Choose the width."""
        self._width = width

    @property
    def basis(self) -> str:
        """Name of the space; depends on the width."""
        return f"grams-{self._width}"

    @property
    def width(self) -> int:
        """Width of a vector."""
        return self._width

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, e); a text without words gives a zero row."""
        rows = np.zeros((len(texts), self._width), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature, weight in _features(text):
                code = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest())
                row[(code >> 1) % self._width] += weight if code & 1 else -weight
            row /= max(float(np.linalg.norm(row)), 1e-12)
        return rows

    def relevance(self, cosines: Vector) -> Vector:
        """Take a cosine for the probability, negative ones for 0."""
        return np.clip(cosines, 0, 1).astype(np.float32)


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in re.findall(r"\w+", text.lower()):
        yield word, 1.0
        marked = f"<{word}>"
        for start in range(len(marked) - 3):
            yield f"#{marked[start : start + 4]}", 0.5
