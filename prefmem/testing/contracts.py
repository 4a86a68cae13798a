"""What every implementation of a protocol must do, as checks that raise AssertionError."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from prefmem.errors import BasisMismatchError
from prefmem.protocols import Embedder, Extractor, Reranker, Store
from prefmem.types import Card, Change, Event, Preference, Turn, UserKey, UserState, Window


def check_embedder(embedder: Embedder, texts: Sequence[str]) -> None:
    """Check shapes, unit rows, and that a vector does not depend on its batch."""
    rows = embedder.embed(texts)
    assert rows.shape == (len(texts), embedder.width)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    alone = np.stack([embedder.embed([text])[0] for text in texts])
    assert np.array_equal(rows, alone)
    assert embedder.embed([]).shape == (0, embedder.width)
    relevance = embedder.relevance(np.linspace(-1, 1, 21, dtype=np.float32))
    assert bool((relevance >= 0).all() and (relevance <= 1).all())
    assert bool((np.diff(relevance) >= 0).all())


def check_reranker(reranker: Reranker, query: str, rules: Sequence[str]) -> None:
    """Check that each rule gets a probability which does not depend on the others asked about.

    Args:
        reranker: What is checked.
        query: A request.
        rules: Two rules or more of different length.
    """
    cosines = np.linspace(0.1, 0.9, len(rules), dtype=np.float32)
    found = reranker.relevance(query, rules, cosines)
    assert found.shape == (len(rules),)
    assert found.dtype == np.float32
    assert bool((found >= 0).all() and (found <= 1).all())
    alone = [
        reranker.relevance(query, rules[i : i + 1], cosines[i : i + 1]) for i in range(len(rules))
    ]
    assert np.allclose(found, np.concatenate(alone), atol=1e-4)
    back = reranker.relevance(query, rules[::-1], cosines[::-1])
    assert np.allclose(found[::-1], back, atol=1e-4)
    for odd in ("", "a " * 50_000):
        assert reranker.relevance(odd, rules[:1], cosines[:1]).shape == (1,)


def check_extractor(extractor: Extractor, preference_turn: str) -> None:
    """Check that user turns alone are learned from, with verbatim quotes.

    Args:
        extractor: What is checked.
        preference_turn: A user turn that states a preference.
    """
    turns = (
        Turn("0", "assistant", preference_turn),
        Turn("1", "user", "What is the time in Lima?"),
        Turn("2", "system", preference_turn),
        Turn("3", "tool", preference_turn),
        Turn("4", "user", preference_turn),
    )
    window = Window("ann", "s", turns)
    found = extractor.extract(window, ["1", "4"])
    assert found, "the preference was not found"
    for preference in found:
        assert preference.action
        assert 0 <= preference.confidence <= 1
        assert preference.evidence
        for evidence in preference.evidence:
            assert evidence.turn_id == "4"
            assert evidence.quote in preference_turn
    assert extractor.extract(window, ["1"]) == ()
    assert extractor.extract(window, []) == ()


def check_store(make: Callable[[], Store]) -> None:
    """Check isolation, idempotency, erasure and undoing over a store.

    Args:
        make: Opens a new, empty store.
    """
    store = make()
    try:
        _check_store(store)
    finally:
        store.close()


def _check_store(store: Store) -> None:
    store.bind("test", 4)
    store.bind("test", 4)
    for basis, width in (("other", 4), ("test", 8)):
        try:
            store.bind(basis, width)
        except BasisMismatchError:
            continue
        raise AssertionError("a store took vectors of another space")
    ann, bob, other = UserKey("ann"), UserKey("bob"), UserKey("ann", tenant="t")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    vector = np.array([1, 0, 0, 0], dtype=np.float32)
    card = Card("c1", "ann", Preference("", "be brief"), "active", "said", "s", at, at)

    assert store.revision(ann) == 0
    assert store.state(ann) is None
    with store.write(ann) as transaction:
        assert not transaction.knows("k1")
        transaction.record(Event("k1", "learn", (Change("add", card),), at), {"c1": vector})
        assert transaction.knows("k1")
        assert transaction.twin(Preference("", "Be  brief.")) == card
        transaction.save_state(UserState("ann", "test", vector, vector, "s", 1))
    revision = store.revision(ann)
    assert revision > 0
    assert store.cards(ann) == (card,)
    assert store.card(ann, "c1") == card
    assert store.known(ann, ["k1", "k2"]) == {"k1"}
    with store.write(ann) as transaction:  # a turn is the same with and without the one before
        transaction.record(Event("w:x", "learn", (), at), {})
        transaction.record(Event("v:", "learn", (), at), {})
    wanted = {"w:", "w:x", "v:", "v:z"}
    assert store.known(ann, [*wanted, "w:y", "u:", "x:"]) == wanted
    shelf = store.shelf(ann)
    assert shelf.ids == ("c1",)
    assert shelf.revision == revision
    assert np.allclose(shelf.matrix, vector)
    state = store.state(ann)
    assert state is not None
    assert np.array_equal(state.long, vector)

    for stranger in (bob, other):  # isolation, by user and by tenant
        assert store.cards(stranger) == ()
        assert store.card(stranger, "c1") is None
        assert store.known(stranger, ["k1"]) == frozenset()
        assert store.events(stranger) == ()
        assert store.shelf(stranger).ids == ()

    try:  # an exception undoes all of it
        with store.write(ann) as transaction:
            second = Card("c2", "ann", Preference("", "use SI"), "active", "said", "s", at, at)
            transaction.record(Event("k2", "learn", (Change("add", second),), at), {"c2": vector})
            raise KeyError("undo")
    except KeyError:
        pass
    assert store.known(ann, ["k2"]) == frozenset()
    assert store.revision(ann) == revision

    with store.write(ann) as transaction:  # a forgotten card leaves no trace
        assert not transaction.forget("nope")
        assert transaction.forget("c1")
    assert store.cards(ann) == ()
    assert store.revision(ann) != revision
    assert [e.changes for e in store.events(ann)] == [(), (), ()]
    assert store.known(ann, ["k1"]) == {"k1"}

    with store.write(bob) as transaction:
        transaction.record(Event("k1", "learn", (), at), {})
    receipt = store.forget_user(ann)
    assert receipt.events == 3
    assert store.users() == ("bob",)
    assert store.known(ann, ["k1"]) == frozenset()
    assert store.state(ann) is None
