"""Puts together what the two readers of a follow-up say, as probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefmem.feedback.cues import cues
from prefmem.feedback.traits import bag, rule_traits, turn_traits
from prefmem.interaction import Followup, Judgement, Label
from prefmem.models.followup import FollowupReader
from prefmem.models.onnx import sigmoid
from prefmem.protocols import Embedder
from prefmem.types import Matrix, Vector

LABELS: tuple[Label, ...] = ("satisfied", "dissatisfied", "neutral")
_OTHERS = 0.75  # chance from which a turn is about a further rule
_SHIFT, _RESTATES, _REJECTS = 3, 4, 5  # places of a turn's scores


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the readers say of a follow-up, before it is put together.

    Attributes:
        read: The cross-encoder's scores of the turn, (6,).
        shallow: The shallow network's, (6,).
        rules_read: The cross-encoder's of each rule, (j, 2).
        rules_shallow: The shallow network's, (j, 2).
        shown: Which rules were injected, (j,).
        cues: How strongly words praise, and complain, (2,).
    """

    read: Vector
    shallow: Vector
    rules_read: Matrix
    rules_shallow: Matrix
    shown: Vector
    cues: Vector

    @classmethod
    def of(cls, reader: FollowupReader, embedder: Embedder, followup: Followup) -> "Scores":
        """Read a follow-up."""
        found = cues(followup.text, reply=followup.reply)
        turn, rules = traits_of(followup, embedder)
        return cls(
            reader.turn(followup.query, followup.reply, followup.text),
            reader.from_traits("turn", turn[None])[0],
            reader.rules(followup.rules, followup.reply, followup.text),
            reader.from_traits("rule", rules),
            followup.shown.astype(np.float32),
            np.array([found.positive, found.negative], dtype=np.float32),
        )


def traits_of(followup: Followup, embedder: Embedder) -> tuple[Vector, Matrix]:
    """Give what the shallow networks see of a turn, (d,), and of each of its rules, (j, r)."""
    rows = embedder.embed([followup.text, followup.reply or " "])
    found = cues(followup.text, reply=followup.reply)
    turn = turn_traits(followup, found, float(rows[0] @ rows[1]))
    return np.concatenate([turn, rows[0], bag(followup.text)]), rule_traits(followup, found)


@dataclass(frozen=True, slots=True)
class Joined:
    """Weights of the readers, and the chances from which something counts.

    Attributes:
        label: Weights of both readers' scores, an offset of each label, and weights of words that
            praise and that complain, (7,).
        restates: Weights of `rule_columns`, and an offset, (6,).
        rejects: The same for rejection, (6,).
        shift: Weights of both readers, and an offset, (3,).
        dissatisfied_from: Chance from which a turn counts as a complaint.
        restates_from: Chance from which it counts as restating a rule.
        rejects_from: Chance from which it counts as rejecting one.
        shift_from: Chance from which it counts as another topic.
    """

    label: tuple[float, ...]
    restates: tuple[float, ...]
    rejects: tuple[float, ...]
    shift: tuple[float, ...]
    dissatisfied_from: float
    restates_from: float
    rejects_from: float
    shift_from: float

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "Joined":
        """Take the weights from a manifest."""
        found: dict[str, Any] = dict(manifest["joined"])
        for name in ("label", "restates", "rejects", "shift"):
            found[name] = tuple(found[name])
        return cls(**found)

    def judge(self, scores: Scores) -> Judgement:
        """Judge a follow-up."""
        lead, chances = self.labels(scores)
        best = int(chances.argmax())
        if LABELS[best] == "dissatisfied" and chances[best] < self.dissatisfied_from:
            best = 0 if chances[0] > chances[2] else 2
        columns = rule_columns(scores, lead)
        restates = _logistic(columns[0], self.restates)
        rejects = _logistic(columns[1], self.rejects) * scores.shown
        shift = _logistic(shift_columns(scores)[None], self.shift)[0]
        return Judgement(LABELS[best], float(chances[best]), restates, rejects, float(shift))

    def labels(self, scores: Scores) -> tuple[float, Vector]:
        """Give the lead of dissatisfaction in log-odds, and the chance of each label, (3,)."""
        read, shallow, *offsets, praise, complaint = self.label
        logits = read * scores.read[:3] + shallow * scores.shallow[:3] + np.array(offsets)
        logits[:2] += np.array([praise, complaint]) * scores.cues
        weights = np.exp(logits - logits.max())
        lead = float(logits[1] - np.logaddexp(logits[0], logits[2]))
        return lead, (weights / weights.sum()).astype(np.float32)


def named(chances: Vector, floor: float) -> list[int]:
    """Give the rules that a turn is taken to be about, the surest first.

    A turn is seldom about two: the surest counts from a floor on, another one from 0.75 on.
    """
    order = np.argsort(-chances, kind="stable").tolist()
    return [i for n, i in enumerate(order) if chances[i] >= (max(floor, _OTHERS) if n else floor)]


def rule_columns(scores: Scores, lead: float) -> tuple[Matrix, Matrix]:
    """Give what restatement and rejection of each rule are judged by, (j, 5) each."""
    whole = np.ones(len(scores.shown))

    def columns(own: int, turn: int) -> Matrix:
        made = (
            scores.rules_read[:, own], scores.rules_shallow[:, own],
            whole * scores.read[turn], whole * scores.shallow[turn], whole * np.clip(lead, -6, 6),
        )  # fmt: skip
        return np.stack(made, axis=1).astype(np.float32)

    return columns(0, _RESTATES), columns(1, _REJECTS)


def shift_columns(scores: Scores) -> Vector:
    """Give what a change of topic is judged by, (2,)."""
    return np.array([scores.read[_SHIFT], scores.shallow[_SHIFT]], dtype=np.float32)


def _logistic(columns: Matrix, weights: tuple[float, ...]) -> Vector:
    return sigmoid(columns.astype(np.float64) @ np.array(weights[:-1]) + weights[-1])
