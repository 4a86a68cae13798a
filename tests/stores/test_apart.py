"""What is done about one user leaves another, whose rows bear the same names, as they are."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from prefmem.interaction import KeptEdit, UserState
from prefmem.job import Job
from prefmem.stores.keys import UserKeys
from prefmem.stores.packing import pack, unpack
from prefmem.stores.places import Mark
from prefmem.stores.shard import Shard
from prefmem.stores.sqlite import SQLiteStore
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
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann"), UserKey("bob")
EAST: Vector = np.array([1, 0, 0, 0], dtype=np.float32)
MASTER = bytes(range(32))
Open = Callable[..., SQLiteStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open the store, with or without keys; it is closed at the end."""
    stores: list[SQLiteStore] = []
    with UserKeys(tmp_path / "keys", master=MASTER) as keys:

        def make(*, sealed: bool = False, convert: bool = False) -> SQLiteStore:
            given = keys if sealed else None
            stores.append(SQLiteStore(tmp_path / "prefs.db", encryption=given, convert=convert))
            stores[-1].bind("test", 4)
            return stores[-1]

        yield make
        for store in stores:
            store.close()


@pytest.fixture
def store(opened: Open) -> SQLiteStore:
    return opened()


def card(name: str, user: UserKey, action: str = "", *links: str, turn_id: str = "t") -> Card:
    said = Evidence(turn_id, f"always {name}")
    told = Preference("", action or f"do {name} for {user.user_id}", evidence=(said,))
    made = Card(name, user.user_id, told, "active", "said", "s", AT, AT)
    return replace(made, links=tuple(Link("exception", other, 0.5) for other in links))


def record(store: SQLiteStore, key: str, *cards: Card, op: Op = "add") -> None:
    user = UserKey(cards[0].user_id)
    with store.write(user) as transaction:
        changes = tuple(Change(op, c) for c in cards)
        transaction.record(Event(key, "learn", changes, AT), {c.id: EAST for c in cards})


def edit(name: str, user: UserKey) -> KeptEdit:
    return KeptEdit(name, "a mail", f"draft of {user.user_id}", "final", AT)


def bury(store: SQLiteStore, user: UserKey) -> None:
    """Leave a dead job that holds the words of a card `a`."""
    turns = (Turn("t", "user", "always a"),)
    store.jobs.put(Job(user, "s", turns, ("t",), AT, AT), most=9, most_of_user=9)
    (job,) = store.jobs.lease("w", now=AT, until=AT + timedelta(minutes=1), most=9)
    store.jobs.bury(job, "w", at=AT, error="E")


def learned(user: UserKey) -> UserState:
    return UserState(
        user.user_id, f"test/{user.user_id}", "test", long=EAST, short=EAST, session_id="s"
    )


def test_each_reads_its_own(store: SQLiteStore) -> None:
    for user in (ANN, BOB):
        record(store, "1", card("a", user))
        record(store, "2", card("b", user))
        with store.write(user) as transaction:
            transaction.save_state(learned(user))
    for user in (ANN, BOB):
        assert [event.seq for event in store.events(user)] == [1, 2]
        state = store.state(user)
        assert state is not None
        assert state.model == f"test/{user.user_id}"
    assert store.revision(ANN) != store.revision(BOB)
    assert store.forget_user(ANN).states == 1
    record(store, "1", card("a", ANN))
    assert store.forget_user(ANN).states == 0, "bob alone has one"


def test_tenants_list_their_own(store: SQLiteStore) -> None:
    record(store, "1", card("a", ANN))
    with store.write(UserKey("cid", "t")):
        pass
    assert (store.users(), store.users("t")) == (("ann",), ("cid",))


def test_a_twin_is_the_users_own(store: SQLiteStore) -> None:
    told = card("a", ANN, "be brief")
    record(store, "1", told)
    with store.write(BOB) as transaction:
        assert transaction.twin(told.preference) is None


def test_kept_edits_are_counted_by_user(store: SQLiteStore) -> None:
    for user, names in ((BOB, "ab"), (ANN, "abcdef")):
        with store.write(user) as transaction:
            for name in names:
                transaction.keep_edit(edit(name, user), most=2)
    with store.write(BOB) as transaction:
        assert not transaction.keep_edit(edit("b", BOB), most=2)
    assert [kept.key for kept in store.edits(BOB)] == ["a", "b"]
    assert [kept.key for kept in store.edits(ANN)] == ["e", "f"]


def test_edits_go_with_the_card_that_they_taught_and_no_one_elses(store: SQLiteStore) -> None:
    for user in (ANN, BOB):
        record(store, "1", card("a", user, turn_id="edit:1"))
        with store.write(user) as transaction:
            transaction.keep_edit(edit("e", user), most=2)
    with store.write(ANN) as transaction:
        assert transaction.forget("a")
    assert (store.edits(ANN), store.edits(BOB)) == ((), (edit("e", BOB),))


