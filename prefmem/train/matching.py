"""When an extracted rule says what a written one says: by meaning, by words, and by polarity.

The thresholds are the ones that the runner of our hand-written development windows was calibrated
with on paraphrases; they belong to all-MiniLM-L6-v2 as it comes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from prefmem.train.base import BaseEmbedder
from prefmem.train.windows import GENERAL, Gold
from prefmem.types import Preference, Vector

_ACTION, _ACTION_NEAR, _ACTION_SHARE = 0.62, 0.54, 0.2
_SHORT, _SHORT_SHARE, _WHOLE = 0.5, 0.5, 0.72
_CONDITION, _CONDITION_SHARE = 0.45, 0.34
_WORD = re.compile(r"[a-z0-9']{3,}")
_ENDING = re.compile(r"(?:ing|ed|es|s|ly)$")
_EMPTY = frozenset(
    {
        "always", "and", "answering", "are", "avoid", "but", "dislike", "for", "from", "give",
        "giving", "i'm", "into", "it's", "its", "like", "never", "not", "only", "planning",
        "prefer", "recommending", "suggesting", "than", "that", "the", "them", "then", "they",
        "this", "use", "user", "user's", "users", "want", "was", "when", "with", "writing", "you",
        "your",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Match:
    """How an extracted rule compares with a written one.

    Attributes:
        action: Whether the action says the same.
        polarity: Whether the polarity is the same.
        condition: Whether it applies in the same situations: a rule for every answer has no
            condition, another one names the same thing or a like one.
        score: Cosine of the actions, in [-1, 1].
    """

    action: bool
    polarity: bool
    condition: bool
    score: float

    @property
    def right(self) -> bool:
        """Whether all of it is right."""
        return self.action and self.polarity and self.condition


class Matcher:
    """Compares rules; embeds every text once."""

    def __init__(self) -> None:
        """Take the base embedder."""
        self._embedder = BaseEmbedder()
        self._vectors: dict[str, Vector] = {}

    def compare(self, found: Preference, gold: Gold) -> Match:
        """Compare an extracted rule with a written one."""
        cosine = self._cosine(found.action, gold.action)
        return Match(
            self._same_action(found, gold, cosine),
            found.polarity == gold.polarity,
            self._same_condition(found, gold),
            cosine,
        )

    def _same_action(self, found: Preference, gold: Gold, cosine: float) -> bool:
        whole, wanted = found.text, _whole(gold)
        pairs = ((found.action, gold.action), (whole, gold.action), (found.action, wanted))
        for a, b in pairs:
            near, share = self._cosine(a, b), _share(a, b)
            if (
                near >= _ACTION
                or (near >= _ACTION_NEAR and share >= _ACTION_SHARE)
                or (near >= _SHORT and share >= _SHORT_SHARE)
            ):
                return True
        return cosine >= _SHORT and self._cosine(whole, wanted) >= _WHOLE

    def _same_condition(self, found: Preference, gold: Gold) -> bool:
        if gold.condition == GENERAL or not found.condition:
            return gold.condition == GENERAL and not found.condition
        wanted, given = _stems([gold.condition]), _stems([found.condition])
        inside = _stems([found.condition, found.action])
        if wanted and len(wanted & inside) >= 0.5 * len(wanted):
            return True
        if wanted and given:
            shared = len(wanted & given) / min(len(wanted), len(given))
            if shared >= _CONDITION_SHARE:
                return True
        return self._cosine(found.condition, gold.condition) >= _CONDITION

    def _cosine(self, a: str, b: str) -> float:
        for text in (a, b):
            if text not in self._vectors:
                self._vectors[text] = self._embedder.embed([text])[0]
        return float(self._vectors[a] @ self._vectors[b])


def _whole(gold: Gold) -> str:
    return gold.action if gold.condition == GENERAL else f"When {gold.condition}, {gold.action}"


def _share(a: str, b: str) -> float:
    """Share of the shorter text's content words that the other holds too."""
    left, right = _stems([a]), _stems([b])
    return len(left & right) / max(1, min(len(left), len(right)))


def _stems(texts: Iterable[str]) -> set[str]:
    words = (w for text in texts for w in _WORD.findall(text.lower()) if w not in _EMPTY)
    return {_ENDING.sub("", word) for word in words}
