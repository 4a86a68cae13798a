"""What every implementation of a protocol must do, as checks that raise AssertionError."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from prefmem.errors import BasisMismatchError
from prefmem.interaction import Entry, KeptEdit, Observation, Offer, UserState
from prefmem.job import Backlog, Job
from prefmem.protocols import Embedder, Extractor, Reranker, Store
from prefmem.testing.apart import Apart, offer, told
from prefmem.types import (
    Card,
    Change,
    Event,
    Evidence,
    Link,
    Op,
    Preference,
    Turn,
    UserKey,
    Vector,
    Window,
)

_HOUR = timedelta(hours=1)


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
    """Check isolation, idempotency, erasure, undoing and the queue of a store.

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
        assert transaction.revision() > 0
        transaction.save_state(
            UserState("ann", "test/1", "test", long=vector, short=vector, session_id="s", steps=1)
        )
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

    _check_changes(store, UserKey("cid"), vector, at)
    _check_order_and_ends(store, UserKey("dan"), vector, at)
    _check_interactions(store, UserKey("eve"), vector, at)
    Apart(store, (UserKey("hal"), UserKey("ivy"), UserKey("hal", tenant="t")), at).check()
    _check_jobs(store, (UserKey("fay"), UserKey("gus"), UserKey("fay", tenant="t")), at)
    with store.write(bob) as transaction:
        transaction.record(Event("k1", "learn", (), at), {})
    _check_audit(store, UserKey("hal"), vector, at)
    receipt = store.forget_user(ann)
    assert receipt.events == 3
    assert store.users() == ("bob", "cid", "dan", "eve")
    assert store.known(ann, ["k1"]) == frozenset()
    assert store.state(ann) is None


def _check_audit(store: Store, user: UserKey, vector: Vector, at: datetime) -> None:
    """Check that lines of the audit log are no data of a user, and that an erased one may return.

    What a line says, a store that keeps an audit log shows in its own way.
    """
    store.audit(user, "export", actor="host", at=at)
    assert user.user_id not in store.users(), "a line of the audit log made a user"
    card = Card("c", user.user_id, Preference("", "be brief"), "active", "said", "s", at, at)
    for key in ("1", "2"):
        with store.write(user) as transaction:
            transaction.record(Event(key, "add", (Change("add", card),), at), {"c": vector})
            transaction.audit("add", actor="host", at=at, card_id="c")
        assert [event.key for event in store.events(user)] == [key]
        assert store.known(user, ["1", "2"]) == {key}
        receipt = store.forget_user(user, actor="host", at=at)
        assert (receipt.cards, receipt.events) == (1, 1)
        assert store.cards(user) == ()


def _check_changes(store: Store, user: UserKey, vector: Vector, at: datetime) -> None:
    """Check closing, restoring and removing cards, and that a forgotten card leaves no link."""
    old = Card("old", "cid", Preference("", "be brief"), "active", "said", "s", at, at)
    new = replace(old, id="new", preference=Preference("", "be long"))
    closed = replace(old, status="superseded", valid_to=at, superseded_by="new")
    why = Link("supersede", "new", 0.9)
    with store.write(user) as transaction:
        transaction.record(Event("1", "add", (Change("add", old),), at), {"old": vector})
    with store.write(user) as transaction:
        changes = (Change("add", new), Change("supersede", closed, why))
        transaction.record(Event("2", "add", changes, at), {"new": vector})
        assert transaction.twin(old.preference) is None
    assert store.shelf(user).ids == ("new",)
    assert store.shelf(user, status="superseded").ids == ("old",)
    assert store.events(user, card_id="old")[1].changes == (Change("supersede", closed, why),)
    with store.write(user) as transaction:
        changes = (Change("remove", new), Change("restore", old))
        transaction.record(Event("3", "undo", changes, at), {"old": vector})
    assert store.cards(user) == (old,)
    waiting = replace(new, status="candidate", links=(Link("supersede", "old", 0.9),))
    with store.write(user) as transaction:
        transaction.record(Event("4", "undo", (Change("restore", waiting),), at), {"new": vector})
        assert transaction.forget("old")
    assert store.cards(user) == (replace(waiting, links=()),)
    with store.write(user) as transaction:
        gone = Change("remove", store.cards(user)[0])
        transaction.record(Event("5", "undo", (gone,), at), {})
        assert transaction.forget("new")  # removed, yet in the log
        assert not transaction.forget("new")
    assert [event.changes for event in store.events(user)] == [()] * 5


