"""Candidates for a query: the nearest cards by meaning, and every global one."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from prefmem.types import Candidate, Card, Shelf, Vector


class Index(Protocol):
    """What is searched: a shelf and an exact nearest-neighbour search over it."""

    @property
    def shelf(self) -> Shelf:
        """The cards in the index."""
        ...

    def search(self, query: Vector, k: int) -> tuple[npt.NDArray[np.int64], Vector]:
        """Find the k nearest cards: positions and cosines, best first."""
        ...


def nearest(index: Index, query: Vector, *, k: int) -> tuple[Sequence[int], Vector]:
    """Find the k cards nearest to a query, and all global cards besides.

    Args:
        index: The user's cards.
        query: Unit vector, (e,).
        k: Number of nearest cards.

    Returns:
        Positions in the shelf, each once, and their cosines, (n,).
    """
    positions, cosines = index.search(query, k)
    seen = set(positions.tolist())
    more = [i for i in np.flatnonzero(index.shelf.always).tolist() if i not in seen]
    if not more:
        return positions.tolist(), cosines
    extra = index.shelf.matrix[more] @ query  # (g, e) @ (e,) -> (g,)
    return [*positions.tolist(), *more], np.concatenate([cosines, extra])


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
    found = [
        Candidate(cards[shelf.ids[i]], shelf.matrix[i], float(c), float(r))
        for i, c, r in zip(positions, cosines, relevance, strict=True)
        if shelf.ids[i] in cards
    ]
    return tuple(sorted(found, key=lambda c: (-c.relevance, -c.dense, c.card.id)))
