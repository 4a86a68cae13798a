"""The embedded reranker: whether a rule applies to a request, read together."""

from collections.abc import Sequence

import numpy as np

from prefmem.models.onnx import sigmoid
from prefmem.models.pairs import PairReader
from prefmem.types import Risk, Vector


class Reranker:
    """Judges by the cosine of request and rule, and by reading both.

    Args:
        reader: The cross-encoder.
    """

    def __init__(self, reader: PairReader) -> None:
        """Remember the reader; its weights load with the first pair."""
        self._reader = reader

    @property
    def risk(self) -> Risk | None:
        """How often a rule that does not apply reaches a floor, counted on written users."""
        return self._reader.risk

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give the probability that each of k rules applies, (k,), in [0, 1].

        It is logistic in what reading adds and in the cosine; the weights are fitted on written
        users of our own.
        """
        reading, cosine, offset = self._reader.manifest["relevance"]["weights"]
        read = np.array([self._reader.applies(query, rule) for rule in rules], dtype=np.float32)
        return sigmoid(reading * read + cosine * cosines + offset)
