"""prefmem's store on any langgraph store: PostgresStore, SqliteStore, InMemoryStore, your own."""

import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from time import time_ns

from langgraph.store.base import BaseStore

from prefmem.errors import BasisMismatchError, PrefmemError, StoreError
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.protocols import Jobs
from prefmem.types import Action, Card, Erasure, Event, Shelf, Status, UserKey
from prefmem_langchain import store_names as names
from prefmem_langchain.store_access import Access, Found, Place
from prefmem_langchain.store_commit import damaged, entry_key, write_offer
from prefmem_langchain.store_jobs import BaseStoreJobs
from prefmem_langchain.store_reader import Reader, head_place
from prefmem_langchain.store_write import BaseStoreTransaction

_SPACE = (names.SETTINGS, "space")
_A_DAY = 24 * 3600 * 10**6  # microseconds


class BaseStoreStorage:
    """Keeps cards, events, states and jobs of many users in a langgraph store.

    Safe to use from several threads, and from several processes on one database, with these bounds.
    A langgraph store has no transactions and compares nothing before it sets it:

    - A write is stored whole or not at all: all that belongs together is one item.
    - Of one user, writes of one process come one after the other. Two processes that write at the
      same instant lose no event: both are kept, and every reader puts them in the same order.
      A turn that both learned counts once; a card that both changed is as the later one left it;
      of two new cards that say the same, the later is closed. What a user model learned is as the
      later one left it; the log of interaction holds what came in at both, and `forget` works the
      state out from it.
    - A process sees what others wrote with its next call.
    - `forget` rewrites what names a card; of a forgotten card nothing counts that another process
      writes later. `forget_user` removes every item. A process that writes for the user at that
      instant takes back what it wrote, and is told; should it die there, what it left counts no
      more, and leaves with the next write for the user or the next `forget_user`. When the freed
      bytes leave its files is up to the database.
    - A lease of a job is best effort; see `BaseStoreJobs`.

    The host's store is never closed here, embeds nothing of ours and lets nothing of ours expire.
    An asynchronous store (`AsyncPostgresStore`) is called from other threads than its own event
    loop's, as the memory's async verbs do; on its own loop a call is refused.

    Args:
        store: The store, its `setup()` done.
        cache_bytes: Memory for users that were read, in bytes; the least recently used go first.
        clock: Gives the time in microseconds since 1970, for the order of events.
    """

    def __init__(
        self,
        store: BaseStore,
        *,
        cache_bytes: int = 64 * 2**20,
        clock: Callable[[], int] = lambda: time_ns() // 1000,
    ) -> None:
        """Read nothing yet."""
        self._begin(Access.to(store), cache_bytes, clock)

    @classmethod
    def weakly(cls, store: BaseStore) -> "BaseStoreStorage":
        """Use a store for as long as somebody else holds it."""
        made = cls.__new__(cls)
        made._begin(Access.weakly_to(store), 64 * 2**20, lambda: time_ns() // 1000)
        return made

    def _begin(self, access: Access, cache_bytes: int, clock: Callable[[], int]) -> None:
        self._access, self._clock = access, clock
        self._reader = Reader(access, cache_bytes)
        self._jobs = BaseStoreJobs(access, self._tick)
        self._width, self._last = 0, 0
        self._lock = threading.Lock()
        self._locks: weakref.WeakValueDictionary[UserKey, _UserLock] = weakref.WeakValueDictionary()

    @property
    def jobs(self) -> Jobs:
        """The jobs that wait."""
        return self._jobs

    def bind(self, basis: str, width: int) -> None:
        """Tie the store to one vector space, or check that it is tied to this one."""
        bound = self._access.get(_SPACE)[0]
        if bound is None:
            self._access.put({_SPACE: {"basis": basis, "width": width}})
            bound = self._access.get(_SPACE)[0] or {}
        if "basis" not in bound or "width" not in bound:
            raise damaged("setting")
        if (bound["basis"], bound["width"]) != (basis, width):
            raise BasisMismatchError(
                f"this {self._access.name} holds vectors of {bound['basis']!r} (width "
                f"{bound['width']}), this memory embeds with {basis!r} (width {width}); open it "
                "with the embedder it was made with, or export its users and load them into a new "
                "store"
            )
        self._width = width

    def revision(self, user: UserKey) -> int:
        """Number that changes whenever the user's cards do; 0 for an unknown user."""
        return self._reader.view(user).revision

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        return self._reader.view(user).shelf(self._width, status)

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        return self._reader.view(user).cards.get(card_id)

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards in the order of saying; only those in `ids`, only those of `status`."""
        held = self._reader.view(user).held(status=status)
        if ids is None:
            return held
        wanted = frozenset(ids)
        return tuple(card for card in held if card.id in wanted)

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        view = self._reader.view(user)
        return frozenset(key for key in keys if view.knows(key))

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        events = tuple(self._reader.view(user).events)
        if card_id is None:
            return events
        cut = (
            replace(event, changes=tuple(c for c in event.changes if c.card.id == card_id))
            for event in events
        )
        return tuple(event for event in cut if event.changes)

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._reader.view(user).state

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._reader.view(user).counted()

    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped.

        It is an item of its own. It is dropped where the store fails or the user is unknown.
        """
        try:
            view = self._reader.view(user)
            key = entry_key(entry)
            if not view.root or key in view.entries or self._reader.offer(user, view, key):
                return False
            entry = replace(entry, key=key, seq=self._tick(view.last))
            place = (names.offers(user), names.short(key))
            self._access.put({place: write_offer(entry, view.root)})
            if self._reader.began(user, view):
                return True
            self._access.put({place: None})  # another process erased the user just before
            return False
        except PrefmemError:
            return False

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        found = self._reader.edits(user, self._reader.view(user))
        return tuple(edit for *_, edit in found)

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        view = self._reader.view(user)
        return key in view.entries or self._reader.offer(user, view, key) is not None

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        view = self._reader.view(user)
        if asked is not None:
            return self._reader.interactions(user, view, asked=asked)[-1:]
        if recall_id is not None:
            key = f"offer:{recall_id}"
            found = view.entries.get(key) or self._reader.offer(user, view, key)
            return () if found is None else (found,)
        return self._reader.interactions(user, view)

    @contextmanager
    def write(self, user: UserKey) -> Generator[BaseStoreTransaction, None, None]:
        """Open a transaction; an exception inside undoes all of it."""
        with self._alone(user):
            transaction = BaseStoreTransaction(
                user, access=self._access, reader=self._reader, jobs=self._jobs,
                width=self._width, tick=self._tick,
            )  # fmt: skip
            yield transaction
            transaction.commit()

    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about a user; no audit log is kept here.

        The log's beginning goes first: without it the rest counts no more. Its name, a random one,
        stays for a day, so that what another process was writing is known for what it is. Damaged
        items are removed, too. When the freed bytes leave its files is up to the database, so the
        receipt never says that they have.
        """
        del actor, at
        with self._alone(user):
            cards, events = self._counted(user)
            found: list[Found] = self._access.all(names.everything(user))
            roots = [place for place, value in found if value.get("root") == place[1]]
            self._access.put(self._erased(roots) | dict.fromkeys([*roots, head_place(user)]))
            while True:  # again for what was written meanwhile
                jobs = self._jobs.everything_of(user)
                self._access.put(dict.fromkeys([*(place for place, _ in found), *jobs]))
                found = self._access.all(names.everything(user))
                if not found and not self._jobs.everything_of(user):
                    break
            self._access.put({head_place(user): None})
            self._reader.drop(user)
        return Erasure(cards, events, checkpointed=False)

    def audit(self, user: UserKey, action: Action, *, actor: str, at: datetime, n: int = 1) -> None:
        """Do nothing: a langgraph store cannot chain lines, so no audit log is kept here."""

    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""
        heads = self._access.all(names.heads(tenant))
        return tuple(sorted({str(v["user"]) for _, v in heads} | self._jobs.users(tenant)))

    def close(self) -> None:
        """Use the store no more; the host's store stays open. Closing twice is fine."""
        self._access.close()

    def _erased(self, roots: Iterable[Place]) -> dict[Place, Mapping[str, object] | None]:
        """Name the logs that are erased now, and those of more than a day ago no more."""
        now = self._clock()
        old = self._access.all(names.ERASED)
        values: dict[Place, Mapping[str, object] | None] = {
            place: None for place, value in old if now - int(value.get("at", 0)) > _A_DAY
        }
        return values | {(names.ERASED, root): {"at": now} for _, root in roots}

    def _counted(self, user: UserKey) -> tuple[int, int]:
        """Count cards and lines of the log; of a damaged user nothing is counted."""
        try:
            view = self._reader.view(user)
            lines = len(view.events) + len(self._reader.interactions(user, view))
            return len(view.held()), lines
        except StoreError:
            self._reader.drop(user)
            return 0, 0

    def _tick(self, above: int) -> int:
        """Give the next place in an order: the time, yet above every earlier one."""
        with self._lock:
            self._last = max(self._last + 1, above + 1, self._clock())
            return self._last

    @contextmanager
    def _alone(self, user: UserKey) -> Generator[None, None, None]:
        """Let one thread of this process at a time write for a user."""
        with self._lock:
            lock = self._locks.setdefault(user, _UserLock())
        if lock.owner == threading.get_ident():
            raise StoreError("a transaction is open already; finish it before the next")
        with lock.lock:
            lock.owner = threading.get_ident()
            try:
                yield
            finally:
                lock.owner = 0


class _UserLock:
    """Who writes for a user."""

    def __init__(self) -> None:
        self.lock, self.owner = threading.Lock(), 0
