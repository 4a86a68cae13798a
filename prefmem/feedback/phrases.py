"""Words that the edits of a user change again and again: replaced, left out, put in."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prefmem.feedback.align import Token
from prefmem.feedback.aligned import Edit
from prefmem.feedback.measure import KEPT, MOVED, Vote, Wish
from prefmem.feedback.passage import Passage, Span, words
from prefmem.feedback.wordlists import known_words, stop_words

_Key = TypeVar("_Key")
_LONGEST = 5  # words of a phrase
_MOST_GRAMS = 4_000  # phrases of one edit that are counted


@dataclass(frozen=True, slots=True)
class Phrases:
    """The words that one edit changed, in lower case.

    Attributes:
        swaps: By what was written for what, its place in the draft and the sentence of the final.
        gone: Phrases left out, with their place in the draft.
        new: Phrases put in, with the sentence of the final.
        place: Of a phrase put in: whether it begins or ends the text.
        said: The words of the final with single spaces between and around.
    """

    swaps: Mapping[tuple[str, str], tuple[Span, str]]
    gone: Mapping[str, Span]
    new: Mapping[str, str]
    place: Mapping[str, str]
    said: str

    def says(self, phrase: str) -> bool:
        """Whether the final has a phrase."""
        return f" {phrase} " in self.said


def phrases(edit: Edit) -> Phrases:
    """Read an edit; numbers and names are never part of a phrase.

    A capitalised word that begins a sentence is taken for a name, too, unless it is in the word
    lists or is somewhere in lower case.
    """
    barred = {f.lower() for f in edit.draft.facts | edit.final.facts}
    small = {t.text for text in (edit.draft, edit.final) for t in text.tokens if t.text.islower()}
    barred |= (edit.draft.firsts | edit.final.firsts) - small - known_words()
    said, had = _said(edit.final), _said(edit.draft)
    gone: dict[str, Span] = {}
    new: dict[str, str] = {}
    place: dict[str, str] = {}
    swaps: dict[tuple[str, str], tuple[Span, str]] = {}
    for change in edit.changes:
        before = edit.draft.tokens[change.a : change.b]
        after = edit.final.tokens[change.c : change.d]
        for phrase, span in _grams(before, barred).items():
            if f" {phrase} " not in said and not _salutes(edit.draft, span):
                gone.setdefault(phrase, span)
        for phrase, span in _grams(after, barred).items():
            if f" {phrase} " not in had and not _salutes(edit.final, span):
                new.setdefault(phrase, edit.final.cut(edit.final.sentence_at(span[0])))
                place.setdefault(phrase, _place(edit.final, span))
        swap = _swap(before, after, barred)
        if swap is not None and not _salutes(edit.draft, (before[0].start, before[-1].end)):
            sentence = edit.final.cut(edit.final.sentence_at(after[0].start))
            swaps.setdefault(swap, ((before[0].start, before[-1].end), sentence))
    return Phrases(swaps, gone, new, place, said)


def phrase_votes(edits: Sequence[Phrases]) -> Iterable[Mapping[int, Vote]]:
    """Give what the edits say of each phrase that at least two of them changed alike."""
    for before, after in _twice(e.swaps for e in edits):
        wish = Wish(f"swap:{before}:{after}", f'Write "{after}" instead of "{before}".')
        yield {i: v for i, e in enumerate(edits) if (v := _swap_vote(wish, e, before, after))}
    for phrase in _twice(e.gone for e in edits):
        wish = Wish(f"gone:{phrase}", f'Leave out "{phrase}".', "avoid")
        yield {i: v for i, e in enumerate(edits) if (v := _gone_vote(wish, e, phrase))}
    for phrase in _twice(e.new for e in edits):
        places = Counter(e.place[phrase] for e in edits if phrase in e.new)
        where = places.most_common(1)[0][0]
        wish = Wish(f"new:{phrase}", f'{where} "{phrase}".')
        yield {i: _new_vote(wish, e, phrase) for i, e in enumerate(edits)}


def _swap_vote(wish: Wish, edit: Phrases, before: str, after: str) -> Vote | None:
    if (before, after) in edit.swaps:
        span, sentence = edit.swaps[before, after]
        return Vote(wish, MOVED, True, sentence, (span,))
    return Vote(wish, -1.0) if edit.says(before) else None


def _gone_vote(wish: Wish, edit: Phrases, phrase: str) -> Vote | None:
    if phrase in edit.gone:
        return Vote(wish, MOVED, True, "", (edit.gone[phrase],))
    return Vote(wish, -1.0) if edit.says(phrase) else None


def _new_vote(wish: Wish, edit: Phrases, phrase: str) -> Vote:
    if phrase in edit.new:
        return Vote(wish, MOVED, True, edit.new[phrase])
    return Vote(wish, KEPT if edit.says(phrase) else -1.0)


def _grams(tokens: Sequence[Token], barred: set[str]) -> dict[str, Span]:
    """Give the phrases of up to five words that hold a telling word, with their first places."""
    found: dict[str, Span] = {}
    runs: list[list[Token]] = [[]]
    for token in tokens:
        if token.text[0].isalpha() and token.text.lower() not in barred:
            runs[-1].append(token)
        elif token.text[0] != ",":
            runs.append([])
    for run in runs:
        for i in range(len(run)):
            for j in range(i + 1, min(i + _LONGEST, len(run)) + 1):
                part = [t.text.lower() for t in run[i:j]]
                if len(found) < _MOST_GRAMS and _tells(part):
                    found.setdefault(" ".join(part), (run[i].start, run[j - 1].end))
    return found


def _said(text: Passage) -> str:
    return f" {' '.join(words(text.text))} "


def _tells(part: Sequence[str]) -> bool:
    """Whether words make a phrase of their own: with function words inside only, or a long one."""
    return len(part) > 2 or not {part[0], part[-1]} & stop_words()


def _swap(
    before: Sequence[Token], after: Sequence[Token], barred: set[str]
) -> tuple[str, str] | None:
    """Give what was written for what, if both are up to three words and no facts."""
    sides: list[str] = []
    for tokens in (before, after):
        found = [t.text.lower() for t in tokens]
        fine = all(w[0].isalpha() and w not in barred for w in found)
        if not fine or not 1 <= len(found) <= 3:
            return None
        sides.append(" ".join(found))
    one, other = sides
    if one == other or {one, other} <= stop_words():
        return None
    return one, other


def _salutes(text: Passage, span: Span) -> bool:
    start, end = text.body
    return span[1] <= start or span[0] >= end


def _place(text: Passage, span: Span) -> str:
    start, end = text.body
    if not any(c.isalnum() for c in text.text[start : span[0]]):
        return "Begin with"
    return "End with" if not any(c.isalnum() for c in text.text[span[1] : end]) else "Use the words"


def _twice(parts: Iterable[Iterable[_Key]]) -> list[_Key]:
    counts = Counter(key for part in parts for key in part)
    return [key for key, n in counts.items() if n > 1]
