"""Candidates are the nearest cards to any view of the query, and the nearest global ones."""

import numpy as np
import pytest

from prefmem.retrieve.dense import nearest, views
from prefmem.stores.faiss import UserIndex
from prefmem.types import Shelf

# Cosines with (1, 0): 0.6, 1, -1, 0, 0.8; with (0, 1): 0.8, 0, 0, 1, 0.6
ROWS = np.array([[0.6, 0.8], [1, 0], [-1, 0], [0, 1], [0.8, 0.6]], dtype=np.float32)
EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


def found(
    always: list[int], k: int, *queries: list[float], everywhere: int = 9
) -> list[tuple[int, float]]:
    flags = np.array([i in always for i in range(5)], dtype=np.bool_)
    shelf = Shelf(1, tuple("abcde"), flags, np.ones(5, dtype=np.float32), ROWS)
    asked = np.array(queries or [EAST], dtype=np.float32)
    positions, cosines = nearest(UserIndex.build(shelf), asked, k=k, everywhere=everywhere)
    pairs = zip(positions, cosines, strict=True)
    return sorted(((int(p), round(float(c), 4)) for p, c in pairs), key=lambda pair: -pair[1])


def test_the_nearest_are_found() -> None:
    assert found([], 3) == [(1, 1.0), (4, 0.8), (0, 0.6)]


@pytest.mark.parametrize("k", [5, 99])
def test_few_cards_are_all_candidates(k: int) -> None:
    assert found([], k) == [(1, 1.0), (4, 0.8), (0, 0.6), (3, 0.0), (2, -1.0)]


def test_global_cards_are_among_them_once_the_nearest_first() -> None:
    assert found([2, 3], 2) == [(1, 1.0), (4, 0.8), (3, 0.0), (2, -1.0)]
    assert found([1, 4], 2) == [(1, 1.0), (4, 0.8)]
    assert found([2, 3], 2, everywhere=1) == [(1, 1.0), (4, 0.8), (3, 0.0)]
    assert found([2, 3], 2, everywhere=0) == [(1, 1.0), (4, 0.8)]


def test_each_view_finds_its_own_and_the_nearer_view_counts() -> None:
    assert found([], 1, EAST, NORTH) == [(1, 1.0)]
    assert found([], 4, EAST, NORTH) == [(1, 1.0), (3, 1.0), (0, 0.8), (4, 0.8)]


def test_a_request_is_searched_for_alone_and_with_the_one_before() -> None:
    assert views("a mail") == ("a mail",)
    assert views("shorter", "a mail") == ("shorter", "a mail\nshorter")
    assert views(" ", "a mail") == ("a mail\n ",)
    assert views(" \n") == views("", "  ") == ()
    assert views("now", "x" * 600)[1] == "x" * 500 + "\nnow"
