"""What an edit changed, piece by piece: how it is said, or what is said."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from prefmem.feedback.align import Change, Token
from prefmem.feedback.aligned import Edit
from prefmem.feedback.passage import Passage, passage
from prefmem.feedback.wordlists import filled, listed, stop_words, wordlist

Kind: TypeAlias = Literal["style", "content"]

_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.h](\d\d))?\s?([ap])\.?m\b\.?|\b(\d{1,2})[:.h](\d\d)\b", re.I)
_MOST_WORDS = 2  # of no known list: what is left of a stretch that still counts as wording


@dataclass(frozen=True, slots=True)
class Difference:
    """A stretch that differs.

    Attributes:
        before: What the draft had, verbatim; empty where something was put in.
        after: What the final has, verbatim; empty where something was left out.
        kind: `content` where facts, names, numbers or whole statements changed; they never make a
            rule. Else `style`: layout, marks, wording, order.
        at: Place of `before` in the draft, a character offset.
    """

    before: str
    after: str
    kind: Kind
    at: int


def differences(draft: str, final: str) -> tuple[Difference, ...]:
    """Give what differs, in order, and whether it is style or content.

    What stands elsewhere in the other text was moved, and what means the same was reworded
    ("3 pm", "15:00"; "two", "2"; "do not", "don't"): both are style.
    """
    edit = Edit(passage(draft), passage(final))
    gone = [_meaning(edit.draft, c.a, c.b) for c in edit.changes]
    new = [_meaning(edit.final, c.c, c.d) for c in edit.changes]
    moved = _total(gone) & _total(new)
    facts = edit.draft.facts | edit.final.facts
    named = frozenset(f.lower() for f in facts)
    return tuple(
        _difference(edit, change, [*_less(g, moved), *_less(n, moved)], named)
        for change, g, n in zip(edit.changes, gone, new, strict=True)
    )


def _difference(edit: Edit, change: Change, left: list[str], named: frozenset[str]) -> Difference:
    before, at = _cut(edit.draft, change.a, change.b)
    after, _ = _cut(edit.final, change.c, change.d)
    return Difference(before, after, _kind(edit, change, left, named), at)


def _kind(edit: Edit, change: Change, left: list[str], named: frozenset[str]) -> Kind:
    if not left or _is_salute(edit, change):
        return "style"
    if any(word in named or word[0].isdigit() for word in left):
        return "content"
    rest = [w for w in left if not any(p.search(w) for p in _tastes())]
    swapped = change.b - change.a == change.d - change.c == 1
    if swapped or len(rest) <= _MOST_WORDS or _in_taste(edit, change):
        return "style"
    return "content"


def _in_taste(edit: Edit, change: Change) -> bool:
    """Whether phrases of the word lists make up half of a stretch."""
    pieces = (_cut(edit.draft, change.a, change.b)[0], _cut(edit.final, change.c, change.d)[0])
    text = " ".join(pieces)
    known = sum(len(m[0]) for p in _tastes() for m in p.finditer(text))
    return known >= 0.5 * len(text)


def _is_salute(edit: Edit, change: Change) -> bool:
    """Whether a stretch lies outside of the body in both texts."""
    return _outside(edit.draft, edit.draft.tokens[change.a : change.b]) and _outside(
        edit.final, edit.final.tokens[change.c : change.d]
    )


def _outside(text: Passage, tokens: Iterable[Token]) -> bool:
    start, end = text.body
    return all(t.end <= start or t.start >= end for t in tokens)


@cache
def _tastes() -> tuple[re.Pattern[str], ...]:
    return tuple(listed(wordlist(name)) for name in wordlist("taste").split())


def _cut(text: Passage, first: int, last: int) -> tuple[str, int]:
    tokens = text.tokens[first:last]
    if not tokens:
        at = text.tokens[first].start if first < len(text.tokens) else len(text.text)
        return "", at
    return text.text[tokens[0].start : tokens[-1].end], tokens[0].start


def _meaning(text: Passage, first: int, last: int) -> list[str]:
    """Give the words of a stretch that carry meaning, in one form each."""
    piece = _CLOCK.sub(_minutes, _cut(text, first, last)[0])
    piece = _short_months().sub(lambda m: _months()[m[0][:3].lower()], piece)
    found = re.findall(r"[^\W_]+(?:[.,]\d+)*(?:['’][^\W\d_]+)*", piece)
    plain = (_plain(word.lower().replace("’", "'")) for word in found)
    return [word for word in plain if word and word not in stop_words()]


def _minutes(match: re.Match[str]) -> str:
    """Write a time as minutes since midnight, a number of its own."""
    hour, minute, half = match[1] or match[4], match[2] or match[5] or "0", match[3]
    since = int(hour) % (12 if half else 24) + (12 if half and half in "pP" else 0)
    return f"{60 * since + int(minute)}clock"


def _plain(word: str) -> str:
    """Give one form to contractions, number words, spellings, plurals and ordinals."""
    word = re.sub(r"n't$|'(?:s|re|ve|ll|d|m)$", "", word)
    word = _numbers().get(word, re.sub(r"(?<=\d)(?:st|nd|rd|th)$", "", word))
    word = word.replace("colour", "color").replace("avour", "avor").replace("our", "or")
    word = re.sub(r"is(?=e$|ed$|es$|ing$|ation)", "iz", word)
    if word[:1].isdigit():
        return word.replace(",", "")
    return re.sub(r"(?:es|s)$", "", word) if len(word) > 4 else word


@cache
def _numbers() -> dict[str, str]:
    units = wordlist("number_words").split()
    values = [*range(2, 20), *range(20, 100, 10)]
    return dict(zip(units, map(str, values), strict=True)) | {"one": "1"}


@cache
def _months() -> dict[str, str]:
    return {m[:3]: m for m in wordlist("months").split()}


@cache
def _short_months() -> re.Pattern[str]:
    return re.compile(rf"\b{filled('{short_month}')}\b\.?", re.I)


def _total(parts: Iterable[Iterable[str]]) -> Counter[str]:
    return Counter(word for part in parts for word in part)


def _less(words: list[str], moved: Counter[str]) -> list[str]:
    return [word for word in words if not moved[word]]
