"""The embedded gate's opinion of what another extractor found."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from prefmem.defence.origin import own_words
from prefmem.models.tagger import PreferenceTagger, context_of
from prefmem.protocols import BatchExtractor, Extractor
from prefmem.types import Evidence, Preference, Turn, Window

_ENGLISH = frozenset(  # without words that are common in other languages too: "in", "so", "me"
    {
        "and", "are", "be", "but", "by", "can", "from", "have", "how", "if", "it", "my",
        "not", "of", "please", "that", "the", "they", "this", "to", "use", "was", "what", "when",
        "with", "you", "your",
    }
)  # fmt: skip
_ENGLISH_SHARE = 0.05  # of the words of an English turn, at least
_WORD = re.compile(r"[^\W\d_]+")


class VerifiedExtractor:
    """Lets the gate doubt what a language model found.

    A language model words rules well and finds too many: requests for the task at hand, facts,
    other people's wishes. The gate was trained to tell these apart. A rule's confidence becomes the
    gate's where that is smaller, so that the memory keeps a doubtful rule as a candidate. The gate
    reads English; what is said in another language passes unchecked.

    Args:
        extractor: Finds the rules.
        tagger: The gate; the packaged one unless given.
        floor: Confidence that is left to a doubtful rule at least, in [0, 1]; what a memory stores
            has `Config.min_confidence`.
    """

    def __init__(
        self,
        extractor: Extractor,
        *,
        tagger: PreferenceTagger | None = None,
        floor: float = 0.45,
    ) -> None:
        """Take the packaged tagger unless another is given."""
        self.extractor = extractor
        self._tagger = tagger or PreferenceTagger()
        self._floor = floor

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract what the user said in the named turns, and let the gate check it."""
        return self._checked(window, self.extractor.extract(window, turn_ids))

    def extract_many(
        self, items: Sequence[tuple[Window, Sequence[str]]]
    ) -> list[tuple[Preference, ...]]:
        """Extract from n windows what `extract` gives for each; together where that is possible."""
        if isinstance(self.extractor, BatchExtractor):
            found = self.extractor.extract_many(items)
        else:
            found = [self.extractor.extract(window, turn_ids) for window, turn_ids in items]
        return [
            self._checked(window, preferences)
            for (window, _), preferences in zip(items, found, strict=True)
        ]

    def _checked(self, window: Window, preferences: Sequence[Preference]) -> tuple[Preference, ...]:
        turns = [t for t in window.turns if t.role in ("user", "assistant") and t.text.strip()]
        places = {turn.id: place for place, turn in enumerate(turns)}
        gates: dict[str, tuple[tuple[int, int, float], ...]] = {}
        checked: list[Preference] = []
        for preference in preferences:
            quote = next(iter(preference.evidence), None)
            place = places.get(quote.turn_id) if quote else None
            if quote is None or place is None or not _is_english(turns[place].text):
                checked.append(preference)
                continue
            if quote.turn_id not in gates:
                gates[quote.turn_id] = self._words(turns, place)
            sure = max(self._floor, self._opinion(turns[place], quote, gates[quote.turn_id]))
            checked.append(replace(preference, confidence=min(preference.confidence, sure)))
        return tuple(checked)

    def _words(self, turns: Sequence[Turn], place: int) -> tuple[tuple[int, int, float], ...]:
        context = context_of([(t.role, t.text) for t in turns[:place]])
        return self._tagger.tag(own_words(turns[place].text), context).words

    def _opinion(
        self, turn: Turn, quote: Evidence, words: Sequence[tuple[int, int, float]]
    ) -> float:
        """Give the gate's confidence in a quote: that of the surest half of its words."""
        start = turn.text.find(quote.quote)
        inside = [gate for a, b, gate in words if a < start + len(quote.quote) and b > start]
        if not inside:
            return 0.0
        best = sorted(inside, reverse=True)[: max(1, len(inside) // 2)]
        slope, offset = self._tagger.calibration
        return _sigmoid(slope * sum(best) / len(best) + offset)


def _is_english(text: str) -> bool:
    words = [word.lower() for word in _WORD.findall(text)]
    return bool(words) and sum(w in _ENGLISH for w in words) >= _ENGLISH_SHARE * len(words)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(min(x, 60.0), -60.0)))
