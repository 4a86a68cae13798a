"""Take away each filter, lock, unique key and sync in turn: a test must fail for every one.

    python tests/faults/mutation/run.py [--list] [--only TEXT] [--out FOLDER]

Each mutant is a copy of the tree with one place changed; the tests run against the copy. What no
test noticed is named at the end, and is the exit code.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
STORES = "prefmem/stores"
QUICK = (
    "tests/stores/test_sqlitefile.py",
    "tests/stores/test_sqlite.py",
    "tests/test_isolation.py",
)
SLOWER = (
    "tests/stores/test_postgres.py", "tests/stores/test_migrations.py",
    "tests/stores/test_backup.py", "tests/stores/test_erasures.py", "tests/stores/test_audit.py",
    "tests/stores/test_encryption.py", "tests/stores/test_sharded.py",
    "tests/test_rights.py", "tests/test_erasure.py", "tests/queue", "tests/test_undo.py",
    "tests/test_memory.py", "tests/faults",
)  # fmt: skip
SECONDS = 600  # of a mutant's tests, at most: one that hangs has been noticed


@dataclass(frozen=True)
class Kind:
    """Places that are changed in one way.

    Attributes:
        name: What is taken away.
        files: Where, relative to the root; all of a folder if it ends with a slash.
        found: What stands there.
        put: What stands there instead.
        spared: Text of lines that stay, with the reason beside it.
    """

    name: str
    files: tuple[str, ...]
    found: str
    put: str
    spared: tuple[str, ...] = ()


KINDS = (
    Kind("uid filter", (f"{STORES}/",), r"\buid = \?", "(uid = ? or true)"),
    Kind("tenant filter", (f"{STORES}/",), r"tenant = \?", "(tenant = ? or true)"),
    Kind("unique key", (f"{STORES}/migrations.py", f"{STORES}/pgschema.py"),
         r",\n\s*unique \(\w+, \w+\)", ""),
    Kind("unique index", (f"{STORES}/migrations.py", f"{STORES}/pgschema.py"),
         r"create unique index", "create index"),
    Kind("write lock", (f"{STORES}/",), r"begin immediate", "begin"),
    Kind("row lock", (f"{STORES}/",), r" for update(?= of|\")", ""),
    Kind("turn of processes", (f"{STORES}/sqlitefile.py",),
         r"not self\._turn\.acquire\(_WAIT_MS / 1000\)", "False"),
    Kind("lock of threads", (f"{STORES}/sqlitefile.py",),
         r"self\._lock\.acquire\(\)", "threading.RLock().acquire()"),
    Kind("sync", (f"{STORES}/sqlitefile.py",), r"synchronous = full", "synchronous = off"),
    Kind("sync", (f"{STORES}/",), r"os\.fsync\(", "(lambda file: None)("),
    Kind("overwriting", (f"{STORES}/sqlitefile.py",), r"secure_delete = on", "secure_delete = off"),
    Kind("row-level security", (f"{STORES}/pgschema.py",),
         r"for told in \(\"enable\", \"force\"\)", "for told in ()"),
    Kind("row-level security", (f"{STORES}/pgschema.py",),
         r"_ME = \"[^\n]*\"", '_ME = "true"'),
    Kind("role", (f"{STORES}/postgres.py",), r"if self\._role:", "if False:"),
    Kind("commit awaited", (f"{STORES}/sqlitefile.py",), r"group\.done\.wait\(\)", "pass"),
    Kind("group's error", (f"{STORES}/sqlitefile.py",),
         r"if group\.error is not None:(?=\n                raise)", "if False:"),
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One place changed."""

    kind: str
    file: str
    line: int
    text: str


def mutants() -> Iterator[Mutant]:
    """Give every mutant of the tree as it is."""
    for kind in KINDS:
        for name in kind.files:
            path = ROOT / name
            for file in sorted(path.glob("*.py")) if path.is_dir() else (path,):
                text = file.read_text(encoding="utf-8")
                for match in re.finditer(kind.found, text):
                    line = text.count("\n", 0, match.start()) + 1
                    if any(spared in text.splitlines()[line - 1] for spared in kind.spared):
                        continue
                    changed = text[: match.start()] + kind.put + text[match.end() :]
                    yield Mutant(kind.name, str(file.relative_to(ROOT)), line, changed)


def noticed(mutant: Mutant, tree: Path, log: Path) -> str:
    """Run the tests against a mutant; gives the first that failed, empty where none did."""
    place = tree / mutant.file
    whole = place.read_text(encoding="utf-8")
    place.write_text(mutant.text, encoding="utf-8")
    try:
        return failed(tree, log)
    finally:
        place.write_text(whole, encoding="utf-8")


def failed(tree: Path, log: Path) -> str:
    """Run the tests of a tree; gives the first that failed, empty where none did."""
    paths = f"{tree}{os.pathsep}{tree / 'integrations'}"
    env = ("env", f"PYTHONPATH={paths}", "HF_HUB_OFFLINE=1", "OMP_NUM_THREADS=1")
    for tests in (QUICK, SLOWER):
        here = [name for name in tests if (tree / name).exists()]
        pytest = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
        try:
            done = subprocess.run(
                [*env, *pytest, *here], cwd=tree, timeout=SECONDS, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "hangs"
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            first = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
            return first[1] if first else f"pytest ended with {done.returncode}"
    return ""


def main() -> int:
    """Run all mutants, or those that were asked for."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--list", action="store_true", help="name the mutants")
    asked.add_argument("--only", default="", help="text in kind or file")
    asked.add_argument("--part", default="1/1", help="one part of several: 1/2")
    asked.add_argument("--out", type=Path, help="folder for mutation.json")
    given = asked.parse_args()
    found = [m for m in mutants() if given.only in f"{m.kind} {m.file}:{m.line}"]
    part, parts = map(int, given.part.split("/"))
    found = found[part - 1 :: parts]
    if given.list:
        for mutant in found:
            print(f"{mutant.kind:20} {mutant.file}:{mutant.line}")
        return 0
    rows: list[dict[str, object]] = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for name in ("prefmem", "integrations", "tests", "examples"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "constraints.txt"):
            shutil.copy(ROOT / name, tree / name)
        if by := failed(tree, Path(folder) / "log"):
            print(f"the tree as it is fails {by}: nothing can be told of its mutants")
            return 2
        for number, mutant in enumerate(found, start=1):
            by = noticed(mutant, tree, Path(folder) / "log")
            rows.append({"kind": mutant.kind, "file": mutant.file, "line": mutant.line, "by": by})
            told = f"{'ok  ' if by else 'MISS'} {mutant.kind:20} {mutant.file}:{mutant.line}  {by}"
            print(f"[{number}/{len(found)}] {told}", flush=True)
    missed = [row for row in rows if not row["by"]]
    print(f"{len(rows)} mutants, {len(missed)} not noticed, {time.monotonic() - begun:.0f} s")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        report = {"mutants": len(rows), "missed": len(missed), "rows": rows}
        path = given.out / f"mutation-{part}.json"
        path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return min(len(missed), 1)


if __name__ == "__main__":
    raise SystemExit(main())
