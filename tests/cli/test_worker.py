"""`prefmem worker` as a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prefmem import Config, PreferenceMemory

pytestmark = pytest.mark.model
SQL = "When you write SQL for me, always put the keywords in capitals."


def put(path: Path, user_id: str) -> None:
    with PreferenceMemory(path, config=Config(learn_delay=2)) as memory:
        memory.learn_later([("user", SQL)], user_id=user_id)
        memory.close(0)


def command(path: Path, *given: str) -> list[str]:
    return [sys.executable, "-m", "prefmem", "worker", "--db", str(path), *given]


def test_it_learns_what_others_left(tmp_path: Path) -> None:
    path = tmp_path / "prefs.db"
    put(path, "ann")
    ended = subprocess.run(
        command(path, "--until-empty"), capture_output=True, text=True, timeout=60, check=True
    )
    assert "1 waiting, 0 running, 0 dead" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "Nothing waits any more."
    with PreferenceMemory(path) as memory:
        assert "capitals" in memory.list(user_id="ann")[0].text


def test_it_ends_at_sigterm_with_what_it_began(tmp_path: Path) -> None:
    path = tmp_path / "prefs.db"
    put(path, "ann")
    process = subprocess.Popen(command(path), stderr=subprocess.PIPE, text=True)
    with PreferenceMemory(path) as memory:
        until = time.monotonic() + 60
        put(path, "bob")  # while the worker is at it
        while not memory.list(user_id="ann") and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1] == "Stopped."
        process.stderr.close()
        assert memory.list(user_id="ann")
        backlog = memory.backlog()
        assert len(memory.list(user_id="bob")) + backlog.waiting == 1
        assert backlog.running == 0
