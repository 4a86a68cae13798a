"""Runs on worker processes and on Ray: the same bytes, also after kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from prefmem.bulk.pool import Pool
from prefmem.bulk.run import Engine, Summary, extract_logs
from prefmem.bulk.shards import Options
from prefmem.errors import PrefmemError, WeightsError
from prefmem.extract.windows import reader
from prefmem.protocols import Extractor
from prefmem.testing import PhraseExtractor

# A run in a process of its own. Its extractor takes its time, so that there is one to be killed.
PROGRAM = """
import sys, time
from functools import partial
from pathlib import Path
from prefmem.bulk.pool import Pool
from prefmem.bulk.ray import RayEngine
from prefmem.bulk.run import extract_logs
from prefmem.bulk.shards import Options
from prefmem.errors import PrefmemError, WeightsError
from prefmem.extract.windows import reader
from prefmem.testing import PhraseExtractor

class Slow(PhraseExtractor):
    def extract(self, window, turn_ids):
        time.sleep(0.002)
        return super().extract(window, turn_ids)

class Unloadable(PhraseExtractor):
    def __init__(self):
        raise WeightsError("no weights")

if __name__ == "__main__":
    log, out, engine, form, extractor = sys.argv[1:]
    engines = {"pool": partial(Pool, 2), "ray": partial(RayEngine, 2),
               "gpus": partial(RayEngine, 1, gpus=2)}
    try:
        extract_logs(
            [Path(log)], Path(out), partial(reader, globals()[extractor]),
            identity={"extractor": "slow"}, engine=engines[engine](), tell=lambda *stage: None,
            options=Options(shard_rows=50, format=form),
        )
    except PrefmemError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""
WINDOWS, SHARDS = 999, 20


def ignore(stage: str, done: int, total: int) -> None:
    """Hear of progress."""


def tree(folder: Path) -> dict[str, bytes]:
    """Give every file of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def written(path: Path, windows: int = WINDOWS) -> Path:
    texts = ("Never apologise.", "Hello.", "When cooking, always use grams. Never use cups.")
    rows = (
        {"user_id": f"u{n % 7}", "messages": [{"role": "user", "content": texts[n % 3]}]}
        for n in range(windows)
    )
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "{\n", encoding="utf-8")
    return path  # with a last line that is broken


def as_parquet(log: Path) -> Path:
    arrow = pytest.importorskip("pyarrow")
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()[:-1]]
    path = log.with_suffix(".parquet")
    pytest.importorskip("pyarrow.parquet").write_table(
        arrow.Table.from_pylist(rows), path, row_group_size=130
    )
    return path


def run(
    log: Path, out: Path, engine: Engine, make: type[Extractor] = PhraseExtractor, rows: int = 50
) -> Summary:
    return extract_logs(
        [log], out, partial(reader, make), identity={"extractor": "slow"}, engine=engine,
        options=Options(shard_rows=rows), tell=ignore,
    )  # fmt: skip


def finished(out: Path) -> int:
    return len([*(out / "receipts").glob("*.json")])


def killed(command: list[str], out: Path, *, at: int) -> bool:
    """Run a program and kill it as soon as so many shards are finished; False if it ended first."""
    process = subprocess.Popen(command)
    while process.poll() is None:
        if (out / "manifest.json").exists() and finished(out) >= at:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    return process.wait() == -signal.SIGKILL


class Program:
    """Runs `PROGRAM` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "program.py"
        self._file.write_text(PROGRAM, encoding="utf-8")

    def command(
        self, log: Path, out: Path, engine: str, form: str = "jsonl", extractor: str = "Slow"
    ) -> list[str]:
        return [sys.executable, *map(str, (self._file, log, out, engine, form, extractor))]

    def refusal(self, log: Path, engine: str, extractor: str = "Slow") -> str:
        """Give the line in which a run that is refused says why; Ray may log after it."""
        command = self.command(log, log.with_name("refused"), engine, extractor=extractor)
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        said = [line for line in ended.stderr.splitlines() if re.match(r"\w+Error: ", line)]
        return said[-1]


def check_kills(folder: Path, log: Path, engine: str, form: str) -> None:
    """Kill a run in several places, end it, and compare it with one that was left alone."""
    program, whole, out = Program(folder), folder / "whole", folder / "killed"
    subprocess.run(program.command(log, whole, "pool", form), check=True)
    command = program.command(log, out, engine, form)
    assert [killed(command, out, at=at) for at in (0, 1, 7, 15)] == [True] * 4
    assert 15 <= finished(out) < SHARDS
    assert not (out / "summary.json").exists()
    subprocess.run(command, check=True)
    assert tree(out) == tree(whole)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_changes_nothing(tmp_path: Path, workers: int) -> None:
    log = written(tmp_path / "a.jsonl", 200)
    summary = run(log, tmp_path / "out", Pool(workers))
    assert (summary.windows, summary.rules, summary.bad) == (200, 67 + 2 * 66, 1)
    rules = sorted((tmp_path / "out" / "rules").iterdir())
    found = [json.loads(line)["id"] for p in rules for line in p.read_text("utf-8").splitlines()]
    assert found == [f"a.jsonl:{n}" for n in range(1, 201) if n % 3 != 2]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, form: str) -> None:
    log = written(tmp_path / "a.jsonl")
    check_kills(tmp_path, as_parquet(log) if form == "parquet" else log, "pool", form)


class Unloadable(PhraseExtractor):
    def __init__(self) -> None:
        raise WeightsError("no weights")


class Deadly(PhraseExtractor):
    def __init__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_worker_raises_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights"):
        run(written(tmp_path / "a.jsonl", 200), tmp_path / "out", Pool(2), Unloadable)
    assert [*(tmp_path / "out" / "receipts").iterdir()] == []


def test_a_worker_that_dies_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(PrefmemError, match="worker process was killed"):
        run(written(tmp_path / "a.jsonl", 200), tmp_path / "out", Pool(2), Deadly)


@pytest.mark.slow
def test_ray_gives_the_same_bytes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    log, program = written(tmp_path / "a.jsonl", 200), Program(tmp_path)
    for engine in ("pool", "ray"):
        subprocess.run(program.command(log, tmp_path / engine, engine), check=True)
    assert tree(tmp_path / "ray") == tree(tmp_path / "pool")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.jsonl", "pool", "program.py", "ray"]


@pytest.mark.slow
def test_ray_says_what_its_actors_raise_and_what_it_lacks(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    log, program = written(tmp_path / "a.jsonl", 200), Program(tmp_path)
    assert program.refusal(log, "ray", "Unloadable") == "WeightsError: no weights"
    assert program.refusal(log, "gpus").startswith("ConfigError: Ray has 0 GPUs, 2 are needed")


@pytest.mark.long
def test_a_killed_run_on_ray_ends_with_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    check_kills(tmp_path, written(tmp_path / "a.jsonl"), "ray", "jsonl")
