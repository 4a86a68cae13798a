"""From windows to what the tagger sees: an example a user turn, a label a word."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from prefmem.defence.origin import own_words
from prefmem.models.tagger import (
    TURN_TOKENS,
    Context,
    context_ids,
    context_of,
    pair,
    pieces,
    word_groups,
)
from prefmem.train.windows import GENERAL, Gold, Span, WrittenTurn, WrittenWindow

IGNORE = -100
_BEGIN = {"c": 1, "do": 3, "av": 3, "ref": 3}


@dataclass(slots=True)
class Example:
    """One piece of a user turn, ready for the tagger.

    Attributes:
        ids: Word pieces of context and turn, (seq,).
        kinds: 0 for context, 1 for the turn, (seq,).
        tags: Tag of each word at its first piece, `IGNORE` elsewhere, (seq,).
        gate: 1 for words of evidence, 0 for others, `IGNORE` elsewhere, (seq,).
        avoid: 1 or 0 on the words of an action, `IGNORE` elsewhere, (seq,).
        everywhere: 1 where the rule holds for every answer, 0 where not, `IGNORE` elsewhere,
            (seq,).
        refers: 1 where the words of an action only point at what the assistant said, 0 where they
            say it, `IGNORE` elsewhere, (seq,).
        conditions: For each action whose rule has a condition: its words' positions, and the
            condition.
    """

    ids: list[int]
    kinds: list[int]
    tags: list[int] = field(default_factory=list[int])
    gate: list[int] = field(default_factory=list[int])
    avoid: list[int] = field(default_factory=list[int])
    everywhere: list[int] = field(default_factory=list[int])
    refers: list[int] = field(default_factory=list[int])
    conditions: dict[Span, tuple[str, list[int]]] = field(
        default_factory=dict[Span, tuple[str, list[int]]]
    )


def examples(windows: Iterable[WrittenWindow], tokenizer: Tokenizer) -> Iterator[Example]:
    """Make the examples of windows, in order."""
    for window in windows:
        for number, turn in enumerate(window.turns):
            if turn.role == "user" and turn.text.strip():
                golds = [g for g in window.gold if g.turn == number]
                context = context_of([(t.role, t.text) for t in window.turns[:number]])
                yield from _of_turn(turn, context, golds, tokenizer)


def _of_turn(
    turn: WrittenTurn, context: Context, golds: Sequence[Gold], tokenizer: Tokenizer
) -> Iterator[Example]:
    before = context_ids(tokenizer, context)
    text = own_words(turn.text)
    for start, stop in pieces(text):
        encoding = tokenizer.encode(text[start:stop], add_special_tokens=False)
        n = min(len(encoding.ids), TURN_TOKENS)
        if n == 0:
            continue
        ids, kinds, first = pair(before, encoding.ids[:n])
        example = Example(ids, kinds)
        for labels in (
            example.tags, example.gate, example.avoid, example.everywhere, example.refers,
        ):  # fmt: skip
            labels.extend([IGNORE] * len(ids))
        for a, _ in word_groups(encoding.word_ids[:n]):
            place = start + encoding.offsets[a][0]
            _label(example, first + a, place, turn.spans, golds)
        yield example


def _label(
    example: Example, position: int, place: int, spans: Sequence[Span], golds: Sequence[Gold]
) -> None:
    """Label the word that starts at character `place`, whose first piece is at `position`."""
    here = [s for s in spans if s.start <= place < s.stop]
    example.gate[position] = int(any(s.mark == "e" for s in here))
    tagged = next((s for s in here if s.mark in _BEGIN), None)
    if tagged is None:
        example.tags[position] = 0
        return
    begin = _BEGIN[tagged.mark]
    continues = position > 0 and _same(example, position, tagged, place)
    example.tags[position] = begin + 1 if continues else begin
    gold = next((g for g in golds if g.span == tagged), None)
    if gold is None:
        return
    example.refers[position] = int(tagged.mark == "ref")
    example.everywhere[position] = int(gold.condition == GENERAL)
    if tagged.mark != "ref":
        example.avoid[position] = int(gold.polarity == "avoid")
    if gold.condition != GENERAL:
        example.conditions.setdefault(tagged, (gold.condition, []))[1].append(position)


def _same(example: Example, position: int, span: Span, place: int) -> bool:
    """Whether the word before belongs to the same span."""
    previous = next((t for t in reversed(example.tags[:position]) if t != IGNORE), 0)
    begin = _BEGIN[span.mark]
    return place > span.start and previous in (begin, begin + 1)


def shuffled(window: WrittenWindow, rng: random.Random) -> WrittenWindow:
    """Type one window in four in lower case, without moving a character."""
    if rng.random() < 0.75:
        return window
    turns = tuple(
        WrittenTurn(t.role, t.text.lower() if t.role == "user" else t.text, t.spans)
        for t in window.turns
    )
    if any(len(a.text) != len(b.text) for a, b in zip(turns, window.turns, strict=True)):
        return window
    return WrittenWindow(window.id, window.domain, window.kind, turns, window.gold)
