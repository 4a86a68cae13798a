"""One file that is the truth: opened safely, written whole, erased to the byte."""

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from prefmem import BasisMismatchError, Card, Evidence, InputError, Preference, StoreError
from prefmem.errors import StoreUnavailableError, StoreVersionError
from prefmem.ids import rule_hash
from prefmem.stores import codec
from prefmem.stores.migrations import MIGRATIONS
from prefmem.stores.sqlite import SQLiteStore
from prefmem.stores.sqlitefile import APPLICATION_ID
from prefmem.testing import check_store
from prefmem.types import Change, Event, Op, Status, UserKey, Vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann"), UserKey("bob")
EAST = np.array([1, 0, 0, 0], dtype=np.float32)
NORTH = np.array([0, 1, 0, 0], dtype=np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prefs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(path)
    opened.bind("test", 4)
    yield opened
    opened.close()


def pragma(store: SQLiteStore, text: str) -> list[tuple[int]]:
    with store._file.alone() as db:  # pyright: ignore[reportPrivateUsage]  # a fault on its own connection
        return db.execute(f"pragma {text}").fetchall()


def card(name: str, action: str, status: Status = "active") -> Card:
    return Card(name, "ann", Preference("", action), status, "said", "s", AT, AT)


def put(
    store: SQLiteStore,
    key: str,
    *cards: Card,
    user: UserKey = ANN,
    op: Op = "add",
    vector: Vector = EAST,
) -> None:
    with store.write(user) as transaction:
        event = Event(key, "learn", tuple(Change(op, c) for c in cards), AT)
        transaction.record(event, {c.id: vector for c in cards})


# The contract


def test_it_keeps_the_contract_on_a_file_and_in_memory(path: Path) -> None:
    check_store(lambda: SQLiteStore(path))
    check_store(lambda: SQLiteStore(":memory:"))


# Opening


def test_a_file_keeps_what_was_written(path: Path) -> None:
    first = SQLiteStore(path)
    first.bind("test", 4)
    put(first, "k", card("a", "be brief"))
    first.close()
    first.close()
    assert not path.with_name("prefs.db-wal").exists()
    second = SQLiteStore(str(path))
    second.bind("test", 4)
    assert second.cards(ANN) == (card("a", "be brief"),)
    assert second.check() == {
        "schema": 8, "integrity": "ok", "basis": "test", "width": "4", "revision": 1,
        "users": 1, "cards": 1, "events": 1, "interactions": 0, "edits": 0, "jobs": 0,
    }  # fmt: skip
    second.close()


def test_a_card_stays_in_one_page(path: Path) -> None:
    store = SQLiteStore(path)
    store.bind("test", 384)
    store.close()
    assert sqlite3.connect(path).execute("pragma page_size").fetchone() == (8192,)


@pytest.mark.parametrize(("basis", "width"), [("other", 4), ("test", 8)])
def test_another_vector_space_is_refused(store: SQLiteStore, basis: str, width: int) -> None:
    with pytest.raises(BasisMismatchError, match=r"holds vectors of 'test' \(width 4\)"):
        store.bind(basis, width)
    put(store, "k", card("a", "x"))
    assert store.shelf(ANN).matrix.shape == (1, 4)


def test_a_file_of_the_first_schema_keeps_its_cards(path: Path) -> None:
    brief = replace(card("b", "be brief"), valid_to=AT)
    units = card("a", "use SI units", "quarantined")
    db = sqlite3.connect(path)
    db.executescript(MIGRATIONS[0])
    db.execute(f"pragma application_id = {APPLICATION_ID}")
    db.execute("pragma user_version = 1")
    db.executemany("insert into meta values (?, ?)", [("basis", "test"), ("width", "4")])
    db.execute("insert into users (uid, tenant, ext_id, rev, seq) values (1, '', 'ann', 7, 1)")
    body = codec.write_changes((Change("add", brief), Change("add", units)))
    db.execute("insert into events values (1, 1, 'k', 'learn', ?, ?)", (body, AT.isoformat()))
    for old in (brief, units):
        db.execute(
            "insert into cards values (1, ?, ?, 'conditional', ?, 1.0, 1, ?, ?)",
            (
                old.id, rule_hash(old.preference), old.status, codec.write_card(old),
                codec.write_vector(EAST),
            ),
        )  # fmt: skip
    db.commit()
    db.close()

    for _ in range(2):  # the second time there is nothing to migrate
        store = SQLiteStore(path)
        store.bind("test", 4)
        assert (store.check()["schema"], store.check()["integrity"]) == (8, "ok")
        assert store.cards(ANN) == (brief, units)
        assert [(e.key, len(e.changes)) for e in store.events(ANN)] == [("k", 2)]
        assert (store.revision(ANN), store.shelf(ANN).ids) == (7, ("b",))
        assert store.shelf(ANN).ends == [AT.timestamp()]
        store.close()

    store = SQLiteStore(path)
    store.bind("test", 4)
    put(store, "k2", card("c", "use tabs", "candidate"))
    with pytest.raises(InputError, match="says the same"):
        put(store, "k3", card("d", "Use tabs."))
    store.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    SQLiteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    with pytest.raises(StoreVersionError, match=r"has schema 99.*upgrade"):
        SQLiteStore(path)
    with sqlite3.connect(path) as db:
        assert db.execute("pragma user_version").fetchone() == (99,)
    db.close()


@pytest.mark.parametrize("statement", ["create table notes (x)", "pragma application_id = 77"])
def test_a_database_of_another_program_is_refused(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match="database of another program"):
        SQLiteStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [2, 50, 5000])
