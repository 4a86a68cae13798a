"""Processes on one PostgresStore: what they learn at the same instant is kept, once."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from langgraph.store.postgres import PostgresStore

from prefmem import PreferenceMemory
from prefmem.cards.fold import fold
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem.types import UserKey
from prefmem_langchain.store import BaseStoreStorage
from tests.integrations.basestores import database

SHARED, OWN = 8, 5
WORKER = """
import sys
from langgraph.store.postgres import PostgresStore
from prefmem import Config, PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater
from prefmem_langchain.store import BaseStoreStorage

address, name, how, shared, own = sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])
with PostgresStore.from_conn_string(address) as host:
    memory = PreferenceMemory(
        store=BaseStoreStorage(host), embedder=HashEmbedder(), extractor=PhraseExtractor(),
        relater=TableRelater(), reranker="none", config=Config(learn_delay=0.01),
    )
    print("ready", flush=True)
    sys.stdin.readline()
    said = [f"Always use shared{n} marks." for n in range(shared)]
    mine = [f"Always use {name}{n} marks." for n in range(own)]
    windows = [window for pair in zip(said, mine + said) for window in dict.fromkeys(pair)]
    for n, text in enumerate(dict.fromkeys([*windows, *said, *mine])):
        for user in ("ann@example.org", f"u{n % 3}"):
            turns, session = [("user", text)], text if how != "apart" else name + text
            if how == "later":
                memory.learn_later(turns, user_id=user, session_id=session)
            else:
                memory.learn(turns, user_id=user, session_id=session)
    memory.flush(120)  # the other one may put in more
    memory.close()
"""


def learned(how: str, workers: tuple[str, ...] = ("one", "two")) -> dict[str, list[str]]:
    """Let processes learn at once, and give the texts of each user's live cards."""
    address = database()
    with PostgresStore.from_conn_string(address) as host:
        host.setup()
        BaseStoreStorage(host).bind("hash-64", 64)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, address, name, how, str(SHARED), str(OWN)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in workers
    ]  # fmt: skip
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=300)
        assert process.returncode == 0
    with PostgresStore.from_conn_string(address) as host:
        return checked(host)


def checked(host: PostgresStore) -> dict[str, list[str]]:
    """Check every user's log, and give the texts of the live cards."""
    store = BaseStoreStorage(host)
    memory = PreferenceMemory(
        store=store, embedder=HashEmbedder(), extractor=PhraseExtractor(), relater=TableRelater(),
        reranker="none",
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for user_id in store.users():
        user = UserKey(user_id)
        events = store.events(user)
        keys = Counter(event.key for event in events)
        assert set(keys.values()) == {1}, "an event was kept twice"
        assert store.cards(user) == tuple(fold(events).values())
        numbers = list(store.numbers(user).values())
        assert sorted(numbers) == sorted(set(numbers)), "two cards have one number"
        assert store.jobs.of(user) == ()
        cards = memory.list(user_id=user_id)
        closed = [card for card in cards if card.status == "superseded"]
        assert {f"twin:{card.id}" for card in closed} == {k for k in keys if k.startswith("twin:")}
        assert len(events) - len(closed) >= len(cards) - len(closed)
        found[user_id] = sorted(card.text for card in cards if card.status == "active")
        json.dumps(memory.export(user_id=user_id))
    return found


def wanted() -> list[str]:
    own = [f"Use {name}{n} marks." for name in ("one", "two") for n in range(OWN)]
    return sorted([f"Use shared{n} marks." for n in range(SHARED)] + own)


def test_two_processes_that_learn_at_once_lose_nothing() -> None:
    found = learned("now")
    assert sorted(found) == ["ann@example.org", "u0", "u1", "u2"]
    assert found["ann@example.org"] == wanted()
    assert sorted({text for user in ("u0", "u1", "u2") for text in found[user]}) == wanted()


@pytest.mark.slow
def test_two_processes_that_hear_the_same_apart_keep_one_card_of_it() -> None:
    found = learned("apart")
    assert found["ann@example.org"] == wanted()


@pytest.mark.slow
def test_two_processes_with_one_queue_learn_every_window_once() -> None:
    assert learned("later")["ann@example.org"] == wanted()
