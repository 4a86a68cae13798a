"""The embedded gate and tagger: which words of a user turn state a standing preference.

One MiniLM trunk reads the turn after what the user asked before and the end of the assistant's
reply. It gives nine numbers for every word piece: five tag scores (outside, begin and inside of a
condition, begin and inside of an action), the log-odds that the action is something to avoid, that
the word belongs to the evidence of a standing preference (the gate), that the rule holds
everywhere, and that the words only point at something the assistant said ("the second one").
Beside them stands a score for each condition of a fixed list ("writing mails", "planning trips"),
for rules whose condition follows from the talk and is not said.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.types import Role

TAGS = ("O", "B-C", "I-C", "B-A", "I-A")
AVOID, GATE, GLOBAL, REFERS = 5, 6, 7, 8
CHANNELS = 9
ASKED_TOKENS, REPLY_TOKENS = 24, 32
TURN_TOKENS = 160
_ASKED_CHARS = 100  # of each of the user's two turns before
_CLS, _SEP = 101, 102
_FORBIDDEN = -1e9
_OUTSIDE_COST = 0.5  # log-odds; between 0 (misses more) and 1 (makes up more) on the dev split
_SENTENCE = re.compile(r"[^.!?\n]*[.!?\n]+\s*|[^.!?\n]+$")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Context:
    """What stands before a turn: what the user asked, and the assistant's reply."""

    asked: str = ""
    reply: str = ""


NO_CONTEXT = Context()


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
        refers: Mean log-odds that the words only point at something the assistant said.
        topic: The likeliest condition of the model's list; empty for a condition span.
    """

    label: Literal["condition", "action"]
    start: int
    stop: int
    score: float
    avoid: float
    everywhere: float
    refers: float = -1.0
    topic: str = ""


@dataclass(frozen=True, slots=True)
class TaggedTurn:
    """What the tagger says of a turn.

    Attributes:
        spans: The spans, in order.
        evidence: Stretches of text, `(start, stop)`, that the gate takes for evidence.
        words: Each word with the gate's log-odds: `(start, stop, gate)`.
        topic: The likeliest condition of the model's list for the turn's beginning.
    """

    spans: tuple[TaggedSpan, ...]
    evidence: tuple[tuple[int, int], ...]
    words: tuple[tuple[int, int, float], ...] = ()
    topic: str = ""


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

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The conditions that the model chooses from where none is said."""
        return tuple(self._model.manifest.get("conditions", ()))

    def tag(self, text: str, context: Context = NO_CONTEXT) -> TaggedTurn:
        """Tag a user turn, given what was said before it.

        A long turn is read in pieces of whole sentences, each with the same context.
        """
        tokenizer = self._model.tokenizer
        before = context_ids(tokenizer, context)
        spans: list[TaggedSpan] = []
        evidence: list[tuple[int, int]] = []
        gates: list[tuple[int, int, float]] = []
        about = ""
        for start, stop in pieces(text):
            encoding = tokenizer.encode(text[start:stop], add_special_tokens=False)
            for at in range(0, len(encoding.ids), TURN_TOKENS):
                part = slice(at, at + TURN_TOKENS)
                ids, kinds, first = pair(before, encoding.ids[part])
                scores, topics = self._model.run(ids=ids, kinds=kinds)
                words = word_groups(encoding.word_ids[part])
                places = [(start + a, start + b) for a, b in encoding.offsets[part]]
                offsets = [(places[a][0], places[b - 1][1]) for a, b in words]
                rows = [first + a for a, _ in words]  # a word counts by its first piece
                found, quoted = decode(scores[rows], offsets, topics[rows], self.topics)
                if self.topics and not about:
                    about = self.topics[int(topics[rows].mean(axis=0).argmax())]
                spans += found
                evidence += quoted
                gates += [
                    (a, b, float(scores[row, GATE]))
                    for (a, b), row in zip(offsets, rows, strict=True)
                ]
        return TaggedTurn(tuple(spans), tuple(evidence), tuple(gates), about)


def context_of(before: Sequence[tuple[Role, str]]) -> Context:
    """Give what a turn is read with: the beginnings of the user's two turns before, and the reply.

    Args:
        before: Role and text of the turns before, oldest first.
    """
    said = [text[:_ASKED_CHARS] for role, text in before if role == "user" and text.strip()][-2:]
    reply = before[-1][1] if before and before[-1][0] == "assistant" else ""
    return Context("\n".join(said), reply[-1_000:])


def context_ids(tokenizer: Tokenizer, context: Context) -> list[int]:
    """Encode a context: what was asked, a separator, the end of the reply."""
    asked = tokenizer.encode(context.asked, add_special_tokens=False).ids[-ASKED_TOKENS:]
    reply = tokenizer.encode(context.reply, add_special_tokens=False).ids[-REPLY_TOKENS:]
    return [*asked, _SEP, *reply]


def pair(before: list[int], turn: list[int]) -> tuple[list[int], list[int], int]:
    """Join context and turn as BERT's two segments: ids, segment numbers, position of the turn."""
    ids = [_CLS, *before, _SEP, *turn, _SEP]
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
    scores: Floats, offsets: Sequence[tuple[int, int]], topics: Floats, names: Sequence[str]
) -> tuple[list[TaggedSpan], list[tuple[int, int]]]:
    """Turn word scores, (n, 9), and condition scores, (n, k), into spans and evidence.

    The tags are the best path through legal moves (an inside tag follows its own begin or inside
    tag only). An action's condition is the one with the highest mean score over its words.
    """
    path = viterbi(scores[:, : len(TAGS)])
    spans: list[TaggedSpan] = []
    for label, begin, inside in (("condition", 1, 2), ("action", 3, 4)):
        for a, b in runs(path, begin, inside):
            mean = scores[a:b].mean(axis=0)
            likely = int(topics[a:b].mean(axis=0).argmax()) if names else 0
            spans.append(
                TaggedSpan(
                    "condition" if label == "condition" else "action",
                    offsets[a][0],
                    offsets[b - 1][1],
                    score=float(mean[GATE]),
                    avoid=float(mean[AVOID]),
                    everywhere=float(mean[GLOBAL]),
                    refers=float(mean[REFERS]),
                    topic=names[likely] if names and label == "action" else "",
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
    """Best legal tag sequence for emissions, (n, 5); what is close to outside is inside.

    A span too many costs little, as the gate's confidence decides about it afterwards.
    """
    emissions = emissions - np.array([_OUTSIDE_COST, 0, 0, 0, 0], dtype=np.float32)
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
