"""What is known of people before they say anything: a factor model of yes-or-no dimensions.

A person has f traits z ~ N(0, I), and logit P(x_j = 1 | z) = b_j + F_j z for each of d dimensions,
all independent given z. Answers weigh 2,048 fixed quasi-random traits by their likelihood; what is
expected of the other dimensions is the weighted mean. Nothing is random.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from prefmem.errors import InputError

Floats = npt.NDArray[np.float64]

_BASES = (2, 3, 5, 7, 11, 13, 17, 19)
MOST_FACTORS = len(_BASES)  # above, 2,048 points no longer fill the space
_DRAWS = 2048
_VERSION = 1


class _Record(BaseModel):
    """A prior as JSON holds it."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    version: int
    names: list[str]
    bias: list[float]
    loadings: list[list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """The factor model.

    Attributes:
        names: What the dimensions are called, d of them, each once.
        bias: Log-odds of a 1 for somebody with average traits, (d,).
        loadings: How much a trait moves the log-odds, (d, f), with f from 1 to 8.

    Raises:
        InputError: The shapes do not fit, a number is not finite, or a name comes twice.
    """

    names: tuple[str, ...]
    bias: Floats
    loadings: Floats

    def __post_init__(self) -> None:
        """Refuse what is no model."""
        d = len(self.names)
        if d == 0 or len(set(self.names)) != d:
            raise InputError(f"names={self.names!r}: at least one is needed, each once")
        if self.bias.shape != (d,) or self.loadings.ndim != 2 or len(self.loadings) != d:
            raise InputError(
                f"{d} dimensions need a bias of shape ({d},) and loadings of shape ({d}, f), not "
                f"{self.bias.shape!r} and {self.loadings.shape!r}"
            )
        check_factors(self.loadings.shape[1])
        if not (np.isfinite(self.bias).all() and np.isfinite(self.loadings).all()):
            raise InputError("the bias and the loadings must be finite numbers")

    def to_json(self) -> str:
        """Write the model as JSON; `from_json` reads the same numbers back."""
        record = _Record(
            version=_VERSION,
            names=list(self.names),
            bias=self.bias.tolist(),
            loadings=self.loadings.tolist(),
        )
        return record.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> "Prior":
        """Read what `to_json` wrote.

        Raises:
            InputError: It is no such JSON, or no model; the message names the field.
        """
        try:
            record = _Record.model_validate_json(text)
        except ValidationError as error:
            first: Any = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "text"
            raise InputError(f"not a prior: {place}: {first['msg']}") from None
        if record.version != _VERSION:
            raise InputError(f"version={record.version!r} of a prior, this reads {_VERSION!r}")
        if len({len(row) for row in record.loadings}) > 1:
            raise InputError("not a prior: loadings: rows of different lengths")
        return cls(
            tuple(record.names),
            np.array(record.bias, dtype=np.float64),
            np.array(record.loadings, dtype=np.float64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is believed of one person.

    Attributes:
        prior: The model.
        chances: P(x = 1) at each of s traits, (s, d).
        weights: How likely the person has these traits, (s,), summing to 1.
    """

    prior: Prior
    chances: Floats
    weights: Floats

    @property
    def predicted(self) -> Floats:
        """Probability of a 1 in each dimension, (d,); an answered one is predicted like any."""
        return self.weights @ self.chances  # (s,) @ (s, d) -> (d,)

    def told(self, answers: Mapping[str, int]) -> "Belief":
        """Take in answers, dimension to 0 or 1; the order does not matter.

        Raises:
            InputError: There is no such dimension, or a value is neither 0 nor 1.
        """
        if not answers:
            return self
        columns = [self._column(name, value) for name, value in answers.items()]
        with np.errstate(divide="ignore"):  # a weight may be 0
            logs = np.log(self.weights) + sum(np.log(column) for column in columns)  # (s,)
        return replace(self, weights=normalised(logs))

    def _column(self, name: str, value: int) -> Floats:
        if name not in self.prior.names:
            raise InputError(f"{name!r} is no dimension; known are {self.prior.names!r}")
        if value not in (0, 1):
            raise InputError(f"{name}={value!r}: an answer is 0 or 1")
        column = self.chances[:, self.prior.names.index(name)]
        return column if value else 1 - column


def believed(prior: Prior) -> Belief:
    """Give what is believed of somebody who has said nothing."""
    points = traits(prior.loadings.shape[1])
    weights = np.full(len(points), 1 / len(points))
    return Belief(prior, chances(points, prior.bias, prior.loadings), weights)


def chances(points: Floats, bias: Floats, loadings: Floats) -> Floats:
    """Give P(x = 1) at traits (s, f), as (s, d), kept 1e-9 away from 0 and 1."""
    logits = np.clip(bias + points @ loadings.T, -20.7, 20.7)  # (s, f) @ (f, d) -> (s, d)
    return 1 / (1 + np.exp(-logits))


def normalised(logs: Floats) -> Floats:
    """Turn log weights, (..., s), into weights that sum to 1 over the last axis."""
    weights: Floats = np.exp(logs - logs.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


@lru_cache(maxsize=MOST_FACTORS)
def traits(factors: int) -> Floats:
    """Give the 2,048 points that stand for N(0, I): (s, f), read-only, with mean exactly 0.

    The Halton sequence (J. Halton, Numerische Mathematik 2, 1960) without its first point, which is
    0 in a coordinate, each point with its mirror image.

    Raises:
        InputError: There are fewer than 1 or more than 8 factors.
    """
    check_factors(factors)
    normal = NormalDist()
    numbers = range(2, _DRAWS // 2 + 2)
    half = np.array([[normal.inv_cdf(_mirrored(n, b)) for b in _BASES[:factors]] for n in numbers])
    points = np.concatenate([half, -half])
    points.setflags(write=False)
    return points


def _mirrored(number: int, base: int) -> float:
    """Mirror a number's digits at the point: 6 is 110 in base 2 and gives 0.011 = 3/8."""
    found, place = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        place /= base
        found += place * digit
    return found


def check_factors(factors: int) -> None:
    """Refuse a number of factors that the points cannot stand for."""
    if not 1 <= factors <= MOST_FACTORS:
        raise InputError(f"factors={factors!r} is not in 1 to {MOST_FACTORS}")
