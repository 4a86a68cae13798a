"""Shows that `prefmem extract` survives kill -9: python .ci/bulk.py --windows 100000.

Windows of the generator (fixed seed) are extracted once without a break. On each engine the same
run is then killed five times, with the processes that it started left to themselves, and ended.
The folders must be equal, byte by byte. `--extractor phrases` is a regular expression: it shows
the machinery at full size; `local` is the packaged extractor.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from prefmem.bulk.pool import Pool
from prefmem.bulk.ray import RayEngine
from prefmem.bulk.run import extract_logs
from prefmem.bulk.shards import Options
from prefmem.cli.extractors import ExtractorName
from prefmem.extract.windows import reader
from prefmem.testing import PhraseExtractor
from prefmem.train.generate import generate

SEED = 7
KILLS = 5
SHARDS = 40


def extract(args: argparse.Namespace) -> None:
    """Run once, as the command does."""
    phrases = args.extractor == "phrases"
    make = PhraseExtractor if phrases else ExtractorName(args.extractor)
    summary = extract_logs(
        [args.log],
        args.out,
        partial(reader, make),
        identity={"extractor": "phrases"} if phrases else ExtractorName(args.extractor).identity(),
        engine={"local": Pool, "ray": RayEngine}[args.engine](args.workers),
        options=Options(shard_rows=max(1, args.windows // SHARDS)),
        tell=lambda *stage: None,
    )
    print(
        f"  {summary.windows:,} windows, {summary.with_rules:,} with {summary.rules:,} rules, "
        f"{summary.shards} shards, {summary.resumed} of them from before",
        flush=True,
    )


def write(log: Path, windows: int) -> None:
    """Write windows of the generator as JSONL."""
    with log.open("w", encoding="utf-8") as file:
        for number, window in enumerate(generate(windows, seed=SEED)):
            messages = [{"role": turn.role, "content": turn.text} for turn in window.turns]
            row = {"id": window.id, "user_id": f"u{number % 1000}", "messages": messages}
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n")


def digest(folder: Path) -> str:
    """Hash every file of a folder with its name."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return whole.hexdigest()


def finished(out: Path) -> int:
    """Count the shards that are finished."""
    return len([*(out / "receipts").glob("*.json")])


def kill(command: list[str], out: Path, *, at: int, after: float) -> None:
    """Start a run, and kill it some seconds after so many shards are finished."""
    process = subprocess.Popen(command)
    while not (out / "manifest.json").exists() or finished(out) < at:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    half = len([*out.rglob(".*.tmp")])
    print(f"  killed with {finished(out)} of {SHARDS} shards finished, {half} half-written files")


def main() -> None:
    """Compare an unbroken run with killed ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=2_000)
    parser.add_argument("--extractor", default="local", help="phrases, or a name for the command")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        extract(args)
        return
    rng = random.Random(SEED)
    with TemporaryDirectory(prefix="prefmem-bulk-") as made:
        log, whole = Path(made) / "windows.jsonl", Path(made) / "whole"
        write(log, args.windows)
        options = ["--windows", str(args.windows), "--extractor", args.extractor]
        command = [sys.executable, __file__, *options, "--workers", str(args.workers)]
        command += ["--log", str(log)]
        started = time.monotonic()
        print(f"{args.windows:,} windows, extractor {args.extractor}, without a break:", flush=True)
        subprocess.run([*command, "--engine", "local", "--out", str(whole)], check=True)
        print(f"  {time.monotonic() - started:.0f} s; {digest(whole)}")
        for engine in ("local", "ray"):
            out = Path(made) / engine
            print(f"engine {engine}, killed {KILLS} times:", flush=True)
            run = [*command, "--engine", engine, "--out", str(out)]
            for number in range(KILLS):
                at = number * SHARDS // (KILLS + 1)
                kill(run, out, at=at, after=rng.uniform(0, 0.2))
            subprocess.run(run, check=True)
            assert digest(out) == digest(whole), f"{engine} gave other bytes"
            print(f"  equal to the run without a break, byte by byte: {digest(out)}", flush=True)


if __name__ == "__main__":
    main()
