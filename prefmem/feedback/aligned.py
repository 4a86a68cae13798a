"""A draft and what the user made of it, laid side by side."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from prefmem.feedback.align import Change, changes
from prefmem.feedback.passage import Passage, Span, words
from prefmem.feedback.wordlists import stop_words

_LOOKS = 20  # places of a mark that are looked at more closely
_SHORT = 8  # tokens of a stretch in which one form took the place of another
_SENTENCES = 40  # of a text that are compared with those of the other
_SAME = 0.4  # share of a sentence's words from which it is taken to be the same one


@dataclass(frozen=True)
class Edit:
    """A draft and what the user made of it, aligned."""

    draft: Passage
    final: Passage

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The stretches of tokens that differ."""
        return changes(self.draft.tokens, self.final.tokens)

    @cached_property
    def gone(self) -> bytes:
        """1 for each character of the draft that is in a changed token, else 0."""
        return _mask(self.draft, [(c.a, c.b) for c in self.changes])

    @cached_property
    def new(self) -> bytes:
        """1 for each character of the final that is in a changed token, else 0."""
        return _mask(self.final, [(c.c, c.d) for c in self.changes])

    def was_changed(self, span: Span) -> bool:
        """Whether a token of a span of the draft is gone."""
        return 1 in self.gone[slice(*span)]

    def is_new(self, span: Span) -> bool:
        """Whether a span of the final holds a token that the draft had not there."""
        return 1 in self.new[slice(*span)]

    @cached_property
    def rewritten(self) -> float:
        """Share of the draft's words that are gone or stand elsewhere, in [0, 1]."""
        spans = [(t.start, t.end) for t in self.draft.tokens if t.text[0].isalnum()]
        return sum(map(self.was_changed, spans)) / max(len(spans), 1)

    def removal(self, spans: Sequence[Span]) -> float:
        """Weigh that a mark is gone from all its places, in [0, 1].

        It counts in full where the words around a place stayed. Else it may have gone with its
        text: of a text of which the share q is rewritten, n places go by chance with probability
        q^n.
        """
        if any(self._alone(span) for span in spans[:_LOOKS]):
            return 1.0
        return 1.0 - self.rewritten ** len(spans)

    def converted(self, before: Sequence[Span], after: Sequence[Span]) -> bool:
        """Whether one of `after` took the place of one of `before`, in part or in whole."""
        olds = {i for a, b in before for i in self._tokens(self.draft, a, b)}
        news = {j for a, b in after for j in self._tokens(self.final, a, b)}
        if any(self._kept.get(i) in news for i in olds):
            return True
        return any(
            change.b - change.a <= _SHORT
            and change.d - change.c <= _SHORT
            and not olds.isdisjoint(range(change.a, change.b))
            and not news.isdisjoint(range(change.c, change.d))
            for change in self.changes
        )

    def seen_at(self, spans: Iterable[Span]) -> str:
        """Give the sentence of the final where spans of the draft stood."""
        span = next(iter(spans), None)
        return self.final.cut(self.final.sentence_at(0 if span is None else self._lands(span[0])))

    @cached_property
    def sources(self) -> tuple[int | None, ...]:
        """The draft's sentence that each of the final is made of, by number in `told`.

        None where there is none like it, and after the first 40.
        """
        old = [_stems(self.draft.cut(s)) for s in self.draft.told[:_SENTENCES]]
        new = [_stems(self.final.cut(s)) for s in self.final.told[:_SENTENCES]]
        found = [_likest(stems, old) for stems in new]
        return (*found, *(None for _ in self.final.told[_SENTENCES:]))

    @cached_property
    def _kept(self) -> dict[int, int]:
        """By the number of each token of the draft that stayed, its number in the final."""
        kept: dict[int, int] = {}
        i = j = 0
        for change in (*self.changes, Change(len(self.draft.tokens), -1, -1, -1)):
            kept |= dict(zip(range(i, change.a), range(j, j + change.a - i), strict=True))
            i, j = change.b, change.d
        return kept

    def _alone(self, span: Span) -> bool:
        """Whether the two words on either side of a span of the draft stayed, or all but one."""
        inside = self._tokens(self.draft, *span)
        around = [
            i
            for i in (*range(inside.start - 3, inside.start), *range(inside.stop, inside.stop + 3))
            if 0 <= i < len(self.draft.tokens) and self.draft.tokens[i].text[0].isalnum()
        ]
        return len(around) > 1 and sum(i in self._kept for i in around) >= max(2, len(around) - 1)

    @staticmethod
    def _tokens(text: Passage, start: int, end: int) -> range:
        """Give the numbers of the tokens that a span shares a character with."""
        ends = text.token_ends
        return range(bisect_right(ends, start), bisect_left(text.token_starts, end))

    def _lands(self, offset: int) -> int:
        """Give the place in the final of a place in the draft."""
        at = bisect_right(self.draft.token_ends, offset)
        shift = 0
        for change in self.changes:
            if change.a > at:
                break
            shift = min(at, change.d - 1) - at if at < change.b else change.d - change.b
        tokens = self.final.tokens
        return tokens[max(0, min(at + shift, len(tokens) - 1))].start if tokens else 0


def _likest(stems: frozenset[str], others: Sequence[frozenset[str]]) -> int | None:
    """Give the number of the sentence with the largest share of common words, if it is large."""
    shares = [_share(stems, other) for other in others]
    best = max(shares, default=0.0)
    return shares.index(best) if best >= _SAME else None


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    """Give the share of the words of the shorter sentence that the other one has, too."""
    shared = len(one & other)
    return shared / min(len(one), len(other)) if shared > 1 else 0.0


def _stems(sentence: str) -> frozenset[str]:
    """Give the beginnings of the longer words, and the numbers."""
    return frozenset(
        word[:6]
        for word in words(sentence)
        if (len(word) > 3 and word not in stop_words()) or word[0].isdigit()
    )


def _mask(text: Passage, stretches: Iterable[tuple[int, int]]) -> bytes:
    mask = bytearray(len(text.text))
    for first, last in stretches:
        for token in text.tokens[first:last]:
            mask[token.start : token.end] = b"\x01" * (token.end - token.start)
    return bytes(mask)
