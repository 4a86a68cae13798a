"""How well follow-ups are judged: on written turns, and for the benchmark runner."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from prefmem.commands import parse
from prefmem.evaluate.metrics import Figure, f1, mean, ratio
from prefmem.feedback.joined import LABELS, named
from prefmem.feedback.judge import PackagedJudge
from prefmem.interaction import Followup, Judgement, Label
from prefmem.models.embed import MiniLMEmbedder
from prefmem.protocols import Judge
from prefmem.train.followups import Written, load, of_rows
from prefmem.train.progress import Progress

_SHORT: Mapping[Label, str] = {"satisfied": "pos", "dissatisfied": "neg", "neutral": "neutral"}


def measure(
    split: str, *, seed: int, progress: Progress, judge: Judge | None = None
) -> dict[str, Figure]:
    """Judge the written turns of a split.

    Args:
        split: `dev` or `test`.
        seed: Of the resampling of turns.
        progress: Told the stage, what is done and how much there is.
        judge: The packaged one unless given.
    """
    written = load(split, MiniLMEmbedder())
    found: list[Judgement] = []
    for n, one in enumerate(written):
        found += (judge or _judge()).judge([one.followup])
        progress("judging", n + 1, len(written))
    return labels(found, written, seed=seed) | rules(found, written, seed=seed)


def labels(
    found: Sequence[Judgement], written: Sequence[Written], *, seed: int
) -> dict[str, Figure]:
    """Rate what the judgements say of whole turns."""
    said: list[Label] = [j.label for j in found]
    truth: list[Label] = [w.label for w in written]
    of_each = {
        f"F1 of {label}": f1(
            [float(s == t == label) for s, t in zip(said, truth, strict=True)],
            [float(s == label) for s in said],
            [float(t == label) for t in truth],
            seed=seed,
        )
        for label in LABELS
    }
    neutral = [float(t == "neutral") for t in truth]
    wrongly = [
        float(t == "neutral" and s == "dissatisfied") for s, t in zip(said, truth, strict=True)
    ]
    floor = _judge().joined.shift_from
    shifts = [float(j.topic_shift >= floor) for j in found]
    shifted = [float(w.shift) for w in written]
    commands = [_intent(w.followup.text) for w in written]
    given = [float(bool(w.command)) for w in written]
    right = [
        float(bool(w.command) and c == w.command) for c, w in zip(commands, written, strict=True)
    ]
    false = [float(c is not None and not w.command) for c, w in zip(commands, written, strict=True)]
    macro = Figure(
        float(np.mean([f.value for f in of_each.values()])), *_span(said, truth, seed), len(written)
    )
    return {
        "satisfaction, macro F1": macro,
        **of_each,
        "neutral turns taken for complaints": ratio(wrongly, neutral, seed=seed),
        "another topic, F1": f1(
            [a * b for a, b in zip(shifts, shifted, strict=True)], shifts, shifted, seed=seed
        ),
        "command intent": ratio(right, given, seed=seed),
        "false commands": ratio(false, [1 - g for g in given], seed=seed),
    }


def rules(
    found: Sequence[Judgement], written: Sequence[Written], *, seed: int
) -> dict[str, Figure]:
    """Rate which rules are said to be restated and rejected."""
    joined = _judge().joined
    figures: dict[str, Figure] = {}
    for name, floor in (("restates", joined.restates_from), ("rejects", joined.rejects_from)):
        chances = [getattr(j, name) for j in found]
        truth = [getattr(w, name) for w in written]
        said = [named(c, floor) for c in chances]
        right = [float(t[s].sum()) for s, t in zip(said, truth, strict=True)]
        figures[f"{name}, F1"] = f1(
            right, [float(len(s)) for s in said], [float(t.sum()) for t in truth], seed=seed
        )
        first = [float(t[int(c.argmax())]) for c, t in zip(chances, truth, strict=True) if t.any()]
        figures[f"{name}, right rule first"] = mean(first, seed=seed)
    return figures


def judge(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judge rows of the benchmark runner: `query`, `reply`, `rules`, `followup`."""
    followups = of_rows([dict(row) for row in rows], MiniLMEmbedder())
    found = _judge().judge(followups)
    return [_answer(row, f, j) for row, f, j in zip(rows, followups, found, strict=True)]


def _answer(row: Mapping[str, Any], followup: Followup, judgement: Judgement) -> dict[str, Any]:
    joined = _judge().joined
    ids = [rule["id"] for rule in row["rules"]]
    best = np.argsort(-judgement.restates, kind="stable")
    return {
        "satisfaction": _SHORT[judgement.label],
        "restates": [ids[i] for i in named(judgement.restates, joined.restates_from)],
        "ranking": [ids[i] for i in best],
        "rejects": [ids[i] for i in named(judgement.rejects, joined.rejects_from)],
        "command": _intent(followup.text),
        "topic_shift": bool(judgement.topic_shift >= joined.shift_from),
    }


def _intent(text: str) -> str | None:
    """Give the intent of the first instruction to the memory in a turn."""
    commands = parse(text)
    return commands[0].intent if commands else None


def _span(said: Sequence[Label], truth: Sequence[Label], seed: int) -> tuple[float, float]:
    """Give the 95% bootstrap interval of macro F1."""
    s, t = (np.array([LABELS.index(x) for x in row]) for row in (said, truth))
    rows = np.random.default_rng(seed).integers(0, len(s), (1000, len(s)))
    drawn = np.zeros(1000)
    for c in range(len(LABELS)):
        a, b = s[rows] == c, t[rows] == c
        drawn += 2 * (a & b).sum(axis=1) / np.maximum(1, a.sum(axis=1) + b.sum(axis=1)) / 3
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


@cache
def _judge() -> PackagedJudge:
    return PackagedJudge()