def _check_order_and_ends(store: Store, user: UserKey, vector: Vector, at: datetime) -> None:
    """Check that cards come in the order of saying, and that the shelf knows when they end."""
    one = Card("z", "dan", Preference("", "be brief"), "active", "said", "s", at, at)
    two = replace(one, id="a", preference=Preference("", "use SI"), valid_to=at)
    vectors = {"z": vector, "a": vector}
    ops: tuple[Op, ...] = ("add", "remove", "restore")
    for op in ops:
        told = (two, one) if op == "restore" else (one, two)
        with store.write(user) as transaction:
            changes = tuple(Change(op, card) for card in told)
            transaction.record(Event(op, "undo", changes, at), vectors)
    assert store.cards(user) == (one, two)
    shelf = store.shelf(user)
    assert dict(zip(shelf.ids, shelf.living(at).tolist(), strict=True)) == {"z": True, "a": False}


def _check_interactions(store: Store, user: UserKey, vector: Vector, at: datetime) -> None:
    """Check that offers and observations come back, once each, without a forgotten card."""
    cards = [
        Card(name, "eve", Preference("", f"use {name}"), "active", "said", "s", at, at)
        for name in ("b", "a", "c")
    ]
    assert not store.note(user, Entry("", offer("r0", [1]), at)), "an unknown user"
    with store.write(user) as transaction:
        changes = tuple(Change("add", card) for card in cards)
        transaction.record(Event("1", "add", changes, at), {card.id: vector for card in cards})
    assert store.numbers(user) == {"b": 1, "a": 2, "c": 3}
    shelf = store.shelf(user)
    assert shelf.ids == ("b", "a", "c")
    assert shelf.numbers is not None
    assert shelf.numbers.tolist() == [1, 2, 3]

    assert store.note(user, Entry("", offer("r1", [1, 2, 3]), at))
    assert store.note(user, Entry("", offer("r2", [3, 1]), at))
    assert not store.note(user, Entry("", offer("r2", [3, 1]), at)), "the same recall again"
    said = Observation(
        "r1", "s", "dissatisfied", -0.75, 0.5, True, np.array([2, 3]),
        np.array([0.5, -1], dtype=np.float32), np.array([0, 1], dtype=np.float32),
        np.array([2]), np.array([0.25], dtype=np.float32), 0.5, np.array([0, 2]),
    )  # fmt: skip
    state = UserState(
        "eve", "test/1", "", np.array([1, 3]), np.array([1.5, -2], dtype=np.float32),
        np.array([2, 2.5], dtype=np.float32), np.array([0.5, 0], dtype=np.float32), 7, 1.25,
        session_id="s", paused=np.array([3]), sessions=2, steps=3,
    )  # fmt: skip
    with store.write(user) as transaction:
        assert transaction.note(Entry("o1", said, at))
        assert not transaction.note(Entry("o1", said, at)), "the same key again"
        transaction.save_state(state)
    newest = store.interactions(user, asked="q")
    assert [e.payload.recall_id for e in newest] == ["r2"]
    found = store.interactions(user, recall_id="r1")[0]
    assert isinstance(found.payload, Offer)
    assert told(found.payload) == told(offer("r1", [1, 2, 3]))
    log = store.interactions(user)
    assert [e.seq for e in log] == sorted({e.seq for e in log})
    assert told(log[-1].payload) == told(said)
    kept = store.state(user)
    assert kept is not None
    assert told(kept) == told(state)

    edits = [KeptEdit(f"e{n}", "a mail", f"draft {n}", f"final {n}", at) for n in range(3)]
    with store.write(user) as transaction:
        assert [transaction.keep_edit(edit, most=2) for edit in edits] == [True] * 3
        assert not transaction.keep_edit(edits[2], most=2), "the same edit again"
    assert store.edits(user) == tuple(edits[1:])

    with store.write(user) as transaction:
        assert transaction.forget("c")
    kept, log = store.state(user), store.interactions(user)
    assert kept is not None
    assert (kept.numbers.tolist(), kept.evidence.tolist(), kept.paused.tolist()) == ([1], [1.5], [])
    assert [e.payload.numbers.tolist() for e in log] == [[1, 2], [1], [2]]
    late = Card("d", "eve", Preference("", "use d"), "active", "said", "s", at, at)
    with store.write(user) as transaction:
        transaction.record(Event("2", "add", (Change("add", late),), at), {"d": vector})
    assert store.numbers(user)["d"] == 4, "a number was given twice"


