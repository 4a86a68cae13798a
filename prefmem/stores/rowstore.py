"""A store on rows: every verb is a read in one picture, or a transaction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from prefmem.errors import BasisMismatchError, ConfigError
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.stores.audit import Act, broken_at, card_name, read_acts, token_of, write_act
from prefmem.stores.base import Base, Connection, Uid
from prefmem.stores.erasures import Erased, everyone, read_times, write_times
from prefmem.stores.jobs import RowJobs
from prefmem.stores.packing import mark_of, name_of
from prefmem.stores.places import MovedError
from prefmem.stores.repair import Expected, Repair, Wrong, differing
from prefmem.stores.rows import IN_A_QUERY, Rows
from prefmem.stores.transaction import RowTransaction
from prefmem.types import Action, Card, Check, Erasure, Event, Shelf, Status, UserKey, Vector

T = TypeVar("T")


class RowStore(ABC):
    """Keeps cards, events and states of many users as rows.

    Args:
        base: The database.
        name: What it is called in messages; never with a password.
    """

    def __init__(self, base: Base, name: str) -> None:
        """Use a database whose schema is up to date."""
        self._base, self._name = base, name
        self._width = 0
        self.jobs = RowJobs(base)

    def bind(self, basis: str, width: int) -> None:
        """Tie the store to one vector space, or check that it is tied to this one."""
        if not self._base.shard and (name := self._base.read_all(name_of)):
            raise ConfigError(
                f"{self._name} is the shard {name!r} of several; open the memory with all of them"
            )
        bound = self._base.bind(basis, width)
        if bound != (basis, str(width)):
            raise BasisMismatchError(
                f"{self._name} holds vectors of {bound[0]!r} (width {bound[1]}), this "
                f"memory embeds with {basis!r} (width {width}); open it with the embedder it was "
                "made with, or export its users and load them into a new store"
            )
        self._width = width

    def revision(self, user: UserKey) -> int:
        """Number that changes whenever the user's cards do; 0 for an unknown user."""
        return self._read(user, Rows.revision, one=True)

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        return self._read(user, lambda rows: rows.shelf(status))

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._read(user, Rows.numbers, one=True)

    def numbered(self, user: UserKey) -> int:
        """Give the last number of a card; 0 before the first. No more cards are there."""
        return self._read(user, Rows.numbered, one=True)

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        return self._read(user, lambda rows: rows.card(card_id), one=True)

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards in the order of saying; only those in `ids`, only those of `status`."""
        wanted = None if ids is None else tuple(ids)
        one = wanted is None or 0 < len(wanted) <= IN_A_QUERY
        return self._read(user, lambda rows: rows.cards(ids=wanted, status=status), one=one)

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        return self._read(user, lambda rows: rows.known(keys))

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        return self._read(user, lambda rows: rows.events(card_id), one=True)

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._read(user, Rows.state, one=True)

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        return self._read(
            user, lambda rows: rows.interactions(asked=asked, recall_id=recall_id), one=True
        )

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        return self._read(user, Rows.edits, one=True)

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        return self._read(user, lambda rows: rows.noted(key), one=True)

    def audit(
        self, user: UserKey | None, action: Action, *, actor: str, at: datetime, n: int = 1
    ) -> None:
        """Append a line to the audit log by itself, about a user or the whole store."""
        with self._base.write_all() as db:
            self._base.audit_turn(db)
            secret = self._base.secret(db)
            write_act(db, secret, action, user=user, actor=actor, at=at, n=n)

    def acts(self, user: UserKey | None = None) -> tuple[Act, ...]:
        """Read the audit log in order; only the lines about a user."""

        def read(db: Connection) -> tuple[Act, ...]:
            return read_acts(db, None if user is None else token_of(self._base.secret(db), user))

        return self._base.read_all(read)

    def card_names(self, user: UserKey) -> Mapping[str, str]:
        """Give the ids of a user's cards by the names that they have in the audit log."""
        secret = self._base.read_all(self._base.secret)
        return {card_name(secret, user, card_id): card_id for card_id in self.numbers(user)}

    def erased(self) -> Erased:
        """Give the list of erasures, to be kept where the store's loss does not reach it."""
        return self._base.read_all(lambda db: Erased(self._base.secret(db), read_times(db)))

    def everyone(self) -> tuple[UserKey, ...]:
        """List the users of all tenants."""
        return self._base.read_all(everyone)

    def replay_erasures(self, listed: Erased, *, actor: str, at: datetime) -> int:
        """Erase again whom a list knows to be erased later than this store does.

        Returns:
            How many users were held and are erased now.
        """
        known = self._base.read_all(read_times)
        news = listed.later_than(known)
        if not news:
            return 0
        held = [u for u in self.everyone() if token_of(listed.secret, u) in news]
        self._remove(held, action="replay", actor=actor, at=at)
        with self._base.write_all() as db:
            write_times(db, news)
        return len(held)

    @abstractmethod
    def note(self, user: UserKey, entry: Entry) -> bool:
        """Append to the log of interaction what nothing waits for; False where it was dropped."""

    @abstractmethod
    def forget_user(
        self, user: UserKey, *, actor: str = "user", at: datetime | None = None
    ) -> Erasure:
        """Remove everything held about a user, and the freed bytes with it."""

    @abstractmethod
    def users(self, tenant: str = "") -> tuple[str, ...]:
        """List the tenant's user ids."""

    @abstractmethod
    def check(self) -> Mapping[str, str | int]:
        """Report the store's health."""

    @abstractmethod
    def close(self) -> None:
        """Release the store; closing twice is fine."""

    @abstractmethod
    def _remove(
        self, users: Sequence[UserKey], *, action: Action, actor: str, at: datetime
    ) -> Erasure:
        """Remove everything held about users, and write down that they are erased."""

    @contextmanager
    def write(self, user: UserKey) -> Generator[RowTransaction, None, None]:
        """Open a transaction; an exception inside undoes all of it."""
        with self._base.write(user) as (db, uid):
            transaction = RowTransaction(self._base, self._rows(db, user, uid, writing=True))
            yield transaction
            if transaction.forgot:
                self._base.forgot(db)
        if transaction.forgot:
            self._base.scrub()

    @contextmanager
    def repairing(self, user: UserKey) -> Generator[Repair, None, None]:
        """Open a transaction that can make a user's cards again."""
        with self._base.write(user) as (db, uid):
            repair = Repair(self._base, self._rows(db, user, uid, writing=True))
            yield repair
            if repair.forgot:
                self._base.forgot(db)
        if repair.forgot:
            self._base.scrub()

    def differing(
        self, user: UserKey, wanted: Mapping[str, Expected], fresh: Mapping[str, Vector]
    ) -> Wrong:
        """Compare a user's cards with those that the log gives, and some vectors with fresh ones.

        Args:
            user: The user.
            wanted: The cards, by id.
            fresh: Unit vectors, (e,), of some of them, by card id.
        """
        return self._read(user, lambda rows: differing(rows, wanted, fresh))

    def soundness(self) -> tuple[Check, ...]:
        """Look for damage in what belongs to no single user."""

        def look(db: Connection) -> tuple[Check, ...]:
            place = broken_at(db)
            count = int(db.execute("select count(*) from audit").fetchone()[0])
            lines = f"{count:,} lines" if place is None else f"line {place} does not follow"
            jobs = int(db.execute("select count(*) from jobs").fetchone()[0])
            erasures = int(db.execute("select count(*) from erasures").fetchone()[0])
            return (
                Check("audit log", place is None, lines),
                Check("queue", True, f"{jobs:,} windows wait"),
                Check("erasures", True, f"{erasures:,} users must not come back"),
            )

        return self._base.read_all(look)

    def as_shard(self, name: str) -> Base:
        """Work as one of several stores from now on; gives the database."""
        self._base.shard = name
        return self._base

    def _read(self, user: UserKey, work: Callable[[Rows], T], *, one: bool = False) -> T:
        def look(db: Connection, uid: Uid) -> T:
            if self._base.shard and not mark_of(db, uid).readable:
                raise MovedError(self._name)
            return work(self._rows(db, user, uid))

        return self._base.read(look, user, one=one and not self._base.shard)

    def _rows(self, db: Connection, user: UserKey, uid: Uid, *, writing: bool = False) -> Rows:
        seal = self._base.seal(db, user, uid, writing=writing)
        return Rows(db, user, uid, seal, self._base.vectors, self._width, self._base.shard)
