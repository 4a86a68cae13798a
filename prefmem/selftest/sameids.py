"""SQLite and PostgreSQL, FAISS and numpy: the same query finds the same cards in the same order.

The words of many cards are those of others in another order, so that vectors are equal and only
the cards' numbers decide.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from random import Random

import numpy as np

from prefmem.errors import ConfigError
from prefmem.protocols import Store
from prefmem.selftest.ground import Finding, Ground, opened
from prefmem.selftest.said import word
from prefmem.stores.faiss import Faiss, Plain, UserIndex
from prefmem.stores.pgschema import VectorType
from prefmem.stores.postgres import PostgresStore
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder
from prefmem.types import Card, Change, Event, Matrix, Preference, Scope, UserKey, Vector

_USERS = 24
_LARGEST = 800  # cards of a user
_WORDS = 40
_RECALLS = 20  # searches for each recall through a memory
_MOST = 10
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def run(ground: Ground, size: int) -> Finding:
    """Ask `size` queries of all kinds of store and index."""
    rng = ground.rng("sameids")
    words = [word("sameids", n) for n in range(_WORDS)]
    stores = _stores(ground)
    try:
        users = [UserKey(f"u{n}") for n in range(_USERS)]
        for number, user in enumerate(users):
            _fill(stores.values(), user, words, rng)
            ground.tell("cards", number + 1, _USERS)
        different, ties, cards = _searched(ground, stores, users, words, size)
        recalled = _recalled(ground, stores, users, words, max(1, size // _RECALLS))
    finally:
        for store in stores.values():
            store.close()
    kinds = ", ".join((*stores, "numpy"))
    return Finding(
        "sameids", not different and not recalled and len(stores) == 3, size,
        {"queries": size, "different": different, "ties": ties, "cards": cards,
         "recalls": max(1, size // _RECALLS), "recalls_different": recalled},
        f"{size:,} queries of {cards:,} cards on {kinds}: {size - different:,} found the same ids "
        f"in the same order everywhere, {ties:,} of them with equal cosines; of "
        f"{max(1, size // _RECALLS):,} recalls {recalled} differed"
        + ("" if len(stores) == 3 else "; pgvector is missing, so halfvec was not tried"),
    )  # fmt: skip


def _stores(ground: Ground) -> dict[str, Store]:
    """Open the stores; without the one on halfvec where the server has no pgvector."""
    stores: dict[str, Store] = {"SQLite": SQLiteStore(ground.folder / "prefs.db")}
    kinds: Sequence[VectorType] = ("bytea", "halfvec")
    for kind in kinds:
        try:
            opened_one = PostgresStore(ground.dsn, schema=f"sameids_{kind}", vectors=kind)
        except ConfigError:
            continue
        stores[f"PostgreSQL {kind}"] = opened_one
    embedder = HashEmbedder()
    for store in stores.values():
        store.bind(embedder.basis, embedder.width)
    return stores


def _fill(stores: Iterable[Store], user: UserKey, words: list[str], rng: Random) -> None:
    """Give a user cards, the same in each store; every third repeats one's words in a new order."""
    said: list[list[str]] = []
    number = max(3, int(_LARGEST * rng.random() ** 3))
    while len(said) < number:
        again = rng.choice(said) if said and len(said) % 3 == 0 else None
        drawn = rng.sample(again, len(again)) if again else rng.sample(words, rng.randint(3, 6))
        if drawn not in said:
            said.append(drawn)
    cards = [
        Card(
            f"{rng.getrandbits(64):016x}", user.user_id,
            _rule(some, n),
            "active", "added", "", _AT, _AT,
        )
        for n, some in enumerate(said)
    ]  # fmt: skip
    vectors = HashEmbedder().embed([card.text for card in cards])
    event = Event("fill", "add", tuple(Change("add", card) for card in cards), _AT)
    for store in stores:
        with store.write(user) as transaction:
            transaction.record(event, dict(zip((c.id for c in cards), vectors, strict=True)))


def _rule(words: Sequence[str], number: int) -> Preference:
    scope = Scope("conditional" if number % 5 else "global")
    return Preference("", f"mind {' '.join(words)}", scope=scope)


def _queries(words: list[str], rng: Random, size: int) -> Matrix:
    texts = [" ".join(rng.sample(words, rng.randint(1, 6))) for _ in range(size)]
    return HashEmbedder().embed(texts)


def _searched(
    ground: Ground, stores: dict[str, Store], users: Sequence[UserKey], words: list[str], size: int
) -> tuple[int, int, int]:
    """Search with each index; gives queries that differed, those with equal cosines, and cards."""
    different = ties = cards = asked = 0
    kinds: Sequence[type[Faiss] | type[Plain]] = (Faiss, Plain)
    for number, user in enumerate(users):
        share = size // len(users) + (number < size % len(users))
        shelves = [store.shelf(user) for store in stores.values()]
        indexes = [UserIndex.build(shelf, kind=kind) for shelf in shelves for kind in kinds]
        cards += len(shelves[0].ids)
        for query in _queries(words, ground.rng(user.user_id), share):
            found = [_found(index, query) for index in indexes]
            different += any(ids != found[0][0] for ids, _ in found)
            ties += found[0][1]
        asked += share
        ground.tell("queries", asked, size)
    return different, ties, cards


def _found(index: UserIndex, query: Vector) -> tuple[tuple[str, ...], bool]:
    positions, cosines = index.search(query, _MOST)
    return tuple(index.shelf.ids[int(p)] for p in positions), bool((np.diff(cosines) == 0).any())


def _recalled(
    ground: Ground, stores: dict[str, Store], users: Sequence[UserKey], words: list[str], size: int
) -> int:
    """Recall through a memory on each store; gives how many differed."""
    rng, different = ground.rng("recalls"), 0
    memories = [opened(None, store=store) for store in stores.values()]
    for number in range(size):
        user, query = rng.choice(users), " ".join(rng.sample(words, rng.randint(1, 6)))
        found = [memory.recall(query, user_id=user.user_id, strict=True) for memory in memories]
        ids = [tuple(candidate.card.id for candidate in recall.candidates) for recall in found]
        rules = [tuple(rule.text for rule in recall.rules) for recall in found]
        different += len(set(ids)) > 1 or len(set(rules)) > 1
        ground.tell("recalls", number + 1, size)
    return different
