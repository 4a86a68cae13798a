import numpy as np
import pytest

from prefmem.train.calibrate import calibration_error, platt


def test_platt_finds_the_curve_that_labels_were_drawn_from() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-(2 * scores - 1)))).astype(float)
    slope, offset = platt(scores, labels)
    assert slope == pytest.approx(2, abs=0.1)
    assert offset == pytest.approx(-1, abs=0.1)


def test_platt_stays_finite_for_separable_scores() -> None:
    slope, offset = platt(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    # smoothed targets are 1/4 and 3/4, so sigmoid(slope) = 3/4: slope = log 3
    assert slope == pytest.approx(np.log(3), abs=1e-3)
    assert offset == pytest.approx(0, abs=1e-3)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([0.05, 0.05, 0.95, 0.95])
    labels = np.array([0.0, 1.0, 1.0, 1.0])
    # bin 0: |0.05 - 0.5| * 0.5, bin 9: |0.95 - 1| * 0.5
    assert calibration_error(probabilities, labels) == pytest.approx(0.25)
    assert calibration_error(np.zeros(0), np.zeros(0)) == 0
