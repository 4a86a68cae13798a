"""A million cards of ten thousand users: what a recall waits for in the store, and what it writes.

Users are of very different sizes. The rows are put into the tables directly; PostgreSQL's lie
scattered, as they do where users come and go.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import numpy as np

from prefmem import defaults
from prefmem.config import Config
from prefmem.ids import rule_hash
from prefmem.protocols import Store
from prefmem.selftest.ground import Backend, Finding, Ground, opened, told
from prefmem.selftest.said import request, turn, word
from prefmem.selftest.worker import Tell, warm
from prefmem.stores import codec, journal
from prefmem.types import Card, Change, Matrix, Preference, Scope, UserKey, Vector

_A_USER = 100  # cards on average
_MEDIAN, _SPREAD, _LARGEST = 60.0, 1.0, 3_600  # of the cards of a user
_WIDTH = 384
_RECALLS = 2_000
_PROCESSES, _THREADS = 4, 4
_TURNS = 100  # of each thread, for a store of full size
_CHUNK = 10_000  # rows
_BOUND: Mapping[Backend, float] = {"sqlite": 5.0, "postgres": 20.0}  # ms, p99
_SHARE = 0.5  # of the rate of plain transactions
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_CONFIG = Config(learn_delay=0, max_new_cards_per_hour=None, max_cards=10_000)
Row: TypeAlias = tuple[Any, ...]
_Put: TypeAlias = Callable[[str, str, Sequence[Row]], None]
_Item = TypeVar("_Item")


def run(ground: Ground, size: int) -> Finding:
    """Fill a store with `size` cards, recall for users at random, and learn from many at once."""
    sizes = _sizes(ground, size)
    _fill(ground, sizes)
    cold, warm = _recalled(ground, len(sizes))
    turns = max(5, min(_TURNS, size // _CHUNK))
    learned, errors = _rate(ground, "growth.learn", len(sizes), turns)
    plain, more = _rate(ground, "growth.plain", len(sizes), turns)
    errors += more
    bound = _BOUND[ground.backend]
    (cold50, cold99), (warm50, warm99) = _quantiles(cold[0]), _quantiles(warm[0])
    worked = {"cold_p99_cpu_ms": _quantiles(cold[1])[1], "warm_p99_cpu_ms": _quantiles(warm[1])[1]}
    passed = cold99 <= bound and warm99 <= bound and learned >= _SHARE * plain and not errors
    p50, p99 = np.quantile(sizes, (0.5, 0.99))
    return Finding(
        "growth", passed, int(sum(sizes)),
        {
            "users": len(sizes), "cards_p50": float(p50), "cards_p99": float(p99),
            "cards_max": max(sizes), "cold_p50_ms": cold50, "cold_p99_ms": cold99,
            "warm_p50_ms": warm50, "warm_p99_ms": warm99, "learned_per_s": learned,
            "plain_per_s": plain, "ratio": learned / plain, "errors": len(errors), **worked,
        },
        f"{sum(sizes):,} cards of {len(sizes):,} users ({p50:.0f} at the median, {p99:.0f} at p99, "
        f"{max(sizes):,} at most): the store's part of a recall p50 {cold50:.2f}, p99 {cold99:.2f} "
        f"ms ({worked['cold_p99_cpu_ms']:.2f} on a core) for a user who was not there for long, "
        f"p50 {warm50:.2f}, p99 {warm99:.2f} ms ({worked['warm_p99_cpu_ms']:.2f}) for one who was; "
        f"{learned:,.0f} turns/s learned against {plain:,.0f} plain transactions/s"
        + (f"; {len(errors)} errors, the first: {errors[0]}" if errors else ""),
    )  # fmt: skip


class Embedder:
    """Gives a text the unit vector that its hash draws."""

    basis, width = "growth", _WIDTH

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Embed n texts, (n, e)."""
        seeds = [hashlib.sha256(text.encode()).digest() for text in texts]
        rows = [np.random.default_rng(int.from_bytes(s[:8], "big")) for s in seeds]
        drawn = [rng.standard_normal(_WIDTH, dtype=np.float32) for rng in rows]
        return _units(np.array(drawn, dtype=np.float32).reshape(len(texts), _WIDTH))

    def relevance(self, cosines: Vector) -> Vector:
        """Take a cosine for the probability, negative ones for 0."""
        return np.clip(cosines, 0, 1).astype(np.float32)


