"""What became of a text, token by token: the cheapest edits, and their cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_TOKENS = 1_500  # of each side, beyond what both begin and end with; more is taken as rewritten
_TOKEN = re.compile(
    r"\n\s*\n\s*|\n"
    r"|[^\W\d_]+(?:['’][^\W\d_]+)*"
    r"|\d+(?:[.,:/]\d+)*"
    r"|\*\*|[^\w\s]|_+"
)
# Twice the Levenshtein cost, so that a change of letter case can be cheaper than another word.
_GONE, _CASED, _OTHER, _KIND = 2, 1, 3, 4


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, mark or line break, and where it stands in the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Change:
    """Tokens [a, b) of the first text became tokens [c, d) of the second."""

    a: int
    b: int
    c: int
    d: int


def tokenise(text: str) -> tuple[Token, ...]:
    """Cut a text into words, numbers, marks and line breaks; spaces do not count.

    A blank line, however long, is one token.
    """
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] == "\n":
            token = "\n\n" if token.count("\n") > 1 else "\n"
        found.append(Token(token, match.start(), match.end()))
    return tuple(found)


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Give the Levenshtein distance of two token sequences, in O(nm) time and O(m) memory.

    Beyond `MAX_TOKENS` on a side, a common beginning and end aside, it is the longer length.
    """
    head, tail = _shared(one, other)
    one, other = one[head : len(one) - tail], other[head : len(other) - tail]
    if not one or not other or max(len(one), len(other)) > MAX_TOKENS:
        return max(len(one), len(other))
    rows, columns = _numbered(one, other)
    steps = np.arange(len(other) + 1)
    row = steps
    for at, token in enumerate(rows):
        replaced = row[:-1] + (columns != token)
        best = np.minimum(replaced, row[1:] + 1)
        with_first = np.concatenate(([at + 1], best)) - steps
        row = np.minimum.accumulate(with_first) + steps
    return int(row[-1])


def changes(one: Sequence[Token], other: Sequence[Token]) -> tuple[Change, ...]:
    """Align two texts and give the stretches that differ, in order.

    A word is rather aligned with the same word in other letters, then with another word, and never
    with a mark. Beyond `MAX_TOKENS` all between a common beginning and end is one stretch.
    """
    before, after = [t.text for t in one], [t.text for t in other]
    head, tail = _shared(before, after)
    n, m = len(before) - head - tail, len(after) - head - tail
    if n == m == 0:
        return ()
    if not n or not m or max(n, m) > MAX_TOKENS:
        return (Change(head, head + n, head, head + m),)
    table, costs = _table(before[head : head + n], after[head : head + m])
    steps = _walk(table, costs)
    return tuple(
        Change(head + a, head + b, head + c, head + d) for a, b, c, d in _stretches(steps, n, m)
    )


def _shared(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """Count the tokens that both begin with, and those that both end with."""
    most = min(len(one), len(other))
    head = next((i for i in range(most) if one[i] != other[i]), most)
    left = most - head
    tail = next((i for i in range(left) if one[-1 - i] != other[-1 - i]), left)
    return head, tail


def _numbered(
    one: Sequence[str], other: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    names: dict[str, int] = {}
    rows, columns = ([names.setdefault(t, len(names)) for t in side] for side in (one, other))
    return np.array(rows), np.array(columns)


def _table(
    one: Sequence[str], other: Sequence[str]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Give the cost of every pair of beginnings, (n + 1, m + 1), and of every pair of tokens."""
    same = np.equal.outer(*_numbered(one, other))
    cased = np.equal.outer(*_numbered([t.lower() for t in one], [t.lower() for t in other]))
    kinds = np.equal.outer(*_numbered([_kind(t) for t in one], [_kind(t) for t in other]))
    costs = np.where(kinds, _OTHER, _KIND)
    costs = np.where(same, 0, np.where(cased, _CASED, costs)).astype(np.int32)  # (n, m)
    steps = _GONE * np.arange(len(other) + 1, dtype=np.int32)
    table = np.empty((len(one) + 1, len(other) + 1), dtype=np.int32)
    table[0] = steps
    for i in range(len(one)):
        table[i + 1, 0] = _GONE * (i + 1)
        table[i + 1, 1:] = np.minimum(table[i, :-1] + costs[i], table[i, 1:] + _GONE)
        table[i + 1] = np.minimum.accumulate(table[i + 1] - steps) + steps
    return table, costs


def _kind(token: str) -> str:
    if token[0] == "\n":
        return "break"
    return "word" if token[0].isalpha() else "number" if token[0].isdigit() else "mark"


def _walk(table: npt.NDArray[np.int32], costs: npt.NDArray[np.int32]) -> list[tuple[int, int]]:
    """Give the aligned equal tokens on the cheapest way back, in order."""
    i, j = table.shape[0] - 1, table.shape[1] - 1
    kept: list[tuple[int, int]] = []
    while i and j:
        here = table[i, j]
        if here == table[i - 1, j - 1] + costs[i - 1, j - 1]:
            i, j = i - 1, j - 1
            if costs[i, j] == 0:
                kept.append((i, j))
        elif here == table[i - 1, j] + _GONE:
            i -= 1
        else:
            j -= 1
    return kept[::-1]


def _stretches(kept: list[tuple[int, int]], n: int, m: int) -> list[tuple[int, int, int, int]]:
    """Give what lies between the kept tokens."""
    found: list[tuple[int, int, int, int]] = []
    i = j = 0
    for a, b in [*kept, (n, m)]:
        if a > i or b > j:
            found.append((i, a, j, b))
        i, j = a + 1, b + 1
    return found
