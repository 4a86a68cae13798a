"""prefmem's store on langgraph stores: the contract, whole writes, nothing left behind."""

import gc
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from prefmem import Card, Evidence, InputError, Preference, StoreError
from prefmem.cards.fold import fold
from prefmem.errors import BasisMismatchError, StoreUnavailableError
from prefmem.interaction import Entry, KeptEdit, Observation, Offer, UserState
from prefmem.job import GoneError, Job
from prefmem.testing import check_store
from prefmem.types import Change, Event, Op, Reason, Status, Turn, UserKey
from prefmem_langchain.store import BaseStoreStorage
from prefmem_langchain.store_names import label
from tests.integrations.basestores import KINDS, DiedError, Odd, items, opened, puts_of, words

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann@example.org"), UserKey("bob")
EAST = np.array([1, 0, 0, 0], dtype=np.float32)


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore]:
    with opened(request.param, tmp_path) as store:
        yield store


@pytest.fixture
def memory_host() -> InMemoryStore:
    return InMemoryStore()


def on(host: BaseStore) -> BaseStoreStorage:
    """Open a store as one process does."""
    made = BaseStoreStorage(host)
    made.bind("test", 4)
    return made


def card(name: str, action: str, status: Status = "active", *, user: UserKey = ANN) -> Card:
    said = (Evidence("0", f"please {action}"),)
    return Card(
        name, user.user_id, Preference("", action, evidence=said), status, "said", "s", AT, AT
    )


def event(key: str, *cards: Card, op: Op = "add") -> Event:
    return Event(key, "learn", tuple(Change(op, c) for c in cards), AT)


def put(
    store: BaseStoreStorage, key: str, *cards: Card, user: UserKey = ANN, op: Op = "add"
) -> None:
    with store.write(user) as transaction:
        transaction.record(event(key, *cards, op=op), {c.id: EAST for c in cards})


def job(key: str = "k", user: UserKey = ANN) -> Job:
    return Job(user, "s", (Turn("0", "user", f"said {key}"),), (key,), AT, AT)


def offer(recall_id: str, *numbers: int) -> Entry:
    figures = np.zeros(len(numbers), dtype=np.float32)
    reasons: list[Reason] = ["relevant"] * len(numbers)
    payload = Offer(
        recall_id, "s", "q", np.array(numbers), figures, figures, figures, figures > 0,
        tuple(reasons), "test/1", AT,
    )  # fmt: skip
    return Entry("", payload, AT)


def told(store: BaseStoreStorage, user: UserKey = ANN) -> object:
    """Give all that a store tells of a user, to be compared."""
    log = [(e.key, e.payload.numbers.tolist()) for e in store.interactions(user)]
    state = store.state(user)
    return (
        store.cards(user), [e.key for e in store.events(user)], log, store.edits(user),
        state and (state.steps, state.numbers.tolist()), [j.keys for j in store.jobs.of(user)],
        dict(store.numbers(user)),
    )  # fmt: skip


def left(host: BaseStore) -> set[tuple[str, ...]]:
    """Say where something lies, beside the setting and the random names of logs that are gone."""
    known = ("=settings", "=erased")
    return {item.namespace for item in items(host) if item.namespace[1] not in known}


# The contract


def test_it_keeps_the_contract(host: BaseStore) -> None:
    check_store(lambda: BaseStoreStorage(host))
    check_store(lambda: BaseStoreStorage(Odd(InMemoryStore()), cache_bytes=0))


def test_the_log_gives_the_cards(host: BaseStore) -> None:
    store = on(host)
    put(store, "1", card("z", "be brief"), card("a", "use tabs", "candidate"))
    put(store, "2", card("a", "use tabs"), op="merge")
    put(store, "3", card("z", "be brief"), op="remove")
    put(store, "4", card("b", "use SI units"))
    put(store, "5", card("z", "be brief"), op="restore")
    assert [c.id for c in store.cards(ANN)] == ["z", "a", "b"]
    for reader in (store, on(host)):
        assert reader.cards(ANN) == tuple(fold(reader.events(ANN)).values())
        assert reader.numbers(ANN) == {"z": 1, "a": 2, "b": 3}
        assert reader.shelf(ANN).ids == ("z", "a", "b")
        assert reader.revision(ANN) == store.revision(ANN)


