"""Runs faults one after the other, each on an empty folder or database of its own."""

import shlex
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from prefmem.errors import ConfigError
from prefmem.selftest.faults import FAULTS, named
from prefmem.selftest.ground import Backend, Fault, Finding, Ground, Tell, told
from prefmem.selftest.report import Row, machine, versions


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        only: Names of faults; all of them where there is none.
        full: Whether the sizes are the full ones.
        size: Another size for all that are run; None for their own.
        dsn: A PostgreSQL server on which databases can be made; empty for none.
        folder: A folder on the disk that is tested; the system's own for temporary files if None.
        seed: Fixes what is drawn.
    """

    only: tuple[str, ...] = ()
    full: bool = False
    size: int | None = None
    dsn: str = ""
    folder: Path | None = None
    seed: int = 0

    def chosen(self) -> tuple[tuple[Fault, Backend], ...]:
        """Give the faults in the table's order, each with a backend that it is run on.

        Raises:
            ConfigError: A name is unknown, or what is chosen needs a database that is not given.
        """
        if unknown := [name for name in self.only if named(name) is None]:
            known = ", ".join(fault.name for fault in FAULTS)
            raise ConfigError(f"no fault is called {unknown[0]!r}; known are {known}")
        found: list[tuple[Fault, Backend]] = []
        for fault in FAULTS:
            for backend in fault.backends:
                asked = not self.only or fault.name in self.only
                if asked and (backend == "sqlite" or self.dsn):
                    found.append((fault, backend))
        if not found:
            raise ConfigError("what was chosen runs on PostgreSQL alone; pass --dsn")
        return tuple(found)

    def cases(self, fault: Fault) -> int:
        """Give the size that a fault is run with."""
        return self.size or (fault.full if self.full else fault.small)

    def command(self, fault: Fault) -> str:
        """Give what runs one fault again, without the database's address."""
        words = ["prefmem", "selftest", "--only", fault.name]
        if self.size:
            words += ["--size", str(self.size)]
        elif self.full:
            words.append("--full")
        words += ["--seed", str(self.seed)] if self.seed else []
        return shlex.join(words) + (" --dsn ..." if self.dsn else "")


def run(plan: Plan, fault: Fault, backend: Backend, tell: Tell) -> Row:
    """Run one fault; one that breaks off has failed."""
    begun = monotonic()
    with _ground(plan, fault, backend, tell) as ground:
        described, used = machine(ground.folder), versions()
        if ground.dsn:
            used["postgres"] = _server(ground.dsn)
        size = plan.cases(fault)
        try:
            finding = fault.load()(ground, size)
        except Exception as error:  # noqa: BLE001  # anything that a fault does not expect is a finding
            finding = Finding(fault.name, False, size, {}, f"broke off: {_where(error)}")
    return Row(
        fault=fault.name, title=fault.title, bound=fault.bound, backend=backend, unit=fault.unit,
        size=finding.size, passed=finding.passed, told=finding.told, figures=dict(finding.figures),
        seconds=round(monotonic() - begun, 1), command=plan.command(fault), seed=plan.seed,
        at=datetime.now(UTC).replace(microsecond=0), versions=used, machine=described,
    )  # fmt: skip


def order() -> Iterable[str]:
    """Give the faults' names in the order of the report."""
    return (fault.name for fault in FAULTS)


def _where(error: Exception) -> str:
    """Say what broke off and in which line, without showing what a user said."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    line = f" at {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else ""
    return f"{told(error)}{line}"


@contextmanager
def _ground(plan: Plan, fault: Fault, backend: Backend, tell: Tell) -> Generator[Ground]:
    """Make an empty place for a fault, and clear it away."""
    if plan.folder is not None:
        plan.folder.mkdir(parents=True, exist_ok=True)
    place = tempfile.TemporaryDirectory(prefix=f"prefmem-{fault.name}-", dir=plan.folder)
    with place as folder:
        if backend == "sqlite":
            yield Ground(Path(folder), plan.seed, backend, tell=tell)
            return
        with database(plan.dsn) as dsn:
            yield Ground(Path(folder), plan.seed, backend, dsn, tell)


@contextmanager
def database(dsn: str) -> Generator[str]:
    """Make an empty database on a server, give its DSN, and drop it.

    Args:
        dsn: A URL of a database of the server, for a role that may make databases.

    Raises:
        MissingExtraError: psycopg is not installed.
        ConfigError: No database can be made there.
    """
    psycopg = _psycopg()
    name = f"prefmem_selftest_{token_hex(6)}"
    try:
        with psycopg.connect(dsn, autocommit=True) as server:
            server.execute(f"create database {name}")
    except psycopg.Error as error:
        raise ConfigError(
            f"no database can be made there ({type(error).__name__}); pass the DSN of a role that "
            "may create databases"
        ) from error
    parts = urlsplit(dsn)
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(dsn, autocommit=True) as server:
            server.execute(f"drop database if exists {name} with (force)")


def _server(dsn: str) -> str:
    with _psycopg().connect(dsn) as connection:
        return str(connection.execute("show server_version").fetchone()[0]).split()[0]


def _psycopg() -> Any:  # noqa: ANN401  # an optional package
    from importlib import import_module

    from prefmem.errors import MissingExtraError

    try:
        return import_module("psycopg")
    except ImportError as error:
        raise MissingExtraError(
            "faults on PostgreSQL need psycopg: pip install 'prefmem[postgres]'"
        ) from error
