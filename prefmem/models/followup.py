"""The packaged reader of follow-ups: what a turn shows, and what it says of a rule.

Two small models read each, and a logistic layer puts them together: a MiniLM cross-encoder on the
words, and a shallow network on traits that are worked out (cues, similarities, a bag of words).
"""

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.types import Matrix, Vector

NAME = "followup"
NETS = "followup.npz"
OUTPUTS = ("satisfied", "dissatisfied", "neutral", "shift", "restates", "rejects")
_CLS, _SEP = 101, 102
_QUERY, _REPLY, _TURN = 20, 32, 48  # word pieces that are read
_RULE, _BEFORE = 28, 20  # of a rule, and of the reply beside it


class FollowupReader:
    """A trunk with two heads, and a shallow network beside each.

    Args:
        folder: Where `followup.onnx`, `followup.npz`, the manifest and the tokenizer lie.
        threads: CPU threads for one read.
    """

    def __init__(self, *, folder: Path = WEIGHTS, threads: int = 1) -> None:
        """Remember where the weights are; they load with the first turn."""
        self._model = PackagedModel(NAME, folder=folder, threads=threads, max_tokens=100_000)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest of the weights."""
        return self._model.manifest

    def turn(self, query: str, reply: str, text: str) -> Vector:
        """Give the trunk's scores of a turn, (6,), in the order of `OUTPUTS`."""
        return self._model.run(**_named(turn_ids(self._model.tokenizer, query, reply, text)))[0]

    def rules(self, rules: Sequence[str], reply: str, text: str) -> Matrix:
        """Give the trunk's scores that a turn restates and rejects each rule, (j, 2)."""
        rows = [
            self._model.run(**_named(rule_ids(self._model.tokenizer, rule, reply, text)))[1]
            for rule in rules
        ]
        return np.stack(rows) if rows else np.zeros((0, 2), dtype=np.float32)

    def from_traits(self, kind: str, traits: Matrix) -> Matrix:
        """Give the shallow network's scores, (n, d) -> (n, 6) for `turn`, (n, 2) for `rule`."""
        return shallow(self._nets, kind, traits)

    @cached_property
    def _nets(self) -> Mapping[str, npt.NDArray[np.float32]]:
        with np.load(io.BytesIO(self._model.read(NETS)), allow_pickle=False) as found:
            return {name: found[name].astype(np.float32) for name in found.files}


def shallow(
    nets: Mapping[str, npt.NDArray[np.float32]], kind: str, traits: Matrix
) -> npt.NDArray[np.float32]:
    """Run s networks of one hidden layer, and give their mean score.

    Args:
        nets: For a kind: `mean` and `scale` (d,), `in` (s, d, h), `in_bias` (s, h),
            `out` (s, h, o), `out_bias` (s, o), each name after the kind and a point.
        kind: `turn` or `rule`.
        traits: (n, d).
    """
    part = {name: nets[f"{kind}.{name}"] for name in _PARTS}
    x = np.clip((traits - part["mean"]) / part["scale"], -4, 4)  # (n, d)
    hidden = np.maximum(x @ part["in"] + part["in_bias"][:, None], 0)  # (s, n, h)
    scores = hidden @ part["out"] + part["out_bias"][:, None]  # (s, n, o)
    mean: npt.NDArray[np.float32] = scores.mean(axis=0)
    return mean


_PARTS = ("mean", "scale", "in", "in_bias", "out", "out_bias")


def turn_ids(
    tokenizer: Tokenizer, query: str, reply: str, text: str
) -> tuple[list[int], list[int]]:
    """Join a turn with what it follows as BERT's segments: ids and segment numbers."""
    before = [*_head(tokenizer, query, _QUERY), _SEP, *_tail(tokenizer, reply, _REPLY)]
    return _joined(before, _head(tokenizer, text, _TURN))


def rule_ids(tokenizer: Tokenizer, rule: str, reply: str, text: str) -> tuple[list[int], list[int]]:
    """Join a rule with a turn and the reply before it: ids and segment numbers."""
    after = [*_tail(tokenizer, reply, _BEFORE), _SEP, *_head(tokenizer, text, _TURN)]
    return _joined(_head(tokenizer, rule, _RULE), after)


def _joined(first: list[int], second: list[int]) -> tuple[list[int], list[int]]:
    ids = [_CLS, *first, _SEP, *second, _SEP]
    return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)


def _head(tokenizer: Tokenizer, text: str, most: int) -> list[int]:
    ids: list[int] = tokenizer.encode(text[:1_000], add_special_tokens=False).ids
    return ids[:most]


def _tail(tokenizer: Tokenizer, text: str, most: int) -> list[int]:
    ids: list[int] = tokenizer.encode(text[-1_000:], add_special_tokens=False).ids
    return ids[-most:]


def _named(inputs: tuple[list[int], list[int]]) -> dict[str, list[int]]:
    return {"ids": inputs[0], "kinds": inputs[1]}