def test_a_text_file_is_refused_and_left_as_it_is(path: Path, size: int) -> None:
    path.write_bytes(b"A" * size)
    with pytest.raises(StoreError, match="not a database"):
        SQLiteStore(path)
    assert path.read_bytes() == b"A" * size


def test_a_directory_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    for bad in (tmp_path, tmp_path / "missing" / "prefs.db"):
        with pytest.raises(StoreUnavailableError, match="check that the folder exists"):
            SQLiteStore(bad)
    assert not (tmp_path / "missing").exists()


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    store = SQLiteStore(path)
    assert store.check()["integrity"] == "ok"
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("pragma application_id").fetchone() == (APPLICATION_ID,)
    db.close()


def test_two_that_open_a_new_file_at_once_agree(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.db"
        barrier = threading.Barrier(4)
        errors: list[Exception] = []

        def start(path: Path = path, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                opened = SQLiteStore(path)
                opened.bind("test", 4)
                opened.close()
            except StoreError as error:
                errors.append(error)  # noqa: B023  # read in the same round

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []


def test_damage_is_named(path: Path) -> None:
    store = SQLiteStore(path)
    store.bind("test", 4)
    for n in range(200):
        put(store, f"k{n}", card(f"c{n:03}", f"rule {n}" * 20))
    store.close()
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(StoreUnavailableError, match="damaged; restore a backup"):  # noqa: PT012  # where it is met depends on the page
        damaged = SQLiteStore(path)
        try:
            damaged.cards(ANN)
        finally:
            damaged.close()


# Use after closing, nesting, threads


def test_use_after_closing_is_refused(store: SQLiteStore) -> None:
    store.close()
    for use in (
        lambda: store.revision(ANN),
        lambda: store.shelf(ANN),
        lambda: store.cards(ANN),
        lambda: store.known(ANN, ["k"]),
        lambda: store.events(ANN),
        lambda: store.state(ANN),
        lambda: store.forget_user(ANN),
        lambda: store.users(),
        lambda: store.check(),
        lambda: store.checkpoint(),
        lambda: store.compact(),
        lambda: put(store, "k", card("a", "x")),
        lambda: store.bind("test", 4),
    ):
        with pytest.raises(StoreError, match="is closed; open a new memory"):
            use()


def test_one_transaction_at_a_time(store: SQLiteStore) -> None:
    with store.write(ANN), pytest.raises(StoreError, match="open already"), store.write(BOB):
        pass
    put(store, "k", card("a", "x"))
    assert [c.id for c in store.cards(ANN)] == ["a"]


# Writing


def test_cards_come_oldest_first_and_by_status_and_id(store: SQLiteStore) -> None:
    put(store, "k1", card("z", "one"))
    put(store, "k2", card("a", "two", "quarantined"), card("b", "three"))
    put(store, "k3", card("z", "one again"), op="edit")
    assert [c.id for c in store.cards(ANN)] == ["z", "a", "b"]
    assert [c.id for c in store.cards(ANN, status="active")] == ["z", "b"]
    assert [c.id for c in store.cards(ANN, ids=["b", "z", "b", "no"])] == ["z", "b"]
    assert [c.id for c in store.cards(ANN, ids=["a", "b"], status="quarantined")] == ["a"]
    assert store.cards(ANN, ids=[]) == ()
    many = ["b"] + [f"no{n}" for n in range(1200)] + ["b"]
    assert [c.id for c in store.cards(ANN, ids=many)] == ["b"]
    assert store.shelf(ANN).ids == ("z", "b")


def test_two_live_cards_never_say_the_same(store: SQLiteStore) -> None:
    put(store, "k1", card("a", "Be brief"))
    for status in ("active", "candidate", "quarantined"):
        with pytest.raises(InputError, match="another card of this user says the same as 'b'"):
            put(store, "k2", card("b", "be brief."), card("c", "x"))
        put(store, f"again {status}", card("a", "Be brief", status), op="edit")
    put(store, "k3", card("d", "be brief", "superseded"), card("e", "be brief", "expired"))
    put(store, "k2", card("b", "be brief"), user=BOB)
    assert [c.id for c in store.cards(ANN)] == ["a", "d", "e"]


def test_a_candidate_is_found_by_its_words_and_is_not_on_the_shelf(store: SQLiteStore) -> None:
    maybe = card("a", "Be brief", "candidate")
    put(store, "k1", maybe)
    with store.write(ANN) as transaction:
        assert transaction.twin(Preference("", "be  brief.")) == maybe
        assert transaction.shelf().ids == ()
    assert store.cards(ANN, status="candidate") == (maybe,)
    put(store, "k2", card("a", "Be brief"), op="merge")
    assert store.shelf(ANN).ids == ("a",)


def test_a_merge_keeps_the_vector_and_an_edit_replaces_it(store: SQLiteStore) -> None:
    put(store, "k1", card("a", "x"), vector=EAST)
    put(store, "k2", card("a", "x"), op="merge", vector=NORTH)
    assert store.shelf(ANN).matrix.tolist() == [[1, 0, 0, 0]]
    put(store, "k3", card("a", "y"), op="edit", vector=NORTH)
    assert store.shelf(ANN).matrix.tolist() == [[0, 1, 0, 0]]


def test_one_key_is_recorded_once(store: SQLiteStore) -> None:
    put(store, "k", card("a", "x"))
    with pytest.raises(StoreUnavailableError, match="nothing of this call was stored"):
        put(store, "k", card("b", "y"))
    assert [c.id for c in store.cards(ANN)] == ["a"]
    put(store, "k", card("a", "x"), user=UserKey("ann", tenant="t"))


def test_a_revision_is_never_given_twice(store: SQLiteStore) -> None:
    seen: list[int] = []
    for n in range(3):
        put(store, "k", card("a", "x"))
        seen.append(store.revision(ANN))
        put(store, f"b{n}", card("a", f"y{n}"), op="edit", user=BOB)
        store.forget_user(ANN)
        assert store.revision(ANN) == 0
    assert sorted(set(seen)) == seen


def test_an_event_without_changes_leaves_the_revision(store: SQLiteStore) -> None:
    put(store, "k", card("a", "x"))
    before = store.revision(ANN)
    put(store, "empty")
    assert store.revision(ANN) == before
    assert [(e.seq, e.key) for e in store.events(ANN)] == [(1, "k"), (2, "empty")]
    assert [e.key for e in store.events(ANN, card_id="a")] == ["k"]


# Faults


def test_a_full_disk_loses_nothing_that_was_acknowledged(store: SQLiteStore, path: Path) -> None:
    put(store, "k0", card("c0", "rule 0"))
    ((pages,),) = pragma(store, "page_count")
    pragma(store, f"max_page_count = {pages + 6}")
    done = ["c0"]
    with pytest.raises(StoreUnavailableError, match="free disk space; what was acknowledged"):  # noqa: PT012  # full after some
        for n in range(1, 1000):
            put(store, f"k{n}", card(f"c{n}", f"rule {n} " * 20))
            done.append(f"c{n}")
    assert 1 < len(done) < 1000
    assert [c.id for c in store.cards(ANN)] == done
    with pytest.raises(StoreUnavailableError):
        put(store, "again", card("x", "x" * 5000))
    pragma(store, "max_page_count = 1000000")
    put(store, "later", card("later", "later"))
    store.close()
    again = SQLiteStore(path)
    assert [c.id for c in again.cards(ANN)] == [*done, "later"]
    assert again.check()["integrity"] == "ok"
    again.close()


def test_read_only_reads_and_refuses_to_write(store: SQLiteStore) -> None:
    put(store, "k", card("a", "x"))
    pragma(store, "query_only = on")
    with pytest.raises(StoreUnavailableError, match=r"readonly.*can be written"):
        put(store, "k2", card("b", "y"))
    with pytest.raises(StoreUnavailableError):
        store.forget_user(ANN)
    assert [c.id for c in store.cards(ANN)] == ["a"]
    pragma(store, "query_only = off")
    put(store, "k2", card("b", "y"))
    assert len(store.cards(ANN)) == 2


def test_a_lock_held_too_long_is_named(store: SQLiteStore, path: Path) -> None:
    pragma(store, "busy_timeout = 20")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreUnavailableError, match=r"locked.*try again"):
        put(store, "k", card("a", "x"))
    other.execute("rollback")
    other.close()
    put(store, "k", card("a", "x"))


def test_an_erasure_tells_of_a_reader_that_keeps_the_log(store: SQLiteStore, path: Path) -> None:
    put(store, "k", card("a", "x"))
    pragma(store, "busy_timeout = 20")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select * from cards").fetchall()
    receipt = store.forget_user(ANN)
    assert (receipt.cards, receipt.events, receipt.checkpointed) == (1, 1, False)
    reader.execute("rollback")
    reader.close()
    assert store.checkpoint()
    assert store.forget_user(ANN).checkpointed
    assert store.forget_user(ANN).cards == 0


def test_closing_clears_what_an_erasure_could_not(store: SQLiteStore, path: Path) -> None:
    put(store, "k", card("a", "zigzag quaintly"))
    put(store, "k", card("b", "be brief"), user=BOB)
    pragma(store, "busy_timeout = 20")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select * from cards").fetchall()
    assert not store.forget_user(ANN).checkpointed
    reader.execute("rollback")
    reader.close()
    assert store.check()["unscrubbed"] == 1
    store.close()
    assert b"zigzag" not in path.read_bytes()
    assert b"be brief" in path.read_bytes()
    again = SQLiteStore(path)
    assert "unscrubbed" not in again.check()
    again.close()


def test_a_large_file_is_rewritten_when_asked(store: SQLiteStore, path: Path) -> None:
    for n in range(20):
        said = Preference("", f"rule {n}", evidence=(Evidence("0", f"zigzag{n} " * 100_000),))
        put(store, f"k{n}", Card(f"c{n}", "ann", said, "active", "said", "s", AT, AT))
    put(store, "k", card("b", "be brief"), user=BOB)
    receipt = store.forget_user(ANN)
    assert (receipt.cards, receipt.checkpointed) == (20, False)
    assert path.stat().st_size > 32 * 2**20
    assert store.compact()
    assert path.stat().st_size < 2**20
    assert b"zigzag" not in path.read_bytes()
    assert [c.id for c in store.cards(BOB)] == ["b"]
    assert store.forget_user(BOB).checkpointed


def test_odd_ids_are_plain_data(store: SQLiteStore) -> None:
    for n, name in enumerate(["' or 1=1 --", '"; drop table cards', "%", "_", "\\", 'x"y', "a\0b"]):
        key = UserKey("../../etc/passwd", tenant="'; --")
        put(store, f"k{n}", card(name, f"rule {n}"), user=key)
        found = store.card(key, name)
        assert found is not None
        assert found.id == name
        with store.write(key) as transaction:
            assert transaction.forget(name)
        assert all(event.changes == () for event in store.events(key))
    assert store.cards(ANN) == ()
    assert store.users("'; --") == ("../../etc/passwd",)
