"""The queue of a langgraph store: a job is two items, what is due and what was said.

The words lie apart, so that a look for due jobs does not read them. They are written first and read
last: a job without them is gone.

A langgraph store compares nothing before it sets it, so a lease is best effort: who leases writes
its name and reads it back, and of two processes in the same instant both may begin a job. Learning
is made for that: a turn teaches once, however often it is learned.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from prefmem.job import LONGEST, PATIENCE, Backlog, Job
from prefmem.stores import codec
from prefmem.types import UserKey
from prefmem_langchain import store_names as names
from prefmem_langchain.store_access import Access, Found, Place
from prefmem_langchain.store_commit import damaged

Values = dict[Place, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A job without its words; times in seconds since 1970."""

    user: UserKey
    id: str
    session_id: str
    keys: frozenset[str]
    order: tuple[str, ...]
    queued_at: float
    due: float
    tries: int = 0
    error: str = ""
    died_at: float = 0.0
    owner: str = ""
    until: float = 0.0

    @property
    def dead(self) -> bool:
        return self.died_at > 0

    @property
    def places(self) -> tuple[Place, Place]:
        return (names.queued(self.user), self.id), (names.windows(self.user), self.id)

    def runs(self, now: float) -> bool:
        """Whether somebody has leased it; a lease beyond every lease is of a clock set back."""
        return bool(self.owner) and now < self.until <= now + LONGEST.total_seconds()

    def comes(self, now: float, *, hurry: bool) -> bool:
        """Whether it may begin."""
        past = self.due <= now or self.due > now + LONGEST.total_seconds()
        return past or (hurry and self.tries == 0)

    def value(self) -> dict[str, Any]:
        """Give the item's value."""
        return {
            "user": self.user.user_id, "tenant": self.user.tenant,
            "body": json.dumps(
                [
                    self.session_id, self.order, self.queued_at, self.due, self.tries, self.error,
                    self.died_at, self.owner, self.until,
                ],
                ensure_ascii=False,
            ),
        }  # fmt: skip

    @classmethod
    def read(cls, place: Place, value: Mapping[str, Any]) -> "_Ticket":
        """Read an item's value.

        Raises:
            StoreUnavailableError: It is damaged.
        """
        try:
            session, order, queued, due, tries, error, died, owner, until = json.loads(
                value["body"]
            )
            return cls(
                UserKey(value["user"], value["tenant"]), place[1], str(session), frozenset(order),
                tuple(order), float(queued), float(due), int(tries), str(error), float(died),
                str(owner), float(until),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            raise damaged("job") from None

    def job(self, turns: str) -> Job:
        """Give the job with its words."""
        return Job(
            self.user, self.session_id, codec.read_turns(turns), self.order,
            datetime.fromtimestamp(self.queued_at, UTC), datetime.fromtimestamp(self.due, UTC),
            self.id, self.tries, self.error, self.dead,
        )  # fmt: skip


class BaseStoreJobs:
    """Jobs as items; every change is in the store when the call returns.

    Args:
        access: The store.
        tick: Gives the next place in an order above another one.
    """

    def __init__(self, access: Access, tick: Callable[[int], int]) -> None:
        """Know of no jobs yet."""
        self._access, self._tick = access, tick
        self._lock = threading.RLock()
        self._bound = self._unchecked = 0  # puts until all jobs are counted again, for that bound

    def put(self, job: Job, *, most: int, most_of_user: int) -> int:
        """Put a job in, once; gives how many others were dropped to make room."""
        with self._lock:
            mine = self._tickets(names.queued(job.user))
            alike = [ticket for ticket in mine if ticket.session_id == job.session_id]
            if any(ticket.keys >= set(job.keys) for ticket in alike) or self._replaced(job, alike):
                return 0
            dropped = self._drop(mine, most_of_user)
            if self._unchecked <= 0 or self._bound != most:
                every = self._tickets(names.JOBS)
                dropped += self._drop(every, most)
                self._bound = most
                self._unchecked = (most - len(every)) // 4  # others may put jobs in, too
            self._unchecked -= 1
            ticket = _Ticket(
                job.user, f"{self._tick(0):016d}-{token_hex(4)}", job.session_id,
                frozenset(job.keys), job.keys, job.queued_at.timestamp(), job.due.timestamp(),
            )  # fmt: skip
            self._write(ticket, job)
            return dropped

    def lease(
        self, owner: str, *, now: datetime, until: datetime, most: int, hurry: bool = False
    ) -> tuple[Job, ...]:
        """Take due jobs: the first of each user that has none running, the oldest due first."""
        seconds = now.timestamp()
        with self._lock:
            queues: dict[UserKey, list[_Ticket]] = {}
            for ticket in self._tickets(names.JOBS):
                if not ticket.dead:
                    queues.setdefault(ticket.user, []).append(ticket)
            first = (
                queue[0]
                for queue in queues.values()
                if not any(ticket.runs(seconds) for ticket in queue)
            )
            due = [ticket for ticket in first if ticket.comes(seconds, hurry=hurry)]
            taken = [
                replace(ticket, owner=owner, until=until.timestamp(), tries=ticket.tries + 1)
                for ticket in sorted(due, key=lambda ticket: (ticket.due, ticket.id))[:most]
            ]
            if not taken:
                return ()
            self._keep(taken)
            return tuple(job for job in map(self._begun, taken) if job is not None)

    def extend(self, owner: str, *, until: datetime) -> None:
        """Hold the owner's leases for longer."""
        self._change(
            names.JOBS,
            lambda t: replace(t, until=until.timestamp()) if t.owner == owner else None,
        )

    def release(self, owner: str) -> None:
        """Give back the owner's leases, as if the jobs had not been begun."""

        def free(ticket: _Ticket) -> _Ticket | None:
            if ticket.owner != owner:
                return None
            return replace(ticket, owner="", until=0.0, tries=max(0, ticket.tries - 1))

        self._change(names.JOBS, free)

    def retry(self, job: Job, owner: str, *, due: datetime, error: str) -> None:
        """Put a leased job back for later; nothing where the owner lost the lease."""
        self._give_back(job, owner, lambda t: replace(t, due=due.timestamp(), error=error))

    def bury(self, job: Job, owner: str, *, at: datetime, error: str) -> None:
        """Try a leased job no more, but keep it; nothing where the owner lost the lease."""
        self._give_back(job, owner, lambda t: replace(t, died_at=at.timestamp(), error=error))

    def finish(self, job: Job) -> bool:
        """Remove a job; False where it is gone."""
        with self._lock:
            places = self.places(job)
            self._access.put(dict.fromkeys(places))
            return bool(places)

    def revive(self, user: UserKey) -> int:
        """Try the dead jobs of a user again, as if new; gives how many."""

        def anew(ticket: _Ticket) -> _Ticket | None:
            if not ticket.dead:
                return None
            return replace(ticket, died_at=0.0, tries=0, due=ticket.queued_at)

        return self._change(names.queued(user), anew)

    def purge(self, before: datetime) -> int:
        """Remove the jobs that died before a time; gives how many."""
        with self._lock:
            every = self._tickets(names.JOBS)
            old = [ticket for ticket in every if 0 < ticket.died_at < before.timestamp()]
            self._remove(old)
            return len(old)

    def of(self, user: UserKey) -> tuple[Job, ...]:
        """Read a user's jobs in order, the dead ones among them."""
        tickets = self._tickets(names.queued(user))
        values = self._access.get(*(ticket.places[1] for ticket in tickets))
        return tuple(
            ticket.job(_turns(value))
            for ticket, value in zip(tickets, values, strict=True)
            if value is not None
        )

    def backlog(self, now: datetime) -> Backlog:
        """Count what waits, of all users."""
        every, seconds = self._tickets(names.JOBS), now.timestamp()
        dead = sum(ticket.dead for ticket in every)
        running = sum(not ticket.dead and ticket.runs(seconds) for ticket in every)
        waiting = [ticket for ticket in every if not ticket.dead and not ticket.runs(seconds)]
        return Backlog(
            len(waiting), running, dead,
            _moment(min((ticket.queued_at for ticket in waiting), default=None)),
            _moment(min((ticket.due for ticket in waiting), default=None)),
        )  # fmt: skip

    # For the store

    def places(self, job: Job) -> tuple[Place, ...]:
        """Give the places of a job's items; none where it is gone."""
        ticket, window = (names.queued(job.user), job.id), (names.windows(job.user), job.id)
        return (ticket, window) if self._access.get(ticket)[0] is not None else ()

    def everything_of(self, user: UserKey) -> list[Place]:
        """Give the places of all that lies in the queue of a user."""
        return [place for place, _ in self._access.all(names.queued(user))]

    def users(self, tenant: str) -> set[str]:
        """Name the users with a job."""
        found = self._access.all((*names.JOBS, names.label(tenant)))
        return {_Ticket.read(*item).user.user_id for item in found}

    def _tickets(self, where: names.Namespace) -> list[_Ticket]:
        """Read tickets in the order of putting in."""
        found: Iterable[Found] = self._access.all(where)
        tickets = [_Ticket.read(*item) for item in found]
        return sorted(tickets, key=lambda ticket: ticket.id)

    def _replaced(self, job: Job, alike: Iterable[_Ticket]) -> bool:
        """Put a job in the place of the waiting ones that it holds all of."""
        waiting = [
            ticket
            for ticket in alike
            if not (ticket.tries or ticket.owner or ticket.dead) and ticket.keys <= set(job.keys)
        ]
        if not waiting:
            return False
        first, *others = waiting
        delay = (job.due - job.queued_at).total_seconds()
        due = min(job.due.timestamp(), first.queued_at + PATIENCE * delay)
        self._write(replace(first, keys=frozenset(job.keys), order=job.keys, due=due), job)
        self._remove(others)
        return True

    def _drop(self, among: list[_Ticket], most: int) -> int:
        """Make room for one more among some jobs: dead, waiting, put off, each by age."""
        free = [ticket for ticket in among if not ticket.owner]
        free.sort(key=lambda ticket: (not ticket.dead, ticket.tries > 0, ticket.id))
        dropped = free[: max(0, len(among) + 1 - most)]
        self._remove(dropped)
        return len(dropped)

    def _begun(self, ticket: _Ticket) -> Job | None:
        """Read back what was leased; None where another process has it, or it is gone."""
        value, window = self._access.get(*ticket.places)
        if value is None or _Ticket.read(ticket.places[0], value).owner != ticket.owner:
            return None
        if window is None:  # finished, while its lease was written
            self._remove([ticket])
            return None
        return ticket.job(_turns(window))

    def _give_back(self, job: Job, owner: str, how: Callable[[_Ticket], _Ticket]) -> None:
        def free(ticket: _Ticket) -> _Ticket | None:
            if ticket.id != job.id or ticket.owner != owner:
                return None
            return replace(how(ticket), owner="", until=0.0)

        self._change(names.queued(job.user), free)

    def _change(self, where: names.Namespace, how: Callable[[_Ticket], _Ticket | None]) -> int:
        with self._lock:
            changed = [now for ticket in self._tickets(where) if (now := how(ticket)) is not None]
            self._keep(changed)
            return len(changed)

    def _keep(self, tickets: Iterable[_Ticket]) -> None:
        self._access.put({ticket.places[0]: ticket.value() for ticket in tickets})

    def _write(self, ticket: _Ticket, job: Job) -> None:
        place, window = ticket.places
        said = {"body": codec.write_turns(job.turns)}
        self._access.put({window: said, place: ticket.value()})

    def _remove(self, tickets: Iterable[_Ticket]) -> None:
        values: Values = {place: None for ticket in tickets for place in ticket.places}
        self._access.put(values)


def _turns(value: Mapping[str, Any]) -> str:
    text = value.get("body")
    if not isinstance(text, str):
        raise damaged("job")
    return text


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
