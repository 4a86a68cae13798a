"""Candidates for a query: the nearest cards by meaning, and the global ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from prefmem.types import Candidate, Card, Matrix, Shelf, Vector

_CONTEXT_CHARS = 500  # of an earlier request, so that the present one stays within reach


class Index(Protocol):
    """What is searched: a shelf and an exact nearest-neighbour search over it."""

    @property
    def shelf(self) -> Shelf:
        """The cards in the index."""
        ...

    def search(
        self, query: Vector, k: int, *, living: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.int64], Vector]:
        """Find the k nearest of the living cards: positions and cosines, best first."""
        ...


def views(query: str, context: str = "") -> tuple[str, ...]:
    """Give the texts to search with: the request and, with an earlier one, both together.

    "And shorter, please" says little by itself, a request of its own much; the nearer view counts.

    Args:
        query: What is asked for now.
        context: What the user asked for before.

    Returns:
        None to two texts, the fullest last; a blank query without context gives none.
    """
    alone = (query,) if query.strip() else ()
    earlier = context.strip()[-_CONTEXT_CHARS:]
    return (*alone, f"{earlier}\n{query}") if earlier else alone


def nearest(
    index: Index,
    queries: Matrix,
    *,
    k: int,
    everywhere: int,
    living: npt.NDArray[np.bool_] | None = None,
) -> tuple[Sequence[int], Vector]:
    """Find the k cards nearest to any of the views of a query, and global cards besides.

    Args:
        index: The user's cards; of k or fewer all are taken without a search.
        queries: Unit vectors, (v, e), at least one.
        k: Number of nearest cards.
        everywhere: Number of global cards that come on top, the nearest first.
        living: Which cards may be found, (n,); all unless given.

    Returns:
        Positions in the shelf, each once, and the cosine of each with its nearest view, (n,).
    """
    shelf = index.shelf
    here = np.ones(len(shelf.ids), dtype=np.bool_) if living is None else living
    there = np.flatnonzero(here)
    if len(there) <= k:
        return there.tolist(), _best(shelf.matrix[there], queries)
    found = (index.search(query, k, living=here)[0] for query in queries)
    seen = sorted({i for positions in found for i in positions.tolist()})
    cosines = _best(shelf.matrix[seen], queries)
    if len(queries) > 1:
        order = np.argsort(-cosines, kind="stable")[:k]
        seen, cosines = [seen[i] for i in order], cosines[order]
    others = shelf.always & here
    others[seen] = False
    more = np.flatnonzero(others)
    if not len(more):
        return seen, cosines
    extra = _best(shelf.matrix[more], queries)
    best = np.argsort(-extra, kind="stable")[:everywhere]
    return [*seen, *more[best].tolist()], np.concatenate([cosines, extra[best]])


def scored(
    shelf: Shelf,
    positions: Sequence[int],
    cosines: Vector,
    relevance: Vector,
    cards: Mapping[str, Card],
) -> tuple[Candidate, ...]:
    """Make candidates of what was found, best first; of equal scores in the order of ids.

    Args:
        shelf: The cards that were searched.
        positions: Places in the shelf, (n,).
        cosines: Cosine of each with the query, (n,).
        relevance: Probability of each that it applies, (n,).
        cards: The cards that are still active, by id; the others were forgotten a moment ago.
    """
    return ranked(
        Candidate(cards[shelf.ids[i]], shelf.matrix[i], float(c), float(r))
        for i, c, r in zip(positions, cosines, relevance, strict=True)
        if shelf.ids[i] in cards
    )


def ranked(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Order candidates, best first; of equal scores in the order of ids."""
    return tuple(sorted(candidates, key=lambda c: (-c.relevance, -c.dense, c.card.id)))


def _best(rows: Matrix, queries: Matrix) -> Vector:
    cosines: Vector = (rows @ queries.T).max(axis=1)  # (n, e) @ (e, v) -> (n,)
    return cosines
