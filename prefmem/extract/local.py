"""The embedded extractor: gate and tagger over user turns, nothing else loaded, nothing sent."""

import math
from collections.abc import Sequence
from dataclasses import replace

from prefmem.defence.origin import own_words
from prefmem.extract import choice
from prefmem.extract.clause import actions, condition, contrast, is_exclusive
from prefmem.extract.grammar import SENTENCE_END
from prefmem.extract.normalise import action_text, condition_text
from prefmem.messages import plain
from prefmem.models.tagger import PreferenceTagger, TaggedSpan, TaggedTurn, context_of
from prefmem.types import Evidence, Polarity, Preference, Scope, Turn, Window

_IMPLIED = 0.45  # confidence at most in what a pick without a reason shows
_REACH = 200  # characters between a condition and its action, at most
_MOST_RULES = 20  # of one turn
_MOST_SPANS = 200  # looked at in one turn
_READ = 4_000  # characters at each end of a turn; what lies between is mostly pasted


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
        before: list[Turn] = []
        for turn in window.turns:
            if turn.role not in ("user", "assistant") or not turn.text.strip():
                continue
            if turn.role == "user" and turn.id in turn_ids:
                found += self._of_turn(turn, before)
            before.append(turn)
        return tuple(found)

    def _of_turn(self, turn: Turn, before: Sequence[Turn]) -> list[Preference]:
        context = context_of([(t.role, t.text) for t in before])
        tagged = self._tagger.tag(_ends(own_words(turn.text)), context)
        slope, offset = self._tagger.calibration
        rules: dict[tuple[str, str], Preference] = {}
        last: tuple[TaggedSpan, Preference] | None = None
        spans = actions(turn.text, tagged)[:_MOST_SPANS]
        reasons = [span for span in spans if span.refers <= 0]
        for span in reasons or spans[:1]:  # a reason says more than the pick
            confidence = _sigmoid(slope * span.score + offset)
            preference = self._preference(turn, tagged, span, confidence, before)
            if preference is None:
                continue
            if last is not None and contrast(turn.text, last[0], span):
                rules.pop(_key(last[1]), None)
                preference = _both_sides(turn, last[1], preference)
            last = (span, preference)
            if preference.confidence >= self._min_confidence:
                rules[_key(preference)] = preference
        if not rules and before and before[-1].role == "assistant":
            rules = self._rejection(turn, before[-1].text, tagged.topic)
        return sorted(rules.values(), key=lambda p: -p.confidence)[:_MOST_RULES]

    def _rejection(self, turn: Turn, reply: str, topic: str) -> dict[tuple[str, str], Preference]:
        """Read a pick that turns the other options down, where the tagger found nothing."""
        quote = choice.rejection(turn.text[:_READ])
        action = _picked(turn, reply) if quote and self._min_confidence <= _IMPLIED else ""
        if not action or len(action) > self._max_chars:
            return {}
        found = Preference(
            topic, action, "do", _IMPLIED, Scope("conditional"), (Evidence(turn.id, quote),)
        )
        return {_key(found): found}

    def _preference(
        self,
        turn: Turn,
        tagged: TaggedTurn,
        span: TaggedSpan,
        confidence: float,
        before: Sequence[Turn],
    ) -> Preference | None:
        polarity: Polarity = "avoid" if span.avoid > 0 else "do"
        if span.refers > 0 and before and before[-1].role == "assistant":
            polarity, action = "do", _picked(turn, before[-1].text)
            confidence = min(confidence, _IMPLIED)
        else:
            said = plain(turn.text[span.start : span.stop], limit=4000)
            action = action_text(said, polarity, only=is_exclusive(turn.text, span))
        near = _condition(turn.text, tagged, span)
        when = condition_text(plain(turn.text[near.start : near.stop], limit=4000)) if near else ""
        if not when and span.everywhere <= 0:
            when = span.topic
        if not action or len(action) > self._max_chars or len(when) > self._max_chars:
            return None
        start, stop = _evidence(turn.text, tagged, span)
        everywhere = span.everywhere > 0 and not when
        return Preference(
            when,
            action,
            polarity,
            confidence,
            Scope("global" if everywhere else "conditional"),
            (Evidence(turn.id, turn.text[start:stop].strip()),),
        )


def _picked(turn: Turn, reply: str) -> str:
    """Say what the user's pick among the options of a reply shows; empty if unclear."""
    picked = choice.pick(turn.text[:_READ], reply[:_READ])
    return plain(choice.action(picked), limit=_READ) if picked else ""


def _ends(text: str) -> str:
    """Blank out the middle of a very long turn; offsets stay."""
    hidden = len(text) - 2 * _READ
    return text if hidden <= 0 else text[:_READ] + " " * hidden + text[-_READ:]


def _key(preference: Preference) -> tuple[str, str]:
    return preference.condition.lower(), preference.action.lower()


def _both_sides(turn: Turn, first: Preference, second: Preference) -> Preference:
    """Make one rule of the two sides of a taste; the first side gives the polarity."""
    a, b = first.evidence[0].quote, second.evidence[0].quote
    start = turn.text.find(a)
    stop = max(turn.text.find(b, start) + len(b), start + len(a))
    return replace(
        first,
        action=f"{first.action}, {second.action}",
        confidence=max(first.confidence, second.confidence),
        evidence=(Evidence(turn.id, turn.text[start:stop]),),
    )


def _condition(text: str, tagged: TaggedTurn, action: TaggedSpan) -> TaggedSpan | None:
    """Find the condition that an action belongs to.

    That is the nearest in its own sentence, or else one in the sentence before or after that has no
    action of its own ("About SQL. Keep it short.").
    """

    def distance(span: TaggedSpan) -> int:
        return max(span.start - action.stop, action.start - span.stop, 0)

    near = [
        s
        for s in tagged.spans
        if s.label == "condition"
        and distance(s) <= _REACH
        and not (action.start < s.stop and s.start < action.stop)
    ]
    others = [s for s in tagged.spans if s.label == "action"]
    here = [s for s in near if _sentences_between(text, s, action) == 0]
    beside = [
        s
        for s in near
        if _sentences_between(text, s, action) == 1
        and all(_sentences_between(text, s, other) > 0 for other in others)
    ]
    nearest = min(here or beside, key=distance, default=None)
    return nearest and condition(text, nearest, tagged)


def _sentences_between(text: str, a: TaggedSpan, b: TaggedSpan) -> int:
    start, stop = min(a.stop, b.stop), max(a.start, b.start)
    return len(SENTENCE_END.findall(text[start:stop])) if start < stop else 0


def _evidence(text: str, tagged: TaggedTurn, span: TaggedSpan) -> tuple[int, int]:
    """Quote the evidence that the gate found around a span, or else the span's sentence."""
    for start, stop in tagged.evidence:
        if start < span.stop and span.start < stop:
            return min(start, span.start), max(stop, span.stop)
    first, last = max(0, span.start - _REACH), min(len(text), span.stop + _REACH)
    start = max([first, *(m.end() for m in SENTENCE_END.finditer(text, first, span.start))])
    end = SENTENCE_END.search(text, span.stop, last)
    return start, end.end() if end else last


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(min(x, 60.0), -60.0)))
