"""Parts that are slow, hang, raise or are busy, while an agent answers one turn after the other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, product
from typing import Any, Literal, TypeAlias

import numpy as np

from prefmem.config import Config
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder, PhraseExtractor
from prefmem.testing.faults import Mode, Switch, unreliable
from prefmem.types import Vector

Part: TypeAlias = Literal["store", "embedder", "reranker"]

_PARTS: tuple[Part, ...] = ("store", "embedder", "reranker")
_MODES: tuple[Mode, ...] = ("slow", "hangs", "raises", "busy")
_SOFT, _HARD, _REST = 60, 120, 0.1  # limits in milliseconds, and seconds a part is left alone
_LEAST = 12  # turns with one fault, half of them after it
_FAILURES = 5  # that a breaker may let through
_USERS = 20
Turn: TypeAlias = Callable[[int], None]


class _Agrees:
    def relevance(self, query: str, rules: Any, cosines: Vector) -> Vector:  # noqa: ANN401  # a sequence of texts
        del query, rules
        found: Vector = np.clip(cosines + 0.1, 0, 1).astype(np.float32)
        return found


@dataclass(slots=True)
class Seen:
    """What happened to an agent and to the breakers.

    Attributes:
        turns: Turns that the agent answered.
        raised: What reached the agent, by kind.
        refused: Dialogues that could not be handed over, which was said.
        unopened: Faults after which the breaker was not open in five failures.
        unclosed: Faults after which it did not close again.
        opened: Breakers that opened, and closed again.
        added: Milliseconds that the memory took of each turn with a fault.
        calm: The same of the turns without one.
    """

    turns: int = 0
    raised: list[str] = field(default_factory=list[str])
    refused: int = 0
    unopened: list[str] = field(default_factory=list[str])
    unclosed: list[str] = field(default_factory=list[str])
    opened: int = 0
    added: list[float] = field(default_factory=list[float])
    calm: list[float] = field(default_factory=list[float])

    @property
    def wrong(self) -> int:
        """How many bounds were broken."""
        return len(self.raised) + len(self.unopened) + len(self.unclosed)

    @property
    def figures(self) -> dict[str, float]:
        """What was counted and measured, times in milliseconds."""
        added = np.array(self.added or [0.0])
        return {
            "turns": self.turns, "exceptions": len(self.raised), "not_handed_over": self.refused,
            "breakers_opened": self.opened, "hard_limit_ms": _HARD,
            "calm_p50_ms": round(float(np.median(self.calm or [0.0])), 2),
            "added_p50_ms": round(float(np.median(added)), 2),
            "added_p99_ms": round(float(np.quantile(added, 0.99)), 2),
            "added_max_ms": round(float(added.max()), 2),
        }  # fmt: skip


class Bench:
    """A memory on fakes whose parts have switches.

    Args:
        path: The file of its store.
    """

    def __init__(self, path: str) -> None:
        """Open it, with rules of each user."""
        self.switches: dict[Part, Switch] = {part: Switch() for part in _PARTS}
        store, embedder, reranker = SQLiteStore(path), HashEmbedder(), _Agrees()
        self.memory: PreferenceMemory = opened(
            None,
            store=unreliable(store, self.switches["store"]),
            embedder=unreliable(embedder, self.switches["embedder"]),
            reranker=unreliable(reranker, self.switches["reranker"]),
            extractor=PhraseExtractor(),
            config=Config(
                learn_delay=60, recall_soft_ms=_SOFT, recall_hard_ms=_HARD, hand_over_ms=_HARD,
                breaker_rest=_REST, max_jobs=1_000_000, max_jobs_per_user=1_000_000,
            ),
        )  # fmt: skip
        for number in range(_USERS):
            self.memory.add("writing SQL", "use CTEs", user_id=f"u{number}")
            self.memory.add("", "be brief", user_id=f"u{number}")
        self.memory.warm()

    def state(self, part: Part) -> str:
        """Give the state of a part's breaker."""
        return self.memory.health.parts[part].state

    def failures(self, part: Part) -> int:
        """Give how often a part has failed."""
        return self.memory.health.parts[part].failures

    def close(self) -> None:
        """Let everything go on, and close."""
        for switch in self.switches.values():
            switch.turn("well")
        self.memory.close(timeout=0)


