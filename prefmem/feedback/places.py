"""Features of order and layout: what stands first and last, lines and paragraphs."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from prefmem.feedback.aligned import Edit
from prefmem.feedback.measure import KEPT, MOVED, Feature, Vote, Wish
from prefmem.feedback.passage import Passage, Span, words

_EDGE = 400  # characters of a sentence that are read
_MAIN = "Put the conclusion or main point in the first sentence."


@dataclass(frozen=True, slots=True)
class Placed:
    """What the first or the last sentence of the body is.

    Attributes:
        wish: The rule.
        kind: What the sentence holds then.
        last: Whether the last sentence is meant.
        common: Whether such sentences are so common that one counts only when it was put there, not
            when those beyond it are gone.
    """

    wish: Wish
    kind: re.Pattern[str]
    last: bool = False
    common: bool = False

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare the sentence at that place."""
        mine, old = _at(edit.final, last=self.last), _at(edit.draft, last=self.last)
        if mine is None or len(edit.final.told) < 2:
            return
        text = edit.final.cut(mine)
        if not self._is(text):
            yield Vote(self.wish, -1.0)
        elif old is not None and self._is(edit.draft.cut(old)):
            yield Vote(self.wish, KEPT, evidence=text)
        elif (
            not self.common
            or _source(edit, last=self.last) is None
            or _passes(edit, last=self.last)
        ):
            # A kind that many sentences are of gives way to one that few are of.
            yield Vote(self.wish, 0.8 if self.common else MOVED, True, text)

    def _is(self, sentence: str) -> bool:
        """Whether a sentence, of which the edge is read, is of the kind."""
        edge = sentence[-_EDGE:] if self.last else sentence[:_EDGE]
        return bool(self.kind.search(edge))


@dataclass(frozen=True, slots=True)
class Lead:
    """Whether a later sentence of the draft comes first, while what stood before it stays."""

    wish: Wish

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Look where the first sentence came from."""
        mine = _at(edit.final, last=False)
        if mine is None or len(edit.final.told) < 2 or len(edit.draft.told) < 2:
            return
        if _passes(edit, last=False):
            yield Vote(self.wish, MOVED, True, edit.final.cut(mine))
        else:
            yield Vote(self.wish, -0.6)


@dataclass(frozen=True, slots=True)
class Recap:
    """Whether a short sentence is put before all, or after, whose words stand elsewhere, too."""

    wish: Wish
    last: bool

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Look at the first sentence, or at the last."""
        told = edit.final.told
        if len(told) < 3:
            return
        mine, rest = (told[-1], told[:-1]) if self.last else (told[0], told[1:])
        own = _telling(edit.final.cut(mine))
        others = {w for s in rest for w in _telling(edit.final.cut(s))}
        short = 1 < len(own) <= 10 and len(own & others) >= 0.6 * len(own)
        sources = edit.sources[:-1] if self.last else edit.sources[1:]
        if short and not edit.is_new(mine):
            yield Vote(self.wish, KEPT, evidence=edit.final.cut(mine))
        elif short and _source(edit, last=self.last) in (None, *sources):
            yield Vote(self.wish, MOVED, True, edit.final.cut(mine))
        else:
            yield Vote(self.wish, -1.0)


@dataclass(frozen=True, slots=True)
class Lines:
    """Whether each sentence has a line of its own."""

    wish: Wish

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare sentences with lines."""
        before, after = _crowding(edit.draft), _crowding(edit.final)
        if not after or len(edit.final.told) < 3:
            return
        if after > 1.1:
            yield Vote(self.wish, -1.0)
        elif before > 1.4:
            yield Vote(self.wish, MOVED, True, edit.final.cut(edit.final.told[0]))
        else:
            yield Vote(self.wish, KEPT, evidence=edit.final.cut(edit.final.told[0]))


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """Whether paragraphs were split, or joined."""

    def votes(self, edit: Edit) -> Iterable[Vote]:
        """Compare the paragraphs of the body that are no lists."""
        before, after = _blocks(edit.draft), _blocks(edit.final)
        if edit.draft.items or edit.final.items or len(edit.final.told) < 3:
            return
        alone = len(edit.final.told) <= 1.1 * after
        action = "Make each sentence its own paragraph." if alone else "Keep paragraphs short."
        split = Wish(f"paragraphs:{'one' if alone else 'short'}", action, "do", "layout")
        join = Wish("paragraphs:long", "Write one paragraph without breaks.", "do", "layout")
        start = edit.final.cut(edit.final.told[0])
        if after > before:
            yield Vote(split, MOVED, True, start)
            yield Vote(join, -1.0)
        elif after == 1:
            joined = before > 1 and len(_blocks_left(edit)) > 1
            yield Vote(join, MOVED if joined else KEPT, joined, start)
            yield Vote(split, -1.0)
        else:
            yield Vote(join, -1.0)
            yield Vote(split, KEPT if len(edit.final.told) / after <= 2 else -0.4, evidence=start)


def orders() -> tuple[Feature, ...]:
    """Give the features of order and layout that stand in no table."""
    return (
        Lead(Wish("lead:moved", _MAIN, "do", "opening")),
        Recap(
            Wish("lead:recap", "Begin with a one-sentence summary.", "do", "opening"), last=False
        ),
        Recap(Wish("tail:recap", "End with a one-sentence summary.", "do", "ending"), last=True),
        Lines(Wish("lines", "Put each sentence on its own line.", "do", "layout")),
        Paragraphs(),
    )


def _at(text: Passage, *, last: bool) -> Span | None:
    told = text.told
    return (told[-1] if last else told[0]) if told else None


def _source(edit: Edit, *, last: bool) -> int | None:
    """Give the draft's sentence that the first or last one of the final is made of."""
    return edit.sources[-1 if last else 0]


def _passes(edit: Edit, *, last: bool) -> bool:
    """Whether the sentence at the edge has passed another one that stays."""
    at = _source(edit, last=last)
    others = edit.sources[:-1] if last else edit.sources[1:]
    stay = [other for other in others if other is not None]
    return at is not None and any(other > at if last else other < at for other in stay)


def _telling(text: str) -> frozenset[str]:
    return frozenset(w for w in words(text) if len(w) > 3 or w[0].isdigit())


def _blocks(text: Passage) -> int:
    start, end = text.body
    return sum(1 for a, b in text.blocks if b > start and a < end)


def _blocks_left(edit: Edit) -> set[int]:
    """Give the paragraphs of the draft of which the final has a sentence."""
    ends = [b for _, b in edit.draft.blocks]
    stay = (edit.draft.told[i][0] for i in edit.sources if i is not None)
    return {bisect_right(ends, start) for start in stay}


def _crowding(text: Passage) -> float:
    """Sentences of the body in a line, on average; 0 where there is a list."""
    start, end = text.body
    lines = sum(1 for a, b in text.lines if b > start and a < end)
    return len(text.told) / lines if lines and not text.items else 0.0