def _units(rows: Matrix) -> Matrix:
    units: Matrix = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return units


def _sizes(ground: Ground, size: int) -> list[int]:
    """Draw how many cards each user has: log-normal, in all about `size`."""
    rng = np.random.default_rng(ground.seed)
    drawn = rng.lognormal(np.log(_MEDIAN), _SPREAD, max(1, size // _A_USER))
    return [max(1, min(_LARGEST, int(n))) for n in drawn]


def _quantiles(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1e3
    return float(p50), float(p99)


# Filling


@dataclass(frozen=True, slots=True)
class _Template:
    """The bodies of a card and of its event, with marks in place of what differs."""

    body: str
    changes: str

    @classmethod
    def make(cls) -> "_Template":
        """Write one of each."""
        rule = Preference("MARK-c", "MARK-a", scope=Scope("conditional"))
        card = Card("MARK-i", "MARK-u", rule, "active", "said", "MARK-s", _AT, _AT)
        return cls(codec.write_card(card), codec.write_changes((Change("add", card),)))

    def filled(self, text: str, name: str, number: int) -> str:
        """Give a body of its own."""
        text = text.replace("MARK-a", f"mind the word {word(name, number)} in all that you write")
        text = text.replace("MARK-c", f"writing about {word(name, 'topic', number)}")
        return text.replace("MARK-i", _id(name, number)).replace("MARK-u", name)


def _id(name: str, number: int) -> str:
    return hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:16]


def _fill(ground: Ground, sizes: Sequence[int]) -> None:
    store = _opened(ground.target())
    store.bind(Embedder.basis, _WIDTH)
    store.close()
    total, done = sum(sizes), 0
    model = defaults.user_model(None)
    names = [f"u{n}" for n in range(len(sizes))]
    fresh = model.fresh("")
    state = journal.write_state(fresh)
    with _bulk(ground) as (put, uids):
        for chunk in _chunks(
            (uids(name), "", name, n, n, n, fresh.model, fresh.basis, state)
            for name, n in zip(names, sizes, strict=True)
        ):
            put("users", "uid tenant ext_id rev seq numbered model basis state", chunk)
        template, rng = _Template.make(), np.random.default_rng(ground.seed)
        for place in _chunks(_places(ground, sizes)):
            rows = _units(rng.standard_normal((len(place), _WIDTH), dtype=np.float32))
            vectors = [row.tobytes() for row in rows.astype("<f2")]
            marked = [(names[user], number) for user, number in place]
            put("events", "uid seq key kind body at", [
                (uids(name), number, f"{_id(name, number)}:", "learn",
                 template.filled(template.changes, name, number), codec.stamp(_AT))
                for name, number in marked
            ])  # fmt: skip
            put("cards", "uid card_id rule_hash scope status confidence created_seq place ends "
                "body vec number", [
                (uids(name), _id(name, number), hashlib.md5(f"{name} {number}".encode(),
                 usedforsecurity=False).digest(), "conditional", "active", 1.0, number, 0, None,
                 template.filled(template.body, name, number), vector, number)
                for (name, number), vector in zip(marked, vectors, strict=True)
            ])  # fmt: skip
            done += len(place)
            ground.tell("cards", done, total)


def _places(ground: Ground, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give each card's user and number: by user for SQLite, which keeps them so, else mixed."""
    users = np.repeat(np.arange(len(sizes)), sizes)
    if ground.backend == "postgres":
        np.random.default_rng(ground.seed).shuffle(users)
    numbers = [0] * len(sizes)
    for user in users.tolist():
        numbers[user] += 1
        yield user, numbers[user]


def _chunks(rows: Iterable[_Item]) -> Iterator[list[_Item]]:
    some: list[_Item] = []
    for row in rows:
        some.append(row)
        if len(some) == _CHUNK:
            yield some
            some = []
    if some:
        yield some


@contextmanager
def _bulk(ground: Ground) -> Generator[tuple[_Put, Callable[[str], int | UUID]]]:
    """Give what puts rows into a table, and what stands for a user in them."""
    if ground.backend == "sqlite":
        import sqlite3

        db = sqlite3.connect(ground.target(), isolation_level=None)
        db.execute("pragma synchronous = off")

        def insert(table: str, columns: str, rows: Sequence[Row]) -> None:
            names = columns.split()
            marks = ", ".join("?" * len(names))
            db.execute("begin")
            db.executemany(f"insert into {table} ({', '.join(names)}) values ({marks})", rows)  # noqa: S608  # fixed names
            db.execute("commit")

        yield insert, lambda name: int(name[1:]) + 1
        db.execute("pragma wal_checkpoint(truncate)")
        db.close()
        return
    import psycopg
    from psycopg import sql

    from prefmem.stores.postgres import uid_of

    with psycopg.connect(ground.dsn, autocommit=True) as server:

        def copy(table: str, columns: str, rows: Sequence[Row]) -> None:
            names = sql.SQL(", ").join(map(sql.Identifier, columns.split()))
            whole = sql.SQL("copy prefmem.{} ({}) from stdin").format(sql.Identifier(table), names)
            with server.cursor().copy(whole) as pipe:
                for row in rows:
                    pipe.write_row(row)

        yield copy, lambda name: uid_of(UserKey(name))
        server.execute("vacuum analyze")
        server.execute("checkpoint")


# Recalling


class _Timed:
    """A store whose reads are timed, together for each recall."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seconds = self.worked = 0.0  # the second: of this thread on a core

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the store has
        found = getattr(self._store, name)
        if name not in ("revision", "shelf", "cards", "state"):
            return found

        def timed(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # as above
            begun, worked = time.perf_counter(), time.thread_time()
            try:
                return found(*given, **named)
            finally:
                self.seconds += time.perf_counter() - begun
                self.worked += time.thread_time() - worked

        return timed


def _opened(target: str) -> Store:
    return defaults.store(target)


_Times: TypeAlias = tuple[list[float], list[float]]


def _recalled(ground: Ground, users: int) -> tuple[_Times, _Times]:
    """Recall twice for users at random.

    Returns:
        The store's seconds of the first and of the second time, each with those on a core.
    """
    rng = ground.rng("recalls")
    times: tuple[_Times, _Times] = (([], []), ([], []))
    timed: Any = _Timed(_opened(ground.target()))
    number = min(users, _RECALLS)
    with opened(None, store=timed, embedder=Embedder(), config=_CONFIG) as memory:
        memory.recall("Write a line.", user_id="u0", strict=True)
        for n, user in enumerate(rng.sample(range(users), number)):
            for seconds in times:
                timed.seconds = timed.worked = 0.0
                memory.recall(request("", n), user_id=f"u{user}", strict=True)
                seconds[0].append(timed.seconds)
                seconds[1].append(timed.worked)
            ground.tell("recalls", n + 1, number)
    return times


# Writing


def _rate(ground: Ground, role: str, users: int, turns: int) -> tuple[float, list[str]]:
    """Let processes write together, gives turns a second, and errors."""
    ground.tell(role.partition(".")[2], 0, 1)
    given = {
        "target": ground.target(), "users": users, "turns": turns,
        "sqlite": ground.backend == "sqlite",
    }  # fmt: skip
    workers = [ground.work(role, number=n, **given) for n in range(_PROCESSES)]
    try:
        for worker in workers:
            worker.next()
        begun = time.monotonic()
        for worker in workers:
            worker.say("go")
        errors = [error for worker in workers for error in worker.next()]
        return _PROCESSES * _THREADS * turns / (time.monotonic() - begun), errors
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)


def learn(given: Mapping[str, Any], tell: Tell) -> None:
    """Learn turns of users at random."""
    warm()
    store = _opened(given["target"])
    with opened(None, store=store, embedder=Embedder(), config=_CONFIG) as memory:

        def one(user: int, name: str) -> None:
            memory.learn([("user", turn(name, user))], user_id=f"u{user}", session_id=name)

        _threaded(given, tell, lambda: one)


def plain(given: Mapping[str, Any], tell: Tell) -> None:
    """Write what a turn writes, in a transaction of its own, on a connection for each thread."""
    make = _sqlite if given["sqlite"] else _postgres
    _threaded(given, tell, lambda: make(given["target"]))


def _threaded(
    given: Mapping[str, Any], tell: Tell, make: Callable[[], Callable[[int, str], None]]
) -> None:
    errors: list[str] = []
    done: list[int] = []
    go, ready = threading.Event(), threading.Barrier(_THREADS + 1)

    def work(thread: int) -> None:
        rng, turns = random.Random(f"{given['number']}.{thread}"), range(given["turns"])
        one = make()
        ready.wait()
        go.wait()
        for n in turns:
            try:
                one(rng.randrange(given["users"]), f"t{given['number']}.{thread}.{n}")
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                errors.append(told(error))
        done.append(len(turns))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(_THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    tell("ready")
    input()
    go.set()
    for thread in threads:
        thread.join()
    if len(done) < _THREADS:
        errors.append("a thread broke off")
    tell(errors[:5])


def _rows(user: int, name: str) -> tuple[str, str, bytes, bytes]:
    """Give what a turn writes: an event and a card with a vector."""
    said = word("plain", name, user)  # none that `learn` has learned
    rule = Preference("", f"begin with the word {said}", scope=Scope("global"))
    card = Card(name, f"u{user}", rule, "active", "said", name, _AT, _AT)
    vector = codec.write_vector(Embedder().embed([rule.text])[0])
    changes = codec.write_changes((Change("add", card),))
    return changes, codec.write_card(card), rule_hash(rule), vector


def _sqlite(target: str) -> Callable[[int, str], None]:
    import sqlite3

    db = sqlite3.connect(target, timeout=120, isolation_level=None)
    db.execute("pragma synchronous = full")

    def one(user: int, name: str) -> None:
        changes, body, hashed, vector = _rows(user, name)
        db.execute("begin immediate")
        try:
            write(user, name, changes, body, hashed, vector)
            db.execute("commit")
        except BaseException:
            db.execute("rollback")
            raise

    def write(user: int, name: str, changes: str, body: str, hashed: bytes, vector: bytes) -> None:
        uid, seq, number = db.execute(
            "update users set seq = seq + 1, numbered = numbered + 1, rev = rev + 1 "
            "where tenant = '' and ext_id = ? returning uid, seq, numbered", (f"u{user}",),
        ).fetchone()  # fmt: skip
        db.execute("insert into events (uid, seq, key, kind, body, at) values (?, ?, ?, ?, ?, ?)",
                   (uid, seq, f"plain {name}", "learn", changes, ""))  # fmt: skip
        db.execute(
            "insert into cards (uid, card_id, rule_hash, scope, status, confidence, created_seq, "
            "place, body, vec, number) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (uid, f"plain {name}", hashed, "global", "active", 1.0, seq, 0, body, vector, number),
        )

    return one


def _postgres(target: str) -> Callable[[int, str], None]:
    import psycopg

    from prefmem.stores.postgres import uid_of

    db = psycopg.connect(target, autocommit=True)
    db.execute("set search_path to prefmem, public")

    def one(user: int, name: str) -> None:
        changes, body, hashed, vector = _rows(user, name)
        uid = uid_of(UserKey(f"u{user}"))
        with db.transaction():
            row = db.execute(
                "update users set seq = seq + 1, numbered = numbered + 1, rev = rev + 1 "
                "where uid = %s returning seq, numbered", (uid,),
            ).fetchone()  # fmt: skip
            assert row is not None
            seq, number = row
            db.execute(
                "insert into events (uid, seq, key, kind, body, at) "
                "values (%s, %s, %s, %s, %s, %s)",
                (uid, seq, f"plain {name}", "learn", changes, ""),
            )
            db.execute(
                "insert into cards (uid, card_id, rule_hash, scope, status, confidence, "
                "created_seq, place, body, vec, number) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (uid, f"plain {name}", hashed, "global", "active", 1.0, seq, 0, body, vector,
                 number),
            )  # fmt: skip

    return one
