"""What a new rule is to one that is there, by the packaged cross-encoder."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from prefmem.cards.slots import clash
from prefmem.models.pairs import PairReader
from prefmem.types import Preference, Relation

RELATIONS: tuple[Relation, ...] = ("same", "supersede", "exception", "widen", "distinct")

_SUPERSEDES: Mapping[Relation, float] = {"supersede": 1.0}

_ANY = frozenset({"any", "always", "general", "in general", "anything", "everything"})
_NEGATION = re.compile(
    r"^(?:please\s+)?(?:never|avoid(?:ing)?|no|without|stop|skip|leave\s+out|don't|do\s+not|not)\s+"
    r"(?:(?:to|use|using|any)\s+)?",
    re.I,
)


class PairRelater:
    """Reads both rules together.

    Args:
        reader: The cross-encoder.
    """

    def __init__(self, reader: PairReader) -> None:
        """Remember the reader; its weights load with the first pair."""
        self._reader = reader

    def relations(
        self, new: Preference, old: Sequence[Preference]
    ) -> tuple[Mapping[Relation, float], ...]:
        """Give for each of n old rules the probability of every relation.

        A rule that sets the same slot to another value in the same situation supersedes.

        Raises:
            WeightsError: The weights are missing or damaged.
        """
        if not old:
            return ()
        sharpness = self._reader.manifest["sharpness"]
        scores = np.array([self._reader.relation(told(rule), told(new)) for rule in old])  # (n, r)
        grown = np.exp(sharpness * (scores - scores.max(axis=1, keepdims=True)))
        chances = grown / grown.sum(axis=1, keepdims=True)
        return tuple(
            _SUPERSEDES if clash(rule, new) else dict(zip(RELATIONS, row.tolist(), strict=True))
            for rule, row in zip(old, chances, strict=True)
        )


def told(rule: Preference) -> str:
    """Word a rule as the cross-encoder reads it: condition, then what to do or to avoid."""
    condition = rule.condition.strip()
    if not condition or condition.lower() in _ANY:
        condition = "always"
    if rule.polarity == "do":
        return f"{condition}: {rule.action}"
    return f"{condition}: avoid {_NEGATION.sub('', rule.action) or rule.action}"
