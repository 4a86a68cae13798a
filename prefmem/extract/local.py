"""The embedded extractor: gate and tagger over user turns, nothing else loaded, nothing sent."""

import math
import re
from collections.abc import Sequence

from prefmem.extract.clause import actions, conditions
from prefmem.extract.foreign import mask_foreign
from prefmem.extract.normalise import action_text, condition_text
from prefmem.messages import plain
from prefmem.models.tagger import PreferenceTagger, TaggedSpan, TaggedTurn
from prefmem.types import Evidence, Polarity, Preference, Scope, Turn, Window

_SENTENCE_END = re.compile(r"[.!?\n]+\s*")
_REACH = 200  # characters between a condition and its action, at most
_MOST_RULES = 20  # of one turn


class LocalExtractor:
    """Finds preferences with the embedded tagger.

    Only user turns are read, so what an assistant, a tool or a system prompt says cannot become a
    rule; what the user merely quotes is blanked out before.

    Args:
        tagger: The model.
        min_confidence: Confidence below which nothing is given, in [0, 1].
        max_chars: Length of a condition or an action, in characters; a longer action is dropped,
            as no user signs it.
    """

    def __init__(
        self,
        tagger: PreferenceTagger | None = None,
        *,
        min_confidence: float = 0.5,
        max_chars: int = 240,
    ) -> None:
        """Take the packaged tagger unless another is given."""
        self._tagger = tagger or PreferenceTagger()
        self._min_confidence = min_confidence
        self._max_chars = max_chars

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract what the user said in the named turns, given the replies before them."""
        found: list[Preference] = []
        context = ""
        for turn in window.turns:
            if turn.role == "user" and turn.id in turn_ids and turn.text.strip():
                found += self._of_turn(turn, context)
            if turn.role in ("user", "assistant") and turn.text.strip():
                context = turn.text if turn.role == "assistant" else ""
        return tuple(found)

    def _of_turn(self, turn: Turn, context: str) -> list[Preference]:
        tagged = self._tagger.tag(mask_foreign(turn.text), context)
        slope, offset = self._tagger.calibration
        rules: dict[tuple[str, str], Preference] = {}
        for span in actions(turn.text, tagged):
            confidence = _sigmoid(slope * span.score + offset)
            if confidence < self._min_confidence:
                continue
            preference = self._preference(turn, tagged, span, confidence)
            if preference is None:
                continue
            key = (preference.condition.lower(), preference.action.lower())
            if key not in rules or rules[key].confidence < confidence:
                rules[key] = preference
        return sorted(rules.values(), key=lambda p: -p.confidence)[:_MOST_RULES]

    def _preference(
        self, turn: Turn, tagged: TaggedTurn, span: TaggedSpan, confidence: float
    ) -> Preference | None:
        polarity: Polarity = "avoid" if span.avoid > 0 else "do"
        action = action_text(plain(turn.text[span.start : span.stop], limit=4000), polarity)
        near = _condition(turn.text, tagged, span)
        condition = (
            condition_text(plain(turn.text[near.start : near.stop], limit=4000)) if near else ""
        )
        if not action or len(action) > self._max_chars or len(condition) > self._max_chars:
            return None
        start, stop = _evidence(turn.text, tagged, span)
        everywhere = span.everywhere > 0 and not condition
        return Preference(
            condition,
            action,
            polarity,
            confidence,
            Scope("global" if everywhere else "conditional"),
            (Evidence(turn.id, turn.text[start:stop].strip()),),
        )


def _condition(text: str, tagged: TaggedTurn, action: TaggedSpan) -> TaggedSpan | None:
    """Find the condition that an action belongs to: the nearest within a sentence's reach."""

    def distance(span: TaggedSpan) -> int:
        return max(span.start - action.stop, action.start - span.stop, 0)

    near = [s for s in conditions(text, tagged) if distance(s) <= _REACH]
    near = [s for s in near if _sentences_between(text, s, action) <= 1]
    return min(near, key=distance, default=None)


def _sentences_between(text: str, a: TaggedSpan, b: TaggedSpan) -> int:
    start, stop = min(a.stop, b.stop), max(a.start, b.start)
    return len(_SENTENCE_END.findall(text[start:stop])) if start < stop else 0


def _evidence(text: str, tagged: TaggedTurn, span: TaggedSpan) -> tuple[int, int]:
    """Quote the evidence that the gate found around a span, or else the span's sentence."""
    for start, stop in tagged.evidence:
        if start < span.stop and span.start < stop:
            return min(start, span.start), max(stop, span.stop)
    ends = [m.end() for m in _SENTENCE_END.finditer(text)]
    start = max((e for e in ends if e <= span.start), default=0)
    stop = min((e for e in ends if e >= span.stop), default=len(text))
    return start, stop


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(min(x, 60.0), -60.0)))
