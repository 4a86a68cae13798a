"""What a fault is, the ground that it is run on, and what is found."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

from prefmem.config import Config
from prefmem.errors import ConfigError, PrefmemError
from prefmem.memory import PreferenceMemory
from prefmem.selftest.workers import Worker
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge

Backend: TypeAlias = Literal["sqlite", "postgres"]
Tell: TypeAlias = Callable[[str, int, int], None]
Figures: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a fault showed.

    Attributes:
        name: The fault.
        passed: Whether every bound was met.
        size: How many cases were run.
        figures: What was counted and measured, by name.
        told: One sentence on what was measured.
    """

    name: str
    passed: bool
    size: int
    figures: Figures
    told: str


class Run(Protocol):
    """What a fault's module offers as `run`."""

    def __call__(self, ground: "Ground", size: int) -> Finding:
        """Run `size` cases on a ground."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the report.

    Attributes:
        name: What it is called on the command line; the module `prefmem.selftest.<name>` has its
            `run`.
        small: Cases of a quick run.
        full: Cases of a run with `--full`.
        unit: What a case is.
        title: What goes wrong.
        bound: What must hold all the same, in words.
        backends: Where it is run.
    """

    name: str
    small: int
    full: int
    unit: str
    title: str
    bound: str
    backends: tuple[Backend, ...] = ("sqlite",)

    def load(self) -> Run:
        """Import the fault.

        Raises:
            ConfigError: A package that it needs is not installed.
        """
        try:
            return cast(Run, import_module(f"prefmem.selftest.{self.name}").run)
        except ImportError as error:
            raise ConfigError(
                f"the fault {self.name!r} needs a package that is missing ({error}); install it, "
                "or leave the fault out with --only"
            ) from error


@dataclass(frozen=True, slots=True)
class Ground:
    """Where one fault is run, and with what.

    Attributes:
        folder: An empty folder on the disk that is tested.
        seed: Fixes everything that is drawn.
        backend: Which kind of store is tested.
        dsn: The PostgreSQL database of this run; empty for SQLite.
        tell: Moves the progress bar: stage, done, total.
    """

    folder: Path
    seed: int = 0
    backend: Backend = "sqlite"
    dsn: str = ""
    tell: Tell = field(default=lambda stage, done, total: None)

    def rng(self, name: object = "") -> random.Random:
        """Give a generator of its own to whatever has a name."""
        return random.Random(f"{self.seed}:{name}")

    def target(self, name: str = "prefs") -> str:
        """Name a store: a file of the folder, or the database."""
        return self.dsn or str(self.folder / f"{name}.db")

    def open(self, target: str | Path | None = None, **given: Any) -> PreferenceMemory:  # noqa: ANN401  # the arguments of PreferenceMemory
        """Open a memory on fakes; on the store of the ground unless another one is named."""
        return opened(target or self.target(), **given)

    def work(self, role: str, /, **args: object) -> Worker:
        """Start a process that runs a role, `module.function` of this package.

        Args:
            role: The function: it takes a mapping, and what tells the parent something.
            args: What it is given, plain JSON data.
        """
        return Worker(role, args)


def opened(target: str | Path | None, **given: Any) -> PreferenceMemory:  # noqa: ANN401  # as above
    """Open a memory on fakes: same input, same cards, in every process."""
    parts: dict[str, Any] = {
        "extractor": PhraseExtractor(), "embedder": HashEmbedder(), "relater": TableRelater(),
        "reranker": "none", "judge": WordJudge(),
        "config": Config(learn_delay=0, max_new_cards_per_hour=None),
    }  # fmt: skip
    return PreferenceMemory(target, **(parts | given))


def told(error: BaseException) -> str:
    """Say which error it was without showing what a user said."""
    return (
        f"{type(error).__name__}: {error}"
        if isinstance(error, PrefmemError | OSError)
        else (type(error).__name__)
    )