def _check_jobs(store: Store, users: Sequence[UserKey], at: datetime) -> None:
    """Check that jobs run in order, one of a user at a time, once, and leave with their user."""
    jobs, (fay, gus, other) = store.jobs, users
    now = at + _HOUR
    soon = now + timedelta(minutes=5)

    def lease(owner: str, most: int = 9, *, hurry: bool = False) -> tuple[Job, ...]:
        return jobs.lease(owner, now=now, until=now + timedelta(seconds=60), most=most, hurry=hurry)

    def job(user: UserKey, session_id: str, *keys: str, delay: int = 1) -> Job:
        turns = tuple(Turn(key, "user", f"always {key} é\n", at) for key in keys)
        return Job(user, session_id, turns, keys, at, at + timedelta(seconds=delay))

    assert jobs.lease("w", now=at, until=at, most=9) == ()
    assert jobs.backlog(at) == Backlog()
    one = job(fay, "s", "a", "b")
    for put in (job(fay, "s", "a"), one, one, job(fay, "s", "b"), job(fay, "t", "c")):
        assert jobs.put(put, most=100, most_of_user=100) == 0
    assert jobs.put(job(gus, "s", "a", delay=2), most=100, most_of_user=100) == 0
    assert jobs.put(job(other, "s", "a", delay=3), most=100, most_of_user=100) == 0
    found = jobs.of(fay)
    assert [replace(held, id="") for held in found] == [one, job(fay, "t", "c")]
    assert [held.keys for held in jobs.of(gus)] == [("a",)]
    assert jobs.backlog(at) == Backlog(4, 0, 0, at, at + timedelta(seconds=1))

    assert jobs.lease("w", now=at, until=at, most=9) == (), "a job that is not due"
    assert len(jobs.lease("w", now=at, until=at, most=9, hurry=True)) == 3
    first = lease("w", 2)  # what was leased had run out
    assert [(held.user, held.keys, held.tries) for held in first] == [
        (fay, ("a", "b"), 2),
        (gus, ("a",), 2),
    ]
    assert [held.user for held in lease("v")] == [other]
    assert lease("v") == (), "a second job of a user"
    assert jobs.put(job(fay, "s", "a"), most=100, most_of_user=100) == 0
    assert len(jobs.of(fay)) == 2, "what runs was put in again"
    jobs.release("v")
    (again,) = lease("v")
    assert (again.user, again.tries) == (other, 2)

    with store.write(fay) as transaction:
        assert transaction.finish(first[0])
        assert not transaction.finish(first[0])
    assert not jobs.finish(first[0])
    jobs.retry(first[1], "v", due=at, error="E")
    assert jobs.of(gus)[0].error == "", "a lease that is another's"
    jobs.retry(first[1], "w", due=soon, error="E")
    (late,) = jobs.of(gus)
    assert (late.error, late.due) == ("E", soon)
    (second,) = lease("w")
    assert second.keys == ("c",)
    jobs.bury(second, "w", at=at, error="F")
    (dead,) = jobs.of(fay)
    assert (dead.dead, dead.error) == (True, "F")
    assert lease("w", hurry=True) == (), "tried, dead, or another's"
    assert jobs.backlog(now) == Backlog(1, 1, 1, at, soon)
    assert (jobs.revive(fay), jobs.revive(fay)) == (1, 0)
    (revived,) = lease("w")
    assert (revived.keys, revived.tries, revived.dead) == (("c",), 1, False)
    jobs.bury(revived, "w", at=at, error="F")
    assert (jobs.purge(at), jobs.purge(now), jobs.of(fay)) == (0, 1, ())

    said = Evidence("q", "always q é")
    card = Card("c", "fay", Preference("", "q", evidence=(said,)), "active", "said", "s", at, at)
    for keys in ("q", "r"):
        jobs.put(job(fay, keys, keys), most=100, most_of_user=100)
        (held,) = lease("w")
        jobs.bury(held, "w", at=at, error="F")
    vector = np.array([1, 0, 0, 0], dtype=np.float32)
    with store.write(fay) as transaction:
        transaction.record(Event("1", "add", (Change("add", card),), at), {"c": vector})
        transaction.forget("c")
    assert [held.keys for held in jobs.of(fay)] == [("r",)], "a dead job holds forgotten words"
    jobs.purge(now)

    jobs.retry(again, "v", due=now + _HOUR, error="E")  # so far off: a clock was set back
    assert [held.user for held in lease("w")] == [other]
    for number in range(4):
        dropped = jobs.put(job(fay, f"s{number}", "a"), most=100, most_of_user=3)
        assert dropped == (number == 3)
    assert [held.session_id for held in jobs.of(fay)] == ["s1", "s2", "s3"]
    assert jobs.put(job(fay, "u", "a"), most=5, most_of_user=9) == 1
    assert [held.session_id for held in jobs.of(fay)] == ["s2", "s3", "u"]
    for user in users:
        store.forget_user(user)
        assert jobs.of(user) == ()
    assert not jobs.finish(again)
    assert jobs.backlog(at) == Backlog()
