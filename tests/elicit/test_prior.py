"""What a factor model believes of somebody, and how it is written down."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefmem.elicit.prior import Prior, believed, traits
from prefmem.errors import InputError

NAMES = ("a", "b", "c")


def prior(bias: list[float], loadings: list[list[float]]) -> Prior:
    return Prior(NAMES[: len(bias)], np.array(bias, dtype=np.float64), np.array(loadings))


def test_points_stand_for_the_normal_distribution() -> None:
    points = traits(4)
    assert points.shape == (2048, 4)
    assert np.abs(points.mean(axis=0)).max() < 1e-12  # each has its mirror image
    assert points.T @ points / 2048 == pytest.approx(np.eye(4), abs=0.02)
    assert traits(4) is points
    with pytest.raises(ValueError, match="read-only"):
        points[0] = 0
    with pytest.raises(InputError, match="factors=9"):
        traits(9)


def test_unrelated_dimensions_stay_at_their_rates() -> None:
    told = believed(prior([0.0, np.log(3)], [[0.0], [0.0]])).told({"a": 1})
    assert told.predicted == pytest.approx([0.5, 0.75])  # odds of 3


def test_dimensions_of_one_strong_trait_tell_each_other() -> None:
    start = believed(prior([0.0, 0.0, 0.0], [[1e9], [1e9], [-1e9]]))
    assert start.predicted == pytest.approx([0.5, 0.5, 0.5])  # half of the traits are positive
    assert start.told({"a": 1}).predicted == pytest.approx([1, 1, 0], abs=1e-6)
    assert start.told({"c": 1}).predicted == pytest.approx([0, 0, 1], abs=1e-6)


def test_weights_are_the_likelihoods() -> None:
    start = believed(prior([0.3, -0.2], [[1.0], [2.0]]))
    z = traits(1)[:, 0]
    likelihood = 1 / (1 + np.exp(-(0.3 + z)))
    by_hand = likelihood / likelihood.sum()
    assert start.told({"a": 1}).weights == pytest.approx(by_hand)
    chance_b = 1 / (1 + np.exp(-(-0.2 + 2 * z)))
    assert start.told({"a": 1}).predicted[1] == pytest.approx(by_hand @ chance_b)


@given(st.permutations([("a", 1), ("b", 0), ("c", 1)]))
def test_the_order_of_answers_does_not_matter(order: list[tuple[str, int]]) -> None:
    start = believed(prior([0.1, 0.2, 0.3], [[1.0, 0.0], [0.5, -1.0], [0.0, 2.0]]))
    apart = start
    for name, value in order:
        apart = apart.told({name: value})
    together = start.told({"a": 1, "b": 0, "c": 1})
    assert apart.weights == pytest.approx(together.weights)


def test_contradicting_answers_leave_a_belief() -> None:
    start = believed(prior([0.0, 0.0], [[1e9], [1e9]]))
    torn = start.told({"a": 1, "b": 0})
    assert np.isfinite(torn.weights).all()
    assert torn.weights.sum() == pytest.approx(1)
    assert start.told({}) is start


def test_answers_must_be_answers() -> None:
    start = believed(prior([0.0], [[1.0]]))
    with pytest.raises(InputError, match=r"'z' is no dimension; known are \('a',\)"):
        start.told({"z": 1})
    with pytest.raises(InputError, match="a=2: an answer is 0 or 1"):
        start.told({"a": 2})


def test_json_keeps_every_bit() -> None:
    made = prior([0.1, -1 / 3], [[np.pi, 1e-17], [-2.5, 1e300]])
    read = Prior.from_json(made.to_json())
    assert read.names == made.names
    assert read.bias.tobytes() == made.bias.tobytes()
    assert read.loadings.tobytes() == made.loadings.tobytes()


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"version": 2}, "version=2"),
    ({"extra": 1}, "extra"),
    ({"bias": ["0"]}, "bias.0"),
    ({"bias": [0.0, 0.0]}, "1 dimensions need"),
    ({"names": ["a", "a"], "bias": [0.0, 0.0]}, "each once"),
    ({"loadings": [[1.0], [1.0, 2.0]]}, "different lengths"),
    ({"loadings": [[]]}, "factors=0"),
]


@pytest.mark.parametrize(("change", "told"), BROKEN)
def test_what_is_no_prior_is_refused(change: dict[str, Any], told: str) -> None:
    record = json.loads(prior([0.0], [[1.0]]).to_json())
    with pytest.raises(InputError, match=told):
        Prior.from_json(json.dumps(record | change))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match="not a prior: text"):
        Prior.from_json("no")
    with pytest.raises(InputError, match="finite"):
        prior([np.inf], [[1.0]])
