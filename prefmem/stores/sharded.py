"""Several stores as one: each user has one of them, and a shard that is down stops no one else.

The home of a user follows from the names of the shards (see `places`); who was moved away has a row
at home that says where to. A move has at every moment one copy that is read and at most one that is
written: a writer who meets it waits for its end, and puts an end to one that died.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TypeVar

import numpy as np

from prefmem.errors import ShardDownError, StoreUnavailableError
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.stores.finder import Finder, word
from prefmem.stores.places import MovedError, erased
from prefmem.stores.rowstore import RowStore
from prefmem.stores.shardjobs import ShardedJobs
from prefmem.stores.transaction import RowTransaction
from prefmem.types import Action, Card, Erasure, Event, Shelf, Status, UserKey

_PAUSE = 0.005  # seconds between looks at a user who is being moved
_TRIES = 20
T = TypeVar("T")
_log = logging.getLogger("prefmem")


class ShardedStore:
    """Keeps each user in one of several stores; safe to share between threads and processes.

    Args:
        makers: Opens the store of each shard, by the shard's name. Names stay when addresses
            change; a name that is new takes part once it is made a home (`prefmem shard add`).
        abandoned: Seconds after which a move that does not get on counts as dead: a write undoes
            it. Copying 1,000 cards takes a tenth of a second.
        wait: Seconds that a write waits for a user who is being moved.

    Raises:
        ConfigError: A shard is missing, or belongs to another memory.
        StoreUnavailableError: No shard can be opened, or not all of a new set.
    """

    def __init__(
        self,
        makers: Mapping[str, Callable[[], RowStore]],
        *,
        abandoned: float = 10.0,
        wait: float = 30.0,
    ) -> None:
        """Open the shards that are up."""
        self.finder = Finder(makers)
        self._abandoned, self._wait = abandoned, wait
        self._width = 0
        self.jobs = ShardedJobs(self.finder, self._changed)

    def bind(self, basis: str, width: int) -> None:
        """Tie the store to one vector space, or check that it is tied to this one."""
        self.finder.bind(basis, width)
        self._width = width

    def revision(self, user: UserKey) -> int:
        """Number that changes whenever the user's cards do; 0 for an unknown user."""
        return self._asked(user, lambda store: store.revision(user), 0)

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        return self._asked(user, lambda store: store.shelf(user, status=status), self._no_shelf())

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._asked(user, lambda store: store.numbers(user), {})

    def numbered(self, user: UserKey) -> int:
        """Give the last number of a card; 0 before the first. No more cards are there."""
        return self._asked(user, lambda store: store.numbered(user), 0)

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        return self._asked(user, lambda store: store.card(user, card_id), None)

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards in the order of saying; only those in `ids`, only those of `status`."""
        wanted = None if ids is None else tuple(ids)
        return self._asked(user, lambda store: store.cards(user, ids=wanted, status=status), ())

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        return self._asked(user, lambda store: store.known(user, keys), frozenset())

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        return self._asked(user, lambda store: store.events(user, card_id=card_id), ())

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._asked(user, lambda store: store.state(user), None)

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        return self._asked(
            user, lambda store: store.interactions(user, asked=asked, recall_id=recall_id), ()
        )

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        return self._asked(user, lambda store: store.edits(user), ())

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        return self._asked(user, lambda store: store.noted(user, key), False)

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        It is dropped, too, while the user is being moved.
        """
        with suppress(StoreUnavailableError):
            return self.finder.shards[self.finder.guess(user)].store.note(user, entry)
        return False

    @contextmanager
    def write(self, user: UserKey) -> Generator[RowTransaction, None, None]:
        """Open a transaction; an exception inside undoes all of it.

        Raises:
            StoreUnavailableError: The user's shard is down, or the user was being moved for too
                long.
        """
        with ExitStack() as stack:
            yield self._changed(user, lambda store: stack.enter_context(store.write(user)))

    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about a user in every shard, and the freed bytes with it.

        Raises:
            StoreUnavailableError: A shard is down; do it again when it is up.
        """
        shards = self.finder.shards
        for shard in shards.values():  # all or none, if that can be seen before
            shard.mark(user)
        place = self._fenced(user)
        home = self.finder.plan.home(user)
        first = place or home
        order = [first, *(name for name in shards if name not in (first, home))]
        order += [home] if home != first else []
        when = at or datetime.now(UTC)
        found = [shards[name].store.forget_user(user, actor=actor, at=when) for name in order]
        return replace(
            found[0],  # the others held marks, and copies of a move that came to nothing
            checkpointed=all(r.checkpointed for r in found),
            busy=any(r.busy for r in found),
            listed=all(r.listed for r in found),
        )

    def forget_users(
        self, users: Sequence[UserKey], *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about users in every shard."""
        return _joined([self.forget_user(user, actor=actor, at=at) for user in users])

    def audit(self, user: UserKey, action: Action, *, actor: str, at: datetime, n: int = 1) -> None:
        """Append a line to the audit log of the user's shard, or of the home."""
        place = self.finder.find(user)
        name = place.name if place else self.finder.plan.home(user)
        self.finder.shards[name].store.audit(user, action, actor=actor, at=at, n=n)

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids, of all shards.

        Raises:
            StoreUnavailableError: A shard is down.
        """
        shards = self.finder.shards
        found = [shards[name].store.users(tenant) for name in self.finder.plan.names]
        return tuple(sorted({user_id for some in found for user_id in some}))

    def check(self) -> Mapping[str, str | int]:
        """Report the health of each shard, under its name; of one that is down, why."""
        told: dict[str, str | int] = {"shards": ", ".join(self.finder.plan.now)}
        for name, shard in self.finder.shards.items():
            try:
                report = shard.store.check()
            except StoreUnavailableError as error:
                told[f"{name}.down"] = str(error)
            else:
                told |= {f"{name}.{key}": value for key, value in report.items()}
        return told

    def close(self) -> None:
        """Close every shard; closing twice is fine."""
        self.finder.close()

    def _asked(self, user: UserKey, work: Callable[[RowStore], T], absent: T) -> T:
        """Read in the user's shard; what was moved meanwhile is read there."""
        name = self.finder.guess(user)
        for _ in range(_TRIES):
            with _named(name):
                try:
                    return work(self.finder.shards[name].store)
                except MovedError:
                    place = self.finder.find(user)
            if place is None:
                return absent
            name = place.name
        raise StoreUnavailableError("this user is being moved to and fro; try again")

    def _changed(self, user: UserKey, work: Callable[[RowStore], T]) -> T:
        """Begin a change in the user's shard, once the rows are in use there."""
        until = monotonic() + self._wait
        since: tuple[str, float] = ("", 0.0)
        name = self.finder.guess(user)
        while True:
            with _named(name):
                try:
                    return work(self.finder.shards[name].store)
                except MovedError:
                    place = self.finder.find(user)
            if monotonic() > until:
                raise StoreUnavailableError("this user is being moved; try again in a moment")
            if place is None:
                self.finder.heal(user)
                name = self.finder.guess(user)
                continue
            name = place.name
            if place.mark.kind != "going":
                continue
            if since[0] != place.mark.text:
                since = place.mark.text, monotonic()
            elif monotonic() - since[1] > self._abandoned:
                _log.warning("a move of a user did not get on for %g s: undone", self._abandoned)
                self.finder.shards[name].swap(user, place.mark, "")
            sleep(_PAUSE)

    def _fenced(self, user: UserKey) -> str | None:
        """Let nobody change or move a user any more; gives the shard, None for an unknown user."""
        for _ in range(_TRIES):
            place = self.finder.find(user)
            if place is None:
                return None
            if self.finder.shards[place.name].swap(user, place.mark, erased(word())):
                return place.name
        raise StoreUnavailableError("this user is being moved to and fro; erase again")

    def _no_shelf(self) -> Shelf:
        none = np.zeros(0)
        return Shelf(
            0, (), none.astype(np.bool_), none.astype(np.float32),
            np.zeros((0, self._width), dtype=np.float32), none, none.astype(np.int64),
        )  # fmt: skip


@contextmanager
def _named(name: str) -> Generator[None, None, None]:
    """Say that it is one shard of several which fails."""
    try:
        yield
    except (MovedError, ShardDownError):
        raise
    except StoreUnavailableError as error:
        raise ShardDownError(f"shard {name!r}: {error}") from error


def _joined(receipts: Sequence[Erasure]) -> Erasure:
    """Add receipts up."""
    return Erasure(
        sum(r.cards for r in receipts), sum(r.events for r in receipts),
        all(r.checkpointed for r in receipts),
        sum(r.interactions for r in receipts), sum(r.edits for r in receipts),
        sum(r.jobs for r in receipts), sum(r.states for r in receipts),
        any(r.busy for r in receipts), all(r.listed for r in receipts),
    )  # fmt: skip
