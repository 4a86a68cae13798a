"""The memories, queries and vectors that every peer is given, and the exact search over them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from prefmem.types import Matrix

WIDTH = 384  # of the vectors, as of the common small sentence encoders
MARKER = "zqxvjk"  # a word of the last memory alone
_TOPICS = 64
_NOISE = 1.2  # of a vector beside its topic; near ones have a cosine of about 0.6

_KINDS = (
    "a mail", "a report", "a summary", "a plan", "a letter", "a slide", "a note", "a review",
    "a ticket", "a memo", "a speech", "a poem", "a recipe", "a list", "a script", "a query",
    "a test", "a chart", "a table", "a caption", "a title", "an outline", "a reply", "a post",
    "an essay", "a guide", "a quiz", "an invitation", "a contract", "a menu",
)  # fmt: skip
_SUBJECTS = (
    "gardens", "trains", "budgets", "birds", "chess", "cheese", "maps", "films", "hotels",
    "bridges", "weather", "printing", "sailing", "tea", "history", "physics", "paint", "radios",
    "cycling", "clocks",
)  # fmt: skip
_ACTIONS = (
    "use short sentences", "use bullet points", "begin with the result", "leave out adjectives",
    "write in the past tense", "number the parts", "end with a question", "add one example",
    "use plain words", "keep it under a page", "use the metric system", "name the sources",
    "put dates first", "use a table", "avoid footnotes", "write in the third person",
    "spell numbers out", "use British spelling", "leave a blank line between parts",
    "put names in italics",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Material:
    """What every peer is given.

    Attributes:
        memories: Condition and action of each, all different, (n,).
        queries: Texts that are searched for, (q,).
        vectors: Unit rows, float32, (n + q, e): of the memories, then of the queries.
        folder: Where the drivers find it all.
    """

    memories: Sequence[tuple[str, str]]
    queries: Sequence[str]
    vectors: Matrix
    folder: Path

    def exact(self, query: int, held: Sequence[int], k: int) -> set[int]:
        """Find the k of the held memories nearest to a query, by comparing with all of them."""
        row = self.vectors[len(self.memories) + query]
        cosines = self.vectors[list(held)] @ row  # (m, e) @ (e,) -> (m,)
        return {held[i] for i in np.argsort(-cosines, kind="stable")[:k].tolist()}


def make(folder: Path, *, memories: int, queries: int, seed: int) -> Material:
    """Draw memories and vectors, and write them where drivers read them.

    The vectors are synthetic: topics with noise, so that some memories are near to each query and
    most are not. No peer reads the texts but prefmem as shipped.

    Args:
        folder: Is made.
        memories: How many, at most 12,000.
        queries: How many.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    every = [
        (f"writing {kind} about {subject}", action)
        for kind, subject, action in product(_KINDS, _SUBJECTS, _ACTIONS)
    ]
    order: list[int] = rng.permutation(len(every)).tolist()
    chosen = [every[i] for i in order[: memories - 1]]
    chosen.append((f"writing a letter to {MARKER}", f"mention {MARKER} in the first line"))
    asked = [f"Please write {_KINDS[i % len(_KINDS)]} about {_SUBJECTS[i % 19]}, number {i}."
             for i in range(queries)]  # fmt: skip
    topics = rng.standard_normal((_TOPICS, WIDTH))
    own = rng.standard_normal((len(chosen) + queries, WIDTH))
    rows = topics[rng.integers(_TOPICS, size=len(own))] + _NOISE * own
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = rows.astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memories.json").write_text(json.dumps(chosen), encoding="utf-8")
    (folder / "queries.json").write_text(json.dumps(asked), encoding="utf-8")
    np.save(folder / "vectors.npy", vectors)
    return Material(chosen, asked, vectors, folder)
