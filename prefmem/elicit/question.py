"""Which preference to ask about, and when not to.

elicitation = Elicitation()
asked = elicitation.resume(saved, memory.list(user_id="ann"))
question = elicitation.next_question(asked)
if question is not None:
    asked, rule = elicitation.answered(asked, question.dimension, input(question.text))
    if rule is not None:
        kind = rule.scope.kind
        memory.add(
            rule.condition, rule.action, user_id="ann", polarity=rule.polarity, scope=kind
        )
saved = asked.state()
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefmem.elicit.dimensions import DIMENSIONS, Dimension, everyday
from prefmem.elicit.prior import Belief, Floats, Prior, believed
from prefmem.elicit.reply import mentioned, read
from prefmem.errors import ConfigError, InputError
from prefmem.types import Card, Preference

# What the user wants who waves a question away; a card, so that it holds in every conversation.
REFUSAL = Preference("you would ask me how I like answers", "do not ask me that", "avoid")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of one user, and what is known of them.

    Attributes:
        names: Dimensions that were asked, in order; one that was neither answered nor refused got
            an unclear reply.
        refused: Whether the user waved a question away: then nothing is asked any more.
        answers: What is known, dimension to 0 or 1, asked or not.
    """

    names: tuple[str, ...] = ()
    refused: bool = False
    answers: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def count(self) -> int:
        """Number of questions so far."""
        return len(self.names)

    def state(self) -> dict[str, Any]:
        """Give what is to be kept, as JSON data: names and the refusal, and no answer."""
        return {"asked": list(self.names), "refused": self.refused}


class _State(BaseModel):
    """What `Asked.state` gives, as it comes back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    asked: list[str] = Field(default=[], max_length=1000)
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is worth its interruption.

    Attributes:
        dimension: Name of what it is about.
        text: The question.
        options: The two answers to offer, then the word that waves it away.
        gain: What the answer is expected to tell about all else, in nats, times its worth.
    """

    dimension: str
    text: str
    options: tuple[str, str, str]
    gain: float


