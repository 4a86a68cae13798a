"""The index finds what a plain search finds; the cache holds what fits and what is current."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prefmem.stores.faiss import IndexCache, Plain, UserIndex
from prefmem.types import Shelf, UserKey, Vector


def shelf(rows: int, *, width: int = 8, seed: int = 0, revision: int = 1) -> Shelf:
    matrix = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    ids = tuple(f"c{n:05}" for n in range(rows))
    return Shelf(revision, ids, np.zeros(rows, dtype=np.bool_), np.ones(rows, np.float32), matrix)


def unit(width: int, seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(width).astype(np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@given(st.integers(0, 60), st.integers(1, 70), st.integers(1, 48), st.integers(0, 10_000))
def test_it_equals_a_plain_search(rows: int, k: int, width: int, seed: int) -> None:
    cards = shelf(rows, width=width, seed=seed)
    query = unit(width, seed + 1)
    positions, cosines = UserIndex.build(cards).search(query, k)
    plain = cards.matrix.astype(np.float64) @ query.astype(np.float64)
    best = np.sort(plain)[::-1][:k]
    assert len(positions) == len(set(positions.tolist())) == min(k, rows)
    assert np.allclose(cosines, best, atol=1e-5)
    assert np.allclose(plain[positions], cosines, atol=1e-5)
    assert (np.diff(cosines) <= 0).all()


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 12), st.integers(0, 10_000))
def test_numpy_finds_the_same_in_the_same_order(
    rows: int, k: int, different: int, seed: int
) -> None:
    few = shelf(different, width=16, seed=seed)
    drawn = np.random.default_rng(seed).integers(0, different, rows)
    ids = tuple(f"c{n:05}" for n in range(rows))
    cards = Shelf(1, ids, np.zeros(rows, np.bool_), np.ones(rows, np.float32), few.matrix[drawn])
    query, living = unit(16, seed + 1), np.random.default_rng(seed).random(rows) < 0.9
    plain = UserIndex.build(cards, kind=Plain)
    for given_living in (None, living):
        found, cosines = UserIndex.build(cards).search(query, k, living=given_living)
        other, others = plain.search(query, k, living=given_living)
        assert found.tolist() == other.tolist()
        assert cosines.tolist() == others.tolist()
        ties = np.diff(cosines) == 0
        assert (np.diff(found)[ties] > 0).all()


def test_without_faiss_the_search_is_numpys() -> None:
    code = (
        "import sys; sys.modules['faiss'] = None; import numpy as np\n"
        "from prefmem.stores.faiss import UserIndex; from prefmem.types import Shelf\n"
        "rows = np.eye(3, dtype=np.float32)\n"
        "cards = Shelf(1, ('a', 'b', 'c'), np.zeros(3, np.bool_), np.ones(3, np.float32), rows)\n"
        "print(UserIndex.build(cards).search(rows[1], 2)[0].tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[1, 0]\n"


def test_half_precision_loses_no_neighbour() -> None:
    cards, query = shelf(2_000, width=64), unit(64, 1)
    positions, _ = UserIndex.build(cards).search(query, 10)
    assert positions.tolist() == np.argsort(-(cards.matrix @ query))[:10].tolist()


def test_equal_cosines_come_by_position() -> None:
    rows = np.tile(np.array([[1, 0]], dtype=np.float32), (5, 1))
    cards = Shelf(1, tuple("abcde"), np.zeros(5, np.bool_), np.ones(5, np.float32), rows)
    positions, _ = UserIndex.build(cards).search(rows[0], 5)
    assert positions.tolist() == [0, 1, 2, 3, 4]


def test_only_the_living_are_found() -> None:
    cards, query = shelf(500, width=16), unit(16, 1)
    living = np.arange(500) % 7 == 3
    positions, _ = UserIndex.build(cards).search(query, 10, living=living)
    plain = np.where(living, cards.matrix @ query, -2)
    assert positions.tolist() == np.argsort(-plain)[:10].tolist()
    none = UserIndex.build(cards).search(query, 10, living=np.zeros(500, dtype=np.bool_))
    assert none[0].tolist() == []


def test_no_cards_give_nothing() -> None:
    positions, cosines = UserIndex.build(shelf(0)).search(unit(8, 1), 3)
    assert positions.tolist() == cosines.tolist() == []


class Loads:
    """Counts the shelves that were asked for."""

    def __init__(self, rows: int = 10) -> None:
        self.asked: list[str] = []
        self.revision = 1
        self.rows = rows

    def __call__(self, user: UserKey) -> Shelf:
        self.asked.append(user.user_id)
        return shelf(self.rows, revision=self.revision)


ANN, BOB, CAT = (UserKey(name) for name in ("ann", "bob", "cat"))
TEN = UserIndex.build(shelf(10)).size_bytes


def test_an_index_is_kept_while_the_revision_stands() -> None:
    loads, cache = Loads(), IndexCache(10 * TEN)
    first = cache.get(ANN, 1, loads)
    assert cache.get(ANN, 1, loads) is first
    loads.revision = 2
    second = cache.get(ANN, 2, loads)
    assert second is not first
    assert second.shelf.revision == 2
    assert loads.asked == ["ann", "ann"]
    cache.drop(ANN)
    cache.drop(BOB)
    cache.get(ANN, 2, loads)
    assert loads.asked == ["ann", "ann", "ann"]


def test_users_and_tenants_have_indexes_of_their_own() -> None:
    loads, cache = Loads(), IndexCache(10 * TEN)
    indexes = [cache.get(user, 1, loads) for user in (ANN, BOB, UserKey("ann", "t"))]
    assert len({id(index) for index in indexes}) == 3


def test_the_least_recently_used_goes_first() -> None:
    loads, cache = Loads(), IndexCache(2 * TEN)
    for user in (ANN, BOB, ANN, CAT):  # cat takes bob's place
        cache.get(user, 1, loads)
    loads.asked.clear()
    for user in (ANN, CAT, BOB):
        cache.get(user, 1, loads)
    assert loads.asked == ["bob"]


def test_an_index_that_never_fits_serves_and_is_not_kept() -> None:
    for room in (0, TEN - 1):
        loads, cache = Loads(), IndexCache(room)
        assert len(cache.get(ANN, 1, loads).shelf.ids) == 10
        cache.get(ANN, 1, loads)
        assert loads.asked == ["ann", "ann"]


def test_users_without_cards_take_room_too() -> None:
    loads, cache = Loads(rows=0), IndexCache(20_000)
    everyone = [UserKey(f"u{n}") for n in range(1000)]
    for user in everyone:
        cache.get(user, 1, loads)
    loads.asked.clear()
    for user in reversed(everyone):
        cache.get(user, 1, loads)
    assert len(loads.asked) > 900