def test_a_second_live_card_of_the_same_words_is_refused(host: BaseStore) -> None:
    store = on(host)
    put(store, "1", card("a", "Be brief"))
    for status in ("active", "candidate", "quarantined"):
        with pytest.raises(InputError, match="another card of this user says the same as 'b'"):
            put(store, "2", card("b", "be brief.", status))
    put(store, "2", card("c", "be brief", "superseded"))
    assert [c.id for c in on(host).cards(ANN)] == ["a", "c"]


def test_a_key_is_recorded_once(host: BaseStore) -> None:
    store = on(host)
    put(store, "k", card("a", "x"))
    with pytest.raises(StoreError, match="recorded before"):
        put(store, "k", card("b", "y"))
    assert [c.id for c in store.cards(ANN)] == ["a"]


def test_an_event_without_changes_leaves_the_revision(host: BaseStore) -> None:
    store = on(host)
    put(store, "1", card("a", "x"))
    revision = store.revision(ANN)
    put(store, "2")
    assert (store.revision(ANN), on(host).revision(ANN)) == (revision, revision)
    assert [e.key for e in store.events(ANN, card_id="a")] == ["1"]


def test_a_user_who_comes_back_has_another_revision(host: BaseStore) -> None:
    store, seen = on(host), set[int]()
    for _ in range(3):
        put(store, "k", card("a", "x"))
        seen.add(store.revision(ANN))
        store.forget_user(ANN)
        assert store.revision(ANN) == 0
    assert len(seen) == 3


def test_another_vector_space_is_refused(host: BaseStore) -> None:
    on(host)
    with pytest.raises(BasisMismatchError, match=r"holds vectors of 'test' \(width 4\)"):
        BaseStoreStorage(host).bind("other", 4)


def test_one_transaction_of_a_user_at_a_time(host: BaseStore) -> None:
    store = on(host)
    with store.write(ANN), pytest.raises(StoreError, match="open already"), store.write(ANN):
        pass
    put(store, "k", card("a", "x"))


def test_after_closing_the_hosts_store_stays_open(host: BaseStore) -> None:
    store = on(host)
    put(store, "k", card("a", "x"))
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed; open a new memory"):
        store.cards(ANN)
    assert not store.note(ANN, offer("r", 1)), "a note never raises"
    assert len(on(host).cards(ANN)) == 1


# Names

ODD_IDS = (
    "ann@example.org", "a.b.c", "..", "../../etc/passwd", "'; drop table store; --", "%", "_", "*",
    "=", "=2E", "[a-z]", "\\", "😀", "ß" * 128, "a" * 256, "langgraph", "users", "ann ", "ANN",
    "prefmem", "log",
)  # fmt: skip


def test_odd_ids_are_plain_data_and_never_meet(host: BaseStore) -> None:
    store = on(host)
    keys = [UserKey(user_id, tenant) for user_id in ODD_IDS for tenant in ("", user_id)]
    for number, key in enumerate(keys):
        put(store, "k", card(f"c{number}", "x", user=key), user=key)
    for number, key in enumerate(keys):
        assert [c.id for c in on(host).cards(key)] == [f"c{number}"]
    assert store.users() == tuple(sorted(ODD_IDS))
    assert store.users("%") == ("%",)
    for key in keys[::2]:
        store.forget_user(key)
    assert store.users() == ()
    assert all(len(store.cards(key)) == 1 for key in keys[1::2])
    with store.write(BOB) as transaction:
        odd = Card("a\0b", "bob", Preference("", "x"), "active", "said", "s", AT, AT)
        transaction.record(event("k\0", odd), {odd.id: EAST})
    assert on(host).card(BOB, "a\0b") == odd


@given(st.text(), st.text())
def test_labels_are_read_back(one: str, other: str) -> None:
    if any("\ud800" <= sign <= "\udfff" for sign in one + other):
        return
    first, second = label(one), label(other)
    assert (first == second) == (one == other)
    assert first
    assert first.isascii()
    assert not set(first) & set(".\0%_*?[]\\ '\"")


# What a host's store does beside keeping


