"""Whether a store keeps users apart, also where all that they hold bears the same names."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from prefmem.interaction import Entry, KeptEdit, Observation, Offer, UserState
from prefmem.job import Job
from prefmem.protocols import Store
from prefmem.types import Card, Change, Event, Preference, Reason, Turn, UserKey

_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Apart:
    """Users with cards, keys, recalls, edits and jobs of the same names in one store.

    Args:
        store: The store; these users are new to it.
        users: The one that something is done about, and the others.
        at: A time.
    """

    def __init__(self, store: Store, users: Sequence[UserKey], at: datetime) -> None:
        """Write what each of them holds."""
        self.store, self.at = store, at
        self.user, *self.others = users
        self.numbers = {user: number for number, user in enumerate(users)}
        for user in (*self.others, self.user):
            self._fill(user)

    def check(self) -> None:
        """Do to one user whatever can be done, and look at the others each time."""
        seen = self._held()
        restored = Change("restore", self._rule("c", self.user))
        merged = Change("merge", self._rule("b", self.user))
        edited = Change("edit", self._rule("a", self.user, "other"))
        does: tuple[Callable[[], object], ...] = (
            lambda: self._write(self.user, "x:", edited),
            lambda: self._write(self.user, "y:z", merged),
            lambda: self._write(self.user, "back", restored),
            lambda: self._note(self.user, "r3", 1),
            lambda: self._learned(self.user),
            self._edits,
            self._revives,
            lambda: self._waits(self.user, "l", self.at),
            lambda: self._forgets("b"),
            lambda: self._forgets("c"),
            lambda: self.store.note(self.user, Entry("", offer("r4", [1]), self.at)),
            lambda: self.store.forget_user(self.user),
        )
        for do in does:
            do()
            assert self._held() == seen, "what was done about a user changed another"
            for other in self.others:
                assert self.store.known(other, ["x:", "y:", "y:z", "back"]) == frozenset()
                assert not self.store.noted(other, "offer:r3")
        nobody = UserKey("nobody")
        assert _all_of(self.store, self.user)[1:] == _all_of(self.store, nobody)[1:]
        for other in self.others:
            self._reads_its_own(other)
            self.store.forget_user(other)

    def _fill(self, user: UserKey) -> None:
        for name in ("a", "b", "c"):
            self._write(user, f"add {name}", Change("add", self._rule(name, user)))
        again = (Change("edit", self._rule("a", user)),)
        self._write(user, "bare:", *(() if user == self.user else again))
        self._write(user, "gone", Change("remove", self._rule("c", user)))
        self._note(user, "r1", 1, 2)
        self._note(user, "r2", 2, 3)
        self._learned(user)
        with self.store.write(user) as transaction:
            for number in range(3):
                draft = f"draft {self.numbers[user]}"
                transaction.keep_edit(KeptEdit(f"e{number}", "mail", draft, "f", self.at), most=9)
        now = user == self.user
        self._waits(user, "k", self.at if now else self.at + _HOUR + 5 * _MINUTE)

    def _rule(self, name: str, user: UserKey, text: str = "") -> Card:
        number = self.numbers[user]
        told = Preference("", f"{text or name} {number}", confidence=0.5 + number / 8)
        return Card(name, user.user_id, told, "active", "said", "s", self.at, self.at)

    def _write(self, user: UserKey, key: str, *changes: Change) -> None:
        vector = np.eye(4, dtype=np.float32)[self.numbers[user]]
        with self.store.write(user) as transaction:
            vectors = {change.card.id: vector for change in changes}
            transaction.record(Event(key, "edit", changes, self.at), vectors)

    def _note(self, user: UserKey, recall_id: str, *numbers: int) -> None:
        offered = replace(offer(recall_id, numbers), session_id=f"s{self.numbers[user]}")
        with self.store.write(user) as transaction:
            transaction.note(Entry(recall_id, offered, self.at))

    def _learned(self, user: UserKey) -> None:
        figures = np.array([0.5, self.numbers[user]], dtype=np.float32)
        state = UserState(
            user.user_id, f"test/{self.numbers[user]}", "", np.array([1, 2]), figures, figures,
            figures, session_id="s", steps=1,
        )  # fmt: skip
        with self.store.write(user) as transaction:
            transaction.save_state(state)

    def _waits(self, user: UserKey, key: str, due: datetime) -> None:
        said = (Turn("0", "user", f"always {self.numbers[user]}", self.at),)
        job = Job(user, "s", said, (key,), self.at, due)
        self.store.jobs.put(job, most=99, most_of_user=99)

    def _edits(self) -> None:
        with self.store.write(self.user) as transaction:
            assert transaction.keep_edit(KeptEdit("e9", "mail", "d", "f", self.at), most=1)

    def _forgets(self, name: str) -> None:
        with self.store.write(self.user) as transaction:
            assert transaction.forget(name)

    def _revives(self) -> None:
        self.store.jobs.bury(self._leased(), "w", at=self.at, error="E")
        assert self.store.jobs.revive(self.user) == 1
        assert self.store.jobs.finish(self._leased())

    def _leased(self) -> Job:
        now = self.at + _HOUR
        (job,) = self.store.jobs.lease("w", now=now, until=now + _MINUTE, most=9)
        assert job.user == self.user
        return job

    def _reads_its_own(self, user: UserKey) -> None:
        mine, theirs = (self._rule("x", of, "a").preference for of in (user, self.user))
        with self.store.write(user) as transaction:
            assert transaction.knows("bare:")
            assert transaction.card("a") == self._rule("a", user)
            assert transaction.twin(mine) == self._rule("a", user)
            assert transaction.twin(theirs) is None

    def _held(self) -> dict[UserKey, tuple[object, ...]]:
        return {other: _all_of(self.store, other) for other in self.others}


def offer(recall_id: str, numbers: Sequence[int]) -> Offer:
    """Make an offer of the cards with these numbers."""
    count = len(numbers)
    figures = np.linspace(0, 1, count, dtype=np.float32)
    reasons: list[Reason] = ["relevant"] * count
    return Offer(
        recall_id, "s", "q", np.array(numbers), figures, figures - 1, figures,
        np.array([n == 1 for n in numbers]), tuple(reasons), "test/1",
        datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def told(value: Offer | Observation | UserState) -> list[object]:
    """Give a value's fields so that they can be compared."""
    held = (getattr(value, field.name) for field in fields(value))
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in held]


def _all_of(store: Store, user: UserKey) -> tuple[object, ...]:
    """Give all that a store holds about a user."""
    shelf, state = store.shelf(user), store.state(user)
    return (
        store.revision(user), store.cards(user), store.events(user), dict(store.numbers(user)),
        [(e.key, e.seq, repr(told(e.payload))) for e in store.interactions(user)],
        store.edits(user), store.jobs.of(user), shelf.ids, shelf.matrix.tolist(),
        None if state is None else repr(told(state)), store.card(user, "a"),
        [e.seq for e in store.interactions(user, recall_id="r1")],
        [e.seq for e in store.interactions(user, asked="q")],
        [e.seq for e in store.events(user, card_id="a")], store.known(user, ["add a", "bare:"]),
    )  # fmt: skip
