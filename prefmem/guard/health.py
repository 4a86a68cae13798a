"""How a memory is: which parts are left alone, what it did without, and how long recalls took."""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from prefmem.guard.breaker import Breaker, BreakerState

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0, 2.5, 10.0)  # seconds


@dataclass(frozen=True, slots=True)
class PartHealth:
    """How a part is.

    Attributes:
        state: `closed` where it is asked as usual, `open` while it is left alone, `half-open` when
            it is tried again.
        failures: Calls that it failed at or was late for, of all time.
        refused: Calls that it was spared while it was left alone.
        times: How long calls of it took.
    """

    state: BreakerState
    failures: int
    refused: int
    times: "Times"

    @classmethod
    def of(cls, breaker: Breaker, times: "Times | None" = None) -> "PartHealth":
        """Read a breaker."""
        return cls(breaker.state, breaker.failures, breaker.refused, times or NEVER)


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took.

    Attributes:
        counts: How many took at most as long as each of `BOUNDS`, and longer than the one before;
            last those that took longer than all.
        total: Seconds in all.
    """

    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Give the smallest bound that at least this share kept, in seconds; 0 without any."""
        reached, wanted = 0, share * self.count
        for bound, count in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            reached += count
            if reached >= wanted:
                return bound if self.count else 0.0
        return 0.0


NEVER = Times((0,) * (len(BOUNDS) + 1), 0.0)


@dataclass(frozen=True, slots=True)
class Health:
    """How a memory is; asks no store.

    Attributes:
        parts: The store and the models by name: `store`, `embedder`, `reranker`, `extractor`,
            `judge`, `agent`.
        degraded: How often the memory went on without a part.
        recalls: How long recalls took that were answered.
        learned: Turns, cards and `quarantined` cards that were learned by this process.
        hanging: Calls that were given up and have not come back.
        cache_bytes: Memory that users' indexes take.
        recalled: Recalls by how they ended: `injected`, `abstained`, `empty` for users without a
            card to consider, `failed`.
        verdicts: Candidates of these recalls, by `Verdict.reason`.
        followups: What came back, by what it shows: `satisfied`, `dissatisfied`, `neutral`.
        erased: `users` and `cards` that were forgotten for good.
        verbs: How long calls of the memory took, by verb, `job` for windows learned in the
            background; those that raised, too.
        failed: Calls that raised, by verb.
    """

    parts: Mapping[str, PartHealth]
    degraded: Mapping[str, int]
    recalls: Times
    learned: Mapping[str, int] = field(default_factory=dict[str, int])
    hanging: int = 0
    cache_bytes: int = 0
    recalled: Mapping[str, int] = field(default_factory=dict[str, int])
    verdicts: Mapping[str, int] = field(default_factory=dict[str, int])
    followups: Mapping[str, int] = field(default_factory=dict[str, int])
    erased: Mapping[str, int] = field(default_factory=dict[str, int])
    verbs: Mapping[str, Times] = field(default_factory=dict[str, Times])
    failed: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def well(self) -> bool:
        """Whether no part is left alone."""
        return all(part.state == "closed" for part in self.parts.values())


class Stopwatch:
    """Counts times; threads may share it."""

    def __init__(self) -> None:
        """Start with none."""
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0
        self._lock = threading.Lock()

    def took(self, seconds: float) -> None:
        """Count one."""
        place = bisect_left(BOUNDS, seconds)
        with self._lock:
            self._counts[place] += 1
            self._total += seconds

    @property
    def times(self) -> Times:
        """What was counted."""
        with self._lock:
            return Times(tuple(self._counts), self._total)