def test_nothing_is_embedded_expires_or_is_changed_in_place(host: BaseStore) -> None:
    store = on(host)
    store.jobs.put(job(), most=9, most_of_user=9)
    put(store, "1", card("a", "x"))
    before = {item.key: (item.value, deepcopy(item.value)) for item in items(host)}
    store.note(ANN, offer("r", 1))
    put(store, "2", card("b", "y"))
    store.cards(ANN)
    store.shelf(ANN)
    assert all(value == copied for value, copied in before.values())
    connection = getattr(host, "conn", None)
    if connection is not None:
        expiring = connection.execute("select key from store where expires_at is not null")
        assert expiring.fetchall() == []


def test_order_width_and_number_of_results_do_not_matter(memory_host: InMemoryStore) -> None:
    odd = Odd(memory_host)
    odd.shuffled = odd.wide = True
    store = on(odd)
    near = UserKey(ANN.user_id + "0")
    for n in range(30):
        put(store, f"k{n}", card(f"c{n}", f"rule {n}"))
        put(store, f"k{n}", card(f"n{n}", f"rule {n}", user=near), user=near)
        store.note(ANN, offer(f"r{n}", n + 1))
    fresh = on(odd)
    assert [c.id for c in fresh.cards(ANN)] == [f"c{n}" for n in range(30)]
    assert [e.key for e in fresh.interactions(ANN)] == [f"offer:r{n}" for n in range(30)]
    assert [e.key for e in fresh.interactions(ANN, asked="q")] == ["offer:r29"]
    odd.wide, odd.cap = False, 10
    with pytest.raises(StoreUnavailableError, match="Odd gives 10 of 30 entries"):
        on(odd).cards(ANN)
    odd.cap = 10**9
    fresh.forget_user(ANN)
    assert len(fresh.cards(near)) == 30


def test_a_user_with_more_items_than_a_search_asks_for(memory_host: InMemoryStore) -> None:
    store = on(memory_host)
    put(store, "k", card("a", "x"))
    store.note(ANN, offer("r0", 1))
    (first,) = (item for item in items(memory_host) if item.namespace[-1] == "offers")
    for n in range(1, 10_050):
        value = {**first.value, "body": first.value["body"].replace("r0", f"r{n}")}
        memory_host.put(first.namespace, f"{n}", value, index=False)
    assert len({entry.key for entry in store.interactions(ANN)}) == 10_050
    assert store.forget_user(ANN).events == 10_051
    assert left(memory_host) == set()


def test_a_user_is_read_once_and_then_only_the_version(memory_host: InMemoryStore) -> None:
    odd = Odd(memory_host)
    store = on(odd)
    for n in range(5):
        put(store, f"k{n}", card(f"c{n}", f"rule {n}"))
    assert odd.searches() == 0, "what a process wrote itself"
    reader = on(odd)
    reader.cards(ANN)
    assert odd.searches() == 1
    for _ in range(3):
        reader.cards(ANN)
        reader.shelf(ANN)
        reader.known(ANN, ["k0"])
    assert odd.searches() == 0
    put(store, "k5", card("c5", "rule 5"))
    assert len(reader.cards(ANN)) == 6
    assert odd.searches() == 1
    small = BaseStoreStorage(odd, cache_bytes=0)
    small.bind("test", 4)
    assert len(small.cards(ANN)) == len(small.cards(ANN)) == 6
    assert odd.searches() == 2


def test_memory_of_the_cache_is_bounded(memory_host: InMemoryStore) -> None:
    odd = Odd(memory_host)
    store = BaseStoreStorage(odd, cache_bytes=30_000)
    store.bind("test", 4)
    users = [UserKey(f"user{n}") for n in range(20)]
    for user in users:
        put(store, "k", card("a", "x" * 1000, user=user), user=user)
    odd.searches()
    for user in users[-2:]:
        store.cards(user)
    assert odd.searches() == 0, "the recent ones are kept"
    for user in users[:2]:
        store.cards(user)
    assert odd.searches() == 2, "the others are not"


