"""Four processes of sixteen threads on one store; every turn is sent twice, at about one time."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import difference, rule, turn, word
from prefmem.selftest.worker import Tell, warm
from prefmem.selftest.workers import Worker
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

_PROCESSES, _THREADS = 4, 16
_SENDERS = _PROCESSES * _THREADS
_OF_A_USER = 20  # turns
_PLAIN = 8  # times fewer plain transactions than turns
_P99, _MAX = 100.0, 1_000.0  # milliseconds
_SHARE = 0.5  # of the rate of plain transactions
_TABLES = """
    create table events (uid, seq, key, body, primary key (uid, seq), unique (uid, key))
        without rowid;
    create table cards (uid, card_id, hash, body, vec, primary key (uid, card_id)) without rowid;
    create unique index cards_hash on cards (uid, hash);
    create table users (uid primary key, seq default 0, state) without rowid;
"""


def run(ground: Ground, size: int) -> Finding:
    """Send `size` turns twice, as fast as the processes can, and look at all that is held."""
    users = max(1, size // _OF_A_USER)
    first = [(f"u{i % users}", i // users) for i in range(size)]
    slots: list[list[tuple[str, int]]] = [[] for _ in range(_SENDERS)]
    for i, said in enumerate(first):
        slots[i % _SENDERS].append(said)
        slots[(i + _THREADS) % _SENDERS].append(said)  # of the next process
    ground.tell("learning", 0, size)
    busy = _sent(ground, "crowd.send", ground.target(), slots)
    ground.tell("looking", size // 2, size)
    lost, extra, doubled = _held(ground, users, size)
    path = ground.folder / "plain.db"
    rounds = max(1, size // _PLAIN // _SENDERS)
    _plain_file(path)
    ground.tell("plain transactions", size // 2, size)
    plain = _sent(ground, "crowd.plain", str(path), [
        [(f"s{slot}", n) for n in range(rounds)] for slot in range(_SENDERS)
    ])  # fmt: skip
    ground.tell("done", size, size)

    p99, longest = busy.p99, busy.longest
    rate, bare = size / busy.seconds, rounds * _SENDERS / plain.seconds
    errors = [*busy.errors, *plain.errors]
    passed = not (lost or extra or doubled or errors)
    passed = passed and p99 <= _P99 and longest <= _MAX and rate >= _SHARE * bare
    return Finding(
        "crowd", passed, size,
        {
            "lost": lost, "extra": extra, "doubled": doubled, "errors": len(errors),
            "p50_ms": busy.p50, "p99_ms": p99, "max_ms": longest,
            "store_p50_ms": busy.store_p50, "store_p99_ms": busy.store_p99,
            "turns_per_s": rate, "plain_per_s": bare, "plain_p99_ms": plain.p99,
            "plain_max_ms": plain.longest, "ratio": rate / bare,
        },
        f"{size:,} turns sent twice: {lost} lost, {extra} foreign, {doubled} doubled; a call of "
        f"learn p50 {busy.p50:.0f}, p99 {p99:.0f}, at most {longest:.0f} ms, its transaction p99 "
        f"{busy.store_p99:.0f} ms; {rate:,.0f} turns/s against {bare:,.0f} plain transactions/s "
        f"(p99 {plain.p99:,.0f}, at most {plain.longest:,.0f} ms)"
        + (f"; {len(errors)} errors, the first: {errors[0]}" if errors else ""),
    )  # fmt: skip


class _Sent:
    """What the processes told."""

    def __init__(self, seconds: float, answers: Sequence[Mapping[str, Any]]) -> None:
        calls = np.sort([t for answer in answers for t in answer["calls"]]) * 1e3
        store = np.sort([t for answer in answers for t in answer["store"]] or [0.0]) * 1e3
        self.seconds = seconds
        self.p50, self.p99 = (float(np.quantile(calls, q)) for q in (0.5, 0.99))
        self.longest = float(calls[-1])
        self.store_p50, self.store_p99 = (float(np.quantile(store, q)) for q in (0.5, 0.99))
        self.errors = [str(error) for answer in answers for error in answer["errors"]]


def _sent(
    ground: Ground, role: str, target: str, slots: Sequence[Sequence[tuple[str, int]]]
) -> _Sent:
    """Let four processes begin together, and wait for what they tell at the end."""
    workers: list[Worker] = []
    try:
        for n in range(_PROCESSES):
            mine = slots[n * _THREADS : (n + 1) * _THREADS]
            workers.append(ground.work(role, target=target, slots=mine))
        for worker in workers:
            worker.next()  # it is ready
        begun = time.monotonic()
        for worker in workers:
            worker.say("go")
        answers = [worker.next() for worker in workers]
        return _Sent(time.monotonic() - begun, answers)
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)


def _held(ground: Ground, users: int, size: int) -> tuple[int, int, int]:
    """Count the rules that are lost, foreign and doubled, and turns that the log has twice."""
    store = SQLiteStore(ground.target())
    lost = extra = doubled = 0
    with opened(None, store=store) as memory:
        for number in range(users):
            user = f"u{number}"
            said = len(range(number, size, users))
            found = difference(memory, user, {rule(user, n) for n in range(said)})
            lost, extra, doubled = lost + found.lost, extra + found.extra, doubled + found.doubled
            doubled += abs(len(store.events(UserKey(user))) - said)
            doubled += len(store.numbers(UserKey(user))) != said
    return lost, extra, doubled


class _Timed:
    """A store whose transactions are timed, from asking for one until it is on disk."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.times: list[float] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the store has
        return getattr(self._store, name)

    @contextmanager
    def write(self, user: UserKey) -> Generator[Any]:
        begun = time.perf_counter()
        with self._store.write(user) as transaction:
            yield transaction
        self.times.append(time.perf_counter() - begun)


