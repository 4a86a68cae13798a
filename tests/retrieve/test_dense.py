"""Candidates are the nearest cards, and every global one."""

import numpy as np

from prefmem.retrieve.dense import nearest
from prefmem.stores.faiss import UserIndex
from prefmem.types import Shelf

# Cosines with (1, 0): 0.6, 1, -1, 0, 0.8
ROWS = np.array([[0.6, 0.8], [1, 0], [-1, 0], [0, 1], [0.8, 0.6]], dtype=np.float32)
QUERY = np.array([1, 0], dtype=np.float32)


def found(always: list[int], k: int) -> list[tuple[int, float]]:
    flags = np.array([i in always for i in range(5)], dtype=np.bool_)
    shelf = Shelf(1, tuple("abcde"), flags, np.ones(5, dtype=np.float32), ROWS)
    positions, cosines = nearest(UserIndex.build(shelf), QUERY, k=k)
    return [(int(p), round(float(c), 4)) for p, c in zip(positions, cosines, strict=True)]


def test_the_nearest_come_best_first() -> None:
    assert found([], 3) == [(1, 1.0), (4, 0.8), (0, 0.6)]
    assert found([], 99) == [(1, 1.0), (4, 0.8), (0, 0.6), (3, 0.0), (2, -1.0)]


def test_global_cards_are_always_among_them_once() -> None:
    assert found([2, 3], 2) == [(1, 1.0), (4, 0.8), (2, -1.0), (3, 0.0)]
    assert found([1, 4], 2) == [(1, 1.0), (4, 0.8)]