def test_threads_of_one_process_lose_nothing(host: BaseStore) -> None:
    store = on(host)
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for n in range(8):
                put(store, f"{name}{n}", card(f"{name}{n}", f"rule {name} {n}"))
                mine = UserKey(name)
                put(store, f"{n}", card(f"{n}", f"rule {n}", user=mine), user=mine)
                store.note(ANN, offer(f"{name}{n}", 1))
                store.cards(ANN)
        except BaseException as error:  # noqa: BLE001  # told below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for reader in (store, on(host)):
        assert len(reader.cards(ANN)) == 32
        assert sorted(reader.numbers(ANN).values()) == list(range(1, 33))
        assert len(reader.interactions(ANN)) == 32
        assert all(len(reader.cards(UserKey(name))) == 8 for name in "abcd")


# Two processes


def test_a_process_sees_what_another_wrote_with_its_next_call(host: BaseStore) -> None:
    one, two = on(host), on(host)
    put(one, "1", card("a", "x"))
    assert [c.id for c in two.cards(ANN)] == ["a"]
    put(two, "2", card("b", "y"))
    assert two.note(ANN, offer("r", 1, 2))
    assert [c.id for c in one.cards(ANN)] == ["a", "b"]
    assert one.noted(ANN, "offer:r")
    assert not one.note(ANN, offer("r", 1, 2))
    with two.write(ANN) as transaction:
        transaction.save_state(UserState("ann@example.org", "test/1", steps=7))
    state = one.state(ANN)
    assert state is not None
    assert state.steps == 7
    put(one, "3")
    assert two.state(ANN) is not None, "a write without a state keeps the other's"


def test_of_two_writes_at_one_instant_both_stay(host: BaseStore) -> None:
    one, two = on(host), on(host)
    for start in ((), (card("old", "old rule"),)):
        user = UserKey(f"user{len(start)}")
        old = tuple(replace(c, user_id=user.user_id) for c in start)
        if old:
            put(one, "0", *old, user=user)
        a, b = (card(i, f"rule {i}", user=user) for i in ("a", "b"))
        with one.write(user) as first, two.write(user) as second:
            first.record(event("1", a), {"a": EAST})
            second.record(event("2", b), {"b": EAST})
        for reader in (one, two, on(host)):
            assert {c.id for c in reader.cards(user)} == {"a", "b", *(c.id for c in old)}
            assert sorted(reader.numbers(user).values()) == list(range(1, 3 + len(old)))
            assert reader.known(user, ["1", "2"]) == {"1", "2"}
            assert reader.cards(user) == tuple(fold(reader.events(user)).values())
        assert one.numbers(user) == two.numbers(user)
        assert one.revision(user) == two.revision(user)
        put(two, "3", card("c", "rule c", user=user), user=user)
        numbers = one.numbers(user)
        assert sorted(numbers.values()) == list(range(1, 4 + len(old)))


@pytest.mark.parametrize(("key", "again"), [("k", "k"), ("w:", "w:x"), ("w:x", "w:")])
def test_a_turn_that_two_learned_at_once_counts_once(host: BaseStore, key: str, again: str) -> None:
    one, two = on(host), on(host)
    with one.write(ANN) as first, two.write(ANN) as second:
        first.record(event(key, card("a", "be brief")), {"a": EAST})
        second.record(event(again, card("b", "be brief")), {"b": EAST})
        second.record(event("other", card("c", "use tabs")), {"c": EAST})
    for reader in (one, two, on(host)):
        assert [(c.id, c.status) for c in reader.cards(ANN)] == [("a", "active"), ("c", "active")]
        assert [e.key for e in reader.events(ANN)] == [key, "other"]
    put(one, "next")
    assert "'b'" not in words(host)
    assert words(host).count("please be brief") == 1, "the next write removes what counts no more"


def test_of_two_new_cards_that_say_the_same_the_later_is_closed(host: BaseStore) -> None:
    one, two = on(host), on(host)
    with one.write(ANN) as first, two.write(ANN) as second:
        first.record(event("1", card("a", "be brief")), {"a": EAST})
        second.record(event("2", card("b", "Be brief.")), {"b": EAST})
    for key in ("3", "4"):  # as it is worked out, and as the next write makes it permanent
        for reader in (one, two, on(host)):
            cards = [(c.id, c.status, c.superseded_by) for c in reader.cards(ANN)]
            assert cards == [("a", "active", None), ("b", "superseded", "a")]
            assert reader.cards(ANN) == tuple(fold(reader.events(ANN)).values())
            assert [e.key for e in reader.events(ANN)[:3]] == ["1", "2", "twin:b"]
        put(two, key)
    with one.write(ANN) as transaction:
        assert transaction.forget("a")
    assert one.cards(ANN) == two.cards(ANN) == ()
    assert "brief" not in words(host)


