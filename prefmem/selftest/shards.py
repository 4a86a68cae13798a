"""Users move between three shards while they are taught; the mover is killed and goes on."""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prefmem.config import Config
from prefmem.defaults import is_dsn
from prefmem.errors import StoreUnavailableError
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import difference, rule, turn
from prefmem.selftest.worker import Tell, warm
from prefmem.selftest.workers import Nest, Worker
from prefmem.stores import moving
from prefmem.stores.rowstore import RowStore
from prefmem.stores.sharded import ShardedStore
from prefmem.types import UserKey

_NAMES = ("a", "b", "c")
_PROCESSES, _THREADS = 2, 8
_SENDERS = _PROCESSES * _THREADS
_TURNS_PER_MOVE = 50
_LATER = 5  # every which turn is put off, and moves as a job
_LIFE = 0.25  # seconds in which the first kill of the mover falls
_PATIENCE = 90.0  # seconds that a turn is sent again
_CONFIG = Config(learn_delay=0, max_new_cards_per_hour=None)


def run(ground: Ground, size: int) -> Finding:
    """Send `size` turns twice while users are moved, and look at all that is held."""
    moves = max(5, size // _TURNS_PER_MOVE)
    users = max(4, size // _TURNS_PER_MOVE)
    said = [(f"u{i % users}", i // users) for i in range(size)]
    slots: list[list[tuple[str, int]]] = [[] for _ in range(_SENDERS)]
    for i, one in enumerate(said):
        slots[i % _SENDERS].append(one)
        slots[(i + _THREADS) % _SENDERS].append(one)  # of the other process
    place = ground.dsn or str(ground.folder)
    opened(None, store=sharded(place)).close()  # made by one
    rng = ground.rng("shards")
    script = [(f"u{rng.randrange(users)}", rng.choice(_NAMES)) for _ in range(moves)]
    ground.tell("moving", 0, moves)
    workers: list[Worker] = []
    try:
        for n in range(_PROCESSES):
            mine = slots[n * _THREADS : (n + 1) * _THREADS]
            workers.append(ground.work("shards.send", place=place, slots=mine))
        for worker in workers:
            worker.next()  # it is ready
        for worker in workers:
            worker.say("go")
        moved, kills, longest, errors = _moved(ground, place, script)
        answers = [worker.next() for worker in workers]
        seconds = max(float(answer["seconds"]) for answer in answers)
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)
    ground.tell("looking", moves, moves)
    lost, extra, doubled, twice = _held(place, users, size, errors)
    unseen = sum(int(answer["unseen"]) for answer in answers)
    errors += [str(error) for answer in answers for error in answer["errors"]]
    calls = np.sort([t for answer in answers for t in answer["calls"]]) * 1e3
    p99, slowest = float(np.quantile(calls, 0.99)), float(calls[-1])
    passed = moved >= moves and not (lost or extra or doubled or twice or unseen or errors)
    return Finding(
        "shards", passed, size,
        {
            "lost": lost, "extra": extra, "doubled": doubled, "two_copies": twice,
            "unseen": unseen, "errors": len(errors), "moves": moved, "kills": kills,
            "longest_move_ms": longest * 1e3, "p99_ms": p99, "max_ms": slowest,
            "turns_per_s": size / seconds,
        },
        f"{size:,} turns sent twice by 2 processes x 8 threads, {moved} moves between 3 shards, "
        f"the mover killed {kills} times: {lost} lost, {extra} foreign, {doubled} doubled, "
        f"{unseen} not seen at once, {twice} users with two copies; a call p99 {p99:,.0f}, at most "
        f"{slowest:,.0f} ms, {size / seconds:,.0f} turns/s"
        + (f"; {len(errors)} errors, the first: {errors[0]}" if errors else ""),
    )  # fmt: skip


def sharded(place: str) -> ShardedStore:
    """Open the shards in a folder, or in a PostgreSQL database."""
    return ShardedStore({name: partial(_single, place, name) for name in _NAMES}, abandoned=2.0)


def _single(place: str, name: str) -> RowStore:
    if is_dsn(place):
        from prefmem.stores.postgres import PostgresStore

        return PostgresStore(place, schema=f"shard_{name}")
    from prefmem.stores.sqlite import SQLiteStore

    return SQLiteStore(Path(place) / f"{name}.db")


def _moved(
    ground: Ground, place: str, script: Sequence[tuple[str, str]]
) -> tuple[int, int, float, list[str]]:
    """Let movers do the script, killing each at a random moment; the next one goes on there.

    Gives the moves, the kills, the longest move in seconds, and errors.
    """
    rng, done, kills, longest = ground.rng("kills"), 0, 0, 0.0
    errors: list[str] = []
    life, until = _LIFE, time.monotonic() + 30 * len(script)
    with Nest() as nest:
        while done < len(script) and time.monotonic() < until and not errors:
            nest.work("shards.move", place=place, script=script[done:])
            time.sleep(rng.uniform(0, life))
            answers = nest.kill()
            kills += 1
            now = sum("moved" in answer for answer in answers)
            done += now
            life *= 1.3 if not now else 0.7 if now > 1 else 1.0  # about one move for each
            longest = max([longest, *(a["moved"] for a in answers if "moved" in a)])
            errors += [answer["error"] for answer in answers if "error" in answer]
            ground.tell("moving", done, len(script))
    return done, kills, longest, errors


def move(given: Mapping[str, Any], tell: Tell) -> None:
    """Move users as the script says; one that is unknown yet comes later."""
    store = sharded(given["place"])
    for name, to in given["script"]:
        begun = time.monotonic()
        while True:
            try:
                if moving.where(store, UserKey(name)) is not None:
                    moving.move(store, UserKey(name), to)
                    break
                time.sleep(0.01)
            except StoreUnavailableError as error:
                if time.monotonic() - begun > _PATIENCE:
                    tell({"error": told(error)})
                    return
            except Exception as error:  # noqa: BLE001  # whatever it is, the parent counts it
                tell({"error": told(error)})
                return
        tell({"moved": time.monotonic() - begun})
    time.sleep(60)  # the kill comes


def send(given: Mapping[str, Any], tell: Tell) -> None:
    """Learn the turns of each thread, in order, and look at each at once."""
    warm()
    calls: list[float] = []
    errors: list[str] = []
    unseen: list[str] = []
    go = threading.Event()
    store = sharded(given["place"])
    with opened(None, store=store, config=_CONFIG) as memory:

        def work(slot: Sequence[tuple[str, int]]) -> None:
            go.wait()
            for user, number in slot:
                begun = time.monotonic()
                try:
                    if not _said(memory, user, number):
                        unseen.append(user)
                except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
                    errors.append(told(error))
                calls.append(time.monotonic() - begun)

        threads = [threading.Thread(target=work, args=(slot,)) for slot in given["slots"]]
        for thread in threads:
            thread.start()
        tell("ready")
        input()
        begun = time.monotonic()
        go.set()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
    tell({"calls": calls, "errors": errors[:5], "unseen": len(unseen), "seconds": seconds})


def _said(memory: PreferenceMemory, user: str, number: int) -> bool:
    """Send a turn until it is acknowledged; gives whether it is there then."""
    until = time.monotonic() + _PATIENCE
    later = not number % _LATER
    while True:
        try:
            teach = memory.learn_later if later else memory.learn
            teach([("user", turn(user, number))], user_id=user, session_id=user)
            return later or rule(user, number) in {c.text for c in memory.list(user_id=user)}
        except StoreUnavailableError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _held(place: str, users: int, size: int, errors: list[str]) -> tuple[int, int, int, int]:
    """Count the rules that are lost, foreign and doubled, and users with rows in use twice."""
    store = sharded(place)
    lost = extra = doubled = twice = 0
    with opened(None, store=store, config=_CONFIG) as memory:
        late = datetime.now(UTC) + timedelta(minutes=2)  # the leases of the dead have run out
        store.jobs.lease("selftest", now=late, until=late, most=10_000, hurry=True)
        store.jobs.release("selftest")
        if not memory.flush(300):
            errors.append("what waited was not learned in five minutes")
        for number in range(users):
            user, key = f"u{number}", UserKey(f"u{number}")
            said = len(range(number, size, users))
            found = difference(memory, user, {rule(user, n) for n in range(said)})
            lost, extra, doubled = lost + found.lost, extra + found.extra, doubled + found.doubled
            doubled += abs(len(store.events(key)) - said) + abs(len(store.numbers(key)) - said)
            marks = [shard.mark(key) for shard in store.finder.shards.values()]
            twice += sum(mark.readable for mark in marks) != 1
    return lost, extra, doubled, twice
