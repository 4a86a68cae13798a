"""A prior that is fitted finds what goes together."""

import numpy as np
import pytest

from prefmem.elicit.fit import Answers, fit
from prefmem.elicit.prior import believed
from prefmem.errors import InputError

NAMES = ("a", "b", "c", "d")


def people(users: int = 400) -> Answers:
    """Draw a and b alike, c their opposite, d by itself with a rate of 3 in 4."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, users)
    d = (rng.random(users) < 0.75).astype(np.int64)
    return np.stack([a, a, 1 - a, d], axis=1)


def test_what_goes_together_is_found() -> None:
    start = believed(fit(people(), 1, names=NAMES))
    assert start.predicted == pytest.approx([0.5, 0.5, 0.5, 0.75], abs=0.06)
    told = start.told({"a": 1}).predicted
    assert told[1] > 0.85
    assert told[2] < 0.15
    assert told[3] == pytest.approx(start.predicted[3], abs=0.06)


def test_unknown_answers_are_left_out() -> None:
    answers = people()
    answers[np.random.default_rng(1).random(answers.shape) < 0.4] = -1
    told = believed(fit(answers, 1, names=NAMES)).told({"c": 1}).predicted
    assert told[0] < 0.25
    assert told[1] < 0.25
    assert told[3] == pytest.approx(0.75, abs=0.08)


def test_few_profiles_tell_little_and_none_of_a_column_tells_nothing() -> None:
    few = fit(np.array([[1, 1, 0, -1], [0, 0, 1, -1]]), 2, names=NAMES)
    assert np.abs(few.loadings[3]).max() < 1e-6
    assert believed(few).predicted[3] == pytest.approx(0.5)
    assert believed(few).told({"a": 1}).predicted[1] < 0.9
    strict = fit(people(), 1, names=NAMES, ridge=1e6)
    assert np.abs(strict.loadings).max() < 0.01


def test_the_same_answers_give_the_same_prior() -> None:
    one, two = (fit(people(100), 2, names=NAMES) for _ in range(2))
    assert one.to_json() == two.to_json()


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 4\)"):
        fit(np.zeros((2, 4), dtype=np.int64), 1, names=("a",))
    with pytest.raises(InputError, match="0, 1, or -1"):
        fit(np.full((2, 4), 2), 1, names=NAMES)
    with pytest.raises(InputError, match="factors=0"):
        fit(people(2), 0, names=NAMES)
    with pytest.raises(InputError, match=r"ridge=0\.0"):
        fit(people(2), 1, names=NAMES, ridge=0.0)
