"""A key for each user: nothing readable on disk, and nothing left where a key is dropped."""

import sqlite3
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from prefmem import Card, Evidence, Preference, PreferenceMemory
from prefmem.cli import app
from prefmem.errors import (
    ConfigError,
    MissingExtraError,
    StoreError,
    StoreUnavailableError,
    StoreVersionError,
)
from prefmem.ids import rule_hash, user_turn_keys
from prefmem.interaction import Entry, KeptEdit, Offer, UserState
from prefmem.job import Job
from prefmem.protocols import Store
from prefmem.stores.cipher import LocalMaster, UserSeal
from prefmem.stores.keys import UserKeys, master_key, read_key
from prefmem.stores.ring import KeyFile
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, check_store
from prefmem.types import Change, Event, Status, Turn, UserKey, Vector

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UserKey("ann"), UserKey("bob")
EAST: Vector = np.array([1, 0, 0, 0], dtype=np.float32)
ODD: Vector = np.array([0.1, 0.7, 0.5, 0.5], dtype=np.float32)
MASTER, OTHER = bytes(range(32)), bytes(32)
WORDS = ("porcupine", "marzipan", "zeppelin", "quokka", "tarragon", "umbrella")
TURN = Turn("t", "user", "Please mention the quokka first.")
TURN_KEY = user_turn_keys((TURN,), "s")["t"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prefs.db"


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[UserKeys]:
    with UserKeys(tmp_path / "keys.db", master=MASTER) as opened:
        yield opened


def card(name: str, action: str, user: UserKey = ANN, status: Status = "active") -> Card:
    said = Preference("", action, evidence=(Evidence("t", f"I want {action}"),))
    return Card(name, user.user_id, said, status, "said", "s", AT, AT)


def fill(store: Store, user: UserKey = ANN) -> None:
    """Put one of everything in."""
    store.bind("test", 4)
    held = (card("c1", "the porcupine", user), card("c2", "more marzipan", user))
    with store.write(user) as transaction:
        changes = tuple(Change("add", c) for c in held)
        transaction.record(Event(TURN_KEY, "learn", changes, AT), {"c1": ODD, "c2": EAST})
        transaction.keep_edit(
            KeptEdit("e1", "a zeppelin", "to umbrella", "no tarragon", AT), most=9
        )
        transaction.note(Entry("offer:r1", offer(), AT))
        transaction.save_state(UserState(user.user_id, "test/1", "test", long=ODD, short=EAST))
    store.jobs.put(Job(user, "s", (TURN,), (TURN_KEY,), AT, AT), most=9, most_of_user=9)


def offer() -> Offer:
    one = np.ones(1, dtype=np.float32)
    return Offer(
        "r1", "s", "0123456789abcdef", np.ones(1, dtype=np.int64), one, one, one,
        np.ones(1, dtype=np.bool_), ("relevant",), "test/1", AT,
    )  # fmt: skip


def told(store: Store, user: UserKey = ANN) -> object:
    """Give everything that a store holds of a user."""
    state = store.state(user)
    return (
        store.cards(user), store.shelf(user).matrix.tolist(), store.events(user),
        store.edits(user), [(e.key, e.seq) for e in store.interactions(user)],
        [(job.keys, job.turns) for job in store.jobs.of(user)],
        None if state is None else (state.long.tolist(), state.short.tolist()),
        store.known(user, [TURN_KEY, f"{TURN_KEY}x", "other:"]),
    )  # fmt: skip


def secret_bytes() -> list[bytes]:
    """Give what must not lie on a disk: texts, hashes of texts, and vectors."""
    rule = rule_hash(Preference("", "the porcupine"))
    return [
        *(word.encode() for word in WORDS), TURN_KEY[:32].encode(), rule, rule.hex().encode(),
        ODD.astype("<f2").tobytes(), ODD.tobytes(),
    ]  # fmt: skip


def found(folder: Path, wanted: Iterable[bytes]) -> list[tuple[str, bytes]]:
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    assert files
    return [(file.name, one) for file in files for one in wanted if one in file.read_bytes()]


# What is stored


def test_a_sealed_store_keeps_the_contract(path: Path, keys: UserKeys) -> None:
    check_store(lambda: SQLiteStore(path, encryption=keys))
    check_store(lambda: SQLiteStore(":memory:", encryption=keys))


def test_no_text_no_hash_of_one_and_no_vector_is_on_disk(path: Path, keys: UserKeys) -> None:
    plain = SQLiteStore(path.with_name("plain.db"))
    fill(plain)
    wanted = secret_bytes()
    assert {one for _, one in found(path.parent, wanted)} == {
        *(word.encode() for word in WORDS), TURN_KEY[:32].encode(), wanted[len(WORDS) + 1],
        ODD.astype("<f2").tobytes(), ODD.tobytes(),
    }  # fmt: skip
    plain_told = told(plain)
    plain.close()
    for file in path.parent.glob("plain.db*"):
        file.unlink()

    store = SQLiteStore(path, encryption=keys)
    fill(store)
    assert found(path.parent, wanted) == []  # the write-ahead log among them
    assert told(store) == plain_told
    store.jobs.put(Job(ANN, "s", (TURN,), (TURN_KEY, "w:"), AT, AT), most=9, most_of_user=9)
    with store.write(ANN) as transaction:
        transaction.forget("c2")
    assert found(path.parent, wanted) == []
    store.close()
    assert found(path.parent, wanted) == []


def test_a_memory_takes_keys(path: Path, keys: UserKeys) -> None:
    parts: dict[str, Any] = {
        "embedder": HashEmbedder(), "extractor": PhraseExtractor(), "relater": TableRelater(),
        "reranker": "none", "judge": "none",
    }  # fmt: skip
    with PreferenceMemory(path, encryption=keys, **parts) as memory:
        memory.add("writing letters", "mention the porcupine", user_id="ann")
        assert found(path.parent, [b"porcupine", b"letters"]) == []
    with PreferenceMemory(path, encryption=keys, **parts) as memory:
        shown = memory.recall("writing letters", user_id="ann").rules
        assert [rule.text for rule in shown] == ["When writing letters, mention the porcupine."]
    with pytest.raises(ConfigError, match="goes with a path"):
        PreferenceMemory(store=SQLiteStore(":memory:"), encryption=keys, **parts)


def test_a_value_opens_in_its_place_alone(path: Path, keys: UserKeys) -> None:
    store = SQLiteStore(path, encryption=keys)
    fill(store)
    fill(store, BOB)
    before = told(store)
    store.close()

    def changed(*statements: str) -> SQLiteStore:
        with sqlite3.connect(path) as db:
            for statement in statements:
                db.execute(statement)
        db.close()
        opened = SQLiteStore(path, encryption=keys)
        opened.bind("test", 4)
        return opened

    kept = path.read_bytes()

    def theirs(column: str, table: str, key: str) -> str:
        other = f"(select {column} from {table} as o where o.uid = 2 and o.{key} = {table}.{key})"  # noqa: S608  # fixed names
        return f"update {table} set {column} = {other} where uid = 1"  # noqa: S608  # fixed names

    swaps: dict[str, Callable[[SQLiteStore], object]] = {
        theirs("body", "cards", "card_id"):
            lambda store: store.cards(ANN),
        theirs("vec", "cards", "card_id"):
            lambda store: store.shelf(ANN),
        theirs("body", "events", "seq"):
            lambda store: store.events(ANN),
        "update cards set body = (select body from cards as o where o.uid = 1 and o.card_id = 'c1')"
        " where card_id = 'c2'":
            lambda store: store.cards(ANN),
        "update edits set draft = final":
            lambda store: store.edits(ANN),
        "update edits set key = (select key from events where uid = 1)":
            lambda store: store.edits(ANN),
        "update users set state = (select body from interactions where uid = 1) where uid = 1":
            lambda store: store.state(ANN),
        "update cards set body = 'plain text' where uid = 1":
            lambda store: store.cards(ANN),
        "update cards set vec = x'00' where uid = 1":
            lambda store: store.shelf(ANN),
        "update events set key = 'plain' where uid = 1":
            lambda store: store.events(ANN),
        # even with the other's key: what is sealed says whose it is
        "update users set key_id = (select key_id from users where uid = 2) where uid = 1;"
        "delete from cards where uid = 1;"
        "insert into cards select 1, card_id, rule_hash, scope, status, confidence, created_seq, "
        "body, vec, place, ends, number from cards where uid = 2":
            lambda store: store.cards(ANN),
    }  # fmt: skip
    for swap, read in swaps.items():
        store = changed(*swap.split(";"))
        with pytest.raises(StoreUnavailableError, match="not sealed with the user's key"):
            read(store)
        store.close()
        path.write_bytes(kept)
    store = changed()
    assert told(store) == before
    store.close()


@given(st.text(), st.binary(), st.text(), st.text(max_size=9))
def test_what_is_sealed_opens_again(text: str, blob: bytes, key: str, row: str) -> None:
    with UserKeys(_DictRing(), master=MASTER) as keys, _seal(keys) as seal:
        assert seal.open_text(seal.text(text, "a.b", row), "a.b", row) == text
        assert seal.open_blob(seal.blob(blob, "a.b", row), "a.b", row) == blob
        assert seal.text(text, "a.b") != seal.text(text, "a.b")
        key = key.encode(errors="replace").decode()
        assert seal.open_key(seal.key(key, "a.b"), "a.b") == key
        assert seal.key(key, "a.b") == seal.key(key, "a.b")
        words = key.partition(":")[0]
        assert seal.key(f"{words}:x", "a.b").startswith(seal.key(f"{words}:", "a.b"))


# Which keys


def test_a_store_and_its_keys_belong_together(path: Path, tmp_path: Path, keys: UserKeys) -> None:
    store = SQLiteStore(path, encryption=keys)
    fill(store)
    store.close()
    with pytest.raises(ConfigError, match="is encrypted; pass the keys"):
        SQLiteStore(path)
    with pytest.raises(ConfigError, match="is encrypted; pass the keys"):
        PreferenceMemory(path, embedder=HashEmbedder())
    with (
        UserKeys(tmp_path / "others.db", master=MASTER) as others,
        pytest.raises(ConfigError, match="was written with other keys"),
    ):
        SQLiteStore(path, encryption=others)
    with pytest.raises(ConfigError, match="master key is not the one"):
        UserKeys(tmp_path / "keys.db", master=OTHER)
    with pytest.raises(ConfigError, match="31 bytes"):
        UserKeys(tmp_path / "keys.db", master=MASTER[1:])
    with pytest.raises(StoreVersionError, match="is no key ring"):
        UserKeys(path, master=MASTER)
    with pytest.raises(StoreUnavailableError, match="cannot use the key ring"):
        UserKeys(tmp_path / "none" / "keys.db", master=MASTER)

    plain = SQLiteStore(tmp_path / "plain.db")
    fill(plain)
    plain.close()
    with pytest.raises(ConfigError, match="holds users in plain text"):
        SQLiteStore(tmp_path / "plain.db", encryption=keys)


def test_the_key_ring_is_for_its_owner_alone(tmp_path: Path, keys: UserKeys) -> None:
    assert keys.id
    assert (tmp_path / "keys.db").stat().st_mode & 0o777 == 0o600


def test_stores_may_share_a_ring_and_share_no_key(tmp_path: Path, keys: UserKeys) -> None:
    one, two = (SQLiteStore(tmp_path / f"{n}.db", encryption=keys) for n in (1, 2))
    fill(one)
    fill(two)
    before = told(two)
    one.forget_user(ANN)
    assert told(two) == before
    one.close()
    two.close()


def test_few_keys_in_memory_are_enough(path: Path, tmp_path: Path) -> None:
    users = [UserKey(f"u{number}") for number in range(5)]
    with UserKeys(tmp_path / "k.db", master=MASTER, cached=2) as keys:
        store = SQLiteStore(path, encryption=keys)
        for user in users:
            fill(store, user)
        assert [store.cards(user)[0].user_id for user in users] == ["u0", "u1", "u2", "u3", "u4"]
        store.close()


def test_a_master_key_is_read_from_text_and_files(tmp_path: Path) -> None:
    file = tmp_path / "m"
    for held in (MASTER, MASTER.hex().encode(), b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"):
        file.write_bytes(held)
        assert master_key(file) == MASTER
    for text in ("", "secret", MASTER[1:].hex()):
        with pytest.raises(ConfigError, match="32 bytes in base64"):
            read_key(text)
    with pytest.raises(ConfigError, match="cannot read the master key"):
        master_key(tmp_path / "none")


def test_another_ring_and_a_key_service_can_take_their_places(path: Path) -> None:
    service, ring = _Service(), _DictRing()
    with UserKeys(ring, master=service) as keys:
        store = SQLiteStore(path, encryption=keys)
        fill(store)
        store.forget_user(ANN)
        store.close()
    assert service.asked > 0
    assert set(ring.held) == {"check"}


def test_the_master_key_can_be_changed(path: Path, tmp_path: Path, keys: UserKeys) -> None:
    store = SQLiteStore(path, encryption=keys)
    fill(store)
    before = told(store)
    store.close()
    with UserKeys(tmp_path / "keys.db", master=MASTER) as behind:
        old = SQLiteStore(path, encryption=behind)
        assert keys.rewrap(OTHER) == 1
        old.bind("test", 4)
        with pytest.raises(StoreUnavailableError, match="start again with that one"):
            fill(old, BOB)  # a key that the old master key wraps would soon be lost
        old.close()
    with pytest.raises(ConfigError, match="master key is not the one"):
        UserKeys(tmp_path / "keys.db", master=MASTER)
    with UserKeys(tmp_path / "keys.db", master=OTHER) as new:
        store = SQLiteStore(path, encryption=new)
        store.bind("test", 4)
        assert told(store) == before
        fill(store, BOB)
        store.close()


def test_a_fork_opens_the_ring_anew(path: Path, keys: UserKeys) -> None:
    store = SQLiteStore(path, encryption=keys)
    fill(store)
    child = get_context("fork").Process(target=fill, args=(store, BOB))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert store.cards(BOB)[0].preference.action == "the porcupine"
    store.close()


# Erasing by dropping a key


def test_who_is_forgotten_cannot_be_read_from_any_copy(path: Path, keys: UserKeys) -> None:
    store = SQLiteStore(path, encryption=keys)
    fill(store)
    fill(store, BOB)
    kept = told(store, BOB)
    store.checkpoint()
    copy = path.read_bytes()
    store.forget_user(ANN)
    store.close()

    for file in path.parent.glob("prefs.db*"):  # the list of erasures beside it among them
        file.unlink()
    path.write_bytes(copy)
    store = SQLiteStore(path, encryption=keys)
    assert store.users() == ("bob",)  # before the first answer
    store.bind("test", 4)
    assert told(store, BOB) == kept
    fill(store)  # who comes back has another key
    assert store.cards(ANN)[0].preference.action == "the porcupine"
    store.close()


def test_a_dropped_key_leaves_the_ring(tmp_path: Path) -> None:
    ring = KeyFile(tmp_path / "ring.db")
    wrapped = {f"k{number}": sha256(str(number).encode()).digest() * 2 for number in range(100)}
    for name in list(wrapped)[:9]:
        assert ring.put({name: wrapped[name]})
    assert ring.put({name: wrapped[name] for name in list(wrapped)[9:]})
    gone = list(wrapped)[::2]
    ring.drop([*gone, "unknown"])
    held = (tmp_path / "ring.db").read_bytes()
    assert [name for name in gone if wrapped[name] in held or ring.get(name)] == []
    assert all(ring.get(name) == wrapped[name] for name in list(wrapped)[1::2])
    assert [name for _, name in ring.dropped()] == [*gone, "unknown"]
    assert [name for _, name in ring.dropped(49)] == [gone[-1], "unknown"]
    assert ring.dropped(51) == ()
    for used in (gone[0], "k1"):
        assert not ring.put({"new": b"x", used: b"again"})
    assert not ring.put({"new": b"x"}, guard=("k1", b"other"))
    assert ring.get("new") is None
    assert ring.rewrap(lambda name, key: key[:1]) == 50
    assert wrapped["k1"] not in (tmp_path / "ring.db").read_bytes()
    with pytest.raises(ZeroDivisionError):
        ring.rewrap(lambda name, key: b"x" * (1 // 0))
    ring.close()
    ring.close()
    with pytest.raises(StoreError, match="is closed"):
        ring.get("k1")


def test_a_key_that_another_process_drops_is_used_no_more(
    path: Path, tmp_path: Path, keys: UserKeys
) -> None:
    store = SQLiteStore(path, encryption=keys)
    fill(store)
    with sqlite3.connect(path) as db:
        (name,) = db.execute("select key_id from users").fetchone()
    db.close()
    with UserKeys(tmp_path / "keys.db", master=MASTER) as elsewhere:
        elsewhere.drop([name])
    for read in (store.cards, store.events, store.state, store.shelf):
        with pytest.raises(StoreUnavailableError, match="forget_user removes it"):
            read(ANN)
    assert store.forget_user(ANN).cards == 2
    assert store.users() == ()
    assert store.cards(ANN) == ()
    store.close()


def test_a_ring_that_does_not_know_a_key_erases_nothing(path: Path, tmp_path: Path) -> None:
    with UserKeys(tmp_path / "k.db", master=MASTER):
        before = (tmp_path / "k.db").read_bytes()
    with UserKeys(tmp_path / "k.db", master=MASTER) as keys:
        store = SQLiteStore(path, encryption=keys)
        fill(store)
        store.close()
    (tmp_path / "k.db").write_bytes(before)
    with UserKeys(tmp_path / "k.db", master=MASTER) as keys:
        store = SQLiteStore(path, encryption=keys)
        assert store.users() == ("ann",)
        with pytest.raises(StoreUnavailableError, match="older copy of it"):
            store.cards(ANN)
        with pytest.raises(StoreUnavailableError, match="older copy of it"):
            fill(store)
        assert store.forget_user(ANN).cards == 2
        store.close()


# A plain store becomes a sealed one


def test_a_plain_store_is_sealed(path: Path, keys: UserKeys) -> None:
    plain = SQLiteStore(path)
    for user in (ANN, BOB):
        fill(plain, user)
    with plain.write(UserKey("nobody")):
        pass
    before = [told(plain, user) for user in (ANN, BOB)]
    plain.close()
    assert found(path.parent, secret_bytes())
    SQLiteStore(path, encryption=keys, convert=True).close()
    assert found(path.parent, secret_bytes()) == []
    store = SQLiteStore(path, encryption=keys, convert=True)  # nothing is left to do
    store.bind("test", 4)
    assert [told(store, user) for user in (ANN, BOB)] == before
    with store.write(ANN) as transaction:
        assert transaction.twin(Preference("", "The porcupine")) is not None
    assert store.users() == ("ann", "bob", "nobody")
    store.close()


def test_a_sealing_that_was_stopped_goes_on(path: Path) -> None:
    plain = SQLiteStore(path)
    users = [UserKey(f"u{number}") for number in range(4)]
    for user in users:
        fill(plain, user)
    before = [told(plain, user) for user in users]
    plain.close()
    ring = _DictRing()
    with UserKeys(ring, master=MASTER) as keys:
        for stop in (0, 1, 2):
            ring.room = len(ring.held) + (stop > 0)
            with pytest.raises(StoreError, match="no room"):
                SQLiteStore(path, encryption=keys, convert=True)
            with pytest.raises(ConfigError, match="was begun and did not end"):
                SQLiteStore(path)
            with pytest.raises(ConfigError, match="was begun and did not end"):
                SQLiteStore(path, encryption=keys)
        ring.room = 99
        other = UserKeys(_DictRing(), master=MASTER)
        with pytest.raises(ConfigError, match="was written with other keys"):
            SQLiteStore(path, encryption=other, convert=True)
        store = SQLiteStore(path, encryption=keys, convert=True)
        store.bind("test", 4)
        assert [told(store, user) for user in users] == before
        store.close()
        assert found(path.parent, secret_bytes()) == []


def test_someone_who_reads_keeps_a_sealing_from_its_end(path: Path, keys: UserKeys) -> None:
    plain = SQLiteStore(path)
    fill(plain)
    plain.close()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select * from cards").fetchall()
    with pytest.raises(StoreUnavailableError, match="as someone reads it"):
        SQLiteStore(path, encryption=keys, convert=True)
    reader.close()
    SQLiteStore(path, encryption=keys, convert=True).close()
    assert found(path.parent, secret_bytes()) == []


# PostgreSQL


def test_postgresql_keeps_the_contract_and_no_text(dsn: str, keys: UserKeys) -> None:
    pytest.importorskip("psycopg")
    from prefmem.stores.postgres import PostgresStore

    check_store(lambda: PostgresStore(dsn, schema="sealed", encryption=keys))
    plain, sealed = PostgresStore(dsn, schema="p"), PostgresStore(dsn, schema="q", encryption=keys)
    fill(plain)
    fill(sealed)
    before = told(plain)
    assert told(sealed) == before
    assert _dumped(dsn, "q", secret_bytes()) == []
    assert _dumped(dsn, "p", [b"porcupine", b"quokka", ODD.astype("<f2").tobytes()]) != []
    plain.close()
    with pytest.raises(ConfigError, match="holds users in plain text"):
        PostgresStore(dsn, schema="p", encryption=keys)
    plain = PostgresStore(dsn, schema="p", encryption=keys, convert=True)
    plain.bind("test", 4)
    assert told(plain) == before
    assert _dumped(dsn, "p", secret_bytes()) == []
    assert plain.forget_user(ANN).cards == 2
    assert plain.cards(ANN) == ()
    plain.close()
    with pytest.raises(ConfigError, match="is encrypted; pass the keys"):
        PostgresStore(dsn, schema="q")
    keys.drop([_key_of(dsn, "q")])
    with pytest.raises(StoreUnavailableError, match="forget_user removes it"):
        sealed.cards(ANN)
    sealed.close()
    sealed = PostgresStore(dsn, schema="q", encryption=keys)
    assert sealed.users() == ()
    sealed.close()


def test_vectors_of_pgvector_cannot_be_sealed(dsn: str, keys: UserKeys) -> None:
    pytest.importorskip("psycopg")
    from prefmem.stores.postgres import PostgresStore

    PostgresStore(dsn, schema="half", vectors="halfvec").close()
    with pytest.raises(ConfigError, match="cannot be encrypted"):
        PostgresStore(dsn, schema="half", encryption=keys)


# SQLCipher


def test_a_passphrase_needs_sqlcipher(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    with pytest.raises(MissingExtraError, match=r"prefmem\[sqlcipher\]"):
        SQLiteStore(path, passphrase="x")
    for wrong in ("", b"short"):
        with pytest.raises(ConfigError, match="32 random bytes"):
            SQLiteStore(path, passphrase=wrong)


@pytest.mark.parametrize("passphrase", ["it's long enough", MASTER])
def test_sqlcipher_keeps_the_contract(path: Path, keys: UserKeys, passphrase: str | bytes) -> None:
    pytest.importorskip("sqlcipher3")
    check_store(lambda: SQLiteStore(path, passphrase=passphrase))
    check_store(lambda: SQLiteStore(f"{path}2", passphrase=passphrase, encryption=keys))
    for wrong in ("another", OTHER):
        with pytest.raises(StoreUnavailableError, match="the passphrase is another one"):
            SQLiteStore(path, passphrase=wrong)
    with pytest.raises(StoreUnavailableError, match="needs a passphrase"):
        SQLiteStore(path)


def test_sqlcipher_leaves_no_text_on_disk(path: Path) -> None:
    dbapi: Any = pytest.importorskip("sqlcipher3.dbapi2")
    store = SQLiteStore(path, passphrase="long enough")
    fill(store)
    before = told(store)
    wanted = [*secret_bytes(), b"create table"]  # nothing short, which chance writes, too
    assert found(path.parent, wanted) == []
    store.close()
    assert found(path.parent, wanted) == []
    store = SQLiteStore(path, passphrase="long enough")
    store.bind("test", 4)
    assert told(store) == before
    store.forget_user(ANN)
    store.close()
    db = dbapi.connect(str(path))  # as any other program opens it
    db.execute("pragma key = 'long enough'")
    assert db.execute("select count(*) from users").fetchone() == (0,)
    db.close()


# The command line


def test_the_command_line_encrypts_and_opens(path: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    plain = SQLiteStore(path)
    fill(plain)
    plain.close()
    ring, first, second = (str(tmp_path / name) for name in ("keys.db", "first", "second"))
    env = {"PREFMEM_KEYS": ring, "PREFMEM_MASTER_KEY_FILE": first}

    def ran(*words: str, **given: str) -> tuple[int, str]:
        done = runner.invoke(app, words, env=given)
        return done.exit_code, done.output

    for file in (first, second):
        assert ran("keys", "new", file)[0] == 0
    assert "File exists" in ran("keys", "new", first)[1]
    assert Path(first).stat().st_mode & 0o777 == 0o600
    assert ran("encrypt", str(path))[0] == 2
    assert "needs a master key" in ran("encrypt", str(path), PREFMEM_KEYS=ring)[1]
    assert "no store" in ran("encrypt", str(tmp_path / "none.db"), **env)[1]
    assert ran("encrypt", str(path), **env)[0] == 0
    assert found(path.parent, secret_bytes()) == []
    assert "is encrypted" in ran("doctor", "--db", str(path), "--json")[1]
    code, shown = ran("doctor", "--db", str(path), "--json", **env)
    assert code == 1  # the vectors are of a test
    assert "cards 2" in shown
    assert "1 key wrapped" in ran("keys", "rewrap", second, **env)[1]
    assert "not the one" in ran("doctor", "--db", str(path), "--json", **env)[1]
    env = {"PREFMEM_KEYS": ring, "PREFMEM_MASTER_KEY": master_key(second).hex()}
    assert "cards 2" in ran("doctor", "--db", str(path), "--json", **env)[1]
    assert ran("keys", "rewrap", second)[0] == 2


class _DictRing:
    """A key ring in memory, with room for so many keys."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.gone: list[str] = []
        self.room = 99

    def put(self, keys: Mapping[str, bytes], *, guard: tuple[str, bytes] | None = None) -> bool:
        if len(self.held) + len(keys) > self.room:
            raise StoreError("no room")
        if guard and self.held.get(guard[0]) != guard[1]:
            return False
        self.held.update(keys)
        return True

    def get(self, name: str) -> bytes | None:
        return self.held.get(name)

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            self.held.pop(name, None)
            self.gone.append(name)

    def dropped(self, after: int = 0) -> tuple[tuple[int, str], ...]:
        return tuple(enumerate(self.gone, start=1))[after:]

    def rewrap(self, change: Callable[[str, bytes], bytes]) -> int:
        self.held = {name: change(name, wrapped) for name, wrapped in self.held.items()}
        return len(self.held)

    def close(self) -> None:
        pass


class _Service:
    """A key service that counts what it is asked."""

    def __init__(self) -> None:
        self.asked, self._local = 0, LocalMaster(MASTER)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        self.asked += 1
        return self._local.wrap(key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        self.asked += 1
        return self._local.unwrap(wrapped, about)


@contextmanager
def _seal(keys: UserKeys) -> Generator[UserSeal]:
    """Give the seal of a user whose row is all that a database holds."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("create table users (uid integer primary key, key_id text)")
        db.execute("insert into users values (1, '')")
        yield UserSeal(keys, db, ANN, 1, writing=True)


def _dumped(dsn: str, schema: str, wanted: Iterable[bytes]) -> list[bytes]:
    """Find bytes in the tables of a schema."""
    psycopg: Any = pytest.importorskip("psycopg")
    with psycopg.connect(dsn, autocommit=True) as db:
        tables = ("users", "events", "cards", "interactions", "edits", "jobs")
        rows = [str(row) for t in tables for row in db.execute(f"select * from {schema}.{t}")]  # noqa: S608  # fixed names
    text = "\n".join(rows)
    return [one for one in wanted if one.decode("latin-1") in text or str(one)[2:-1] in text]


def _key_of(dsn: str, schema: str) -> str:
    psycopg: Any = pytest.importorskip("psycopg")
    with psycopg.connect(dsn, autocommit=True) as db:
        (name,) = db.execute(f"select key_id from {schema}.users where ext_id = 'ann'").fetchone()  # noqa: S608  # fixed names
    return str(name)
