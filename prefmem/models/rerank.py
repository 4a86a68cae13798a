"""The embedded reranker: whether a rule applies to a request, read together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.types import Risk, Vector

QUERY_TOKENS, RULE_TOKENS = 96, 64
_CLS, _SEP = 101, 102


class Reranker:
    """Corrects the cosine of request and rule by reading both.

    Args:
        folder: Where `reranker.onnx`, its manifest and the tokenizer lie.
        threads: CPU threads for one pair.
    """

    def __init__(self, *, folder: Path = WEIGHTS, threads: int = 1) -> None:
        """Remember where the weights are; they load with the first pair."""
        self._model = PackagedModel("reranker", folder=folder, threads=threads, max_tokens=100_000)

    @property
    def risk(self) -> Risk | None:
        """How often a rule that does not apply reaches a floor, counted on written users."""
        return self._model.risk

    def scores(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give each rule's score, (k,), in log-odds before calibration.

        Args:
            query: The request.
            rules: k rules.
            cosines: Their cosines with the request, (k,).
        """
        slope, offset = self._model.manifest["cosine"]
        logits = [self._logit(query, rule) for rule in rules]
        scores: Vector = np.asarray(logits, dtype=np.float32) + np.float32(slope) * cosines + offset
        return scores

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give the probability that each rule applies, (k,), in [0, 1]."""
        slope, offset = self._model.manifest["relevance"]["platt"]
        scores = self.scores(query, rules, cosines)
        return np.asarray(1 / (1 + np.exp(-(slope * scores + offset))), dtype=np.float32)

    def _logit(self, query: str, rule: str) -> float:
        ids, kinds = pair_ids(self._model.tokenizer, query, rule)
        return float(self._model.run(ids=ids, kinds=kinds)[0])


def pair_ids(tokenizer: Tokenizer, query: str, rule: str) -> tuple[list[int], list[int]]:
    """Join request and rule as BERT's two segments: ids and segment numbers.

    Of a longer request the end is read, of a longer rule the beginning.
    """
    asked = tokenizer.encode(query[-2_000:], add_special_tokens=False).ids[-QUERY_TOKENS:]
    said = tokenizer.encode(rule[:1_000], add_special_tokens=False).ids[:RULE_TOKENS]
    ids = [_CLS, *asked, _SEP, *said, _SEP]
    return ids, [0] * (len(asked) + 2) + [1] * (len(said) + 1)
