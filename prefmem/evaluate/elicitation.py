"""How well a few questions tell the rest of a profile: the telling ones against random ones.

A population has 20 yes-or-no dimensions and 4 traits, which are an assumption, like their strength.
Each trait moves five dimensions: by `strength` in log-odds a standard deviation, and one of them,
which shows it most plainly, by twice that. On the other traits a dimension hangs by N(0, 0.3), and
it has a bias of N(0, 1). The prior is fitted on other profiles of the same population. The default
strength of 3.3 is a standardised loading of 0.88 (3.3 / sqrt(3.3^2 + pi^2 / 3)), of 0.96 for the
plain ones: whoever knows the traits themselves gets about 87% right. At half of it 80% is out of
anybody's reach.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prefmem.elicit.fit import Answers, fit
from prefmem.elicit.prior import Belief, Floats, Prior, believed
from prefmem.elicit.question import gains
from prefmem.evaluate.metrics import Figure, mean
from prefmem.train.progress import Progress

DIMENSIONS, TRAITS = 20, 4
_COMPARED = 5  # questions after which the two ways are compared
_ROUNDS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """People drawn from a factor model.

    Attributes:
        bias: Log-odds of a 1 for average traits, (d,).
        loadings: Of the traits, (d, f).
    """

    bias: Floats
    loadings: Floats

    def draw(self, users: int, rng: np.random.Generator) -> tuple[Answers, Floats]:
        """Draw profiles of 0 and 1, (users, d), and the chances they were drawn with."""
        logits = self.bias + rng.normal(size=(users, TRAITS)) @ self.loadings.T
        chances = 1 / (1 + np.exp(-logits))  # (users, d)
        return (rng.random(chances.shape) < chances).astype(np.int64), chances


def population(strength: float, rng: np.random.Generator) -> Population:
    """Draw a population."""
    every = np.arange(DIMENSIONS)
    loadings = rng.normal(scale=0.3, size=(DIMENSIONS, TRAITS))
    size = np.where(every < TRAITS, 2 * strength, strength)  # one plain dimension a trait
    loadings[every, every % TRAITS] += size * rng.choice([-1, 1], size=DIMENSIONS)
    return Population(rng.normal(size=DIMENSIONS), loadings)


def measure(
    *,
    users: int = 500,
    profiles: int = 2000,
    questions: int = 15,
    strength: float = 3.3,
    seed: int,
    progress: Progress,
) -> dict[str, Figure]:
    """Ask synthetic users, and guess the dimensions that were not asked.

    Args:
        users: Profiles that are asked.
        profiles: Other profiles that the prior is fitted on.
        questions: Asked of each user at most, 5 to 18.
        strength: Of the traits, in log-odds a standard deviation.
        seed: Draws the population, the profiles and the random questions, and resamples.
        progress: Told the stage, what is done and how much there is.

    Returns:
        Share of the unasked dimensions guessed right after each number of questions, for both
        ways; how many random questions it takes to match five telling ones, and to get 80% (one
        more than `questions` where that is not enough); how often an answer changes the next
        question; what knowing the traits would give.
    """
    rng = np.random.default_rng(seed)
    people = population(strength, rng)
    answered, _ = people.draw(profiles, rng)
    progress("fit", 0, 1)
    prior = fit(answered, TRAITS, names=tuple(f"dimension {n}" for n in range(DIMENSIONS)))
    truth, chances = people.draw(users, rng)
    telling, blind = np.zeros((2, users, questions + 1))
    changed: list[float] = []
    for number, profile in enumerate(truth):
        order = rng.permutation(DIMENSIONS)[:questions]
        telling[number], adaptive = _asked(prior, profile, None, questions)
        blind[number], _ = _asked(prior, profile, order, questions)
        changed.append(adaptive)
        progress("users", number + 1, users)
    figures: dict[str, Figure] = {}
    for name, curve in (("telling", telling), ("random", blind)):
        for count in range(questions + 1):
            figures[f"{name} questions: {count}"] = mean(curve[:, count].tolist(), seed=seed)
    gain = telling[:, _COMPARED] - blind[:, _COMPARED]
    known = ((chances > 0.5) == (truth == 1)).mean(axis=1)
    return figures | {
        f"gain over random at {_COMPARED}": mean(gain.tolist(), seed=seed),
        f"random questions to match {_COMPARED}": _needed(telling[:, _COMPARED], blind, seed),
        "random questions for 80%": _needed(np.full(users, 0.8), blind, seed),
        "telling questions for 80%": _needed(np.full(users, 0.8), telling, seed),
        "answers that change the next question": mean(changed, seed=seed),
        "traits known": mean(known.tolist(), seed=seed),
    }


def _asked(
    prior: Prior, profile: npt.NDArray[np.int64], order: npt.NDArray[np.int64] | None, most: int
) -> tuple[Floats, float]:
    """Ask one user, in an order or what tells most.

    Returns:
        Share of unasked dimensions guessed right after each question, (most + 1,), and how often
        the other answer would have led to another next question.
    """
    belief, open_ = believed(prior), np.ones(len(profile), dtype=np.bool_)
    right = np.zeros(most + 1)
    right[0] = _right(belief, profile, open_)
    changed: list[bool] = []
    best = _best(belief, open_) if order is None else 0
    for count in range(most):
        chosen = best if order is None else int(order[count])
        open_[chosen] = False
        name, value = prior.names[chosen], int(profile[chosen])
        before, belief = belief, belief.told({name: value})
        right[count + 1] = _right(belief, profile, open_)
        if order is None:
            best = _best(belief, open_)
            if count < _COMPARED - 1:
                changed.append(best != _best(before.told({name: 1 - value}), open_))
    return right, float(np.mean(changed)) if changed else 0.0


def _best(belief: Belief, open_: npt.NDArray[np.bool_]) -> int:
    return int(np.where(open_, gains(belief, open_), -1.0).argmax())


def _right(belief: Belief, profile: npt.NDArray[np.int64], open_: npt.NDArray[np.bool_]) -> float:
    guessed = belief.predicted > 0.5
    return float((guessed == (profile == 1))[open_].mean())


def _needed(goal: Floats, curve: Floats, seed: int) -> Figure:
    """Give the fewest questions at which a curve reaches a goal on average, resampling users."""
    rows = np.random.default_rng(seed).integers(0, len(goal), (_ROUNDS, len(goal)))
    drawn = [_first(curve[row].mean(axis=0), goal[row].mean()) for row in rows]
    low, high = np.percentile(drawn, [2.5, 97.5])
    value = _first(curve.mean(axis=0), goal.mean())
    return Figure(float(value), float(low), float(high), len(goal))


def _first(curve: Floats, goal: float) -> int:
    return next((count for count, value in enumerate(curve) if value >= goal), len(curve))
