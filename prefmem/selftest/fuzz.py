"""Tries hostile inputs on every door, and reports what came out beside the promised refusals."""

import ctypes
import gc
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import hypothesis
from hypothesis import HealthCheck, Phase

from prefmem.selftest.ground import Finding, Ground
from prefmem.selftest.targets import Target, targets

_CHECKS = tuple(cast("Iterable[HealthCheck]", HealthCheck))
MOST_GROWTH = 50 * 2**20  # bytes that a run of all doors may leave behind
_ROUND = 1_000  # cases after which hypothesis begins anew: it keeps what it has tried


@dataclass(frozen=True, slots=True)
class Tried:
    """What one door did.

    Attributes:
        name: The door.
        cases: Inputs that were tried.
        crashes: One line for each kind of failure: what was raised, and where.
        example: The smallest input that failed, and the trace; empty where none did.
        grown: Memory of the process after the cases, beyond that after the first thousand, which
            load what a door needs, in bytes.
    """

    name: str
    cases: int
    crashes: tuple[str, ...] = ()
    example: str = ""
    grown: int = 0


def run(ground: Ground, size: int) -> Finding:
    """Try `size` cases on the doors of the core, and count what is no promised refusal."""
    doors = targets()
    found: list[Tried] = []
    for number, door in enumerate(doors):
        ground.tell("doors", number, len(doors))
        found += fuzz(_of(door, doors, size), seed=ground.seed, doors=[door])
    return summed("fuzz", found)


def summed(name: str, found: Sequence[Tried]) -> Finding:
    """Sum up what doors did."""
    crashes = [f"{tried.name}: {crash}" for tried in found for crash in tried.crashes]
    grown = sum(tried.grown for tried in found)
    cases = sum(tried.cases for tried in found)
    told = f"{cases:,} cases at {len(found)} doors, {len(crashes)} crashes, {grown >> 20} MB kept"
    figures: dict[str, float] = {tried.name: tried.cases for tried in found}
    return Finding(
        name, not crashes and grown <= MOST_GROWTH, cases,
        {**figures, "crashes": len(crashes), "grown_mb": round(grown / 2**20, 1)},
        "; ".join([told, *crashes]),
    )  # fmt: skip


def fuzz(cases: int, *, seed: int = 0, doors: Sequence[Target] | None = None) -> tuple[Tried, ...]:
    """Try at least so many cases on the doors, each its share.

    Args:
        cases: Inputs in all, from 1.
        seed: Fixes which.
        doors: What is tried; the core's unless given.
    """
    doors = targets() if doors is None else doors
    return tuple(_tried(door, _of(door, doors, cases), seed) for door in doors)


def _of(door: Target, doors: Sequence[Target], cases: int) -> int:
    """Give a door's share of the cases, rounded up."""
    return -(-cases * door.share // sum(each.share for each in doors))


def _tried(door: Target, cases: int, seed: int) -> Tried:
    count, raised = 0, ""
    failed: list[Any] = []

    def check(given: Any) -> None:  # noqa: ANN401  # whatever the strategy gives
        nonlocal count
        count += 1
        try:
            door.check(given)
        except Exception:
            failed.append(given)
            raise

    crashes: list[str] = []
    before: int | None = None
    round_ = 0
    with _quiet():
        while count < cases and round_ < 100 + cases // _ROUND:  # a round may find nothing new
            try:
                _run(door, check, min(_ROUND, cases - count), seed + round_)
            except Exception as error:  # noqa: BLE001  # what is looked for
                crashes.append(_where(error))
                raised = raised or f"{failed[-1]!r:.2000}\n{traceback.format_exc()[-4000:]}"
                break
            round_ += 1
            if before is None:
                before = resident_bytes()
    before = resident_bytes() if before is None else before
    return Tried(door.name, count, tuple(crashes), raised, max(0, resident_bytes() - before))


def _run(door: Target, check: Callable[[Any], None], cases: int, seed: int) -> None:
    test = hypothesis.given(door.inputs)(check)
    test = hypothesis.settings(
        max_examples=cases, database=None, deadline=None, derandomize=False,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=_CHECKS,
        report_multiple_bugs=False, print_blob=False,
    )(test)  # fmt: skip
    hypothesis.seed(seed)(test)()


def _where(error: BaseException) -> str:
    """Name an error and the line of ours that it passed last."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "prefmem" in f.filename]
    last = frames[-1] if frames else None
    place = f" in {Path(last.filename).name}:{last.lineno} {last.name}" if last else ""
    return f"{type(error).__name__}{place}"


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep hypothesis from printing what it finds: the report does."""
    from hypothesis import reporting

    with reporting.with_reporter(lambda _: None):
        yield


def resident_bytes() -> int:
    """Memory that the process holds now, what is free given back, in bytes; 0 where unknown."""
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # none but the GNU library has it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    line = next((li for li in status.splitlines() if li.startswith("VmRSS:")), "VmRSS: 0 kB")
    return int(line.split()[1]) * 1024