def test_the_later_of_two_changes_of_a_card_stands_and_both_are_told(host: BaseStore) -> None:
    one, two = on(host), on(host)
    put(one, "0", card("a", "be brief"))
    with one.write(ANN) as first, two.write(ANN) as second:
        first.record(event("1", card("a", "be very brief"), op="edit"), {"a": EAST})
        second.record(event("2", card("a", "be kind"), op="edit"), {"a": EAST})
    for reader in (one, two, on(host)):
        assert [c.preference.action for c in reader.cards(ANN)] == ["be kind"]
        assert [e.key for e in reader.events(ANN, card_id="a")] == ["0", "1", "2"]
        found = reader.cards(ANN)[0]
        with reader.write(ANN) as transaction:
            assert transaction.twin(found.preference) == found
            assert transaction.twin(Preference("", "be very brief")) is None


def test_a_forgotten_card_stays_forgotten_whatever_another_process_writes(host: BaseStore) -> None:
    one, two = on(host), on(host)
    put(one, "0", card("a", "be brief"), card("b", "use tabs"))
    linked = replace(card("b", "use tabs"), superseded_by="a", status="superseded")
    with two.write(ANN) as late:
        with one.write(ANN) as transaction:
            assert transaction.forget("a")
        late.record(event("1", card("a", "be brief"), op="merge"), {})
        late.record(event("2", linked, op="supersede"), {})
        late.note(offer("r", 1, 2))
    for reader in (one, two, on(host)):
        assert [c.id for c in reader.cards(ANN)] == ["b"]
        assert reader.cards(ANN)[0].superseded_by is None
        assert reader.card(ANN, "a") is None
        assert [e.payload.numbers.tolist() for e in reader.interactions(ANN)] == [[2]]
        assert reader.events(ANN, card_id="a") == ()
    put(one, "3")
    assert "be brief" not in words(host), "the next write removes it from the store, too"
    put(two, "4", card("a2", "be brief"))
    assert one.numbers(ANN) == {"b": 2, "a2": 3}


def test_a_write_that_an_erasure_overtakes_is_refused(host: BaseStore) -> None:
    one, two = on(host), on(host)
    put(one, "0", card("a", "be brief"))
    with pytest.raises(StoreError, match="another process erased"), two.write(ANN) as late:  # noqa: PT012  # what is between them
        late.record(event("1", card("a", "be brief"), op="merge"), {})
        one.forget_user(ANN)
    assert left(host) == set()
    put(two, "1", card("c", "use tabs"))
    assert [c.id for c in one.cards(ANN)] == ["c"]
    assert one.numbers(ANN) == {"c": 1}


def test_a_write_that_lands_after_an_erasure_counts_no_more(memory_host: InMemoryStore) -> None:
    slow = Odd(memory_host)
    one, two = on(memory_host), on(slow)
    put(one, "0", card("a", "be brief"))
    slow.late = []
    put(two, "1", card("a", "be brief"), op="merge")
    two.note(ANN, offer("r", 1))
    one.forget_user(ANN)
    slow.release()
    for reader in (one, on(memory_host)):
        assert (reader.cards(ANN), reader.events(ANN), reader.revision(ANN)) == ((), (), 0)
        assert (reader.interactions(ANN), reader.state(ANN)) == ((), None)
    put(one, "2", card("b", "use tabs"))
    for reader in (one, on(memory_host)):
        assert [c.id for c in reader.cards(ANN)] == ["b"]
        assert reader.interactions(ANN) == ()
    assert "be brief" not in words(memory_host)
    assert one.forget_user(ANN).cards == 1
    assert left(memory_host) == set()


