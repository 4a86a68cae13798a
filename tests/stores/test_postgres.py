"""PostgreSQL, on a real server: the contract, who may see what, and what happens on the way."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pytest
from typer.testing import CliRunner

from prefmem import BasisMismatchError, Card, InputError, Preference, PreferenceMemory, StoreError
from prefmem.cli import app
from prefmem.errors import ConfigError, StoreUnavailableError, StoreVersionError
from prefmem.interaction import Entry, KeptEdit, Observation
from prefmem.job import Backlog, Job
from prefmem.testing import check_store
from prefmem.types import Change, Event, Turn, UserKey, Vector

psycopg = pytest.importorskip("psycopg")
from prefmem.stores.pgschema import APP_ROLE, STEPS  # noqa: E402  # once its driver is there
from prefmem.stores.postgres import Migrated, PostgresStore, migrate, uid_of  # noqa: E402

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann"), UserKey("bob")
EAST: Vector = np.array([1, 0, 0, 0], dtype=np.float32)
TABLES = ("users", "events", "cards", "retired", "interactions", "edits", "jobs")
Make = Callable[..., PostgresStore]


@pytest.fixture
def schema() -> str:
    return f"s{os.urandom(4).hex()}"


@pytest.fixture
def make(dsn: str, schema: str) -> Iterator[Make]:
    opened: list[PostgresStore] = []

    def one(address: str = dsn, **given: Any) -> PostgresStore:  # noqa: ANN401  # its arguments
        settings: dict[str, Any] = {"schema": schema, "wait": 10.0, **given}
        store = PostgresStore(address, **settings)
        opened.append(store)
        return store

    yield one
    for store in opened:
        store.close()


@pytest.fixture
def store(make: Make) -> PostgresStore:
    opened = make()
    opened.bind("test", 4)
    return opened


@pytest.fixture
def role(dsn: str) -> Iterator[Callable[[str], str]]:
    """Make login roles, and give the address for each."""
    made: list[str] = []

    def one(rights: str = "") -> str:
        name = f"r{os.urandom(4).hex()}"
        run(dsn, f"create role {name} login {rights}")
        made.append(name)
        return address_of(dsn, name)

    yield one
    for name in made:
        run(dsn, f"drop owned by {name} cascade", f"drop role {name}")


def address_of(dsn: str, user: str, password: str = "") -> str:
    parts = urlsplit(dsn)
    who = f"{user}:{password}@" if password else f"{user}@"
    return urlunsplit(parts._replace(netloc=who + parts.netloc.rpartition("@")[2]))


def name_of(address: str) -> str:
    return str(urlsplit(address).username)


def run(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements in a transaction each; gives the rows of the last."""
    rows: list[tuple[Any, ...]] = []
    with psycopg.connect(dsn, autocommit=True) as db:
        for statement in statements:
            cursor = db.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    return rows


def card(name: str, action: str, user: str = "ann") -> Card:
    return Card(name, user, Preference("", action), "active", "said", "s", AT, AT)


def put(store: PostgresStore, user: UserKey, key: str, *cards: Card) -> None:
    with store.write(user) as transaction:
        changes = tuple(Change("add", c) for c in cards)
        transaction.record(Event(key, "learn", changes, AT), {c.id: EAST for c in cards})


def fill(store: PostgresStore) -> None:
    """Give two users a row in every table."""
    for user in (ANN, BOB):
        put(store, user, "k", card("a", "be brief", user.user_id), card("b", "x", user.user_id))
        with store.write(user) as transaction:
            gone = Change("remove", card("b", "x", user.user_id))
            transaction.record(Event("k2", "undo", (gone,), AT), {})
            transaction.note(Entry("o", Observation(session_id="s"), AT))
            transaction.keep_edit(KeptEdit("e", "", "draft", "final", AT), most=5)
        turn = Turn("t", "user", "hello")
        store.jobs.put(Job(user, "s", (turn,), ("t",), AT, AT), most=9, most_of_user=9)


# The contract


@pytest.mark.parametrize("vectors", ["bytea", "halfvec"])
def test_it_keeps_the_contract(make: Make, vectors: str) -> None:
    check_store(lambda: make(vectors=vectors))
    again = make(vectors="bytea")  # the tables say of what type they are
    assert again.check()["vectors"] == vectors
    put(again, ANN, "k", card("a", "be brief"))
    with pytest.raises(BasisMismatchError, match=r"holds vectors of 'test' \(width 4\)"):
        again.bind("other", 4)


def test_it_keeps_the_contract_without_prepared_statements(make: Make) -> None:
    check_store(lambda: make(prepare=False, connections=2))


