"""One write of one user: changes gather in memory and go to the store together at the end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from secrets import randbits, token_hex
from typing import Any

from prefmem.errors import StoreError
from prefmem.interaction import Entry, KeptEdit, UserState
from prefmem.job import GoneError, Job
from prefmem.stores import codec, journal
from prefmem.types import Action, Card, Event, Preference, Shelf, UserKey, Vector
from prefmem_langchain import store_commit as items
from prefmem_langchain import store_names as names
from prefmem_langchain.store_access import Access, Place
from prefmem_langchain.store_commit import Commit, Head, Told, entry_key
from prefmem_langchain.store_jobs import BaseStoreJobs
from prefmem_langchain.store_reader import Reader, Written, head_place
from prefmem_langchain.store_view import View, twins_of

Values = dict[Place, Mapping[str, Any] | None]


@dataclass(slots=True, eq=False)
class _Pending:
    """What a write has gathered."""

    told: list[Told]
    entries: list[Entry] = field(default_factory=list[Entry])
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    forgotten: dict[str, int] = field(default_factory=dict[str, int])
    edits: dict[str, tuple[int, KeptEdit] | None] = field(
        default_factory=dict[str, tuple[int, KeptEdit] | None]
    )
    finished: list[Job] = field(default_factory=list[Job])
    dropped: list[Job] = field(default_factory=list[Job])
    state: UserState | None = None
    edits_until: int = 0
    mark: int = 0
    empty: bool = True


class BaseStoreTransaction:
    """One open transaction of one user; made by `BaseStoreStorage.write`.

    Args:
        user: The user.
        access: The store.
        reader: Where the user comes from, and is left.
        jobs: The store's queue.
        width: Width of a vector.
        tick: Gives the next place in the log above another one.
    """

    def __init__(
        self,
        user: UserKey,
        *,
        access: Access,
        reader: Reader,
        jobs: BaseStoreJobs,
        width: int,
        tick: Callable[[int], int],
    ) -> None:
        """Read the user."""
        self._user, self._access, self._reader = user, access, reader
        self._jobs, self._width, self._tick = jobs, width, tick
        self._before = reader.view(user)
        self._view = self._before.copy()
        self._pending = _Pending([Told(event) for event in self._before.twins])
        self._key = f"{self._next():016d}-{token_hex(4)}"
        self._mark = randbits(52) | 1

    def knows(self, key: str) -> bool:
        """Whether an event with this idempotency key was recorded before."""
        return self._view.knows(key)

    def card(self, card_id: str) -> Card | None:
        """Read a card."""
        return self._view.cards.get(card_id)

    def twin(self, preference: Preference) -> Card | None:
        """Find the live card that says the same, letter case and spacing aside."""
        return self._view.twin(preference)

    def revision(self) -> int:
        """Number that changes whenever the user's cards do; 0 before the first."""
        return self._view.revision

    def record(self, event: Event, vectors: Mapping[str, Vector]) -> None:
        """Append the event and write its cards; a vector changes only where a text may."""
        event = replace(event, seq=self._next())
        changed = {change.card.id for change in event.changes}
        told = Told(event, {i: codec.write_vector(v) for i, v in vectors.items() if i in changed})
        self._view.record(told)
        self._pending.told.append(told)
        self._pending.empty = False
        if changed and not self._pending.mark:
            self._pending.mark = self._mark
            self._view.revision ^= self._mark

    def state(self) -> UserState | None:
        """Read the user's state; None before the first."""
        return self._view.state

    def save_state(self, state: UserState) -> None:
        """Replace the user's state."""
        self._view.state = self._pending.state = state
        self._pending.empty = False

    def note(self, entry: Entry) -> bool:
        """Append to the log of interaction; False where it holds the key already."""
        key = entry_key(entry)
        if key in self._view.entries or self._reader.offer(self._user, self._view, key):
            return False
        entry = replace(entry, key=key, seq=self._next())
        self._view.note(entry)
        self._pending.entries.append(entry)
        self._pending.empty = False
        return True

    def interactions(self) -> tuple[Entry, ...]:
        """Read the log of interaction in order."""
        return self._reader.interactions(self._user, self._view)

    def keep_edit(self, edit: KeptEdit, *, most: int) -> bool:
        """Keep an edit, and of all the newest `most`; False where its key is known."""
        kept = {e.key: seq for _, seq, e in self._reader.edits(self._user, self._view)}
        for key, told in self._pending.edits.items():
            kept.pop(key, None)
            if told is not None:
                kept[key] = told[0]
        new = edit.key not in kept
        if new:
            kept[edit.key] = self._next()
            self._pending.edits[edit.key] = (kept[edit.key], edit)
            self._pending.empty = False
        for key in sorted(kept, key=lambda key: -kept[key])[most:]:
            self._pending.edits[key] = None
        return new

    def numbers(self) -> Mapping[str, int]:
        """Give the number of every card, by card id."""
        return self._view.counted()

    def shelf(self) -> Shelf:
        """Read the active cards' vectors as they are now."""
        return self._view.shelf(self._width, "active")

    def finish(self, job: Job) -> bool:
        """Remove a job, once what this transaction writes is stored; False where it is gone."""
        if job in self._pending.finished or not self._jobs.places(job):
            return False
        self._pending.finished.append(job)
        return True

    def audit(
        self, action: Action, *, actor: str, at: datetime, card_id: str = "", n: int = 1
    ) -> None:
        """Do nothing: a langgraph store cannot chain lines, so no audit log is kept here."""

    def forget(self, card_id: str) -> bool:
        """Remove a card from the cards, every event and every link; False when there is none.

        With it go cards that another process made of the same words at the same instant, the dead
        jobs that hold its words, and with a card that edits taught the kept edits.
        """
        changes = [change for event in self._view.events for change in event.changes]
        gone = (card_id, *twins_of(self._view, card_id))
        said = [e for c in changes if c.card.id in gone for e in c.card.preference.evidence]
        if not any(change.card.id == card_id for change in changes):
            return False
        numbers = {i: self._view.numbers.get(i, 0) for i in gone}
        state = self._view.state
        pending = self._pending
        pending.forgotten |= numbers
        pending.mark, pending.empty = self._mark, False
        if any(evidence.turn_id.startswith("edit:") for evidence in said):
            pending.edits_until, pending.edits = self._next(), {}
        quotes = {evidence.quote for evidence in said if evidence.quote}
        pending.dropped += [job for job in self._jobs.of(self._user) if _fails_on(job, quotes)]
        self._fold_again()
        if state is not None:
            self.save_state(_without(state, numbers))
        return True

    def commit(self) -> None:
        """Put everything into the store: the commit first, the version item last.

        Raises:
            GoneError: A job that it finishes was removed meanwhile; nothing was stored.
            StoreError: The user was erased meanwhile, or the store cannot be written.
        """
        jobs: Values = {p: None for job in self._pending.dropped for p in self._jobs.places(job)}
        for job in self._pending.finished:
            places = self._jobs.places(job)
            if not places:
                raise GoneError("the job was learned, or erased with its user, in the meantime")
            jobs |= dict.fromkeys(places)
        if self._pending.empty:
            self._access.put(jobs)
            return
        head = self._head_now()
        if self._pending.forgotten:
            self._fold_again()
        root = self._before.root or (head.root if head else self._key)
        mine = replace(self._gathered(), root=root)
        if self._pending.forgotten:
            mine = replace(self._view.commits[self._key], root=root)
        unclean = (self._before.unclean | self._view.unclean) - {self._key}
        commits = {mine.key: mine}
        commits |= {k: c for k, c in self._view.commits.items() if k in unclean}
        token = token_hex(8)
        values, written = self._written(commits)
        values |= self._edits(root)
        values |= self._offers(root)
        values[head_place(self._user)] = items.write_head(
            self._next_head(head, token, root), self._user.user_id
        )
        log = names.commits(self._user)
        values |= {(log, key): None for key in unclean if key not in commits}
        try:
            self._access.put(values | jobs)
            self._refuse_erased(values, token)
        except BaseException:
            self._reader.drop(self._user)  # nobody knows how far it came
            raise
        if (head.token if head else "") == self._before.token:
            self._leave(mine, token, written)
        else:  # another process wrote meanwhile: both are there, and are read together
            self._reader.drop(self._user)

    def _next(self) -> int:
        self._view.last = self._tick(self._view.last)
        return self._view.last

    def _gathered(self) -> Commit:
        pending = self._pending
        return Commit(
            self._key, self._before.root or self._key, pending.mark, tuple(pending.told),
            tuple(pending.entries), pending.numbers | self._view.renumbered, pending.forgotten,
            pending.edits_until,
        )  # fmt: skip

    def _fold_again(self) -> None:
        """Work the user out anew with what was gathered: something was forgotten."""
        mine = self._gathered()
        self._pending.numbers = dict(mine.numbers)
        last, state = self._view.last, self._view.state
        self._view = View.of((*self._before.commits.values(), mine))
        self._view.last, self._view.state = max(last, self._view.last), state

    def _head_now(self) -> Head | None:
        """Read the version item once more, just before writing; None where there is none."""
        log, root = names.commits(self._user), self._before.root
        value, began = self._access.get(head_place(self._user), (log, root or "none"))
        if root and began is None:
            raise _erased()
        if value is None:
            return None
        head = items.read_head(value, self._user.user_id)
        known = head.root in self._before.commits
        if not known and self._access.get((log, head.root))[0] is None:
            return None  # of a log that was erased
        return head

    def _refuse_erased(self, values: Values, token: str) -> None:
        """Take back what was written for a user whom another process erased just before."""
        if not self._before.root or self._reader.began(self._user, self._before):
            return
        place = head_place(self._user)
        self._access.put(dict.fromkeys(written for written in values if written != place))
        self._reader.drop(self._user)
        view = self._reader.view(self._user)
        if view.token == token:  # the version item is this write's
            anew = Head(token_hex(8), view.root, len(view.commits))
            told = items.write_head(anew, self._user.user_id) if view.root else None
            self._access.put({place: told})
        raise _erased()

    def _next_head(self, head: Head | None, token: str, root: str) -> Head:
        state = self._pending.state
        if state is None and head is not None and head.state is not None:
            state = _without(head.state, self._pending.forgotten)
        others = head.count if head else 0
        count = len(self._view.commits.keys() | {self._key})
        return Head(token, root, max(count, others + 1), state)

    def _written(self, commits: Mapping[str, Commit]) -> tuple[Values, Written]:
        values: Values = {}
        written: Written = {}
        for key, commit in commits.items():
            value = items.write_commit(commit)
            values[names.commits(self._user), key] = value
            written[key] = (hash(value["body"]), commit, len(value["body"]))
        return values, written

    def _edits(self, root: str) -> Values:
        values: Values = {
            (names.edits(self._user), names.short(key)): (
                None if told is None else items.write_edit(told[1], root, told[0])
            )
            for key, told in self._pending.edits.items()
        }
        if self._pending.edits_until:
            old = self._reader.edits(self._user, self._before)
            dropped: Values = {place: None for place, *_ in old}
            values = dropped | values
        return values

    def _offers(self, root: str) -> Values:
        """Give the offers that spoke of what is forgotten, without it."""
        if not self._pending.forgotten:
            return {}
        found = self._reader.offers(self._user, self._before)
        cleaned = ((place, old, self._view.without_forgotten(old)) for place, old in found)
        return {
            place: items.write_offer(new, root) for place, old, new in cleaned if new is not old
        }

    def _leave(self, mine: Commit, token: str, written: Written) -> None:
        """Leave the user in memory as the store has it now."""
        view = self._view
        view.commits[mine.key] = mine
        view.token, view.root = token, view.root or mine.root
        view.unclean, view.twins, view.renumbered = frozenset(), [], {}
        self._reader.add(self._user, view, written)


def _erased() -> StoreError:
    return StoreError("another process erased the user while this was written; nothing was stored")


def _fails_on(job: Job, quotes: Iterable[str]) -> bool:
    """Whether a job is dead and holds one of these quotes."""
    return job.dead and any(quote in turn.text for quote in quotes for turn in job.turns)


def _without(state: UserState, numbers: Mapping[str, int]) -> UserState:
    for number in numbers.values():
        state = journal.forgotten(state, number)
    return state
