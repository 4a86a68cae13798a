"""Finds the shard that holds a user's rows, and puts right what a process that died left behind."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex

from prefmem.errors import ConfigError, StoreUnavailableError
from prefmem.stores.places import Mark, Plan, checked
from prefmem.stores.rowstore import RowStore
from prefmem.stores.shard import Shard
from prefmem.types import UserKey

_HOPS = 16  # marks that are followed before the way is asked for anew
_TRIES = 50
_REMEMBERED = 100_000  # users away from home whose shard is kept in mind


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user's rows are.

    Attributes:
        name: The shard.
        mark: The mark of the row there.
    """

    name: str
    mark: Mark


class Finder:
    """The shards, the plan of their homes, and the way to each user.

    Args:
        makers: Opens the store of each shard, by name.

    Raises:
        ConfigError: A shard is missing, or belongs to another set of them.
        StoreUnavailableError: None can be opened, or not all of a new set.
    """

    def __init__(self, makers: Mapping[str, Callable[[], RowStore]]) -> None:
        """Open the shards side by side; one that is down is opened when it is up."""
        if not makers:
            raise ConfigError("no shard is given; pass at least one path or address")
        checked(makers)
        self.shards = {name: Shard(name, make, self._prepare) for name, make in makers.items()}
        self._space: tuple[str, int] | None = None
        self._away: OrderedDict[UserKey, str] = OrderedDict()
        self._lock = threading.RLock()
        self._plan: Plan | None = None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def plan(self) -> Plan:
        """Which shards are homes."""
        assert self._plan is not None
        return self._plan

    def bind(self, basis: str, width: int) -> None:
        """Tie every shard to one vector space, those that are down when they are up."""
        self._space = basis, width
        for shard in self.shards.values():
            if shard.open:
                shard.store.bind(basis, width)

    def close(self) -> None:
        """Close every shard."""
        for shard in self.shards.values():
            shard.close()

    def guess(self, user: UserKey) -> str:
        """Name the shard where the rows of a user were last, or the home."""
        return self._away.get(user) or self.plan.home(user)

    def find(self, user: UserKey) -> Place | None:
        """Find the rows of a user, by the marks, from the home on; None where there are none.

        A copy that counts since its origin was emptied, but is not in use, is put to use.

        Raises:
            StoreUnavailableError: A shard on the way is down.
        """
        for _ in range(_TRIES):
            plan = self.plan
            place, known = self._from_homes(user, plan)
            if known:
                self._remember(user, plan, place)
                return place
        raise StoreUnavailableError("a user's rows could not be found; try again")

    def heal(self, user: UserKey) -> None:
        """Make the home of a user whom no shard holds ready for new rows.

        Raises:
            StoreUnavailableError: A shard joined that this process has no address of.
        """
        plan = self.plan
        for name in plan.homes(user):
            mark = self.shards[name].mark(user)
            place, sure = self._followed(user, name, mark)
            if place is not None or not sure:
                return
            if mark.kind != "none":  # it leads nowhere, or an erasure of it was not finished
                self.shards[name].swap(user, mark, None)
        if not self.shards[plan.home(user)].admit(user, plan):
            self.refresh()

    def refresh(self) -> None:
        """Take over the newest plan that a shard knows, and tell it to the others."""
        for shard in self.shards.values():
            if shard.open:
                with suppress(StoreUnavailableError):
                    self._adopt(shard.plan())
        for shard in self.shards.values():
            if shard.open and shard.name in self.plan.names:
                with suppress(StoreUnavailableError):
                    self._adopt(shard.raise_plan(self.plan))

    def propose(self, plan: Plan) -> None:
        """Make a plan that of every shard.

        Raises:
            StoreUnavailableError: A shard is down: do it again.
        """
        for name in dict.fromkeys([*self.plan.names, *plan.names]):
            held = self.shards[name].raise_plan(plan)
            self._adopt(held)
            if held != plan:
                raise StoreUnavailableError("another process changed the shards; try again")

    def _from_homes(self, user: UserKey, plan: Plan) -> tuple[Place | None, bool]:
        """Follow the marks from each home; gives the place, and whether that is for sure."""
        homes, marks = plan.homes(user), list[Mark]()
        for name in homes:
            mark, held = self.shards[name].look(user)
            if held != plan:  # by an older one somebody might make the user here later
                self._adopt(self.shards[name].raise_plan(plan))
                return None, False
            place, sure = self._followed(user, name, mark)
            if place is not None or not sure:
                return place, sure
            marks.append(mark)
        unchanged = len(homes) == 1 or self.shards[homes[0]].mark(user) == marks[0]
        return None, unchanged

    def _followed(self, user: UserKey, name: str, mark: Mark) -> tuple[Place | None, bool]:
        start, begun = name, mark
        for _ in range(_HOPS):
            if mark.readable:
                return Place(name, mark), True
            if mark.kind in ("none", "erased"):
                return None, name == start or self.shards[start].mark(user) == begun
            origin = self._shard(mark.other)
            if mark.kind == "copy" and origin.mark(user).completes(mark, name):
                self.shards[name].activate(user, mark, lambda: origin.mark(user))  # noqa: B023  # called at once
            else:
                name = origin.name
            mark = self.shards[name].mark(user)
        return None, False

    def _shard(self, name: str) -> Shard:
        if name not in self.shards:
            raise StoreUnavailableError(
                f"a user's rows are in the shard {name!r}; open the memory with its address, too"
            )
        return self.shards[name]

    def _remember(self, user: UserKey, plan: Plan, place: Place | None) -> None:
        with self._lock:
            self._away.pop(user, None)
            if place is not None and place.name != plan.home(user):
                self._away[user] = place.name
            while len(self._away) > _REMEMBERED:
                self._away.popitem(last=False)

    def _begin(self) -> None:
        """Open what can be opened, and agree on the plan."""
        down: list[StoreUnavailableError] = []

        def opened(shard: Shard) -> None:
            try:
                _ = shard.store
            except StoreUnavailableError as error:
                down.append(error)

        with ThreadPoolExecutor(min(16, len(self.shards))) as pool:
            list(pool.map(opened, self.shards.values()))
        if len(down) == len(self.shards):
            raise down[0]
        if self._plan is None:
            if down:
                raise StoreUnavailableError(
                    "these shards were never opened together; do that once with all of them up"
                ) from down[0]
            self._adopt(self._first_plan())
        self.refresh()

    def _first_plan(self) -> Plan:
        """Give the plan of shards that were never together; one may have users from before."""
        names = tuple(sorted(self.shards))
        held = [name for name in names if self.shards[name].populated]
        plan = Plan(1, names, tuple((name,) for name in held))
        return self.shards[names[0]].raise_plan(plan)

    def _prepare(self, shard: Shard) -> None:
        """See that a shard which was just opened belongs to the others."""
        if self._space is not None:
            shard.store.bind(*self._space)
        self._adopt(shard.plan())
        if self._plan is not None and shard.name in self._plan.names:
            self._adopt(shard.raise_plan(self._plan))

    def _adopt(self, plan: Plan | None) -> None:
        """Go by a plan if it is newer than ours.

        Raises:
            ConfigError: It names a shard whose address is not known, or is that of other shards.
        """
        with self._lock:
            if plan is None or plan == self._plan:
                return
            if missing := [name for name in plan.names if name not in self.shards]:
                told = f"the shard {missing[0]!r} belongs to this memory; give its address, too"
                raise ConfigError(told) if self._plan is None else StoreUnavailableError(told)
            if self._plan is not None and plan.version == self._plan.version:
                raise ConfigError(
                    "these stores are shards of different memories; open each with its own"
                )
            if self._plan is None or plan.version > self._plan.version:
                self._plan = plan


def word() -> str:
    """Draw the word of a try to move or erase a user."""
    return token_hex(6)