def test_a_memory_opens_an_address(dsn: str, open_memory: Callable[..., PreferenceMemory]) -> None:
    memory = open_memory(path=dsn)
    memory.learn([("user", "Always be brief.")], user_id="ann")
    assert memory.recall("Write a line.", user_id="ann").rules[0].text == "Be brief."
    assert len(memory.export(user_id="ann")["events"]) == 1
    memory.close()
    other = open_memory(path=dsn)
    assert [c.text for c in other.list(user_id="ann")] == ["Be brief."]
    assert other.forget_user(user_id="ann").cards == 1
    assert other.list(user_id="ann") == ()


def test_its_health_tells_the_server_and_no_secret(store: PostgresStore) -> None:
    told = store.check()
    assert (told["schema"], told["basis"], told["width"], told["jobs"]) == (
        len(STEPS),
        "test",
        "4",
        0,
    )
    assert int(str(told["server"]).split(".")[0]) >= 15
    assert "secret" not in told


# Who sees what


@pytest.mark.parametrize("rights", ["superuser", "owner", "bypassrls createrole", "application"])
def test_a_statement_without_where_shows_one_user_alone(
    dsn: str, make: Make, role: Callable[[str], str], schema: str, rights: str
) -> None:
    address = made_for(dsn, role, schema, rights)
    nobody = f"insert into users (uid, tenant, ext_id) values ('{uid_of(BOB)}', '', 'x')"  # noqa: S608  # our tables
    store = make(address)
    store.bind("test", 4)
    fill(store)
    with psycopg.connect(address, autocommit=True) as db:
        begin = f"set local search_path to {schema}"
        if rights not in ("owner", "application"):
            begin += f"; set local role {APP_ROLE}"
        for table in TABLES:
            look, touch = f"select uid from {table}", f"update {table} set uid = uid"  # noqa: S608  # our tables
            db.execute(f"begin; {begin}")
            assert db.execute(look).fetchall() == [], "nobody was named"
            uid = str(uid_of(ANN))
            db.execute("select set_config('prefmem.uid', %s, true)", (uid,))
            found = db.execute(look).fetchall()
            assert {str(row[0]) for row in found} == {uid}
            assert db.execute(touch).rowcount == len(found)
            assert db.execute(f"{touch} where uid = %s", (uid_of(BOB),)).rowcount == 0
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(nobody)
            db.execute("commit")
            db.execute(f"begin; {begin}")
            assert db.execute(look).fetchall() == [], "after a commit"
            db.execute("commit")
    assert store.users() == ("ann", "bob")
    assert [c.id for c in store.cards(BOB)] == ["a"]


def made_for(dsn: str, role: Callable[[str], str], schema: str, rights: str) -> str:
    if rights == "superuser":
        return dsn
    if rights == "application":
        address = role("")
        assert migrate(dsn, schema=schema, role=name_of(address)) == Migrated(len(STEPS), "bytea")
        return address
    address = role("" if rights == "owner" else rights)
    run(dsn, f"create schema {schema} authorization {name_of(address)}")
    if rights != "owner":
        with pytest.raises(ConfigError, match="let a superuser run `grant prefmem_app to"):
            migrate(address, schema=schema)
        run(dsn, f"grant {APP_ROLE} to {name_of(address)}")
    return address


def test_a_role_that_may_not_make_the_tables_is_told_what_to_do(
    dsn: str, make: Make, role: Callable[[str], str], schema: str
) -> None:
    stranger = role("")
    with pytest.raises(
        StoreVersionError, match=r"may not make them; let the owner run `prefmem mi"
    ):
        make(stranger)
    make()
    with pytest.raises(StoreUnavailableError, match="let the owner run `prefmem migrate"):
        make(stranger)
    result = CliRunner().invoke(
        app, ["migrate", dsn, "--schema", schema, "--role", name_of(stranger)]
    )
    assert result.exit_code == 0
    assert f"schema '{schema}' has version {len(STEPS)}, vectors of bytea" in result.output
    check_store(lambda: make(stranger))


def test_a_role_that_row_security_does_not_bind_is_refused(
    dsn: str, make: Make, role: Callable[[str], str], schema: str
) -> None:
    make()
    exempt = role("bypassrls")
    run(dsn, f"grant usage on schema {schema} to {name_of(exempt)}",
        f"grant select on all tables in schema {schema} to {name_of(exempt)}")  # fmt: skip
    with pytest.raises(ConfigError, match="row-level security does not bind the role"):
        make(exempt)
    with pytest.raises(ConfigError, match="row-level security does not bind the role"):
        migrate(dsn, schema=schema, role=name_of(exempt))
    with pytest.raises(ConfigError, match="there is no role 'nobody'"):
        migrate(dsn, schema=schema, role="nobody")


