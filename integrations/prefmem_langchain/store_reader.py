"""Reading a user from a langgraph store: everything once, then the version item alone."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefmem.errors import StoreUnavailableError
from prefmem.interaction import Entry, KeptEdit, Offer
from prefmem.types import UserKey
from prefmem_langchain import store_names as names
from prefmem_langchain.store_access import Access, Place
from prefmem_langchain.store_commit import (
    Commit,
    Head,
    damaged,
    read_commit,
    read_edit,
    read_head,
    read_offer,
)
from prefmem_langchain.store_view import View

Written = dict[str, tuple[int, Commit, int]]  # hash of the text, commit, length of the text

_TRIES = 3
_PER_BYTE = 4  # bytes of memory that a byte of a commit takes
_PER_COMMIT = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A user as read.

    Attributes:
        view: The user.
        parsed: Every commit as the store holds it, with the hash of its text, by name.
        size: Memory that it takes, in bytes, roughly.
    """

    view: View
    parsed: Mapping[str, tuple[int, Commit]]
    size: int


class Reader:
    """Reads users, and keeps the recent ones in memory for as long as their version stays.

    Args:
        access: The store.
        max_bytes: Memory for all users; the least recently used go first.
    """

    def __init__(self, access: Access, max_bytes: int) -> None:
        """Start empty."""
        self._access, self._max = access, max_bytes
        self._kept: OrderedDict[UserKey, Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def view(self, user: UserKey) -> View:
        """Give the user as the store tells now; not to be changed.

        Raises:
            StoreUnavailableError: Items are damaged or missing.
        """
        found, head = 0, Head("", "", 0)
        for _ in range(_TRIES):  # again where another process erases the user just now
            value = self._access.get(head_place(user))[0]
            if value is None:
                self.drop(user)
                return View()
            head, kept = read_head(value, user.user_id), self._recent(user)
            if kept is not None and kept.view.token == head.token:
                return kept.view
            whole = self._read(user, kept.parsed if kept else {})
            found = len(whole.parsed)
            if head.root not in whole.parsed and self._erased(head.root):
                head = Head(head.token, "", 0)  # what was written while the user was erased
            elif head.root not in whole.parsed or len(whole.view.commits) < head.count:
                continue
            whole.view.token, whole.view.state = head.token, head.state
            self.keep(user, whole)
            return whole.view
        raise StoreUnavailableError(
            f"{self._access.name} gives {found} of {head.count} entries of a user's log; restore a "
            "backup of its database, or erase the user with forget_user"
        )

    def began(self, user: UserKey, view: View) -> bool:
        """Whether the commit that a user's log begins with is there still."""
        return self._access.get((names.commits(user), view.root))[0] is not None

    def keep(self, user: UserKey, kept: Kept) -> None:
        """Keep a user in memory, if there is room."""
        with self._lock:
            self._discard(user)
            if kept.size <= self._max:
                self._kept[user] = kept
                self._bytes += kept.size
            while self._bytes > self._max:
                self._discard(next(iter(self._kept)))

    def add(self, user: UserKey, view: View, written: Written) -> None:
        """Keep a user as a write of this process left it."""
        before = self._recent(user)
        parsed: dict[str, tuple[int, Commit]] = dict(before.parsed) if before else {}
        parsed = {key: held for key, held in parsed.items() if key in view.commits}
        if parsed.keys() | written.keys() != view.commits.keys():
            self.drop(user)  # it was thrown out meanwhile: read again when it is needed
            return
        size = (before.size if before else 0) + sum(
            _size(length) for *_, length in written.values()
        )
        parsed |= {key: (mark, commit) for key, (mark, commit, _) in written.items()}
        self.keep(user, Kept(view, parsed, size))

    def drop(self, user: UserKey) -> None:
        """Forget a user."""
        with self._lock:
            self._discard(user)

    # What lies beside the commits

    def offer(self, user: UserKey, view: View, key: str) -> Entry | None:
        """Read one offer by its key in the log of interaction."""
        value = self._access.get((names.offers(user), names.short(key)))[0]
        if value is None or value.get("root") not in view.commits:
            return None
        return view.without_forgotten(read_offer(value))

    def offers(self, user: UserKey, view: View, **equal: str) -> list[tuple[Place, Entry]]:
        """Read the offers as they are stored, with their places; only those with equal fields."""
        found = self._access.all(names.offers(user), **equal)
        return [
            (place, read_offer(value)) for place, value in found if value["root"] in view.commits
        ]

    def interactions(
        self, user: UserKey, view: View, *, asked: str | None = None
    ) -> tuple[Entry, ...]:
        """Read the log of interaction in order; only the offers of a query if given."""
        wanted = {} if asked is None else {"asked": asked}
        alone = (view.without_forgotten(e) for _, e in self.offers(user, view, **wanted))
        within = (
            entry
            for entry in view.entries.values()
            if asked is None or (isinstance(entry.payload, Offer) and entry.payload.asked == asked)
        )
        return tuple(sorted((*within, *alone), key=lambda entry: (entry.seq, entry.key)))

    def edits(self, user: UserKey, view: View) -> list[tuple[Place, int, KeptEdit]]:
        """Read the kept edits with their places in the store and in the log, oldest first."""
        found = self._access.all(names.edits(user))
        read = [(p, *read_edit(v)) for p, v in found if v.get("root") in view.commits]
        kept = [told for told in read if told[1] > view.edits_until]
        return sorted(kept, key=lambda told: (told[1], told[2].key))

    def _recent(self, user: UserKey) -> Kept | None:
        with self._lock:
            if user in self._kept:
                self._kept.move_to_end(user)
            return self._kept.get(user)

    def _discard(self, user: UserKey) -> None:
        kept = self._kept.pop(user, None)
        if kept is not None:
            self._bytes -= kept.size

    def _read(self, user: UserKey, known: Mapping[str, tuple[int, Commit]]) -> Kept:
        """Read a user's commits, and fold them; those that are known by their text as they are."""
        parsed: dict[str, tuple[int, Commit]] = {}
        size, log = 0, names.commits(user)
        for (namespace, key), value in self._access.all(log):
            if namespace == log:
                text = _body(value)
                mark, size = hash(text), size + _size(len(text))
                old = known.get(key)
                same = old is not None and old[0] == mark
                commit = old[1] if same and old else read_commit(key, value, user.user_id)
                parsed[key] = (mark, commit)
        return Kept(View.of(commit for _, commit in parsed.values()), parsed, size)

    def _erased(self, root: str) -> bool:
        """Whether the log that began with a commit was erased."""
        return self._access.get((names.ERASED, root))[0] is not None


def head_place(user: UserKey) -> Place:
    """Give the place of a user's version item."""
    return names.heads(user.tenant), names.label(user.user_id)


def _body(value: Mapping[str, Any]) -> str:
    text = value.get("body")
    if not isinstance(text, str):
        raise damaged("log entry")
    return text


def _size(length: int) -> int:
    return _PER_COMMIT + _PER_BYTE * length
