"""What the proxy costs: python tests/integrations/proxy/measure.py.

A client, a proxy with the packaged memory and an upstream that streams twenty tokens run as three
processes. Every round asks the same question four ways, in random order: directly, through the
proxy without a user, for a user without cards, and for one with cards; then the proxy's process
does the recall alone. The figures are medians in milliseconds, with 95% bootstrap intervals;
differences are taken within a round.
"""

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from prefmem import PreferenceMemory
from prefmem_server.proxy import ProxySettings
from tests.integrations.proxy.conftest import proxy_app
from tests.integrations.proxy.fake_upstream import FakeUpstream, free_port

WAYS = ("direct", "no user", "no cards", "cards")
KEY = {"Authorization": "Bearer key-all"}
TOPICS = (
    "a mail to a customer", "a query for monthly sales", "a recipe for two", "a birthday poem",
    "a report on the quarter", "unit tests for a parser", "a speech", "a bug ticket", "slides",
)  # fmt: skip


def main(rounds: int, cards: int, between: float) -> None:
    """Measure and print."""
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        upstream = _started(spawn, _upstream, between)
        proxy = _started(spawn, _proxy, upstream[1], f"{folder}/prefs.db", cards)
        try:
            first, end, recall = _measured(upstream[1], proxy[1], rounds)
        finally:
            for process, _ in (upstream, proxy):
                process.terminate()
                process.join()
    told = sys.stdout.write
    told(f"{rounds} rounds, {cards} cards, ms: median [95% interval]\n\n")
    told("| time to first token | |\n|---|---|\n")
    for way in WAYS:
        told(f"| {way} | {_interval(first[way])} |\n")
    told(f"| recall alone | {_interval(recall)} |\n")
    for way, base in (("no user", "direct"), ("no cards", "no user"), ("cards", "no user")):
        told(f"| {way} less {base} | {_paired(first[way], first[base])} |\n")
    beyond = [w - b - r for w, b, r in zip(first["cards"], first["no user"], recall, strict=True)]
    told(f"| cards less no user less recall alone | {_interval(beyond)} |\n")
    told("\n| first token to end of stream | |\n|---|---|\n")
    for way in WAYS:
        told(f"| {way} | {_interval(end[way])} |\n")
    told(f"| cards less direct | {_paired(end['cards'], end['direct'])} |\n")


def _measured(
    upstream: str, proxy: str, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[float]]:
    rng = random.Random(1)
    first: dict[str, list[float]] = {way: [] for way in WAYS}
    end: dict[str, list[float]] = {way: [] for way in WAYS}
    recall: list[float] = []
    users = {"no user": None, "no cards": "new", "cards": "ann"}
    with httpx.Client(timeout=60) as client:
        for number in range(-5, rounds):  # the first five warm up
            question = f"Please write {rng.choice(TOPICS)}, number {number}."
            for way in rng.sample(WAYS, len(WAYS)):
                base = upstream if way == "direct" else proxy
                body: dict[str, Any] = {"messages": [{"role": "user", "content": question}]}
                body |= {"stream": True, "user": users.get(way)}
                client.post(f"{proxy}/idle").raise_for_status()  # what was said before is learned
                began = time.perf_counter()
                with client.stream(
                    "POST", f"{base}/v1/chat/completions", json=body, headers=KEY
                ) as answer:
                    pieces = answer.iter_raw()
                    next(pieces)
                    came = time.perf_counter()
                    for _ in pieces:
                        pass
                    over = time.perf_counter()
                assert answer.status_code == 200
                rules = answer.headers.get("x-prefmem-rules")
                assert rules == {"no cards": "0"}.get(way, rules if way == "cards" else None)
                if number >= 0:
                    first[way].append(1000 * (came - began))
                    end[way].append(1000 * (over - came))
            client.post(f"{proxy}/idle").raise_for_status()
            took = float(client.post(f"{proxy}/recall", params={"q": question}).text)
            if number >= 0:
                recall.append(took)
    return first, end, recall


def _upstream(pipe: Connection, between: float) -> None:
    fake = FakeUpstream(between=between)
    _serve(pipe, fake.app())


def _proxy(pipe: Connection, upstream: str, path: str, cards: int) -> None:
    memory = PreferenceMemory(path)
    for number in range(cards):
        topic = TOPICS[number % len(TOPICS)]
        memory.add(f"writing {topic}", f"use style number {number}", user_id="ann")
    memory.recall("warm up, please", user_id="ann")
    memory.learn([{"role": "user", "content": "warm up, please"}], user_id="ann")
    settings = ProxySettings(upstream=f"{upstream}/v1", recall_timeout=30)
    app = FastAPI()

    @app.post("/idle")
    async def idle() -> None:
        await asyncio.sleep(0.005)  # the turn reaches the outbox on a thread
        await asyncio.to_thread(memory.flush, 30)

    @app.post("/recall")
    async def recall(q: str) -> float:
        def run() -> float:
            began = time.perf_counter()
            turn = [{"role": "user", "content": q}]
            memory.command(turn, user_id="ann", session_id="alone")
            found = memory.recall(q, user_id="ann", session_id="alone")
            ids = [card_id for rule in found.rules for card_id in rule.card_ids]
            memory.render(ids, user_id="ann")
            return 1000 * (time.perf_counter() - began)

        return await asyncio.to_thread(run)

    app.mount("/", proxy_app(memory, settings))
    _serve(pipe, app)


def _serve(pipe: Connection, app: Any) -> None:  # noqa: ANN401  # any ASGI app
    listening = free_port()
    pipe.send(f"http://127.0.0.1:{listening.getsockname()[1]}")
    config = uvicorn.Config(app, log_level="critical", ws="none", access_log=False)
    asyncio.run(uvicorn.Server(config).serve([listening]))


def _started(spawn: Any, run: Callable[..., None], *given: object) -> tuple[Any, str]:  # noqa: ANN401  # contexts have no common type
    mine, its = spawn.Pipe()
    process = spawn.Process(target=run, args=(its, *given))
    process.start()
    return process, mine.recv()


def _paired(these: Sequence[float], those: Sequence[float]) -> str:
    return _interval([a - b for a, b in zip(these, those, strict=True)])


def _interval(values: Sequence[float]) -> str:
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(1000))
    return f"{statistics.median(values):.2f} [{medians[25]:.2f}, {medians[974]:.2f}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--cards", type=int, default=50)
    parser.add_argument("--between", type=float, default=0.005, help="Seconds between tokens.")
    given = parser.parse_args()
    main(given.rounds, given.cards, given.between)
