"""One of several stores: opened when it is needed, and asked for marks, which it changes whole."""

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from prefmem.errors import ConfigError, ShardDownError, StoreUnavailableError
from prefmem.stores.base import Base, Connection, Uid
from prefmem.stores.packing import Packed, clear, mark_of, name_of, pack, unpack
from prefmem.stores.places import Mark, Plan
from prefmem.stores.rowstore import RowStore
from prefmem.types import UserKey

_REST = 5.0  # seconds that a shard which could not be opened is not tried again
_PLAN = "select value from meta where key = 'shards'"
_PUT = (
    "insert into meta (key, value) values (?, ?) "
    "on conflict (key) do update set value = excluded.value"
)


class Shard:
    """A store under a name, opened with the first use, and again after it could not be.

    Args:
        name: The name.
        make: Opens the store.
        prepare: Is called with the shard when it was opened, before anybody uses it.
    """

    def __init__(
        self, name: str, make: Callable[[], RowStore], prepare: Callable[["Shard"], None]
    ) -> None:
        """Open nothing yet."""
        self.name = name
        self._make, self._prepare = make, prepare
        self._lock = threading.RLock()
        self._opened: RowStore | None = None
        self._ready = False
        self._base: Base | None = None
        self._failed: tuple[float, StoreUnavailableError] | None = None

    @property
    def store(self) -> RowStore:
        """The store.

        Raises:
            StoreUnavailableError: It cannot be opened, or could not a moment ago.
            ConfigError: It is another shard, or belongs to another set of them.
        """
        opened = self._opened
        if opened is not None and self._ready:
            return opened
        with self._lock:
            if self._opened is not None:
                return self._opened
            if self._failed is not None and monotonic() < self._failed[0]:
                raise self._unavailable(self._failed[1])
            try:
                self._open()
            except StoreUnavailableError as error:
                self._failed = monotonic() + _REST, error
                raise self._unavailable(error) from error
            assert self._opened is not None
            return self._opened

    @property
    def base(self) -> Base:
        """The store's database."""
        _ = self.store
        assert self._base is not None
        return self._base

    @property
    def open(self) -> bool:
        """Whether it was opened."""
        return self._ready

    def holds(self, store: RowStore) -> bool:
        """Whether a store is that of this shard."""
        return self._opened is store

    @property
    def populated(self) -> bool:
        """Whether it has users."""
        asked = "select 1 from users limit 1"
        return self.base.read_all(lambda db: db.execute(asked).fetchone() is not None)

    def close(self) -> None:
        """Close the store, if it is open."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()

    def mark(self, user: UserKey) -> Mark:
        """Read the mark of a user."""
        return self.base.read(mark_of, user)

    def look(self, user: UserKey) -> tuple[Mark, Plan | None]:
        """Read the mark of a user, and the plan of the shards, in one picture."""

        def read(db: Connection, uid: Uid) -> tuple[Mark, Plan | None]:
            return mark_of(db, uid), _plan(db)

        return self.base.read(read, user)

    def swap(self, user: UserKey, old: Mark, new: str | None, *, empty: bool = False) -> bool:
        """Change a user's mark, if it is still the old one.

        Args:
            user: The user.
            old: The mark that is expected; of the kind `none` for no row.
            new: The new one; None to remove the row, and all others of the user.
            empty: Whether all other rows of the user are removed.
        """
        with self.base.hold(user) as (db, uid):
            if mark_of(db, uid) != old:
                return False
            if new is None or empty:
                self.base.forgot(db)
                clear(db, uid)
            if new is not None and (empty or old.kind == "none"):
                self.base.make(db, user, new)
                return mark_of(db, self.base.uid(db, user)).text == new
            if new is not None:
                db.execute("update users set moved = ? where uid = ?", (new, uid))
            return True

    def activate(self, user: UserKey, copy: Mark, origin: Callable[[], Mark]) -> bool:
        """Begin to use a copy, if the row that it was made of still leads here."""
        with self.base.hold(user) as (db, uid):
            if mark_of(db, uid) != copy or not origin().completes(copy, self.name):
                return False
            db.execute("update users set moved = '' where uid = ?", (uid,))
            return True

    def discard(self, user: UserKey, copy: Mark, origin: Callable[[], Mark]) -> bool:
        """Remove a copy whose move came to nothing; False where it may still count."""
        with self.base.hold(user) as (db, uid):
            if mark_of(db, uid) != copy or origin().awaits(copy, self.name):
                return False
            self.base.forgot(db)
            clear(db, uid)
            return True

    def drop(self, user: UserKey, pointer: Mark, needless: Callable[[], bool]) -> bool:
        """Remove a row that leads elsewhere, if nobody needs it when it is locked."""
        with self.base.hold(user) as (db, uid):
            if mark_of(db, uid) != pointer or not needless():
                return False
            clear(db, uid)
            return True

    def admit(self, user: UserKey, plan: Plan) -> bool:
        """Make a new user's row, if the plan is still the shard's; a row that is there stays."""
        with self.base.hold(user) as (db, _):
            row = db.execute(f"{_PLAN}{self.base.sharing}").fetchone()
            if row is None or Plan.read(str(row[0])) != plan:
                return False
            self.base.make(db, user, "")
            return True

    def pack(self, user: UserKey) -> tuple[Mark, Packed]:
        """Take a picture of all rows of a user, with the mark."""
        base = self.base
        return base.read(lambda db, uid: (mark_of(db, uid), pack(base, db, uid)), user)

    def receive(
        self, user: UserKey, packed: Packed, mark: Mark, origin: Callable[[], Mark], fence: str
    ) -> bool:
        """Put a copy of a user's rows in; False where the move has lost its fence.

        Args:
            user: The user.
            packed: The rows.
            mark: Of the copy.
            origin: Reads the mark of the row that the copy was made of.
            fence: What that must be when the user's row is locked here.

        Raises:
            StoreUnavailableError: Rows of the user are in use here.
        """
        base = self.base
        with suppress(_LostError), base.hold(user) as (db, _):
            base.make(db, user, mark.text)
            if mark_of(db, base.uid(db, user)).readable:
                raise StoreUnavailableError(
                    f"the shard {self.name!r} has rows of this user in use, too; were the shards "
                    "restored to different times? Restore them to one, or erase the user"
                )
            if origin().text != fence:
                raise _LostError
            unpack(base, db, user, packed, mark.text)
            return True
        return False

    def plan(self) -> Plan | None:
        """Read which shards are homes; None where that was not written yet."""
        return self.base.read_all(_plan)

    def raise_plan(self, plan: Plan) -> Plan:
        """Write a plan down, unless there is a newer one; gives the newer of both."""
        with self.base.write_all() as db:
            db.execute(
                "insert into meta (key, value) values ('shards', ?) on conflict do nothing",
                (plan.text(),),
            )
            row = db.execute(
                "update meta set value = value where key = 'shards' returning value"
            ).fetchone()
            held = Plan.read(str(row[0]))
            if held.version < plan.version:
                db.execute(_PUT, ("shards", plan.text()))
                return plan
            return held

    def _open(self) -> None:
        made = self._make()
        try:
            found = self._named(made)
            if found != self.name:
                raise ConfigError(
                    f"the address given for the shard {self.name!r} is that of {found!r}; give "
                    "each shard its own address, a list in the order of before"
                )
            self._opened = made
            self._prepare(self)
            self._ready = True
        except BaseException:
            self._opened = None
            made.close()
            raise

    def _named(self, made: RowStore) -> str:
        """Read the name that a store has, which it keeps from now on."""
        self._base = base = made.as_shard(self.name)
        if not base.read_all(name_of):
            with base.write_all() as db:
                db.execute(
                    "insert into meta (key, value) values ('shard', ?) on conflict do nothing",
                    (self.name,),
                )
        return base.read_all(name_of)

    def _unavailable(self, error: StoreUnavailableError) -> StoreUnavailableError:
        return ShardDownError(f"the shard {self.name!r} is down: {error}")


class _LostError(Exception):
    """The move is another's now."""


def _plan(db: Connection) -> Plan | None:
    row = db.execute(_PLAN).fetchone()
    return Plan.read(str(row[0])) if row else None
