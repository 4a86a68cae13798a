"""Written follow-up turns: their reader, and the follow-ups that a judge gets of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prefmem.feedback.sentences import sentences
from prefmem.interaction import Flags, Followup, Label
from prefmem.protocols import Embedder

DATA = Path(__file__).resolve().parent / "data" / "followups"
_LABELS: dict[str, Label] = {"pos": "satisfied", "neg": "dissatisfied", "neutral": "neutral"}


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A written turn and what it shows.

    Attributes:
        user: Who says it.
        followup: The turn with the rules that it may be about.
        ids: Names of the rules, (j,).
        label: About the answer.
        restates: Rules that are said again, (j,).
        rejects: Rules that should not have been applied, (j,).
        shift: Whether it begins another topic.
        command: Intent of an instruction to the memory; empty where it is none.
    """

    user: str
    followup: Followup
    ids: tuple[str, ...]
    label: Label
    restates: Flags
    rejects: Flags
    shift: bool
    command: str


def load(
    split: str, embedder: Embedder, *, every: int = 1, folder: Path = DATA
) -> tuple[Written, ...]:
    """Read a split.

    Args:
        split: `train`, which has several files, `dev` or `test`.
        embedder: Gives the cosines.
        every: Takes each n-th turn alone.
        folder: Where the files lie.
    """
    rows = [
        json.loads(line)
        for path in sorted(folder.glob(f"{split}*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ][::every]
    followups = of_rows(rows, embedder)
    return tuple(_written(row, f) for row, f in zip(rows, followups, strict=True))


def of_rows(rows: Sequence[dict[str, Any]], embedder: Embedder) -> tuple[Followup, ...]:
    """Make follow-ups of rows with `query`, `reply`, `rules` and `followup`, as `learn` does."""
    texts = {text for row in rows for text in _texts(row)}
    known: dict[str, Any] = {}
    for some in _chunks(sorted(texts, key=len), 64):
        known.update(zip(some, embedder.embed(some), strict=True))
    found: list[Followup] = []
    for row in rows:
        said = np.stack([known[s] for s in _said(row)])  # (s, e)
        rules = np.stack([known[r["text"]] for r in row["rules"]])  # (j, e)
        found.append(
            Followup(
                row["query"],
                row["reply"],
                row["followup"],
                tuple(r["text"] for r in row["rules"]),
                np.array([bool(r["injected"]) for r in row["rules"]], dtype=np.bool_),
                (rules @ said.T).max(axis=1).astype(np.float32),
                (rules @ known[row["query"]]).astype(np.float32),
                float(known[row["followup"]] @ known[row["query"]]),
            )
        )
    return tuple(found)


def _said(row: dict[str, Any]) -> Sequence[str]:
    return sentences(row["followup"]) or (row["followup"],)


def _texts(row: dict[str, Any]) -> Iterator[str]:
    yield row["followup"]
    yield row["query"]
    yield from _said(row)
    yield from (rule["text"] for rule in row["rules"])


def _chunks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _written(row: dict[str, Any], followup: Followup) -> Written:
    ids = tuple(str(rule["id"]) for rule in row["rules"])
    return Written(
        row["user"],
        followup,
        ids,
        _LABELS[row["satisfaction"]],
        np.array([i in row["restates"] for i in ids], dtype=np.bool_),
        np.array([i in row["rejects"] for i in ids], dtype=np.bool_),
        bool(row["topic_shift"]),
        row["command"] or "",
    )