@pytest.mark.parametrize("returns", [False, True], ids=["gone", "back"])
def test_a_write_that_an_erasure_overtakes_at_the_last_moment_is_taken_back(
    memory_host: InMemoryStore, returns: bool
) -> None:
    odd = Odd(memory_host)
    one, two = on(memory_host), on(odd)
    for n in range(5):
        put(one, f"{n}", card(f"c{n}", f"rule {n}"))

    def erase() -> None:
        one.forget_user(ANN)
        if returns:
            put(one, "n", card("n", "new rule"))

    with pytest.raises(StoreError, match="another process erased"), two.write(ANN) as transaction:  # noqa: PT012  # what is between them
        transaction.record(event("9", card("c0", "rule 0"), op="merge"), {})
        transaction.keep_edit(KeptEdit("e", "a mail", "one", "two", AT), most=9)
        transaction.save_state(UserState("ann@example.org", "test/1", steps=9))
        odd.meanwhile = erase
    wanted = ["n"] if returns else []
    for reader in (one, two, on(memory_host)):
        assert [c.id for c in reader.cards(ANN)] == wanted
        assert (reader.state(ANN), reader.edits(ANN)) == (None, ())
    assert "rule 0" not in words(memory_host)
    assert len(left(memory_host)) == 2 * returns
    put(two, "m", card("m", "another rule"))
    assert [c.id for c in one.cards(ANN)] == [*wanted, "m"]


def test_a_note_that_an_erasure_overtakes_is_taken_back(memory_host: InMemoryStore) -> None:
    odd = Odd(memory_host)
    one, two = on(memory_host), on(odd)
    put(one, "0", card("a", "be brief"))
    odd.meanwhile = lambda: one.forget_user(ANN)
    assert not two.note(ANN, offer("r", 1))
    assert left(memory_host) == set()


def test_a_write_that_lands_after_a_user_came_back_harms_nothing(
    memory_host: InMemoryStore,
) -> None:
    slow = Odd(memory_host)
    one, two = on(memory_host), on(slow)
    for n in range(5):
        put(one, f"{n}", card(f"c{n}", f"rule {n}"))
    slow.late = []
    with two.write(ANN) as transaction:
        transaction.record(event("9", card("c0", "rule 0"), op="merge"), {})
        transaction.save_state(UserState("ann@example.org", "test/1", steps=9))
    one.forget_user(ANN)
    put(one, "n", card("n", "new rule"))
    slow.release()
    for n in range(2):
        for reader in (one, on(memory_host)):
            assert [c.id for c in reader.cards(ANN)][:1] == ["n"]
            assert reader.card(ANN, "c0") is None
            assert reader.state(ANN) is None
        put(one, f"m{n}", card(f"m{n}", f"another {n}"))
    assert "rule 0" not in words(memory_host)


def test_a_job_that_is_erased_while_it_is_learned_teaches_nothing(host: BaseStore) -> None:
    one, two = on(host), on(host)
    one.jobs.put(job(), most=9, most_of_user=9)
    (mine,) = one.jobs.lease("one", now=AT, until=AT, most=9)
    with pytest.raises(GoneError), one.write(ANN) as late:  # noqa: PT012  # what is between them
        assert late.finish(mine)
        late.record(event("1", card("a", "be brief")), {"a": EAST})
        two.forget_user(ANN)
    assert left(host) == set()


# Half a write

Made = Callable[[BaseStoreStorage], None]


def _learned(store: BaseStoreStorage) -> None:
    with store.write(ANN) as transaction:
        transaction.finish(store.jobs.of(ANN)[0])
        changes = (Change("add", card("n", "new rule")), Change("edit", card("a", "be kind")))
        transaction.record(Event("n", "learn", changes, AT), {"n": EAST, "a": EAST})
        nought = np.zeros(1, np.float32)
        said = Observation("r", numbers=np.array([1]), fit=nought, prior=nought)
        transaction.note(Entry("o", said, AT))
        transaction.keep_edit(KeptEdit("e2", "a mail", "one", "two", AT), most=1)
        transaction.save_state(UserState("ann@example.org", "test/1", steps=2))


def _forgot(store: BaseStoreStorage) -> None:
    with store.write(ANN) as transaction:
        assert transaction.forget("a")
        transaction.record(event("f"), {})


