"""Learning in the background: once, in order, for the right user, and never lost."""

import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from prefmem import Config, InputError, PreferenceMemory, UserRequiredError
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import PhraseExtractor
from prefmem.types import Preference, UserKey, Window

Open = Callable[..., PreferenceMemory]
EAGER = Config(learn_delay=0, learn_threads=2)
PATIENT = Config(learn_delay=60)


def texts(memory: PreferenceMemory, user_id: str) -> list[str]:
    return [card.text for card in memory.list(user_id=user_id)]


class Gated(PhraseExtractor):
    """Extracts when it is let through, and notes who came when."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        self.order: list[tuple[str, str]] = []

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        self.order.append((window.user_id, window.turns[-1].text))
        self.entered.release()
        assert self.gate.wait(20)
        return super().extract(window, turn_ids)


class Failing(PhraseExtractor):
    """Fails with an error for a while."""

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__()
        self.error, self.left = error, times

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        if self.left:
            self.left -= 1
            raise self.error
        return super().extract(window, turn_ids)


def test_it_is_learned_off_the_path_and_once(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    said = [("user", "Always use SI units.")]
    assert memory.learn_later(said, user_id="ann", session_id="s")
    assert texts(memory, "ann") == []
    assert memory.backlog().waiting == 1
    assert memory.learn_later(said, user_id="ann", session_id="s")  # not learned yet, held already
    assert memory.backlog().waiting == 1
    assert memory.flush(20)
    assert texts(memory, "ann") == ["Use SI units."]
    assert not memory.learn_later(said, user_id="ann", session_id="s")
    assert memory.learn(said, user_id="ann", session_id="s").skipped == 1
    assert not memory.degraded


def test_a_window_that_grows_is_one_job(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    dialogue = [("user", "Always use SI units."), ("assistant", "Yes."), ("user", "Never shout.")]
    for end in (1, 2, 3):
        assert memory.learn_later(dialogue[:end], user_id="ann")
    assert memory.learn_later(dialogue[2:], user_id="ann")  # a caller that keeps no history
    assert memory.backlog().waiting == 2
    assert memory.flush(20)
    assert texts(memory, "ann") == ["Use SI units.", "Never shout."]
    assert len(memory.export(user_id="ann")["events"]) == 2


def test_jobs_of_a_user_run_in_order_and_users_side_by_side(open_memory: Open) -> None:
    extractor = Gated()
    memory = open_memory(config=EAGER, extractor=extractor)
    for session in ("a", "b"):
        for user in ("ann", "bob"):
            said = [("user", f"Always use {session}.")]
            memory.learn_later(said, user_id=user, session_id=session)
    for _ in range(2):  # both users are in at once
        assert extractor.entered.acquire(timeout=20)
    assert {user for user, _ in extractor.order} == {"ann", "bob"}
    extractor.gate.set()
    assert memory.flush(20)
    for user in ("ann", "bob"):
        assert [said for who, said in extractor.order if who == user] == [
            "Always use a.",
            "Always use b.",
        ]
        assert texts(memory, user) == ["Use a.", "Use b."]


def test_what_the_user_tells_the_memory_is_done_at_once(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    memory.learn_later([("user", "Remember that I always want SI units.")], user_id="ann")
    assert len(texts(memory, "ann")) == 1
    assert memory.flush(20)
    assert len(texts(memory, "ann")) == 1


def test_an_erasure_beats_a_job_that_is_under_way(open_memory: Open, tmp_path: Path) -> None:
    extractor = Gated()
    memory = open_memory(config=EAGER, extractor=extractor)
    memory.learn_later([("user", "Always use SI units.")], user_id="ann")
    assert extractor.entered.acquire(timeout=20)
    memory.forget_user(user_id="ann")
    extractor.gate.set()
    assert memory.flush(20)
    assert texts(memory, "ann") == []
    store = SQLiteStore(tmp_path / "prefs.db")
    assert store.users() == ()
    store.close()


@pytest.mark.parametrize("dead", [False, True])
def test_an_erasure_leaves_no_byte_of_a_job(open_memory: Open, tmp_path: Path, dead: bool) -> None:
    failing = Failing(InputError("no"), 9)
    memory = open_memory(config=EAGER if dead else PATIENT, extractor=failing)
    memory.learn_later([("user", "Always use zzyzx units.")], user_id="ann")
    assert memory.flush(20) if dead else True
    assert memory.backlog().dead == dead
    memory.forget_user(user_id="ann")
    memory.close(0)
    held = b"".join(path.read_bytes() for path in tmp_path.glob("prefs.db*"))
    assert b"zzyzx" not in held


def test_a_failure_is_tried_again_and_says_nothing_of_the_user(
    open_memory: Open, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(RuntimeError("Always use zzyzx units."), 1)
    memory = open_memory(config=EAGER, extractor=failing)
    with caplog.at_level(logging.DEBUG):
        memory.learn_later([("user", "Always use zzyzx units.")], user_id="ann")
        assert not memory.flush(1.0)  # put off
    backlog = memory.backlog()
    assert (backlog.waiting, backlog.dead, memory.degraded["RuntimeError"]) == (1, 0, 1)
    assert "RuntimeError" in caplog.text
    assert "zzyzx" not in caplog.text
    assert "ann" not in caplog.text
    (job,) = memory.export(user_id="ann")["jobs"]
    assert (job["error"], job["tries"], job["turns"][0]["text"]) == (
        "RuntimeError",
        1,
        "Always use zzyzx units.",
    )


def test_what_cannot_be_learned_is_dead_until_it_is_revived(open_memory: Open) -> None:
    memory = open_memory(config=EAGER, extractor=Failing(InputError("no"), 1))
    memory.learn_later([("user", "Always use SI units.")], user_id="ann")
    assert memory.flush(20)
    assert (memory.backlog().dead, memory.degraded["dead"]) == (1, 1)
    assert memory.revive(user_id="bob") == 0
    assert memory.revive(user_id="ann") == 1
    assert memory.flush(20)
    assert texts(memory, "ann") == ["Use SI units."]


def test_the_oldest_make_room_and_are_counted(open_memory: Open) -> None:
    memory = open_memory(config=Config(learn_delay=60, max_jobs_per_user=2))
    for number in range(3):
        said = [("user", f"Always use {number} units.")]
        memory.learn_later(said, user_id="ann", session_id=str(number))
    assert memory.degraded["jobs"] == 1
    assert memory.flush(20)
    assert texts(memory, "ann") == ["Use 1 units.", "Use 2 units."]


def test_what_waits_travels_with_an_export(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    memory.learn_later([("user", "Always use SI units.")], user_id="ann", session_id="s")
    data = json.loads(json.dumps(memory.export(user_id="ann")))
    memory.load(data, user_id="bob")
    assert memory.flush(20)
    assert texts(memory, "bob") == ["Use SI units."]


def test_closing_learns_what_waits_or_leaves_it_for_the_next(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    memory.learn_later([("user", "Always use SI units.")], user_id="ann")
    memory.close()
    memory = open_memory(config=PATIENT)
    assert texts(memory, "ann") == ["Use SI units."]
    memory.learn_later([("user", "Never shout.")], user_id="ann")
    memory.close(0)
    memory = open_memory(config=EAGER)
    assert memory.backlog().waiting == 1
    memory.wake()
    assert memory.flush(20)
    assert texts(memory, "ann") == ["Use SI units.", "Never shout."]


def test_tenants_share_a_worker_and_nothing_else(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    acme = memory.in_tenant("acme")
    acme.learn_later([("user", "Always use SI units.")], user_id="ann")
    with acme.in_tenant("other") as other:
        other.learn_later([("user", "Never shout.")], user_id="ann")
    assert memory.flush(20)
    assert (texts(acme, "ann"), texts(other, "ann"), texts(memory, "ann")) == (
        ["Use SI units."],
        ["Never shout."],
        [],
    )


async def test_it_works_from_asynchronous_code(open_memory: Open) -> None:
    async with open_memory(config=PATIENT) as memory:
        said = [("user", "Always use SI units.")]
        users = [f"u{number}" for number in range(8)]
        found = await asyncio.gather(*(memory.alearn_later(said, user_id=u) for u in users))
        assert found == [True] * 8
        assert await memory.aflush(20)
        assert [texts(memory, user) for user in users] == [["Use SI units."]] * 8


@pytest.mark.parametrize("user_id", ["", "a\0b", "x" * 300])
def test_bad_input_is_refused_and_puts_nothing_in(open_memory: Open, user_id: str) -> None:
    memory = open_memory(config=PATIENT)
    with pytest.raises(UserRequiredError):
        memory.learn_later([("user", "Always use SI units.")], user_id=user_id)
    with pytest.raises(InputError):
        memory.learn_later([("nobody", "Always use SI units.")], user_id="ann")
    assert not memory.learn_later([("assistant", "Always."), ("user", "")], user_id="ann")
    assert memory.backlog().waiting == 0


PROGRAM = """
import os, sys, time
from prefmem import Config, PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater

