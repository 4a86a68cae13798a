"""Written dialogue windows: the format of our own training and test texts, and its reader.

`data/windows/README.md` describes the format for the people who write them. Marks in user turns
name the words that carry a preference: `<e>` evidence, `<c>` condition, `<do>` and `<av>` an action
to take or to avoid, `<ref>` words that only point at something the assistant said. One `= condition
| action` line follows for each action mark.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from prefmem.types import Polarity, Role

Mark = Literal["e", "c", "do", "av", "ref"]

GENERAL = "any"
POSITIVE = frozenset(
    {
        "standing", "taste", "identity", "conditional", "audience", "feedback", "choice", "change",
        "several", "buried",
    }
)  # fmt: skip
NEGATIVE = frozenset(
    {
        "neg_oneoff", "neg_assistant", "neg_quoted", "neg_third", "neg_pasted", "neg_hypothetical",
        "neg_question", "neg_past", "neg_negated", "neg_fiction", "neg_taskspec", "neg_chat",
        "neg_withdrawn",
    }
)  # fmt: skip
_ACTIONS = frozenset({"do", "av", "ref"})
_TAG = re.compile(r"<(/?)(e|c|do|av|ref)>")
_HEAD = re.compile(r"^== *(\S+) *\| *([^|]+?) *\| *(\S+) *$")


class WindowFormatError(ValueError):
    """A written window breaks the format; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start:stop` of one turn, and what they say."""

    mark: Mark
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class WrittenTurn:
    """One turn without its marks, and the spans that they named."""

    role: Role
    text: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Gold:
    """What a careful reader would store: the rule, its polarity, and where it was said."""

    condition: str
    action: str
    polarity: Polarity
    turn: int
    span: Span
    evidence: str


@dataclass(frozen=True, slots=True)
class WrittenWindow:
    """One dialogue window with its gold rules (none for a hard negative)."""

    id: str
    domain: str
    kind: str
    turns: tuple[WrittenTurn, ...]
    gold: tuple[Gold, ...]


def parse_marks(text: str, *, where: str) -> tuple[str, tuple[Span, ...]]:
    """Split marked text into plain text and its spans, in order.

    Raises:
        WindowFormatError: A mark is not closed, closed twice, or empty.
    """
    plain: list[str] = []
    length, last = 0, 0
    opened: dict[str, int] = {}
    spans: list[Span] = []
    for tag in _TAG.finditer(text):
        piece = text[last : tag.start()]
        plain.append(piece)
        length += len(piece)
        last = tag.end()
        closing, name = tag.group(1), tag.group(2)
        if not closing:
            if name in opened:
                raise WindowFormatError(f"{where}: <{name}> opened twice")
            opened[name] = length
            continue
        if name not in opened:
            raise WindowFormatError(f"{where}: </{name}> without <{name}>")
        start = opened.pop(name)
        if start == length:
            raise WindowFormatError(f"{where}: <{name}> marks nothing")
        spans.append(Span(cast(Mark, name), start, length))
    if opened:
        raise WindowFormatError(f"{where}: <{next(iter(opened))}> is not closed")
    plain.append(text[last:])
    return "".join(plain), tuple(sorted(spans, key=lambda s: (s.start, s.stop)))


def read_windows(path: Path) -> Iterator[WrittenWindow]:
    """Read one file of written windows, in order.

    Raises:
        WindowFormatError: A block breaks the format.
    """
    head: re.Match[str] | None = None
    lines: list[str] = []
    first = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = _HEAD.match(line)
        if found:
            if head is not None:
                yield _block(head, lines, where=f"{path.name}:{first} ({head.group(1)})")
            head, lines, first = found, [], number
        elif line.startswith("=="):
            raise WindowFormatError(f"{path.name}:{number}: a head reads '== id | domain | kind'")
        elif head is not None:
            lines.append(line)
        elif line.strip() and not line.startswith("#"):
            raise WindowFormatError(f"{path.name}:{number}: text before the first head")
    if head is not None:
        yield _block(head, lines, where=f"{path.name}:{first} ({head.group(1)})")


def load_split(folder: Path) -> tuple[WrittenWindow, ...]:
    """Read every `*.txt` of one split, ordered by file name.

    Raises:
        WindowFormatError: A block breaks the format, or an id is used twice.
    """
    windows = tuple(w for path in sorted(folder.glob("*.txt")) for w in read_windows(path))
    doubled = [i for i, n in Counter(w.id for w in windows).items() if n > 1]
    if doubled:
        raise WindowFormatError(f"ids used twice in {folder.name}: {', '.join(doubled[:5])}")
    return windows


def _block(head: re.Match[str], lines: list[str], *, where: str) -> WrittenWindow:
    identifier, domain, kind = head.groups()
    if kind not in POSITIVE | NEGATIVE:
        raise WindowFormatError(f"{where}: unknown kind {kind!r}")
    raw, rules = _split_lines(lines, where=where)
    turns: list[WrittenTurn] = []
    for role, text in raw:
        plain, spans = parse_marks("\n".join(text).rstrip(), where=where)
        if role == "assistant" and spans:
            raise WindowFormatError(f"{where}: marks in an assistant turn")
        turns.append(WrittenTurn(role, plain, spans))
    if not turns or turns[-1].role != "user":
        raise WindowFormatError(f"{where}: a window ends with a user turn")
    gold = _gold(turns, rules, where=where)
    if bool(gold) != (kind in POSITIVE):
        raise WindowFormatError(f"{where}: kind {kind!r} with {len(gold)} rules")
    return WrittenWindow(identifier, domain, kind, tuple(turns), gold)


def _split_lines(
    lines: list[str], *, where: str
) -> tuple[list[tuple[Role, list[str]]], list[tuple[str, str]]]:
    turns: list[tuple[Role, list[str]]] = []
    rules: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith(("U: ", "A: ")):
            turns.append(("user" if line[0] == "U" else "assistant", [line[3:]]))
        elif line.startswith("= "):
            condition, bar, action = (part.strip() for part in line[2:].partition("|"))
            if not (bar and condition and action):
                raise WindowFormatError(f"{where}: a rule line reads '= condition | action'")
            rules.append((condition, action))
        elif turns and (line.startswith("  ") or not line.strip()):
            turns[-1][1].append(line[2:])
        elif line.strip():
            raise WindowFormatError(
                f"{where}: a line starts with 'U: ', 'A: ', '= ' or two spaces: {line[:60]!r}"
            )
    return turns, rules


def _gold(
    turns: list[WrittenTurn], rules: list[tuple[str, str]], *, where: str
) -> tuple[Gold, ...]:
    marks = [(i, s) for i, t in enumerate(turns) for s in t.spans if s.mark in _ACTIONS]
    if len(marks) != len(rules):
        raise WindowFormatError(f"{where}: {len(marks)} action marks, {len(rules)} '=' lines")
    gold: list[Gold] = []
    for (i, span), (condition, action) in zip(marks, rules, strict=True):
        around = [
            s
            for s in turns[i].spans
            if s.mark == "e" and s.start <= span.start and span.stop <= s.stop
        ]
        if len(around) != 1:
            raise WindowFormatError(f"{where}: an action mark stands outside <e>")
        quote = turns[i].text[around[0].start : around[0].stop]
        polarity: Polarity = "avoid" if span.mark == "av" else "do"
        gold.append(Gold(condition, action, polarity, i, span, quote))
    return tuple(gold)
