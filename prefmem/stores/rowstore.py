"""A store on rows: every verb is a read in one picture, or a transaction."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from prefmem.errors import BasisMismatchError
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.stores.audit import Act, card_name, read_acts, write_act
from prefmem.stores.base import Base, Connection, Uid
from prefmem.stores.erasures import Erased, everyone, read_times, token_of, write_times
from prefmem.stores.jobs import RowJobs
from prefmem.stores.rows import Rows
from prefmem.stores.transaction import RowTransaction
from prefmem.types import Action, Card, Erasure, Event, Shelf, Status, UserKey

T = TypeVar("T")


class RowStore:
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
        return self._read(user, Rows.revision)

    def shelf(self, user: UserKey, *, status: Status = "active") -> Shelf:
        """Read the vectors of the cards that have a status, ordered by number."""
        return self._read(user, lambda rows: rows.shelf(status))

    def numbers(self, user: UserKey) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._read(user, Rows.numbers)

    def card(self, user: UserKey, card_id: str) -> Card | None:
        """Read one card."""
        return self._read(user, lambda rows: rows.card(card_id))

    def cards(
        self, user: UserKey, *, ids: Iterable[str] | None = None, status: Status | None = None
    ) -> tuple[Card, ...]:
        """Read cards in the order of saying; only those in `ids`, only those of `status`."""
        wanted = None if ids is None else tuple(ids)
        return self._read(user, lambda rows: rows.cards(ids=wanted, status=status))

    def known(self, user: UserKey, keys: Sequence[str]) -> frozenset[str]:
        """Say which of these idempotency keys were recorded before."""
        return self._read(user, lambda rows: rows.known(keys))

    def events(self, user: UserKey, *, card_id: str | None = None) -> tuple[Event, ...]:
        """Read the log in order; with `card_id` only the changes of that card."""
        return self._read(user, lambda rows: rows.events(card_id))

    def state(self, user: UserKey) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._read(user, Rows.state)

    def interactions(
        self, user: UserKey, *, asked: str | None = None, recall_id: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the newest offer of a query or of a recall."""
        return self._read(user, lambda rows: rows.interactions(asked=asked, recall_id=recall_id))

    def edits(self, user: UserKey) -> tuple[KeptEdit, ...]:
        """Read the edits that are kept, oldest first."""
        return self._read(user, Rows.edits)

    def noted(self, user: UserKey, key: str) -> bool:
        """Whether the log of interaction holds this key."""
        return self._read(user, lambda rows: rows.noted(key))

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
        for user in held:
            self.forget_user(user, actor=actor, at=at)
        with self._base.write_all() as db:
            write_times(db, news)
        return len(held)

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

    def _read(self, user: UserKey, work: Callable[[Rows], T]) -> T:
        return self._base.read(lambda db, uid: work(self._rows(db, user, uid)), user)

    def _rows(self, db: Connection, user: UserKey, uid: Uid, *, writing: bool = False) -> Rows:
        seal = self._base.seal(db, user, uid, writing=writing)
        return Rows(db, user, uid, seal, self._base.vectors, self._width)