def test_links_are_taken_from_the_users_own_cards(store: SQLiteStore) -> None:
    mine = {"a": card("a", ANN), "b": card("b", ANN, "", "a"), "c": card("c", ANN)}
    theirs = {"a": card("a", BOB), "b": card("b", BOB), "c": card("c", BOB, "", "a")}
    record(store, "1", *mine.values())
    record(store, "1", *theirs.values())
    with store.write(ANN) as transaction:
        assert transaction.forget("a")
    assert store.cards(ANN) == (replace(mine["b"], links=()), mine["c"])
    assert store.cards(BOB) == tuple(theirs.values())


def test_a_number_waits_for_a_card_of_its_own_user(store: SQLiteStore, tmp_path: Path) -> None:
    for user in (ANN, BOB):
        record(store, "1", card("a", user), card("b", user))
    record(store, "2", card("b", ANN), op="remove")
    with closing(sqlite3.connect(tmp_path / "prefs.db")) as db:
        assert db.execute("select card_id, number from retired").fetchall() == [("b", 2)]
    record(store, "2", card("b", BOB), op="remove")
    with store.write(ANN) as transaction:
        assert transaction.forget("b")
    record(store, "3", card("c", BOB))
    record(store, "4", card("b", BOB), op="restore")
    assert store.numbers(BOB) == {"a": 1, "b": 2, "c": 3}


def test_dead_jobs_go_with_their_users_card(opened: Open) -> None:
    store = opened(sealed=True)  # what is another's cannot even be opened
    for user in (ANN, BOB):
        record(store, "1", card("a", user))
        bury(store, user)
    with store.write(ANN) as transaction:
        assert transaction.forget("a")
    assert store.jobs.of(ANN) == ()
    assert [job.dead for job in store.jobs.of(BOB)] == [True]


def test_a_job_that_moved_here_is_its_own_users(store: SQLiteStore) -> None:
    for user in (ANN, BOB):
        job = Job(user, "s", (Turn("t", "user", "hello"),), ("t",), AT, AT)
        store.jobs.put(job, most=9, most_of_user=9)
    (mine,) = store.jobs.of(ANN)
    elsewhere = replace(mine, id="west:7")  # it had that number there
    assert store.jobs.finish(elsewhere)
    assert not store.jobs.finish(elsewhere)
    assert len(store.jobs.of(BOB)) == 1


def test_rows_that_are_put_in_stand_beside_those_of_others(store: SQLiteStore) -> None:
    for user in (ANN, BOB):
        record(store, "1", card("a", user))
        with store.write(user) as transaction:
            transaction.save_state(learned(user))
    base, held = store.as_shard("west"), everything(store, BOB)
    with base.hold(ANN) as (db, uid):
        unpack(base, db, ANN, pack(base, db, uid), "")
    assert everything(store, BOB) == held
    assert store.cards(ANN) == (card("a", ANN),)


def test_a_copy_begins_to_count_by_itself(opened: Open) -> None:
    shard = Shard("west", opened, lambda _: None)
    copies = {ANN: "<east:1", BOB: "<east:2"}
    for user, mark in copies.items():
        assert shard.swap(user, Mark("none"), mark)
    origin = Mark.read("@west:1")
    assert shard.activate(ANN, Mark.read(copies[ANN]), lambda: origin)
    assert (shard.mark(ANN).kind, shard.mark(BOB).text) == ("here", copies[BOB])
    assert shard.swap(ANN, Mark("here"), ">east:3")
    assert (shard.mark(ANN).text, shard.mark(BOB).text) == (">east:3", copies[BOB])


def test_each_is_sealed_with_its_own_key(opened: Open) -> None:
    plain = opened()
    for user in (ANN, BOB):
        record(plain, "1", card("a", user), card("b", user))
        with plain.write(user) as transaction:
            transaction.save_state(learned(user))
            transaction.keep_edit(edit("e", user), most=2)
        bury(plain, user)
    held = {user: everything(plain, user) for user in (ANN, BOB)}
    plain.close()
    sealed = opened(sealed=True, convert=True)
    for user in (ANN, BOB):
        assert everything(sealed, user) == held[user]
    sealed.forget_user(BOB)  # with the key
    assert everything(sealed, ANN) == held[ANN]


def everything(store: SQLiteStore, user: UserKey) -> tuple[object, ...]:
    state = store.state(user)
    shelf = store.shelf(user)
    return (
        store.cards(user), store.events(user), store.edits(user), store.jobs.of(user),
        state and state.model, shelf.ids, shelf.matrix.tolist(), store.known(user, ["1", "2"]),
    )  # fmt: skip
