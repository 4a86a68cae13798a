"""Moves users from shard to shard, and lets shards join.

A move marks the row where the user is (readers go on, writers wait), copies all rows, turns the
marked row into a pointer to the copy, which is the one moment when the copy takes over, and puts
the copy to use. Whoever dies on the way leaves nothing half done that counts: doing the move again
goes on from there, and so does whoever looks for the user.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prefmem.errors import InputError, NotFoundError, StoreUnavailableError
from prefmem.stores.finder import Place, word
from prefmem.stores.places import Mark
from prefmem.stores.sharded import ShardedStore
from prefmem.types import UserKey

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Stray:
    """A user who is in another shard than the home.

    Attributes:
        user: The user.
        shard: Where the rows are.
        home: The home.
        placed: Whether somebody moved the user there; else the home changed as a shard joined.
    """

    user: UserKey
    shard: str
    home: str
    placed: bool


def where(store: ShardedStore, user: UserKey) -> Place | None:
    """Say where a user's rows are; None for an unknown user."""
    return store.finder.find(user)


def counts(store: ShardedStore) -> Mapping[str, int]:
    """Count the users of each shard that is given: those who have rows in use there."""
    asked = "select count(*) from users where moved = '' or substr(moved, 1, 1) = '>'"
    return {
        name: shard.base.read_all(lambda db: int(db.execute(asked).fetchone()[0]))
        for name, shard in store.finder.shards.items()
    }


def move(
    store: ShardedStore, user: UserKey, to: str, *, step: Callable[[str], None] = lambda name: None
) -> bool:
    """Move a user to a shard, with the events, the state, and all that waits.

    Readers see the rows where they were until the one moment in which the new ones count; writers
    wait, for about as long as it takes to copy the rows.

    Args:
        store: The shards.
        user: The user.
        to: Name of the shard.
        step: Is told what comes next, for tests that stop in the middle.

    Returns:
        Whether the rows were somewhere else.

    Raises:
        InputError: There is no such shard, or it is no home.
        NotFoundError: The user is unknown.
        StoreUnavailableError: A shard is down; do the same again when it is up.
    """
    finder = store.finder
    if to not in finder.plan.now:
        known = ", ".join(finder.plan.now)
        raise InputError(f"there is no shard {to!r} to move to; known are {known}")
    moved = False
    for _ in range(_TRIES):
        place = finder.find(user)
        if place is None:
            raise NotFoundError(f"no shard has rows of the user {user.user_id!r}")
        if place.name == to:
            if place.mark.kind == "going":  # a move away that died
                finder.shards[to].swap(user, place.mark, "")
                continue
            step("settle")
            settle(store, user, to)
            step("done")
            return moved
        moved = _moved(store, user, place, to, step) or moved
    raise StoreUnavailableError("somebody else moves this user; try again")


def _moved(
    store: ShardedStore, user: UserKey, place: Place, to: str, step: Callable[[str], None]
) -> bool:
    """Move a user once; False where another process came between."""
    shards, drawn = store.finder.shards, word()
    source, target = shards[place.name], shards[to]
    fence, copy = f">{to}:{drawn}", Mark.read(f"<{source.name}:{drawn}")
    step("fence")
    if not source.swap(user, place.mark, fence):
        return False
    step("copy")
    mark, packed = source.pack(user)
    if mark.text != fence:
        return False
    if not target.receive(user, packed, copy, lambda: source.mark(user), fence):
        return False
    step("switch")
    if not source.swap(user, mark, f"@{to}:{drawn}", empty=True):
        target.discard(user, copy, lambda: source.mark(user))
        return False
    step("activate")
    target.activate(user, copy, lambda: source.mark(user))
    return True


def settle(store: ShardedStore, user: UserKey, at: str) -> None:
    """Lead from the home to the shard that has a user's rows, and clear away what does no more."""
    finder = store.finder
    home = finder.plan.home(user)
    if home != at and not _pointed(store, user, home, at):
        return

    def direct() -> bool:
        """Whether the home has the rows, or leads to them without a detour."""
        mark = finder.shards[home].mark(user)
        led = mark.kind == "gone" and finder.shards[mark.other].mark(user).readable
        return mark.readable or led

    for name in finder.plan.names:
        if name in (home, at):
            continue
        shard = finder.shards[name]
        mark = shard.mark(user)
        if mark.kind == "gone":
            shard.drop(user, mark, direct)
        elif mark.kind == "copy":
            origin = finder.shards[mark.other]
            shard.discard(user, mark, lambda: origin.mark(user))  # noqa: B023  # called at once


def _pointed(store: ShardedStore, user: UserKey, home: str, at: str) -> bool:
    """Let the mark at home name the shard that has the rows; False where they are gone from it."""
    shards = store.finder.shards
    for _ in range(_TRIES):
        mark = shards[home].mark(user)
        if mark.readable or shards[at].mark(user).kind != "here":
            return False  # moved on: whoever did that leads there
        if mark.kind == "gone" and mark.other == at:
            return True
        if mark.kind == "copy":
            origin = shards[mark.other]
            if origin.mark(user).awaits(mark, home):
                return False
        if shards[home].swap(user, mark, f"@{at}:{word()}", empty=mark.kind != "gone"):
            return True
    return False


def strays(store: ShardedStore) -> Iterator[Stray]:
    """Give the users who are not at home, shard by shard."""
    finder = store.finder
    plan = finder.plan
    for name in plan.names:
        for user in finder.shards[name].store.everyone():
            home = plan.home(user)
            if name != home and finder.shards[name].mark(user).readable:
                was_home = any(name == other for other in plan.homes(user)[1:])
                placed = not was_home or finder.shards[home].mark(user).kind == "gone"
                yield Stray(user, name, home, placed)


def join(store: ShardedStore, name: str) -> None:
    """Make a shard a home of users: of new ones now, of others once they were moved there.

    Every process must have been started with its address before. Nobody is lost: who is not found
    at the new home is looked for at the one before.

    Raises:
        InputError: Its address is not given, or it is a home already.
        StoreUnavailableError: A shard is down; do it again when it is up.
    """
    finder = store.finder
    if name not in finder.shards:
        raise InputError(f"the address of the shard {name!r} is not given; pass it with the others")
    if name in finder.plan.now:
        raise InputError(f"the shard {name!r} is a home already")
    finder.propose(finder.plan.with_homes([*finder.plan.now, name]))


def rebalance(store: ShardedStore, *, tell: Callable[[Stray], None] = lambda stray: None) -> int:
    """Move everybody home whose home changed, and who was not moved by hand; gives how many.

    Afterwards nobody is looked for at the homes of before. What died on the way goes on where it
    was when it is called again.

    Raises:
        StoreUnavailableError: A shard is down; do it again when it is up.
    """
    finder = store.finder
    plan, number = finder.plan, 0
    for stray in list(strays(store)):
        if stray.placed:
            settle(store, stray.user, stray.shard)
            continue
        tell(stray)
        number += move(store, stray.user, stray.home)
    if plan.before and finder.plan == plan:
        finder.propose(plan.settled())
    return number