def test_a_name_of_a_schema_may_be_anything(dsn: str, make: Make) -> None:
    odd = "Odd \"Näme'; drop"
    check_store(lambda: make(schema=odd))
    assert migrate(dsn, schema=odd) == Migrated(len(STEPS), "bytea")


def test_a_newer_schema_is_refused(make: Make, dsn: str, schema: str) -> None:
    make()
    run(dsn, f"set search_path to {schema}; update meta set value = '99' where key = 'schema'")  # noqa: S608  # our tables
    with pytest.raises(StoreVersionError, match=r"has version 99.*upgrade this one"):
        make()


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (["prefs.db"], "migrate is for PostgreSQL", 1),
        (["postgresql://x", "--vectors", "float"], "--vectors", 2),
    ],
)
def test_migrate_says_what_it_cannot_do(words: list[str], told: str, code: int) -> None:
    result = CliRunner().invoke(app, ["migrate", *words], env={"NO_COLOR": "1", "TERM": "dumb"})
    assert (result.exit_code, told in result.output) == (code, True)


def test_a_connection_carries_nothing_over_to_the_next_transaction(make: Make) -> None:
    store = make(connections=1)
    store.bind("test", 4)
    put(store, ANN, "k", card("a", "be brief"))
    with pytest.raises(KeyError), store.write(ANN):
        raise KeyError
    with store._pool._pool.connection() as db:  # pyright: ignore[reportPrivateUsage]  # its one
        for name in ("uid", "everyone", "tenant"):
            row = db.execute("select current_setting(%s, true)", (f"prefmem.{name}",)).fetchone()
            assert row in ((None,), ("",))
        assert db.execute("select current_user").fetchone() == ("postgres",)
    assert store.cards(BOB) == ()


# What cannot be


def test_a_password_is_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    address = "postgresql://bob:hunter2@127.0.0.1:1/prefs"
    parts = "bob:hunter2@h/prefs?nonsense=1"
    with pytest.raises(StoreUnavailableError) as raised:
        PostgresStore(address, wait=0.3)
    with pytest.raises(StoreUnavailableError) as other:
        migrate(address, wait=0.3)
    told = str(raised.value)
    assert told.startswith("cannot open PostgreSQL 'prefs' at '127.0.0.1': OperationalError")
    assert "hunter2" not in f"{told}{other.value}{caplog.text}"
    result = CliRunner().invoke(app, ["migrate", f"postgresql://{parts}"])
    assert result.exit_code == 1
    assert "hunter2" not in result.output


def test_who_or_what_the_server_does_not_know_is_said_at_once(dsn: str) -> None:
    with pytest.raises(StoreUnavailableError, match='role "nobody" does not exist'):
        PostgresStore(address_of(dsn, "nobody"), wait=999)
    with pytest.raises(StoreUnavailableError, match='database "nowhere" does not exist'):
        PostgresStore(urlunsplit(urlsplit(dsn)._replace(path="/nowhere")), wait=999)


def test_nul_is_refused_and_no_text_shown(store: PostgresStore) -> None:
    with pytest.raises(InputError, match="cannot hold this text") as raised:
        put(store, ANN, "secret\0key", card("a", "be brief"))
    assert "secret" not in str(raised.value)
    with pytest.raises(InputError, match="cannot hold this text"):
        put(store, ANN, "secret\ud800key", card("a", "be brief"))
    assert store.cards(ANN) == ()
    put(store, ANN, "k", card("a", "be brief"))


def test_a_standby_says_so(make: Make, dsn: str) -> None:
    make().bind("test", 4)
    standby = make(f"{dsn}&options=-c%20default_transaction_read_only%3Don")
    standby.bind("test", 4)
    assert standby.cards(ANN) == ()
    with pytest.raises(StoreUnavailableError, match="target_session_attrs=read-write"):
        put(standby, ANN, "k", card("a", "be brief"))
    assert not standby.note(ANN, Entry("o", Observation(session_id="s"), AT))


def test_a_transaction_within_another_is_refused(store: PostgresStore) -> None:
    with store.write(ANN) as transaction:
        transaction.record(Event("k", "learn", (Change("add", card("a", "x")),), AT), {"a": EAST})
        with pytest.raises(StoreError, match="open already"), store.write(ANN):
            pass
        with pytest.raises(StoreError, match="open already"), store.write(BOB):
            pass
        assert [c.id for c in store.cards(ANN)] == ["a"], "it reads what it has written"
        assert store.cards(BOB) == ()
    assert store.known(ANN, ["k"]) == {"k"}


