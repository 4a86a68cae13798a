"""The index of a user: FAISS, or numpy where FAISS cannot be imported; both find the same cards.

It is a picture of the store in memory, thrown away as soon as the store has moved on.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from prefmem.types import Matrix, Shelf, UserKey, Vector

try:
    import faiss
except ImportError:  # a platform without wheels: the search in numpy is as exact
    faiss = None  # type: ignore[assignment]

Positions: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_CARD_BYTES = 230  # a card's id, its place in the table of rows, and Python's share of both
_MARGIN = 16  # cards scored in full beyond twice the number asked for
_ENTRY_BYTES = 2_000  # an index without cards
_ERROR = 1e-3  # bound of what half precision changes in a cosine, 2^-11, with room for sums


class Near(Protocol):
    """Finds what is near to a query, roughly."""

    def near(self, query: Vector, k: int, living: Mask | None) -> tuple[Positions, float]:
        """Find at least k of the living: positions, and the cosine above which none is left out.

        Args:
            query: A unit vector, (e,).
            k: At most as many as there are.
            living: Which may be found, (n,); all if None.
        """
        ...


class Faiss:
    """FAISS over half precision.

    Args:
        matrix: Unit rows, (n, e).
    """

    def __init__(self, matrix: Matrix) -> None:
        """Index the rows."""
        library = cast(Any, faiss)
        self._count = len(matrix)
        self._index = library.IndexScalarQuantizer(
            matrix.shape[1], library.ScalarQuantizer.QT_fp16, library.METRIC_INNER_PRODUCT
        )
        self._index.add(matrix)

    def near(self, query: Vector, k: int, living: Mask | None) -> tuple[Positions, float]:
        """Search on this thread only: for one query, waking others costs more than it saves."""
        library, params = cast(Any, faiss), None
        number = self._count if living is None else int(living.sum())
        if living is not None and number < self._count:
            bits = np.packbits(living, bitorder="little")
            params = library.SearchParameters(sel=library.IDSelectorBitmap(bits))
        wanted = min(2 * k + _MARGIN, number)
        threads = library.omp_get_max_threads()
        library.omp_set_num_threads(1)  # of this thread
        try:
            cosines, positions = self._index.search(query[None, :], wanted, params=params)
        finally:
            library.omp_set_num_threads(threads)
        return positions[0], -np.inf if wanted == number else float(cosines[0, -1]) + _ERROR


class Plain:
    """One product of all rows with the query.

    Args:
        matrix: Unit rows, (n, e).
    """

    def __init__(self, matrix: Matrix) -> None:
        """Use the rows."""
        self._matrix = matrix

    def near(self, query: Vector, k: int, living: Mask | None) -> tuple[Positions, float]:
        """Give all that may be among the best, however its sum is rounded."""
        cosines = self._matrix @ query  # (n, e) @ (e,) -> (n,)
        if living is not None:
            cosines = np.where(living, cosines, -np.inf)
        best = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        return np.flatnonzero(cosines >= best - _ERROR), -np.inf


@dataclass(frozen=True, slots=True, eq=False)
class UserIndex:
    """An exact inner-product search over one user's active cards; never changed once built.

    FAISS scans the vectors in half precision, which halves the memory that is read; what comes
    near is scored in full, and everything where half precision cannot tell it apart.
    """

    shelf: Shelf
    index: Near
    rows: Mapping[str, int]  # of the shelf, by card id
    doubts: Vector  # about each card, (n,); nan until somebody works it out

    @classmethod
    def build(cls, shelf: Shelf, *, kind: Callable[[Matrix], Near] | None = None) -> "UserIndex":
        """Index a shelf.

        Args:
            shelf: The cards.
            kind: What searches: `Faiss` unless given, `Plain` where FAISS cannot be imported.
        """
        made = kind or (Plain if faiss is None else Faiss)
        rows = {card_id: row for row, card_id in enumerate(shelf.ids)}
        doubts = np.full(len(shelf.ids), np.nan, dtype=np.float32)
        return cls(shelf, made(shelf.matrix), rows, doubts)

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

        Cards of equal cosine come in the order of their numbers.

        Args:
            query: The unit vector.
            k: Number of cards.
            living: Which cards may be found, (n,); all unless given.
        """
        k = min(k, len(self.shelf.ids) if living is None else int(living.sum()))
        if k == 0:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        positions, left_out = self.index.near(query, k, living)
        found, cosines = self._best(positions, query, k)
        if cosines[-1] <= left_out:
            positions, _ = Plain(self.shelf.matrix).near(query, k, living)
            found, cosines = self._best(positions, query, k)
        return found, cosines

    def _best(self, positions: Positions, query: Vector, k: int) -> tuple[Positions, Vector]:
        """Score in full: each row by itself, as equal rows must score the same anywhere."""
        cosines = (self.shelf.matrix[positions] * query).sum(axis=1)  # (m, e) -> (m,)
        order = np.lexsort((positions, -cosines))[:k]
        return positions[order], cosines[order]


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