class Slow(PhraseExtractor):
    def extract(self, window, turn_ids):
        time.sleep(0.01)
        return super().extract(window, turn_ids)

def opened(**settings):
    return PreferenceMemory(sys.argv[1], extractor=Slow(), embedder=HashEmbedder(), judge="none",
        relater=TableRelater(), reranker="none", config=Config(**settings))
"""


def program(body: str, path: Path, *given: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM + body, str(path), *given]


def test_what_was_acknowledged_outlives_kill_nine(open_memory: Open, tmp_path: Path) -> None:
    body = """
memory = opened(learn_delay=0)
for number in range(10_000):
    user = f"u{number % 3}"
    said = [("user", f"Always use {number} units.")]
    memory.learn_later(said, user_id=user, session_id=f"{number}")
    print(number, flush=True)
"""
    acknowledged: list[int] = []
    path = tmp_path / "prefs.db"
    for most in (5, 40):
        process = subprocess.Popen(program(body, path), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = [int(next(process.stdout)) for _ in range(most)]
        process.kill()
        rest = process.stdout.read().split()
        process.stdout.close()
        acknowledged += map(int, rest)
        process.wait()
    with closing(sqlite3.connect(path)) as db:  # the dead processes' leases, before a minute is up
        db.execute("update jobs set leased_until = 0")
        db.commit()
    memory = open_memory(config=EAGER)
    assert memory.flush(60)
    for user in range(3):
        found = texts(memory, f"u{user}")
        assert len(found) == len(set(found))
        wanted = {f"Use {n} units." for n in acknowledged if n % 3 == user}
        assert wanted <= set(found)


def test_two_processes_learn_each_turn_once(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(config=PATIENT)
    for number in range(40):
        said = [("user", f"Always use {number} units.")]
        memory.learn_later(said, user_id=f"u{number % 4}", session_id=str(number))
    memory.close(0)
    body = "memory = opened(learn_threads=4)\nassert memory.flush(60)\nmemory.close()\n"
    others = [subprocess.Popen(program(body, tmp_path / "prefs.db")) for _ in range(2)]
    assert [other.wait(60) for other in others] == [0, 0]
    memory = open_memory()
    for user in range(4):
        assert texts(memory, f"u{user}") == [f"Use {n} units." for n in range(user, 40, 4)]
        assert len(memory.export(user_id=f"u{user}")["events"]) == 10


def test_a_fork_learns_with_a_worker_of_its_own(tmp_path: Path) -> None:
    body = """
