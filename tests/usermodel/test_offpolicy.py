"""What another policy would have earned."""

from dataclasses import astuple

import numpy as np
import numpy.typing as npt
import pytest

from prefmem.errors import InputError
from prefmem.usermodel.offpolicy import doubly_robust

ONE = np.ones(40)
HALF = np.full(40, 0.5)
NONE = np.zeros(40)


def test_the_logging_policy_itself_has_its_mean_reward() -> None:
    rewards = np.tile([0.0, 1.0], 20)
    found = doubly_robust(rewards, HALF, HALF, NONE, NONE)
    half = 1.959964 * (0.25 * 40 / 39) ** 0.5 / 40**0.5
    assert astuple(found) == pytest.approx((0.5, 0.5 - half, 0.5 + half, 40, 0, 0))


def test_an_estimate_by_hand() -> None:
    # Half the rounds have weight 0.75 / 0.5, the others 0.25 / 0.5.
    target = np.tile([0.75, 0.25], 20)
    rewards = np.tile([1.0, 0.0], 20)
    found = doubly_robust(rewards, HALF, target, HALF, np.full(40, 0.6))
    assert found.value == pytest.approx(0.6 + (1.5 * 0.5 + 0.5 * -0.5) / 2)
    assert found.ess == pytest.approx((20 * 2) ** 2 / (20 * (1.5**2 + 0.5**2)))
    assert found.clipped == 0
    cut = doubly_robust(rewards, HALF, target, HALF, np.full(40, 0.6), clip=1)
    assert cut.value == pytest.approx(0.6 + (1 * 0.5 + 0.5 * -0.5) / 2)
    assert cut.clipped == 0.5


def test_too_thin_a_log_is_refused() -> None:
    target = np.zeros(40)
    target[:20] = 1
    with pytest.raises(InputError, match=r"sample size of 20\.0, below 30: 20 of 40 rounds") as e:
        doubly_robust(ONE, ONE, target, NONE, NONE)
    assert "choose at random at times" in str(e.value)
    assert "no support for any other" in str(e.value)
    with pytest.raises(InputError, match=r"sample size of 0\.0"):
        doubly_robust(ONE, ONE, NONE, NONE, NONE)
    empty = np.zeros(0)
    with pytest.raises(InputError, match="0 of 0 rounds"):
        doubly_robust(empty, empty, empty, empty, empty)


def test_what_only_the_reward_model_knows_is_told() -> None:
    target = np.ones(40)
    target[:5] = 0
    found = doubly_robust(ONE, ONE, target, NONE, NONE)
    assert found.modelled == pytest.approx(5 / 40)


@pytest.mark.parametrize(
    ("logged", "target", "clip", "says"),
    [
        (ONE[:3], ONE, 10.0, "shapes"),
        (NONE, ONE, 10.0, "out of range"),
        (ONE, 2 * ONE, 10.0, "out of range"),
        (ONE, np.nan * ONE, 10.0, "not finite"),
        (ONE, ONE, 0.0, "clip=0.0"),
    ],
)
def test_figures_that_no_log_has(
    logged: npt.NDArray[np.float64], target: npt.NDArray[np.float64], clip: float, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        doubly_robust(ONE, logged, target, NONE, NONE, clip=clip)


def test_a_wrong_reward_model_is_put_right_and_the_interval_covers() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0.2, 0.4, 0.8])  # reward of each action
    logging, new = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7])
    biased = truth + np.array([0.3, 0.0, -0.3])
    wanted = float(new @ truth)
    errors: list[float] = []
    covered = 0
    for _ in range(200):
        action = rng.choice(3, 400, p=logging)
        rewards = (rng.random(400) < truth[action]).astype(float)
        found = doubly_robust(
            rewards, logging[action], new[action], biased[action], np.full(400, new @ biased)
        )
        errors.append(abs(found.value - wanted))
        covered += found.low <= wanted <= found.high
    assert np.mean(errors) <= abs(float(new @ biased) - wanted) / 2
    assert covered >= 0.9 * 200