def _prepared(store: BaseStoreStorage) -> None:
    store.jobs.put(job(), most=9, most_of_user=9)
    put(store, "0", card("a", "be brief"), card("b", "use tabs"))
    put(store, "1", card("a", "be brief"), op="merge")
    store.note(ANN, offer("r", 1, 2))
    with store.write(ANN) as transaction:
        evidence = (Evidence("edit:1", "zigzag"),)
        taught = replace(card("t", "sign"), preference=Preference("", "sign", evidence=evidence))
        transaction.record(event("edit:e", taught), {"t": EAST})
        transaction.keep_edit(KeptEdit("e", "a mail", "draft", "final", AT), most=9)
        transaction.save_state(
            UserState("ann@example.org", "test/1", numbers=np.array([1]), steps=1,
                      evidence=np.ones(1, np.float32), amount=np.ones(1, np.float32),
                      prior=np.ones(1, np.float32))
        )  # fmt: skip


@pytest.mark.parametrize("change", [_learned, _forgot], ids=["learn", "forget"])
def test_a_process_that_dies_in_a_write_leaves_it_whole_or_not_at_all(change: Made) -> None:
    def cards_and_log(store: BaseStoreStorage) -> object:
        return store.cards(ANN), [e.key for e in store.events(ANN)], dict(store.numbers(ANN))

    whole = InMemoryStore()
    _prepared(on(whole))
    before = cards_and_log(on(whole))
    puts = puts_of(whole, lambda odd: change(on(odd)))
    after, every = cards_and_log(on(whole)), told(on(whole))
    assert before != after
    for survived in range(puts):
        host = InMemoryStore()
        _prepared(on(host))
        watching, dying = on(host), Odd(host)
        watching.cards(ANN)
        writer = on(dying)
        dying.survives = survived
        with pytest.raises(StoreUnavailableError) as caught:
            change(writer)
        assert isinstance(caught.value.__cause__, DiedError)
        seen = cards_and_log(on(host))
        assert seen == (after if survived else before), survived
        assert cards_and_log(watching) in (before, after)
        if change is _learned:
            assert len(on(host).jobs.of(ANN)) == 1 or survived >= puts - 2
        else:
            assert "be brief" not in repr(told(on(host))) or not survived
            fresh = on(host)
            put(fresh, "later")
            assert ("be brief" in words(host)) == (not survived), "the next write finishes it"
    assert every is not None


def test_a_process_that_dies_in_an_erasure_leaves_nobody() -> None:
    whole = InMemoryStore()
    _prepared(on(whole))
    puts = puts_of(whole, lambda odd: on(odd).forget_user(ANN))
    for survived in range(1, puts):
        host = InMemoryStore()
        _prepared(on(host))
        dying = Odd(host)
        writer = on(dying)
        dying.survives = survived
        with pytest.raises(StoreUnavailableError):
            writer.forget_user(ANN)
        store = on(host)
        if survived == 1:  # it has not begun
            assert len(store.cards(ANN)) == 3
            continue
        assert (store.cards(ANN), store.events(ANN), store.interactions(ANN)) == ((), (), ())
        put(store, "n", card("n", "new rule"))
        for reader in (store, on(host)):
            assert [c.id for c in reader.cards(ANN)] == ["n"]
        store.forget_user(ANN)
        assert left(host) == set()


def test_a_first_write_that_was_cut_off_is_whole_or_not_there(memory_host: InMemoryStore) -> None:
    dying = Odd(memory_host)
    store = on(dying)
    dying.survives = 1
    with pytest.raises(StoreUnavailableError):
        put(store, "1", card("a", "be brief"))
    assert on(memory_host).cards(ANN) == ()
    again = on(memory_host)
    put(again, "1", card("b", "be brief"))
    for reader in (again, on(memory_host)):
        assert len(reader.cards(ANN)) == 1
        assert len(reader.events(ANN)) == 1
    again.forget_user(ANN)
    assert left(memory_host) == set()


# Forgetting


def test_forgetting_leaves_no_trace(host: BaseStore) -> None:
    store = on(host)
    _prepared(store)
    store.jobs.put(job("be brief", BOB), most=9, most_of_user=9)
    with store.write(ANN) as transaction:
        assert transaction.forget("a")
        assert not transaction.forget("a")
        assert [e.payload.numbers.tolist() for e in transaction.interactions()] == [[2]]
        held = transaction.state()
        assert held is not None
        assert held.numbers.tolist() == []
    assert "please be brief" not in words(host)
    assert len(store.edits(ANN)) == 1
    with store.write(ANN) as transaction:
        assert transaction.forget("t")
    assert (store.edits(ANN), "draft" in words(host)) == ((), False)
    receipt = store.forget_user(ANN)
    assert (receipt.cards, receipt.events) == (1, 4)
    assert left(host) == {("prefmem", "=queue", "=", "bob"), ("prefmem", "=", "bob", "windows")}
    assert store.users() == ("bob",)
    assert store.forget_user(ANN).events == 0


