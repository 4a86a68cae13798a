"""The queues of several stores as one: a job waits in the shard of its user, and moves with it."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Protocol, TypeVar

from prefmem.errors import StoreUnavailableError
from prefmem.job import Backlog, Job
from prefmem.stores.finder import Finder
from prefmem.stores.places import MovedError
from prefmem.stores.rowstore import RowStore
from prefmem.stores.shard import Shard
from prefmem.types import UserKey

_COUNTED = 1.0  # seconds that a count of the other shards' jobs serves
_REST = 5.0  # seconds that a shard which failed is not asked for jobs
T = TypeVar("T")
_log = logging.getLogger("prefmem")


class _Change(Protocol):
    """How a change finds the user's shard, and waits while the user is being moved."""

    def __call__(self, user: UserKey, work: Callable[[RowStore], T], /) -> T: ...


class ShardedJobs:
    """Jobs of all shards; the id of one begins with the shard that leased it.

    A shard that is down keeps its jobs waiting, and no others.

    Args:
        finder: The shards.
        change: Does a change in the shard of a user.
    """

    def __init__(self, finder: Finder, change: _Change) -> None:
        """Use the queues of the shards."""
        self._finder, self._change = finder, change
        self._resting: dict[str, float] = {}
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._counted, self._since = -1e9, 0  # when all were counted, and puts from then on

    def put(self, job: Job, *, most: int, most_of_user: int) -> int:
        """Put a job in, once; gives how many others of the shard were dropped to make room."""

        def here(store: RowStore) -> int:
            room = max(1, most - self._elsewhere(store, most))
            return store.jobs.put(job, most=room, most_of_user=most_of_user)

        return self._change(job.user, here)

    def lease(
        self, owner: str, *, now: datetime, until: datetime, most: int, hurry: bool = False
    ) -> tuple[Job, ...]:
        """Take due jobs of all shards, the oldest due first."""
        due = [
            (at, name)
            for name, times in self._of_each(
                lambda shard: shard.store.jobs.due(now=now, most=most, hurry=hurry)
            ).items()
            for at in times
        ]
        wanted = [name for _, name in sorted(due)[:most]]
        taken: list[Job] = []
        for name in dict.fromkeys(wanted):
            taken += self._survived(
                self._finder.shards[name],
                lambda shard: shard.store.jobs.lease(
                    owner, now=now, until=until, most=wanted.count(shard.name), hurry=hurry
                ),
            ) or ()  # fmt: skip
        return tuple(sorted(taken, key=lambda job: job.due))

    def extend(self, owner: str, *, until: datetime) -> None:
        """Hold the owner's leases for longer."""
        self._of_each(lambda shard: shard.store.jobs.extend(owner, until=until))

    def release(self, owner: str) -> None:
        """Give back the owner's leases, as if the jobs had not been begun."""
        self._of_each(lambda shard: shard.store.jobs.release(owner))

    def retry(self, job: Job, owner: str, *, due: datetime, error: str) -> None:
        """Put a leased job back for later; nothing where the owner lost the lease."""
        if self._finder.find(job.user) is not None:
            self._change(job.user, lambda store: store.jobs.retry(job, owner, due=due, error=error))

    def bury(self, job: Job, owner: str, *, at: datetime, error: str) -> None:
        """Try a leased job no more, but keep it; nothing where the owner lost the lease."""
        if self._finder.find(job.user) is not None:
            self._change(job.user, lambda store: store.jobs.bury(job, owner, at=at, error=error))

    def finish(self, job: Job) -> bool:
        """Remove a job; False where it is gone."""
        if self._finder.find(job.user) is None:
            return False
        return self._change(job.user, lambda store: store.jobs.finish(job))

    def revive(self, user: UserKey) -> int:
        """Try the dead jobs of a user again, as if new; gives how many."""
        if self._finder.find(user) is None:
            return 0
        return self._change(user, lambda store: store.jobs.revive(user))

    def purge(self, before: datetime) -> int:
        """Remove the jobs that died before a time from every shard that is up; gives how many."""
        return sum(self._of_each(lambda shard: shard.store.jobs.purge(before)).values())

    def of(self, user: UserKey) -> tuple[Job, ...]:
        """Read a user's jobs in order, the dead ones among them."""
        while (place := self._finder.find(user)) is not None:
            shard = self._finder.shards[place.name]
            found = shard.store.jobs.of(user)
            if shard.mark(user).readable:
                return found
        return ()

    def backlog(self, now: datetime) -> Backlog:
        """Count what waits, of all users.

        Raises:
            StoreUnavailableError: A shard is down.
        """
        shards = self._finder.shards
        found = [shards[name].store.jobs.backlog(now) for name in self._finder.plan.names]
        return Backlog(
            sum(b.waiting for b in found), sum(b.running for b in found),
            sum(b.dead for b in found),
            min((b.oldest for b in found if b.oldest is not None), default=None),
            min((b.next_due for b in found if b.next_due is not None), default=None),
        )  # fmt: skip

    def _elsewhere(self, store: RowStore, most: int) -> int:
        """Count the rows of the other shards: now and then, and whenever there may be too many."""
        with self._lock:
            self._since += 1
            total = sum(self._counts.values()) + self._since
            fresh = monotonic() - self._counted < _COUNTED and total < most
        if not fresh:
            counts = self._of_each(lambda shard: shard.store.jobs.held())
            with self._lock:
                self._counts, self._counted, self._since = counts, monotonic(), 1
        with self._lock:
            shards = self._finder.shards
            return sum(n for name, n in self._counts.items() if not shards[name].holds(store))

    def _of_each(self, work: Callable[[Shard], T]) -> dict[str, T]:
        """Ask every shard that is up.

        Raises:
            StoreUnavailableError: None is.
        """
        found: dict[str, T] = {}
        failed: StoreUnavailableError | None = None
        for name in self._finder.plan.names:
            try:
                done = self._asked(self._finder.shards[name], work)
            except StoreUnavailableError as error:
                failed = error
            else:
                found[name] = done
        if failed is not None and not found:
            raise failed
        return found

    def _survived(self, shard: Shard, work: Callable[[Shard], T]) -> T | None:
        try:
            return self._asked(shard, work)
        except StoreUnavailableError:
            return None

    def _asked(self, shard: Shard, work: Callable[[Shard], T]) -> T:
        """Ask a shard, but not for a while after it failed."""
        if monotonic() < self._resting.get(shard.name, -1e9):
            raise StoreUnavailableError(f"the shard {shard.name!r} failed a moment ago")
        try:
            return work(shard)
        except MovedError:
            raise
        except StoreUnavailableError as error:
            _log.warning("the queue of shard %r failed with %s", shard.name, type(error).__name__)
            self._resting[shard.name] = monotonic() + _REST
            raise
