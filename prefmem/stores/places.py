"""Where a user's rows are among several stores: a home by hashing, and marks where they moved.

The home is the shard with the highest hash of its name with tenant and user (rendezvous hashing):
where a shard joins, only the users whose home it becomes change theirs. Names count, not addresses:
a database may move to another machine under its name.

A user's row has a mark, which is empty where the rows are in use. The mark of the row at home leads
to whoever moved, so no directory is needed beside the shards.

    ''          here, in use
    '>b:7f'     here, to be read only: they are being copied to b
    '@b:7f'     went to b
    '<a:7f'     a copy out of a; it counts once the row at a says '@here:7f'
    '>!:7f'     being erased

The 7f stands for a word that is drawn anew for each try to move a user: a change of a mark names
the whole mark that it expects, so what comes late changes nothing.
"""

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from prefmem.errors import ConfigError, StoreUnavailableError
from prefmem.types import UserKey

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_REVISION_BITS = 32  # of a revision that name its shard
_ERASED = "!"


class MovedError(StoreUnavailableError):
    """The user's rows are not in use in this store: they are elsewhere, or on their way."""

    def __init__(self, name: str = "this store") -> None:
        """Say what to do where no sharded store catches it."""
        super().__init__(
            f"this user's rows left {name}, or are on their way; open the memory with all of its "
            "shards"
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """What a user's row says of where the rows are.

    Attributes:
        kind: `here`, `going` (still here), `gone`, `copy`, `erased`, or `none` for no row.
        other: The shard that they go to or come from.
        text: As written.
    """

    kind: str
    other: str = ""
    text: str = ""

    @classmethod
    def read(cls, text: str | None) -> "Mark":
        """Read a mark; None for no row.

        Raises:
            StoreUnavailableError: It is none.
        """
        if text is None:
            return cls("none")
        if not text:
            return cls("here")
        other, _, word = text[1:].partition(":")
        kind = {">": "going", "@": "gone", "<": "copy"}.get(text[0])
        if kind is None or not other or not word:
            raise StoreUnavailableError("a user's mark is damaged; restore a backup of the store")
        return cls("erased" if other == _ERASED else kind, other, text)

    @property
    def readable(self) -> bool:
        """Whether the rows are here, for readers."""
        return self.kind in ("here", "going")

    def completes(self, copy: "Mark", here: str) -> bool:
        """Whether this mark, of where a copy in the shard `here` comes from, makes it count."""
        return self.text == f"@{here}:{copy.text.partition(':')[2]}"

    def awaits(self, copy: "Mark", here: str) -> bool:
        """Whether the move that made a copy in the shard `here` is still under way."""
        return self.text == f">{here}:{copy.text.partition(':')[2]}" or self.completes(copy, here)


def erased(word: str) -> str:
    """Give the mark of rows that are being erased."""
    return f">{_ERASED}:{word}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which shards users have their homes in; every shard keeps a copy, and the newest counts.

    Attributes:
        version: Counts up with every change.
        now: Names of the shards that are homes.
        before: Earlier sets of homes, the newest first, whose users are not moved over yet.
    """

    version: int
    now: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()

    def home(self, user: UserKey) -> str:
        """Give the home of a user."""
        return home(user, self.now)

    def homes(self, user: UserKey) -> tuple[str, ...]:
        """Give the home of a user, and those of before, each once."""
        return tuple(
            dict.fromkeys([self.home(user), *(home(user, names) for names in self.before)])
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every shard that may hold rows."""
        return tuple(dict.fromkeys([*self.now, *(n for names in self.before for n in names)]))

    def with_homes(self, names: Iterable[str]) -> "Plan":
        """Give the plan after another set of shards became the homes."""
        return Plan(self.version + 1, tuple(sorted(names)), (self.now, *self.before))

    def settled(self) -> "Plan":
        """Give the plan after every user moved to the home of now."""
        return Plan(self.version + 1, self.now)

    def text(self) -> str:
        """Write it down."""
        return json.dumps({"version": self.version, "now": self.now, "before": self.before})

    @classmethod
    def read(cls, text: str) -> "Plan":
        """Read a plan.

        Raises:
            StoreUnavailableError: It is none.
        """
        try:
            held = json.loads(text)
            before = tuple(tuple(map(str, names)) for names in held["before"])
            return cls(int(held["version"]), tuple(map(str, held["now"])), before)
        except (ValueError, LookupError, TypeError):
            raise StoreUnavailableError(
                "the list of shards is damaged; restore a backup of the store"
            ) from None


def home(user: UserKey, names: Sequence[str]) -> str:
    """Give the shard with the highest hash of its name with tenant and user."""
    told = f"{user.tenant}\0{user.user_id}".encode()

    def score(name: str) -> tuple[bytes, str]:
        return blake2b(told, digest_size=16, key=name.encode()).digest(), name

    return max(names, key=score)


def revision(name: str, number: int) -> int:
    """Give a store's revision a number that no other shard gives: a cache must tell them apart."""
    return (number << _REVISION_BITS) | zlib.crc32(name.encode()) if number and name else number


def checked(names: Iterable[str]) -> None:
    """Refuse names that cannot be told apart.

    Raises:
        ConfigError: A name is no word, or two make the same revisions.
    """
    held = list(names)
    for name in held:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a shard; use at most 63 letters, digits, dots, dashes and "
                "underscores"
            )
    if len({zlib.crc32(name.encode()) for name in held}) < len(held):
        raise ConfigError("two names of shards have one checksum; rename one of them")