def test_a_damaged_item_is_named_without_its_words_and_can_be_erased(host: BaseStore) -> None:
    def spoil(namespace: str, body: object) -> StoreUnavailableError:
        store = on(host)
        _prepared(store)
        found = next(item for item in items(host) if item.namespace[-1] == namespace)
        host.put(found.namespace, found.key, {**found.value, "body": body}, index=False)
        head = next(item for item in items(host) if item.namespace[1] == "=users")
        host.put(head.namespace, head.key, {**head.value, "token": "new"}, index=False)
        with pytest.raises(StoreUnavailableError, match=r"damaged|gives") as caught:
            told(on(host))
        on(host).forget_user(ANN)
        assert left(host) == set()
        return caught.value

    for namespace in ("log", "offers", "edits", "windows"):
        for body in ("{zigzag", None, '{"zigzag": 1}'):
            assert "zigzag" not in str(spoil(namespace, body))


def test_a_missing_item_is_told_and_no_reason_to_drop_the_rest(host: BaseStore) -> None:
    for number in range(3):  # the log's beginning is one of them
        store = on(host)
        _prepared(store)
        log = sorted(item.key for item in items(host) if item.namespace[-1] == "log")
        where = next(item.namespace for item in items(host) if item.namespace[-1] == "log")
        host.delete(where, log[number])
        fresh = on(host)
        with pytest.raises(StoreUnavailableError, match=r"gives 2 of 3 entries.*forget_user"):
            fresh.cards(ANN)
        with pytest.raises(StoreUnavailableError, match=r"gives 2 of 3 entries"):
            put(fresh, "n", card("n", "new rule"))
        fresh.forget_user(ANN)
        assert left(host) == set()


# The queue


def test_of_two_processes_one_leases(host: BaseStore) -> None:
    one, two = on(host), on(host)
    for n in range(3):
        one.jobs.put(job(f"k{n}", UserKey(f"u{n}")), most=9, most_of_user=9)
    until = AT + timedelta(seconds=60)
    first = one.jobs.lease("one", now=AT, until=until, most=2)
    second = two.jobs.lease("two", now=AT, until=until, most=9)
    assert [j.user.user_id for j in (*first, *second)] == ["u0", "u1", "u2"]
    assert two.jobs.lease("two", now=AT, until=until, most=9) == ()
    assert one.jobs.finish(first[0])
    assert not two.jobs.finish(first[0])
    late = until + timedelta(seconds=1)
    taken = two.jobs.lease("two", now=late, until=late + timedelta(seconds=60), most=9)
    assert {j.user.user_id for j in taken} == {"u1", "u2"}
    one.jobs.bury(first[1], "one", at=late, error="E")
    assert not one.jobs.of(UserKey("u1"))[0].dead, "the lease is another's by now"


def test_a_lease_that_meets_the_end_of_a_job_brings_nothing_back(
    memory_host: InMemoryStore,
) -> None:
    slow = Odd(memory_host)
    one, two = on(memory_host), on(slow)
    one.jobs.put(job(), most=9, most_of_user=9)
    (mine,) = one.jobs.lease("one", now=AT, until=AT, most=9)
    slow.late = []
    assert two.jobs.lease("two", now=AT, until=AT + timedelta(seconds=60), most=9) == ()
    assert one.jobs.finish(mine)
    slow.release()
    late = AT + timedelta(hours=1)
    assert one.jobs.lease("one", now=late, until=late, most=9) == ()
    assert left(memory_host) == set()


# Life of the host's store


def test_a_store_that_nobody_holds_goes(memory_host: InMemoryStore) -> None:
    kept = BaseStoreStorage.weakly(memory_host)
    kept.bind("test", 4)
    gone = BaseStoreStorage.weakly(InMemoryStore())
    gc.collect()
    put(kept, "k", card("a", "x"))
    with pytest.raises(StoreError, match="is gone"):
        gone.bind("test", 4)