@dataclass(frozen=True, slots=True)
class Elicitation:
    """Chooses questions and understands replies; a value goes in, a value comes out.

    Attributes:
        dimensions: What may be asked.
        prior: What people are like; has the dimensions' names in their order.
        cost: What an interruption costs, in nats: a question is asked when what it tells about the
            other dimensions, times its worth, is above this.
        limit: Questions at most.

    Raises:
        ConfigError: The prior is about other dimensions, or a number is below 0.
    """

    dimensions: tuple[Dimension, ...] = DIMENSIONS
    prior: Prior = field(default_factory=everyday)
    cost: float = 0.1
    limit: int = 5

    def __post_init__(self) -> None:
        """Check the settings."""
        names = tuple(dimension.name for dimension in self.dimensions)
        if names != self.prior.names:
            raise ConfigError(f"the prior is about {self.prior.names!r}, the questions {names!r}")
        if not self.cost >= 0 or self.limit < 0:
            raise ConfigError(f"cost={self.cost!r} and limit={self.limit!r} must not be below 0")
        if any(not dimension.worth >= 0 for dimension in self.dimensions):
            raise ConfigError("the worth of a dimension must not be below 0")

    def resume(self, saved: Mapping[str, Any] | None = None, cards: Iterable[Card] = ()) -> Asked:
        """Take up what was asked before, and what the user's cards tell.

        Args:
            saved: What `Asked.state` gave; None for a new user. Names of dimensions that are no
                more are left out.
            cards: The user's cards in the order of saying, of which the active ones count: the
                rules of the options themselves, and global rules with their words; the newest wins.

        Raises:
            InputError: `saved` is something else.
        """
        try:
            held = _State.model_validate({} if saved is None else dict(saved))
        except (TypeError, ValueError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no mapping"
            raise InputError(f"not what Asked.state() gave: {what}") from None
        live = [card.preference for card in cards if card.status == "active"]
        names = tuple(name for name in dict.fromkeys(held.asked) if name in self.prior.names)
        refused = held.refused or any(_same(rule, REFUSAL) for rule in live)
        return Asked(names, refused, self._told_by(live))

    def next_question(self, asked: Asked) -> Question | None:
        """Give the question that tells most; None when none is worth it, or the user declined."""
        if asked.refused or asked.count >= self.limit:
            return None
        open_ = [
            number
            for number, name in enumerate(self.prior.names)
            if name not in asked.names and name not in asked.answers
        ]
        if not open_:
            return None
        unknown = np.array([name not in asked.answers for name in self.prior.names])
        told = gains(believed(self.prior).told(asked.answers), unknown)
        told = told * [dimension.worth for dimension in self.dimensions]
        best = max(open_, key=lambda number: told[number])
        if not told[best] > self.cost:
            return None
        dimension = self.dimensions[best]
        labels = (dimension.options[0].label, dimension.options[1].label, "skip")
        return Question(dimension.name, dimension.question, labels, float(told[best]))

    def answered(self, asked: Asked, name: str, reply: str) -> tuple[Asked, Preference | None]:
        """Take in the reply to a question.

        Args:
            asked: What was asked before; left as it is.
            name: The dimension that was asked.
            reply: The user's words.

        Returns:
            What is asked by now, and the rule to store: the option's, or after a refusal the one
            that says not to ask; None after an unclear reply.

        Raises:
            InputError: There is no such dimension.
        """
        dimension = next((d for d in self.dimensions if d.name == name), None)
        if dimension is None:
            raise InputError(f"{name!r} is no dimension; known are {self.prior.names!r}")
        after = replace(asked, names=tuple(dict.fromkeys((*asked.names, name))))
        meaning = read(dimension, reply)
        if meaning == "refused":
            return replace(after, refused=True), REFUSAL
        if meaning == "unclear":
            return after, None
        known = {**asked.answers, name: meaning}
        return replace(after, answers=known), dimension.options[meaning].rule

    def _told_by(self, rules: Iterable[Preference]) -> dict[str, int]:
        """Give what rules tell, oldest first."""
        answers: dict[str, int] = {}
        for rule in rules:
            for dimension in self.dimensions:
                choice = _choice(dimension, rule)
                if choice is not None:
                    answers[dimension.name] = choice
        return answers


def gains(belief: Belief, unknown: npt.NDArray[np.bool_]) -> Floats:
    """Say what the answer to each question is expected to tell about all other dimensions.

    The expected fall of the entropy of each other one, which is the mutual information of the two
    through the traits, summed.

    Args:
        belief: What is believed so far.
        unknown: Which dimensions there is something to tell about, (d,).

    Returns:
        Nats, (d,), at least 0.
    """
    p = belief.predicted  # (d,)
    both = (belief.chances * belief.weights[:, None]).T @ belief.chances  # (d, s) @ (s, d)
    cells = (
        (both, p[:, None] * p),
        (p[:, None] - both, p[:, None] * (1 - p)),
        (p - both, (1 - p)[:, None] * p),
        (1 - p[:, None] - p + both, (1 - p)[:, None] * (1 - p)),
    )
    shared = sum((_part(joint, apart) for joint, apart in cells), np.zeros_like(both))
    np.fill_diagonal(shared, 0.0)
    return np.maximum(shared @ unknown, 0.0)


def _part(joint: Floats, apart: Floats) -> Floats:
    """Give p log(p / q), with rounding below 0 taken as 0."""
    return np.where(joint > 0, joint * np.log(np.maximum(joint, 1e-300) / apart), 0.0)


def _choice(dimension: Dimension, rule: Preference) -> int | None:
    for choice, option in enumerate(dimension.options):
        if _same(rule, option.rule):
            return choice
    return mentioned(dimension, rule.action) if rule.scope.kind == "global" else None


def _same(one: Preference, other: Preference) -> bool:
    return one.text.casefold() == other.text.casefold()
