"""Thresholds on chances, and the weights that join two readers."""

import numpy as np

from prefmem.feedback.joined import Scores
from prefmem.train.followups import Written
from prefmem.train.join import best_floor, calm_floor, joined
from tests.feedback.followups import followup


def test_the_best_floor_counts_the_surest_rule_of_a_turn() -> None:
    chances, whose = np.array([0.9, 0.6, 0.3, 0.2]), np.array([0, 0, 1, 2])
    floor, f1 = best_floor(chances, np.array([1.0, 0.0, 0.0, 0.0]), whose)
    assert 0.3 < floor <= 0.9
    assert f1 == 1  # 0.6 never counts beside 0.9
    floor, f1 = best_floor(chances, np.array([1.0, 0.0, 1.0, 0.0]), whose)
    assert 0.2 < floor <= 0.3
    assert f1 == 1


def test_complaints_stay_rare_among_neutral_turns() -> None:
    calm = [np.array([0.1, 0.2, 0.7])] * 98
    chances = np.stack([*calm, *[np.array([0.1, 0.5, 0.4])] * 6, *[np.array([0.1, 0.8, 0.1])] * 6])
    truth = np.array([2] * 104 + [1] * 6)
    assert 0.5 < calm_floor(chances, truth) <= 0.8
    truth = np.array([2] * 98 + [1] * 12)
    assert calm_floor(chances, truth) < 0.51


def test_the_reader_that_is_right_gets_the_weight() -> None:
    rng, none = np.random.default_rng(0), np.zeros(2, dtype=np.float32)
    scores: list[Scores] = []
    written: list[Written] = []
    for n in range(120):
        label = ("satisfied", "dissatisfied", "neutral")[n % 3]
        right = 3 * np.eye(6, dtype=np.float32)[n % 3]
        noise = rng.normal(size=6).astype(np.float32)
        restated = np.array([n % 3 == 1, False])
        own = np.array([[4.0 * restated[0] - 2, 0], [-2, 0]], dtype=np.float32)
        flags = np.array([0.0, 1.0], dtype=np.float32)
        scores.append(
            Scores(right, noise, own, rng.normal(size=(2, 2)).astype(np.float32), flags, none)
        )
        written.append(
            Written(
                "u", followup("hm"), ("a", "b"), label, restated, np.array([False, n % 5 == 0]),
                n % 7 == 0, "",
            )
        )  # fmt: skip
    weights, figures = joined(scores, written)
    assert weights["label"][0] > 0.5 > abs(weights["label"][1])
    assert weights["restates"][0] > 1 > abs(weights["restates"][1])
    assert figures["dev_restates_f1"] == 1
