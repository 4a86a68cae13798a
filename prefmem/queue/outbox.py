"""The outbox: what a dialogue has that is new, as a job in the store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prefmem.config import Config
from prefmem.ids import user_turn_keys
from prefmem.job import Job
from prefmem.protocols import Store
from prefmem.types import Turn, UserKey

CONTEXT = 12  # turns before the first new one that a window keeps


class Outbox:
    """Puts windows in a store's queue.

    Args:
        store: The store.
        config: Sizes of the queue, and how long a job waits for more turns.
        clock: Gives the time of day of a turn that has none, UTC.

    Attributes:
        dropped: Jobs that made room for others before anybody learned them.
    """

    def __init__(
        self, store: Store, config: Config, *, clock: Callable[[], datetime] = lambda: _now()
    ) -> None:
        """Use the store's queue."""
        self._store, self._config, self._clock = store, config, clock
        self.dropped = 0

    def fresh(self, user: UserKey, turns: Sequence[Turn], session_id: str) -> Mapping[str, str]:
        """Give the names of the user turns that were not learned yet, by turn id."""
        keys = user_turn_keys(turns, session_id)
        known = self._store.known(user, list(keys.values()))
        return {turn_id: key for turn_id, key in keys.items() if key not in known}

    def put(
        self, user: UserKey, turns: Sequence[Turn], fresh: Mapping[str, str], session_id: str
    ) -> None:
        """Put in what is new of a dialogue, with the turns before it that it needs."""
        first = next(n for n, turn in enumerate(turns) if turn.id in fresh)
        said_at, now = self._clock(), _now()
        window = tuple(
            replace(turn, at=said_at) if turn.at is None and turn.id in fresh else turn
            for turn in turns[max(0, first - CONTEXT) :]
        )
        due = now + timedelta(seconds=self._config.learn_delay)
        job = Job(user, session_id, window, tuple(fresh.values()), now, due)
        self.dropped += self._store.jobs.put(
            job, most=self._config.max_jobs, most_of_user=self._config.max_jobs_per_user
        )


def _now() -> datetime:
    return datetime.now(UTC)
