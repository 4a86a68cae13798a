"""On PostgreSQL: who writes for a user waits for who does, every key is kept, and turns are."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from prefmem.job import Job
from prefmem.stores.places import Plan
from prefmem.stores.shard import Shard
from prefmem.types import Card, Change, Event, Preference, Turn, UserKey, Vector

psycopg = pytest.importorskip("psycopg")
from prefmem.stores.postgres import PostgresStore, migrate  # noqa: E402  # once its driver is there

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann"), UserKey("bob")
EAST: Vector = np.array([1, 0, 0, 0], dtype=np.float32)
_MIGRATING = 0x7072656D  # the lock that PostgreSQL is asked for


@pytest.fixture
def schema() -> str:
    return f"s{os.urandom(4).hex()}"


@pytest.fixture
def store(dsn: str, schema: str) -> Iterator[PostgresStore]:
    opened = PostgresStore(dsn, schema=schema)
    opened.bind("test", 4)
    yield opened
    opened.close()


def put(store: PostgresStore, user: UserKey, name: str) -> None:
    with store.write(user) as transaction:
        record(transaction, user, name)


def record(transaction: Any, user: UserKey, name: str) -> None:  # noqa: ANN401  # of the store
    card = Card(name, user.user_id, Preference("", f"do {name}"), "active", "said", "s", AT, AT)
    transaction.record(Event(name, "learn", (Change("add", card),), AT), {name: EAST})


class Other:
    """Something that another thread does."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.found: list[object] = []
        self._work, self._done = work, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.found.append(self._work())
        finally:
            self._done.set()

    def waits(self) -> bool:
        return not self._done.wait(0.4)

    def end(self) -> object:
        self._thread.join(30)
        return self.found[0]


def test_two_that_write_for_one_user_wait_for_each_other(store: PostgresStore) -> None:
    put(store, ANN, "a")
    with store.write(ANN) as transaction:
        other = Other(lambda: put(store, ANN, "c"))
        assert other.waits()
        put_bob = Other(lambda: put(store, BOB, "a"))
        put_bob.end()  # nobody waits for another user
        record(transaction, ANN, "b")
    other.end()
    assert [card.id for card in store.cards(ANN)] == ["a", "b", "c"]


def test_who_reads_before_writing_finds_what_the_one_before_wrote(store: PostgresStore) -> None:
    put(store, ANN, "a")
    known: list[bool] = []

    def again() -> None:
        with store.write(ANN) as transaction:
            known.append(transaction.knows("b"))

    with store.write(ANN) as transaction:
        other = Other(again)
        assert other.waits()
        record(transaction, ANN, "b")
    other.end()
    assert known == [True]


def test_an_erasure_waits_for_a_writer_and_takes_what_he_wrote(store: PostgresStore) -> None:
    put(store, ANN, "a")
    with store.write(ANN) as transaction:
        other = Other(lambda: store.forget_user(ANN).cards)
        assert other.waits()
        record(transaction, ANN, "b")
    assert other.end() == 2
    assert store.cards(ANN) == ()


def test_a_worker_passes_over_what_another_is_taking(
    store: PostgresStore, dsn: str, schema: str
) -> None:
    hasty = PostgresStore(f"{dsn}&options=-c%20lock_timeout%3D3000", schema=schema)
    hasty.bind("test", 4)
    for user in (ANN, BOB):
        job = Job(user, "s", (Turn("t", "user", "hello"),), ("t",), AT, AT)
        store.jobs.put(job, most=9, most_of_user=9)
    (held,) = store.jobs.of(ANN)
    with psycopg.connect(dsn) as db:
        db.execute(f"select 1 from {schema}.jobs where id = {held.id} for update")  # noqa: S608  # ours
        leased = hasty.jobs.lease("w", now=AT, until=AT + timedelta(minutes=1), most=9)
    assert [job.user for job in leased] == [BOB]
    hasty.close()


def test_lines_of_the_audit_log_are_written_in_turn(store: PostgresStore) -> None:
    for user in (ANN, BOB):
        put(store, user, "a")

    def told() -> None:
        with store.write(BOB) as transaction:
            transaction.audit("add", actor="host", at=AT)

    with store.write(ANN) as transaction:
        transaction.audit("add", actor="host", at=AT)
        other = Other(told)
        assert other.waits()
    other.end()
    assert [check.ok for check in store.soundness()] == [True] * 3
    assert len(store.acts()) == 2


def test_tables_are_made_in_turn(dsn: str, schema: str) -> None:
    with psycopg.connect(dsn) as db:
        db.execute("select pg_advisory_xact_lock(%s)", (_MIGRATING,))
        other = Other(lambda: migrate(dsn, schema=schema).vectors)
        assert other.waits()
    assert other.end() == "bytea"


def test_a_superusers_store_sees_one_user_at_a_time_too(store: PostgresStore) -> None:
    for user in (ANN, BOB):
        put(store, user, "a")
    base = store.as_shard("")  # as it is
    asked = "select ext_id from users"
    assert base.read(lambda db, _: db.execute(asked).fetchall(), ANN) == [("ann",)]
    with base.write(BOB) as (db, _):
        assert db.execute(asked).fetchall() == [("bob",)]


def test_a_new_user_waits_for_a_plan_that_is_being_changed(
    store: PostgresStore, dsn: str, schema: str
) -> None:
    shard = Shard("west", lambda: store, lambda _: None)
    plan = Plan(1, ("west",))
    assert shard.raise_plan(plan) == plan
    assert shard.admit(BOB, plan)
    with psycopg.connect(dsn) as db:
        told = plan.with_homes(("east", "west")).text()
        db.execute(f"update {schema}.meta set value = %s where key = 'shards'", (told,))  # noqa: S608  # ours
        other = Other(lambda: shard.admit(ANN, plan))
        assert other.waits()
    assert other.end() is False, "that plan is none any more"


def test_every_key_of_the_tables_is_kept(store: PostgresStore, dsn: str, schema: str) -> None:
    assert store.users() == ()
    asked = (
        "select t.relname, array(select attname from unnest(i.indkey) with ordinality as k (n, o) "
        "join pg_attribute on attrelid = t.oid and attnum = k.n order by o) "
        "from pg_index as i join pg_class as t on t.oid = i.indrelid "
        "where i.indisunique and t.relnamespace = %s::regnamespace"
    )
    with psycopg.connect(dsn) as db:
        found = {(row[0], *row[1]) for row in db.execute(asked, (schema,)).fetchall()}
    assert found == {
        ("meta", "key"),
        ("users", "uid"),
        ("events", "uid", "seq"),
        ("events", "uid", "key"),
        ("cards", "uid", "card_id"),
        ("cards", "uid", "rule_hash"),
        ("retired", "uid", "card_id"),
        ("interactions", "uid", "seq"),
        ("interactions", "uid", "key"),
        ("edits", "uid", "seq"),
        ("edits", "uid", "key"),
        ("jobs", "uid", "id"),
        ("erasures", "token"),
        ("audit", "id"),
    }
