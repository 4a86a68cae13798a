"""What a memory takes: CPU time by number of cards, memory and disk a card, start, and size."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import Distribution, PackageNotFoundError, distribution, requires
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

import prefmem
from prefmem.config import Config
from prefmem.evaluate.cost import DIALOGUE
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.table import Cell, Lines, Part, part
from prefmem.memory import PreferenceMemory
from prefmem.models.onnx import WEIGHTS
from prefmem.selftest.fuzz import resident_bytes
from prefmem.stores.sqlite import SQLiteStore
from prefmem.train.progress import Progress
from prefmem.train.ranking import load_families
from prefmem.train.requests import RANKING
from prefmem.train.risk import Apart

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_USER, _LEARNER = "u", "v"
_STARTS = 5  # processes that are started for each import
_MEGA, _KILO = 1e6, 1e3
_IMPORTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "prefmem": "import prefmem",
    "prefmem, models loaded": (
        "import prefmem; m = prefmem.PreferenceMemory(':memory:'); "
        "m.add('a', 'b', user_id='u'); m.recall('a', user_id='u', strict=True)"
    ),
}


def by_cards(
    sizes: Sequence[int], *, rounds: int, seed: int, progress: Progress
) -> tuple[tuple[Part, ...], Lines]:
    """Grow a user's cards in an SQLite file, and time recall and learn at each size.

    Args:
        sizes: Numbers of cards, growing.
        rounds: Calls that are timed at each size.
        seed: Order of the queries, and the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        CPU milliseconds of one call, the median; what a card takes; and the curves.
    """
    rng = np.random.default_rng(seed)
    families = load_families(RANKING)
    rules = [rule for family in families for rule in family.rules]
    queries = [query for family in families for query, _ in family.queries]
    rows: dict[str, dict[str, Cell]] = {}
    config = Config(max_cards=max(*sizes, Config().max_cards))
    with TemporaryDirectory(prefix="prefmem-performance-") as folder:
        path = Path(folder) / "prefs.db"
        store = SQLiteStore(path)
        with (
            PreferenceMemory(store=store, config=config) as memory,
            PreferenceMemory(store=store, config=config, reranker="none", relater=Apart()) as plain,
        ):
            learn = partial(memory.learn, DIALOGUE, user_id=_LEARNER)
            plain.add("", rules[0], user_id=_USER, scope="conditional")
            for one in (memory, plain):
                one.recall(queries[0], user_id=_USER, strict=True)
            learn(session_id="first")
            held, resident, disk = 1, resident_bytes(), _bytes(path)
            for size in sizes:
                for number in range(held, size):
                    text = f"{rules[number % len(rules)]} ({number})"
                    plain.add("", text, user_id=_USER, scope="conditional")
                    progress(f"{size} cards", number + 1, size)
                held = max(held, size)
                for one in (memory, plain):  # what was added is read before the clock runs
                    one.recall(queries[0], user_id=_USER, strict=True)
                asked = [queries[int(i)] for i in rng.integers(0, len(queries), rounds)]
                rows[f"{size:,} cards"] = {
                    "recall": _timed(
                        [partial(memory.recall, q, user_id=_USER, strict=True) for q in asked], rng
                    ),
                    "recall without the cross-encoder": _timed(
                        [partial(plain.recall, q, user_id=_USER, strict=True) for q in asked], rng
                    ),
                    "learn six turns": _timed(
                        [partial(learn, session_id=f"{size} {n}") for n in range(rounds)], rng
                    ),
                }
            grown = max(1, held - 1)
            a_card = {
                "in memory": _exact((resident_bytes() - resident) / grown / _KILO, grown),
                "on disk": _exact((_bytes(path) - disk) / grown / _KILO, grown),
            }
    curves = Lines(
        "CPU time of one call", "cards of the user", "milliseconds",
        {
            column: [
                (float(size), cell.value)
                for size, row in zip(sizes, rows.values(), strict=True)
                if isinstance(cell := row[column], Figure)
            ]
            for column in ("recall", "recall without the cross-encoder", "learn six turns")
        },
        logarithmic=True,
    )  # fmt: skip
    times = Part(rows, "CPU time by the number of the user's cards", "milliseconds", drawn=False)
    taken = part(a_card, title=f"A card, at {held:,} cards", unit="kB", drawn=False)
    return (times, taken), curves


def starts(*, progress: Progress) -> Part:
    """Start a process for each import: CPU milliseconds of the whole process, the median."""
    found: dict[str, Figure] = {}
    for done, (name, code) in enumerate(_IMPORTS.items(), start=1):
        spent = [_started(code) * _KILO for _ in range(_STARTS)]
        low, value, high = np.percentile(spent, (0, 50, 100)).tolist()
        found[name] = Figure(value, low, high, _STARTS)
        progress("imports", done, len(_IMPORTS))
    title = f"CPU time of a whole process that imports ...; brackets: all of {_STARTS}"
    return part(found, title=title, unit="milliseconds")


def weight() -> Part:
    """Give the size of a base install: the package, its weights, and what it depends on."""
    own = sum(_sizes(Path(prefmem.__file__).parent))
    models = sum(path.stat().st_size for path in WEIGHTS.iterdir())
    needed = _needed()
    others = {name: sum(_installed(found)) for name, found in needed.items()}
    figures = {
        "prefmem itself": _exact(own / _MEGA, 1),
        "of that the embedded models": _exact(models / _MEGA, 1),
        "what it depends on": _exact(sum(others.values()) / _MEGA, len(others)),
        "all": _exact((own + sum(others.values())) / _MEGA, len(others) + 1),
    }
    return part(figures, title="Base install, unpacked; n counts packages", unit="MB", drawn=False)


def _timed(calls: Sequence[Callable[[], object]], rng: np.random.Generator) -> Figure:
    """Give the median CPU milliseconds of calls, with its 95% bootstrap interval."""
    spent: list[float] = []
    for call in calls:
        begun = process_time()
        call()
        spent.append((process_time() - begun) * _KILO)
    array = np.array(spent)
    drawn = np.median(array[rng.integers(0, len(array), (1000, len(array)))], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(float(np.median(array)), float(low), float(high), len(array))


def _started(code: str) -> float:
    """Run code in a new process; gives the CPU seconds of that process."""
    timed = f"{code}; import time; print(time.process_time())"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _exact(value: float, cases: int) -> Figure:
    return Figure(value, value, value, cases)


def _bytes(path: Path) -> int:
    """Give the size of a database with what lies beside it."""
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def _needed() -> Mapping[str, Distribution]:
    """Find what the base package depends on and is installed here, one after the other."""
    found: dict[str, Distribution] = {}
    waiting = ["prefmem"]
    while waiting:
        for name in _required(waiting.pop()):
            if name not in found:
                try:
                    found[name] = distribution(name)
                except PackageNotFoundError:  # for another system or Python
                    continue
                waiting.append(name)
    return found


def _required(name: str) -> Iterator[str]:
    for line in requires(name) or ():
        words, _, marker = line.partition(";")
        match = _NAME.match(words.strip())
        if match and "extra" not in marker:
            yield match.group().lower().replace("_", "-")


def _installed(found: Distribution) -> Iterator[int]:
    for file in found.files or ():
        path = Path(str(found.locate_file(file)))
        if path.is_file() and path.suffix != ".pyc":
            yield path.stat().st_size


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            yield path.stat().st_size