def send(given: Mapping[str, Any], tell: Tell) -> None:
    """Learn the turns of each thread, in order."""
    warm()
    timed = _Timed(SQLiteStore(given["target"]))
    with opened(None, store=timed) as memory:

        def one(user: str, number: int) -> None:
            memory.learn([("user", turn(user, number))], user_id=user, session_id=user)

        calls, errors = _threaded(given["slots"], tell, lambda: one)
        tell({"calls": calls, "store": timed.times, "errors": errors[:5]})


def plain(given: Mapping[str, Any], tell: Tell) -> None:
    """Write what a turn writes in a transaction of its own, on a connection for each thread."""
    rng = random.Random(0)  # filling
    event, card = rng.randbytes(500).hex(), rng.randbytes(350).hex()
    vector, state = rng.randbytes(128), rng.randbytes(200)

    def connected() -> Callable[[str, int], None]:
        db = sqlite3.connect(given["target"], timeout=120, isolation_level=None)
        db.execute("pragma synchronous = full")

        def one(user: str, number: int) -> None:
            name = word(user, number)
            db.execute("begin immediate")
            db.execute("insert or ignore into users (uid) values (?)", (user,))
            db.execute("update users set seq = seq + 1, state = ? where uid = ?", (state, user))
            db.execute("insert into events values (?, ?, ?, ?)", (user, number, name, event))
            db.execute("insert into cards values (?, ?, ?, ?, ?)", (user, name, name, card, vector))
            db.execute("commit")

        return one

    calls, errors = _threaded(given["slots"], tell, connected)
    tell({"calls": calls, "store": [], "errors": errors[:5]})


def _threaded(
    slots: Sequence[Sequence[tuple[str, int]]],
    tell: Tell,
    make: Callable[[], Callable[[str, int], None]],
) -> tuple[list[float], list[str]]:
    """Do what each thread has to do, once the parent says so; gives seconds and errors."""
    calls: list[float] = []
    errors: list[str] = []
    go = threading.Event()

    def work(slot: Sequence[tuple[str, int]]) -> None:
        one = make()
        go.wait()
        for user, number in slot:
            begun = time.perf_counter()
            try:
                one(user, number)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                errors.append(told(error))
            calls.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(slot,)) for slot in slots]
    for thread in threads:
        thread.start()
    tell("ready")
    input()
    go.set()
    for thread in threads:
        thread.join()
    return calls, errors


def _plain_file(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("pragma journal_mode = wal")
    db.executescript(_TABLES)
    db.close()
