"""What two readers say, put together."""

import numpy as np
import pytest

from prefmem.feedback.joined import Joined, Scores, named, rule_columns
from prefmem.types import Vector

WEIGHTS = {
    "label": [1.0, 1.0, 0.0, 0.0, 0.0, 2.0, 4.0],
    "restates": [1.0, 1.0, 0.0, 0.0, 0.0, -1.0],
    "rejects": [1.0, 1.0, 0.0, 0.0, 0.0, -1.0],
    "shift": [1.0, 0.0, 0.0],
    "dissatisfied_from": 0.6,
    "restates_from": 0.4,
    "rejects_from": 0.3,
    "shift_from": 0.5,
}


def row(*values: float) -> Vector:
    return np.array(values, dtype=np.float32)


NO_CUES = row(0, 0)


def scores(read: Vector, shallow: Vector, cues: Vector = NO_CUES) -> Scores:
    rules = np.array([[2.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    return Scores(read, shallow, rules, np.zeros((2, 2), dtype=np.float32), row(0, 1), cues)


def test_labels_are_the_softmax_of_the_weighted_scores() -> None:
    joined = Joined.from_manifest({"joined": WEIGHTS})
    found = joined.judge(scores(row(0, 1, 0, 3, 0, 0), row(0, 1, 0, 0, 0, 0)))
    assert found.label == "dissatisfied"
    assert found.confidence == pytest.approx(np.exp(2) / (np.exp(2) + 2), abs=1e-6)
    assert found.topic_shift == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)


def test_an_unsure_complaint_is_none() -> None:
    joined = Joined.from_manifest({"joined": WEIGHTS})
    found = joined.judge(scores(row(0, 0.4, 0.1, 0, 0, 0), row(0, 0, 0, 0, 0, 0)))
    assert found.label == "neutral"  # of 0.41 where 0.6 is asked for
    assert found.confidence < 0.5


def test_only_what_was_shown_is_rejected() -> None:
    joined = Joined.from_manifest({"joined": WEIGHTS})
    found = joined.judge(scores(row(0, 0, 1, 0, 0, 0), row(0, 0, 1, 0, 0, 0)))
    assert found.restates == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], abs=1e-6)
    assert found.rejects == pytest.approx([0, 1 / (1 + np.exp(-1))], abs=1e-6)


def test_the_lead_of_dissatisfaction_is_bounded() -> None:
    both = scores(row(-90, 90, -90, 0, 1, 2), row(0, 0, 0, 0, 3, 4))
    restates, rejects = rule_columns(both, 180.0)
    assert restates[0].tolist() == [2, 0, 1, 3, 6]
    assert rejects[1].tolist() == [2, 0, 2, 4, 6]


def test_a_turn_is_seldom_about_two_rules() -> None:
    assert named(row(0.2, 0.5, 0.6), 0.4) == [2]
    assert named(row(0.8, 0.5, 0.9), 0.4) == [2, 0]
    assert named(row(0.8, 0.9), 0.95) == []
    assert named(row(), 0.4) == []


def test_plain_words_weigh_in() -> None:
    joined = Joined.from_manifest({"joined": WEIGHTS})
    nothing = row(0, 0, 0, 0, 0, 0)
    assert joined.judge(scores(nothing, nothing, row(0.5, 0))).label == "satisfied"
    assert joined.judge(scores(nothing, nothing, row(0.5, 0.5))).label == "dissatisfied"
    _, chances = joined.labels(scores(nothing, nothing, row(0.5, 0.5)))
    weights = np.exp([1, 2, 0])
    assert chances == pytest.approx(weights / weights.sum(), abs=1e-6)
