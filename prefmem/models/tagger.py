"""The embedded gate and tagger: which words of a user turn state a standing preference.

One MiniLM trunk reads the turn after the end of the assistant's reply that it answers, and gives
eight numbers for every word piece: five tag scores (outside, begin and inside of a condition, begin
and inside of an action), the log-odds that the action is something to avoid, that the word belongs
to the evidence of a standing preference (the gate), and that the rule holds everywhere.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from prefmem.models.onnx import WEIGHTS, PackagedModel

TAGS = ("O", "B-C", "I-C", "B-A", "I-A")
AVOID, GATE, GLOBAL = 5, 6, 7
CHANNELS = 8
CONTEXT_TOKENS = 32
TURN_TOKENS = 160
_FORBIDDEN = -1e9
_SENTENCE = re.compile(r"[^.!?\n]*[.!?\n]+\s*|[^.!?\n]+$")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TaggedSpan:
    """Words that the tagger picked out of a turn.

    Attributes:
        label: What they name.
        start: First character.
        stop: One past the last character.
        score: Mean log-odds of the gate over the words.
        avoid: Mean log-odds that this is something to avoid.
        everywhere: Mean log-odds that the rule holds for every answer.
    """

    label: Literal["condition", "action"]
    start: int
    stop: int
    score: float
    avoid: float
    everywhere: float


@dataclass(frozen=True, slots=True)
class TaggedTurn:
    """Spans in order, and the stretches of text that the gate takes for evidence."""

    spans: tuple[TaggedSpan, ...]
    evidence: tuple[tuple[int, int], ...]


class PreferenceTagger:
    """Runs the tagger over one user turn.

    Args:
        folder: Where `tagger.onnx`, its manifest and the tokenizer lie.
        threads: CPU threads for one turn.
    """

    def __init__(self, *, folder: Path = WEIGHTS, threads: int = 1) -> None:
        """Remember where the weights are; they load with the first turn."""
        self._model = PackagedModel("tagger", folder=folder, threads=threads, max_tokens=100_000)

    @property
    def calibration(self) -> tuple[float, float]:
        """Slope and offset of the Platt map from a span's score to its confidence."""
        slope, offset = self._model.manifest["confidence"]["platt"]
        return float(slope), float(offset)

    def tag(self, text: str, context: str = "") -> TaggedTurn:
        """Tag a user turn, given the assistant's reply that it answers.

        A long turn is read in pieces of whole sentences, each with the same context.
        """
        tokenizer = self._model.tokenizer
        before = tokenizer.encode(context[-1_000:], add_special_tokens=False).ids
        before = before[-CONTEXT_TOKENS:]
        spans: list[TaggedSpan] = []
        evidence: list[tuple[int, int]] = []
        for start, stop in pieces(text):
            encoding = tokenizer.encode(text[start:stop], add_special_tokens=False)
            for at in range(0, len(encoding.ids), TURN_TOKENS):
                part = slice(at, at + TURN_TOKENS)
                ids, kinds, first = pair(before, encoding.ids[part])
                output = self._model.run(ids=ids, kinds=kinds)[0]
                words = word_groups(encoding.word_ids[part])
                places = [(start + a, start + b) for a, b in encoding.offsets[part]]
                offsets = [(places[a][0], places[b - 1][1]) for a, b in words]
                # a word counts by its first piece
                found, quoted = decode(output[[first + a for a, _ in words]], offsets)
                spans += found
                evidence += quoted
        return TaggedTurn(tuple(spans), tuple(evidence))


def pair(before: list[int], turn: list[int]) -> tuple[list[int], list[int], int]:
    """Join context and turn as BERT's two segments: ids, segment numbers, position of the turn."""
    cls, sep = 101, 102
    ids = [cls, *before, sep, *turn, sep]
    first = len(before) + 2
    return ids, [0] * first + [1] * (len(turn) + 1), first


def word_groups(word_ids: list[int | None]) -> list[tuple[int, int]]:
    """Group word pieces into words: `(start, stop)` positions, in order."""
    groups: list[tuple[int, int]] = []
    for position, word in enumerate(word_ids):
        if position and word == word_ids[position - 1]:
            groups[-1] = (groups[-1][0], position + 1)
        else:
            groups.append((position, position + 1))
    return groups


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text into stretches of whole sentences that fit the tagger, in characters.

    A stretch has at most `TURN_TOKENS` * 3 characters; a longer sentence is cut at a space.
    """
    limit = TURN_TOKENS * 3
    start = stop = 0
    for sentence in _SENTENCE.finditer(text):
        if sentence.end() - start > limit and stop > start:
            yield start, stop
            start = stop
        stop = sentence.end()
        while stop - start > limit:
            cut = text.rfind(" ", start + 1, start + limit)
            cut = cut if cut > start else start + limit
            yield start, cut
            start = cut
    if stop > start:
        yield start, stop


def decode(
    scores: Floats, offsets: list[tuple[int, int]]
) -> tuple[list[TaggedSpan], list[tuple[int, int]]]:
    """Turn word scores, (n, 8), into spans and evidence.

    The tags are the best path through legal moves (an inside tag follows its own begin or inside
    tag only).
    """
    path = viterbi(scores[:, : len(TAGS)])
    spans: list[TaggedSpan] = []
    for label, begin, inside in (("condition", 1, 2), ("action", 3, 4)):
        for a, b in runs(path, begin, inside):
            mean = scores[a:b].mean(axis=0)
            spans.append(
                TaggedSpan(
                    "condition" if label == "condition" else "action",
                    offsets[a][0],
                    offsets[b - 1][1],
                    score=float(mean[GATE]),
                    avoid=float(mean[AVOID]),
                    everywhere=float(mean[GLOBAL]),
                )
            )
    inside_evidence = scores[:, GATE] > 0
    evidence: list[tuple[int, int]] = []
    for position, on in enumerate(inside_evidence):
        if on and position and inside_evidence[position - 1]:
            evidence[-1] = (evidence[-1][0], offsets[position][1])
        elif on:
            evidence.append(offsets[position])
    return sorted(spans, key=lambda s: s.start), evidence


def viterbi(emissions: Floats) -> list[int]:
    """Best legal tag sequence for emissions, (n, 5)."""
    moves = np.zeros((5, 5), dtype=np.float32)
    for inside, begin in ((2, 1), (4, 3)):
        moves[:, inside] = _FORBIDDEN
        moves[[begin, inside], inside] = 0
    best = emissions[0] + np.array([0, 0, _FORBIDDEN, 0, _FORBIDDEN], dtype=np.float32)
    back = np.zeros((len(emissions), 5), dtype=np.int64)
    for n in range(1, len(emissions)):
        total = best[:, None] + moves
        back[n] = total.argmax(axis=0)
        best = total.max(axis=0) + emissions[n]
    path = [int(best.argmax())]
    for n in range(len(emissions) - 1, 0, -1):
        path.append(int(back[n, path[-1]]))
    return path[::-1]


def runs(path: list[int], begin: int, inside: int) -> list[tuple[int, int]]:
    """Stretches `(start, stop)` of one label in a tag path."""
    found: list[tuple[int, int]] = []
    for n, tag in enumerate(path):
        if tag == begin:
            found.append((n, n + 1))
        elif tag == inside and found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
    return found