def test_a_closed_store_says_so(store: PostgresStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.cards(ANN)


# Several at once


def test_threads_and_processes_that_write_for_one_user_lose_nothing(make: Make, dsn: str) -> None:
    store = make()
    store.bind("test", 4)
    schema = store._postgres._schema  # pyright: ignore[reportPrivateUsage]  # for the processes
    work = get_context("spawn").Process
    processes: list[Any] = [work(target=write_some, args=(dsn, schema, f"p{n}")) for n in range(2)]
    for process in processes:
        process.start()
    threads = [threading.Thread(target=write_with, args=(store, f"t{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for waited in (*threads, *processes):
        waited.join()
    assert [process.exitcode for process in processes] == [0, 0]
    names = {f"{who}.{n}" for who in ("p0", "p1", *(f"t{n}" for n in range(8))) for n in range(10)}
    assert {c.id for c in store.cards(ANN)} == names
    assert [event.seq for event in store.events(ANN)] == list(range(1, 101))
    assert sorted(store.numbers(ANN).values()) == list(range(1, 101))


def write_some(dsn: str, schema: str, who: str) -> None:
    store = PostgresStore(dsn, schema=schema)
    store.bind("test", 4)
    write_with(store, who)
    store.close()


def write_with(store: PostgresStore, who: str) -> None:
    for n in range(10):
        put(store, ANN, f"{who}.{n}", card(f"{who}.{n}", f"say {who} {n}"))


def test_a_user_that_two_make_at_once_is_there_once(store: PostgresStore) -> None:
    for n in range(10):
        user, barrier = UserKey(f"u{n}"), threading.Barrier(4)

        def one(key: str, user: UserKey = user, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            put(store, user, key, card(key, f"say {key}", user.user_id))

        threads = [threading.Thread(target=one, args=(f"k{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.cards(user)) == 4


def test_four_workers_lease_each_job_once_and_each_users_in_order(store: PostgresStore) -> None:
    users, each = [UserKey(f"u{n}") for n in range(6)], 8
    for n in range(each):
        for user in users:
            turn = Turn(f"t{n}", "user", f"always {n}")
            job = Job(user, f"s{n}", (turn,), (turn.id,), AT, AT)
            store.jobs.put(job, most=999, most_of_user=99)
    done: list[tuple[str, str]] = []
    now = AT + timedelta(hours=1)

    def work(owner: str) -> None:
        while len(done) < len(users) * each:
            for job in store.jobs.lease(owner, now=now, until=now + timedelta(minutes=1), most=2):
                with store.write(job.user) as transaction:
                    done.append((job.user.user_id, job.session_id))
                    assert transaction.finish(job)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(done).most_common(1)[0][1] == 1
    for user in users:
        assert [s for u, s in done if u == user.user_id] == [f"s{n}" for n in range(each)]
    assert store.jobs.backlog(now) == Backlog()


@pytest.mark.filterwarnings("ignore:This process")
def test_a_fork_has_connections_of_its_own(store: PostgresStore) -> None:
    put(store, ANN, "k", card("a", "be brief"))
    with store.write(BOB):
        pid = os.fork()
        if pid == 0:
            try:
                put(store, ANN, "k2", card("b", "use SI"))
                os._exit(0 if len(store.cards(ANN)) == 2 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
    put(store, ANN, "k3", card("c", "use tabs"))
    assert [c.id for c in store.cards(ANN)] == ["a", "b", "c"]


# Connections that break


def test_what_breaks_between_two_calls_is_not_noticed(store: PostgresStore, dsn: str) -> None:
    put(store, ANN, "k", card("a", "be brief"))
    cut(dsn)
    put(store, ANN, "k2", card("b", "use SI"))
    cut(dsn)
    assert [c.id for c in store.cards(ANN)] == ["a", "b"]


def test_what_breaks_in_a_transaction_may_be_repeated(store: PostgresStore, dsn: str) -> None:
    def write() -> None:
        with store.write(ANN) as transaction:
            cut(dsn)
            transaction.record(Event("k", "learn", (), AT), {})

    with pytest.raises(StoreUnavailableError, match="repeat the call"):
        write()
    assert store.known(ANN, ["k"]) == frozenset()
    put(store, ANN, "k", card("a", "be brief"))


def test_a_note_waits_for_no_other_writer(store: PostgresStore) -> None:
    noted: list[bool] = []
    entry = Entry("o", Observation(session_id="s"), AT)
    assert not store.note(ANN, entry), "nobody is called so"
    with store.write(ANN):
        thread = threading.Thread(target=lambda: noted.append(store.note(ANN, entry)))
        thread.start()
        thread.join()
    assert noted == [False]
    assert store.note(ANN, entry)
    assert [e.key for e in store.interactions(ANN)] == ["o"]


def cut(dsn: str) -> None:
    """Break every other connection to the database."""
    run(dsn, "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()")  # fmt: skip
