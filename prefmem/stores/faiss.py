"""The FAISS index of a user.

It is a picture of the store in memory, thrown away as soon as the store has moved on.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import faiss
import numpy as np
import numpy.typing as npt

from prefmem.types import Matrix, Shelf, UserKey, Vector

_CARD_BYTES = 230  # a card's id, its place in the table of rows, and Python's share of both
_MARGIN = 16  # cards scored in full beyond twice the number asked for
_ENTRY_BYTES = 2_000  # an index without cards


class _Flat(Protocol):
    """What is used of a FAISS index, which ships no types."""

    def add(self, rows: Matrix) -> None: ...

    def search(
        self, rows: Matrix, k: int, *, params: object = None
    ) -> tuple[Matrix, npt.NDArray[np.int64]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class UserIndex:
    """An exact inner-product search over one user's active cards; never changed once built.

    The vectors are scanned in half precision, which halves the memory that is read, and what comes
    near is scored in full.
    """

    shelf: Shelf
    faiss_index: _Flat
    rows: Mapping[str, int]  # of the shelf, by card id

    @classmethod
    def build(cls, shelf: Shelf) -> "UserIndex":
        """Index a shelf."""
        library = cast(Any, faiss)
        index: _Flat = library.IndexScalarQuantizer(
            shelf.matrix.shape[1],
            library.ScalarQuantizer.QT_fp16,
            library.METRIC_INNER_PRODUCT,
        )
        index.add(shelf.matrix)
        return cls(shelf, index, {card_id: row for row, card_id in enumerate(shelf.ids)})

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Number of each card, ascending, (n,)."""
        counted = self.shelf.numbers
        return np.arange(1, len(self.shelf.ids) + 1) if counted is None else counted

    def row_of(self, number: int) -> int:
        """Give the row of the card with this number; -1 where it is not there."""
        row = int(np.searchsorted(self.numbers, number))
        there = row < len(self.numbers) and self.numbers[row] == number
        return row if there else -1

    @property
    def size_bytes(self) -> int:
        """Memory held: the vectors in full (shelf) and half (index), the ids, the index itself."""
        vectors = self.shelf.matrix.nbytes * 3 // 2
        return _ENTRY_BYTES + vectors + _CARD_BYTES * len(self.shelf.ids)

    def search(
        self, query: Vector, k: int, *, living: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.int64], Vector]:
        """Find the k cards nearest to a unit vector, (e,): positions and cosines, best first.

        Cards of equal cosine come in the order of their ids.

        Args:
            query: The unit vector.
            k: Number of cards.
            living: Which cards may be found, (n,); all unless given.
        """
        number = len(self.shelf.ids) if living is None else int(living.sum())
        near = min(2 * k + _MARGIN, number)
        if k == 0 or near == 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        some = living if number < len(self.shelf.ids) else None
        positions = _alone(self.faiss_index, query, near, some)
        cosines: Vector = self.shelf.matrix[positions] @ query  # (near, e) @ (e,) -> (near,)
        order = np.lexsort((positions, -cosines))[:k]
        return positions[order], cosines[order]


def _alone(
    index: _Flat, query: Vector, k: int, living: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.int64]:
    """Search on this thread only: for one query, waking others costs more than it saves."""
    runtime: Any = faiss
    params: object = None
    if living is not None:
        bits = np.packbits(living, bitorder="little")
        params = runtime.SearchParameters(sel=runtime.IDSelectorBitmap(bits))
    threads = runtime.omp_get_max_threads()
    runtime.omp_set_num_threads(1)  # of this thread
    try:
        found: npt.NDArray[np.int64] = index.search(query[None, :], k, params=params)[1][0]
    finally:
        runtime.omp_set_num_threads(threads)
    return found


class IndexCache:
    """Keeps the indexes of recent users, as many as fit.

    An index serves as long as the user's revision is the one it was built from. It is replaced,
    never changed, so readers need no lock.

    Args:
        max_bytes: Memory for all indexes; the least recently used go first.
    """

    def __init__(self, max_bytes: int) -> None:
        """Start empty."""
        self._max_bytes = max_bytes
        self._entries: OrderedDict[UserKey, UserIndex] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, user: UserKey, revision: int, load: Callable[[UserKey], Shelf]) -> UserIndex:
        """Give the user's index at `revision` or newer, built from `load(user)` if need be."""
        with self._lock:
            entry = self._entries.get(user)
            if entry is not None and entry.shelf.revision == revision:
                self._entries.move_to_end(user)
                return entry
        entry = UserIndex.build(load(user))
        with self._lock:
            self._discard(user)
            if entry.size_bytes <= self._max_bytes:
                self._entries[user] = entry
                self._bytes += entry.size_bytes
            while self._bytes > self._max_bytes:
                self._discard(next(iter(self._entries)))
        return entry

    @property
    def size_bytes(self) -> int:
        """Memory that the indexes take."""
        return self._bytes

    def drop(self, user: UserKey) -> None:
        """Forget a user's index."""
        with self._lock:
            self._discard(user)

    def _discard(self, user: UserKey) -> None:
        entry = self._entries.pop(user, None)
        if entry is not None:
            self._bytes -= entry.size_bytes
