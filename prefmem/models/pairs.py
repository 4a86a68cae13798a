"""The embedded cross-encoder: reads two texts together, a request and a rule, or two rules."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.types import Risk, Vector

NAME = "ranker"
FIRST_TOKENS, SECOND_TOKENS = 96, 64
_CLS, _SEP = 101, 102


class PairReader:
    """One trunk with two heads.

    Args:
        folder: Where `ranker.onnx`, its manifest and the tokenizer lie.
        threads: CPU threads for one pair.
    """

    def __init__(self, *, folder: Path = WEIGHTS, threads: int = 1) -> None:
        """Remember where the weights are; they load with the first pair."""
        self._model = PackagedModel(NAME, folder=folder, threads=threads, max_tokens=100_000)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest of the weights."""
        return self._model.manifest

    @property
    def risk(self) -> Risk | None:
        """How often a rule that does not apply reaches a floor, counted on written users."""
        return self._model.risk

    def applies(self, query: str, rule: str) -> float:
        """Give what reading adds to the log-odds that a rule applies to a request."""
        return float(self._read(query, rule)[0])

    def relation(self, old: str, new: str) -> Vector:
        """Give the scores of what a new rule is to an old one, (r,), in the manifest's order."""
        return self._read(old, new)[1]

    def _read(self, first: str, second: str) -> list[Vector]:
        ids, kinds = pair_ids(self._model.tokenizer, first, second)
        return self._model.run(ids=ids, kinds=kinds)


@cache
def packaged() -> PairReader:
    """Give the reader with the packaged weights, one in a process."""
    return PairReader()


def pair_ids(tokenizer: Tokenizer, first: str, second: str) -> tuple[list[int], list[int]]:
    """Join two texts as BERT's segments: ids and segment numbers.

    Of a longer first text the end is read, of a longer second one the beginning.
    """
    a = tokenizer.encode(first[-2_000:], add_special_tokens=False).ids[-FIRST_TOKENS:]
    b = tokenizer.encode(second[:1_000], add_special_tokens=False).ids[:SECOND_TOKENS]
    ids = [_CLS, *a, _SEP, *b, _SEP]
    return ids, [0] * (len(a) + 2) + [1] * (len(b) + 1)