memory = opened(learn_delay=0)
memory.learn_later([("user", "Always use SI units.")], user_id="ann")
assert memory.flush(20)
child = os.fork()
user = "ann" if child else "bob"
memory.learn_later([("user", "Never shout.")], user_id=user)
assert memory.flush(20)
print(user, [card.text for card in memory.list(user_id=user)], flush=True)
memory.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    ended = subprocess.run(
        program(body, tmp_path / "prefs.db"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(ended.stdout.splitlines()) == [
        "ann ['Use SI units.', 'Never shout.']",
        "bob ['Never shout.']",
    ]


def test_a_process_that_just_ends_loses_nothing(open_memory: Open, tmp_path: Path) -> None:
    body = """
memory = opened(learn_delay=0)
for number in range(20):
    said = [("user", f"Always use {number} units.")]
    memory.learn_later(said, user_id="ann", session_id=f"{number}")
"""
    ended = subprocess.run(
        program(body, tmp_path / "prefs.db"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    memory = open_memory(config=EAGER)
    assert memory.flush(20)
    assert texts(memory, "ann") == [f"Use {n} units." for n in range(20)]


def test_a_store_that_fails_stops_neither_the_caller_nor_the_worker(open_memory: Open) -> None:
    memory = open_memory(config=EAGER)
    store = memory._store  # pyright: ignore[reportPrivateUsage]  # a fault on its own connection
    assert isinstance(store, SQLiteStore)
    memory.learn_later([("user", "Always use SI units.")], user_id="ann")
    assert memory.flush(20)
    with store._file.alone() as db:  # pyright: ignore[reportPrivateUsage]
        db.execute("alter table jobs rename to gone")
    memory.wake()
    while not memory.degraded["queue"]:
        os.sched_yield()
    with store._file.alone() as db:  # pyright: ignore[reportPrivateUsage]
        db.execute("alter table gone rename to jobs")
    memory.learn_later([("user", "Never shout.")], user_id="ann")
    assert memory.flush(20)
    assert texts(memory, "ann") == ["Use SI units.", "Never shout."]


def test_a_worker_ends_when_its_store_is_closed_under_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    store = SQLiteStore(str(tmp_path / "shared.db"))
    memory = PreferenceMemory(store=store, extractor=PhraseExtractor(), config=EAGER)
    memory.learn_later([("user", "Always use SI units.")], user_id="ann")
    assert memory.flush(20)
    (worker,) = (
        thread for thread in set(threading.enumerate()) - before if thread.name == "prefmem"
    )
    store.close()
    memory.wake()
    worker.join(20)
    assert not worker.is_alive()
    assert not caplog.records
    memory.close()


def test_jobs_leave_with_their_user_alone(open_memory: Open) -> None:
    memory = open_memory(config=PATIENT)
    for user in ("ann", "bob"):
        memory.learn_later([("user", "Always use SI units.")], user_id=user)
    memory.forget_user(user_id="ann")
    store = memory._store  # pyright: ignore[reportPrivateUsage]
    assert [len(store.jobs.of(UserKey(user))) for user in ("ann", "bob")] == [0, 1]
