"""The embedded embedder: all-MiniLM-L6-v2 with int8 weights, one text at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.types import Matrix, Risk, Vector

MAX_TOKENS = 256
_MAX_CHARS = 4_000  # more than 256 word pieces; a longer text would only cost tokenizer time


class MiniLMEmbedder:
    """Embeds text as unit vectors of width 384.

    Each text runs by itself, so its vector is bit for bit the same whatever batch it is in.

    Args:
        folder: Where `embedder.onnx`, its manifest and the tokenizer lie.
        threads: CPU threads for one text.
    """

    def __init__(self, *, folder: Path = WEIGHTS, threads: int = 1) -> None:
        """Remember where the weights are; they load with the first text."""
        self._model = PackagedModel(
            "embedder", folder=folder, threads=threads, max_tokens=MAX_TOKENS
        )

    @property
    def basis(self) -> str:
        """Model name and the start of its weights' hash."""
        manifest = self._model.manifest
        return f"{manifest['name']}@{manifest['files']['embedder.onnx'][:12]}"

    @property
    def width(self) -> int:
        """Width of a vector."""
        return int(self._model.manifest["width"])

    @property
    def risk(self) -> Risk | None:
        """How often a rule that does not apply reaches a floor, counted on written users."""
        return self._model.risk

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts: unit rows, (n, e), float32; text beyond 256 word pieces is cut."""
        rows = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            ids = self._model.tokenizer.encode(text[:_MAX_CHARS]).ids
            row[:] = self._model.run(ids=ids)[0]
        return rows

    def relevance(self, cosines: Vector) -> Vector:
        """Map cosines, (k,), to the probability that the rule applies, in [0, 1].

        A Platt map (a logistic curve over the score), fitted on pairs of our own; its slope and
        offset stand in the manifest with the calibration error measured on other topics.
        """
        slope, offset = self._model.manifest["relevance"]["platt"]
        relevance: Vector = (1 / (1 + np.exp(-(slope * cosines + offset)))).astype(np.float32)
        return relevance
