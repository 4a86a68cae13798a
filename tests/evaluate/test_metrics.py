import math

import pytest

from prefmem.evaluate.metrics import f1, mean, ratio


def test_ratio_of_sums_not_mean_of_ratios() -> None:
    figure = ratio([1, 0], [1, 3], seed=0)
    assert figure.value == pytest.approx(0.25)
    assert (figure.low, figure.high) == (0, 1)  # both cases drawn alone happen
    assert figure.cases == 2


def test_f1_by_hand() -> None:
    # right 3, found 4, wanted 5: 2 * 3 / 9
    assert f1([1, 2], [2, 2], [2, 3], seed=0).value == pytest.approx(2 / 3)


def test_a_constant_has_no_spread() -> None:
    figure = mean([0.5] * 10, seed=1)
    assert str(figure) == "0.500 [0.500, 0.500]"


def test_nothing_measured_is_not_a_number() -> None:
    assert math.isnan(mean([], seed=0).value)
    assert math.isnan(ratio([0, 0], [0, 0], seed=0).value)


def test_a_seed_fixes_the_interval() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    assert mean(values, seed=4) == mean(values, seed=4)