def run(ground: Ground, size: int) -> Finding:
    """Let an agent answer `size` turns on the plain memory, with one fault after the other."""
    bench = Bench(ground.target())
    try:
        seen = Seen()

        def turn(number: int) -> None:
            user, said = f"u{number % _USERS}", f"When writing SQL {number}, always use tabs."
            found = bench.memory.recall(said, user_id=user, session_id=str(number))
            bench.memory.render(found)
            bench.memory.render(["no card"], user_id=user)
            try:
                bench.memory.learn_later([("user", said)], user_id=user, session_id=str(number))
            except Exception:  # noqa: BLE001  # nothing was acknowledged, and the agent goes on
                seen.refused += 1

        suffer(bench, seen, turn, size, tell=lambda n: ground.tell("turns", n, size))
    finally:
        bench.close()
    figures = seen.figures
    return Finding(
        "dependencies", not seen.wrong, seen.turns, figures,
        f"{seen.turns:,} turns, {len(seen.raised)} exceptions to the agent; {seen.opened} breakers "
        f"opened within {_FAILURES} failures and closed again, {seen.wrong - len(seen.raised)} did "
        f"not; a turn with a fault took p50 {figures['added_p50_ms']:g} ms, p99 "
        f"{figures['added_p99_ms']:g} ms of a hard limit of {_HARD} ms",
    )  # fmt: skip


def suffer(
    bench: Bench, seen: Seen, turn: Turn, size: int, *, tell: Callable[[int], None] | None = None
) -> None:
    """Let an agent answer turns while one part after the other fails in every way.

    Args:
        bench: The memory and its switches.
        seen: Takes what happens.
        turn: Answers a turn, given its number; whatever it raises reached the agent.
        size: Turns, at least; each fault has twelve or more.
        tell: Is told how many were answered.
    """
    faults = list(product(_PARTS, _MODES))
    each = max(_LEAST, size // len(faults))
    for part, mode in _rounds(faults, each, size):
        _fault(bench, seen, turn, part, mode, each)
        if tell is not None:
            tell(seen.turns)


def _rounds(faults: list[tuple[Part, Mode]], each: int, size: int) -> Iterator[tuple[Part, Mode]]:
    """Give the faults in turn until there are enough turns."""
    for number, fault in enumerate(cycle(faults)):
        if number and number * each >= size:
            return
        yield fault


def _fault(bench: Bench, seen: Seen, turn: Turn, part: Part, mode: Mode, turns: int) -> None:
    """Let a part fail for half of the turns, and be well for the other half."""
    before, name = bench.failures(part), f"{part} {mode}"
    bench.switches[part].turn(mode)
    opened = False
    for _ in range(turns // 2):
        seen.added.append(_answered(seen, turn))
        failed = bench.failures(part) - before
        opened = opened or bench.state(part) != "closed"
        if failed >= _FAILURES and not opened:
            seen.unopened.append(name)
            opened = True
    bench.switches[part].turn("well")
    for _ in range(turns - turns // 2):
        spent = _answered(seen, turn)
        if bench.memory.health.well:
            seen.calm.append(spent)
    until = time.monotonic() + 30
    while not bench.memory.health.well and time.monotonic() < until:
        time.sleep(_REST / 10)
        _answered(seen, turn)
    if not bench.memory.health.well:
        seen.unclosed.append(name)
    seen.opened += opened


def _answered(seen: Seen, turn: Turn) -> float:
    """Answer a turn; gives the milliseconds that it took."""
    began = time.perf_counter()
    try:
        turn(seen.turns)
    except Exception as error:  # noqa: BLE001  # what reaches the agent is what is counted
        seen.raised.append(type(error).__name__)
    seen.turns += 1
    return (time.perf_counter() - began) * 1000
