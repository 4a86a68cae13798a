"""The list of conditions that the tagger chooses from where the user says none.

The list is taken from the rules of our training windows: the conditions in general use ("writing
mails", "planning trips"), so that no rule gets one that names a person or a thing of somebody else.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from prefmem.train.base import Vectors
from prefmem.train.windows import GENERAL, WrittenWindow
from prefmem.types import Matrix

_LINKS = "for with about of in at on to the a before after until from across within than more"
# "writing mails", "helping with maths", "answering health questions"
_GENERAL_USE = re.compile(
    rf"[a-z]+ing (?:(?:with|about|on) |advice on |questions (?:about|on) )?"
    rf"(?:(?!(?:{_LINKS.replace(' ', '|')})\b)[\w/-]+ ?){{1,3}}"
)
_OF_SOMEBODY = re.compile(r"\b(?:user|this|that|his|her|their|him|them)\b")
_ALIKE = 0.86  # cosine from which two conditions are one
_SHARP = 0.05  # temperature of the targets


def condition_list(windows: Iterable[WrittenWindow], embedder: Vectors) -> tuple[str, ...]:
    """Choose the conditions, the most used first, of those that say the same the most used one."""
    used = Counter(
        gold.condition
        for window in windows
        for gold in window.gold
        if gold.condition != GENERAL
        and _GENERAL_USE.fullmatch(gold.condition)
        and not _OF_SOMEBODY.search(gold.condition)
    )
    names = sorted(used, key=lambda name: (-used[name], name))
    vectors = embedder.embed(names)
    chosen: list[int] = []
    for n, vector in enumerate(vectors):
        if not chosen or float((vectors[chosen] @ vector).max()) < _ALIKE:
            chosen.append(n)
    return tuple(names[n] for n in chosen)


class ConditionTargets:
    """Soft targets over the list: how near each of its conditions is to a written one.

    Args:
        names: The list, k conditions.
        embedder: Compares them.
    """

    def __init__(self, names: Sequence[str], embedder: Vectors) -> None:
        """Embed the list."""
        self._embedder = embedder
        self.vectors: Matrix = embedder.embed(names)
        self._known: dict[str, Matrix] = {}

    def __call__(self, condition: str) -> Matrix:
        """Give the probabilities, (k,): softmax of the cosines over 0.05."""
        if condition not in self._known:
            cosines = self.vectors @ self._embedder.embed([condition])[0]
            weights = np.exp((cosines - cosines.max()) / _SHARP)
            self._known[condition] = (weights / weights.sum()).astype(np.float32)
        return self._known[condition]
