"""How many requests a key may make: a token bucket for each, in memory."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_MOST = 10_000  # buckets that are kept; one that was not used for long is full anyway


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit.

    Attributes:
        per_second: Requests that come back in a second, above 0.
        burst: Requests that may come at once, at least 1.
    """

    per_second: float
    burst: float


class Limiter:
    """Counts requests of each key; used on the event loop only, so it needs no lock.

    Args:
        rate: The limit of a key without one of its own; None for no limit.
        clock: Seconds that only grow.
    """

    def __init__(
        self, rate: Rate | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with full buckets."""
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, rate: Rate | None = None) -> float:
        """Take one request from a key's bucket.

        Returns:
            0 where there was one; else the whole seconds, at least 1, after which there is.
        """
        rate = rate or self._rate
        if rate is None:
            return 0.0
        now = self._clock()
        level, then = self._buckets.pop(key, (rate.burst, now))
        level = min(rate.burst, level + (now - then) * rate.per_second)
        enough = level >= 1
        self._buckets[key] = (level - enough, now)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return 0.0 if enough else max(1.0, math.ceil((1 - level) / rate.per_second))
