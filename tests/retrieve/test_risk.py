"""A floor from a promise: by hand, and over draws."""

from collections.abc import Sequence

import numpy as np
import pytest

from prefmem import Config, ConfigError
from prefmem.models.onnx import sigmoid
from prefmem.retrieve.risk import floor_for, injection_floor
from prefmem.testing import HashEmbedder
from prefmem.types import Risk

RISK = Risk(19, (1.0, 0.5, 0.1, 0.05, 0.0))  # floors 0, 0.25, 0.5, 0.75, 1


@pytest.mark.parametrize(
    ("most", "floor"),
    [
        (0.99, 0.25),  # (19 * 1 + 1) / 20 = 1 is too much, (9.5 + 1) / 20 = 0.525 is not
        (0.5, 0.5),  # (1.9 + 1) / 20 = 0.145
        (0.1, 0.75),  # (0.95 + 1) / 20 = 0.0975
        (0.05, 1.0),  # (0 + 1) / 20 = 0.05
    ],
)
def test_the_lowest_floor_that_keeps_the_promise(most: float, floor: float) -> None:
    assert floor_for(RISK, most) == floor


def test_too_few_cases_promise_nothing() -> None:
    with pytest.raises(ConfigError, match=r"max_unwarranted=0\.04 cannot be kept .* 19 requests"):
        floor_for(RISK, 0.04)


class Counted(HashEmbedder):
    risk = RISK


def test_a_promise_replaces_the_set_floor_and_needs_a_table() -> None:
    assert injection_floor(0.2, None, HashEmbedder()) == 0.2
    assert injection_floor(0.2, 0.5, Counted()) == 0.5
    with pytest.raises(ConfigError, match="HashEmbedder has no table of risks"):
        injection_floor(0.2, 0.5, HashEmbedder())
    with pytest.raises(ConfigError, match=r"^max_unwarranted="):
        Config(max_unwarranted=1)


def shares(worst: Sequence[float]) -> tuple[float, ...]:
    return tuple(float((np.array(worst) >= step / 100).mean()) for step in range(101))


def test_over_many_draws_the_promise_holds_on_average() -> None:
    rng = np.random.default_rng(0)
    missed: list[float] = []
    for _ in range(300):
        worst = rng.random(200) ** 3  # 100 to count on, 100 to look at
        floor = floor_for(Risk(100, shares(worst[:100].tolist())), 0.1)
        missed.append(float((worst[100:] >= floor).mean()))
    assert 0.06 < float(np.mean(missed)) <= 0.1


def test_the_logistic_curve_ends_quietly() -> None:
    assert sigmoid(np.array([0.0, 1e9, -1e9])).tolist() == pytest.approx([0.5, 1, 0], abs=1e-9)
