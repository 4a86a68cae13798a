"""What users of a store must hold after each step, and whether they do."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import TypeAlias

from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import opened
from prefmem.selftest.said import action, difference, request, rule, window
from prefmem.stores.sqlite import SQLiteStore

Step: TypeAlias = tuple[str, str, int]  # what, of which user, with which rule

_PATIENCE = 60  # seconds that jobs may take
_MIX = {
    "learn": 40, "again": 10, "later": 10, "recall": 8, "edit": 9, "forget": 9, "undo": 6,
    "forget_user": 3, "checkpoint": 2, "compact": 1, "file": 2,
}  # fmt: skip


@dataclass(slots=True)
class Book:
    """What some users must hold.

    Attributes:
        rules: Text by number, of each user.
        said: Numbers that were said and would be known, of each user.
        waiting: Numbers that were put off, and may not be learned yet.
        last: The newest number of all users.
    """

    rules: dict[str, dict[int, str]]
    said: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    waiting: set[int] = field(default_factory=set[int])
    last: int = 0

    def drawn(self, rng: Random) -> Step:
        """Draw the next step."""
        user = rng.choice(list(self.rules))
        what = rng.choices(list(_MIX), list(_MIX.values()))[0]
        held = {n: text for n, text in self.rules[user].items() if n not in self.waiting}
        plain = [n for n, text in held.items() if text == rule(user, n)]
        among = {"again": list(self.said.get(user, ())), "undo": plain, "edit": plain}
        among["forget"] = list(held)
        if among.get(what):
            return what, user, rng.choice(sorted(among[what]))
        self.last += 1
        return "learn" if what in among else what, user, self.last

    def apply(self, step: Step) -> None:
        """Do what a step does."""
        what, user, number = step
        held, said = self.rules[user], self.said.setdefault(user, set())
        if what in ("learn", "later", "again") and number not in said:
            held[number] = rule(user, number)
            said.add(number)
            if what == "later":
                self.waiting.add(number)
        elif what == "edit" and number in held:
            held[number] = rule(user, number, edited=True)
        elif what in ("forget", "undo"):
            held.pop(number, None)
        elif what == "forget_user":
            held.clear()
            said.clear()
        self.last = max(self.last, number)

    def after(self, *steps: Step) -> "Book":
        """Give the book as it is after some steps."""
        other = deepcopy(self)
        for step in steps:
            other.apply(step)
        return other

    def script(self, rng: Random, length: int, *, first: Sequence[Step] = ()) -> list[Step]:
        """Draw steps that make sense one after the other; `first` come before them."""
        ahead, script = self.after(*first), list(first)
        while len(script) < length:
            script.append(ahead.drawn(rng))
            ahead.apply(script[-1])
        return script


@dataclass(slots=True)
class Count:
    """What was found, over many looks.

    Attributes:
        acknowledged: Calls that returned.
        unanswered: Calls that had committed, but did not return.
        lost: Rules that should be there.
        extra: Rules that should not.
        doubled: Rules that are there twice, or learned twice from one turn.
        broken: Files that SQLite's own check finds damaged.
        errors: What went wrong otherwise.
    """

    acknowledged: int = 0
    unanswered: int = 0
    lost: int = 0
    extra: int = 0
    doubled: int = 0
    broken: int = 0
    errors: list[str] = field(default_factory=list[str])

    @property
    def wrong(self) -> int:
        """Everything that should not be."""
        return self.lost + self.extra + self.doubled + self.broken + len(self.errors)

    @property
    def figures(self) -> dict[str, float]:
        """The counts by name."""
        return {
            "acknowledged": self.acknowledged, "unanswered": self.unanswered, "lost": self.lost,
            "extra": self.extra, "doubled": self.doubled, "broken": self.broken,
            "errors": len(self.errors),
        }  # fmt: skip

    def told(self) -> str:
        """Say the counts."""
        text = (
            f"{self.acknowledged:,} calls acknowledged: {self.lost} lost, {self.extra} came back, "
            f"{self.doubled} doubled, {self.broken} files broken"
        )
        if self.errors:
            text += f"; {len(self.errors)} errors, the first: {self.errors[0]}"
        return text


def look(
    path: Path, books: Sequence[Book], pending: Sequence[Sequence[Step]], count: Count,
    retry: Sequence[Sequence[Step]] = (),
) -> None:  # fmt: skip
    """Open a store that nobody has open, and compare every user's cards with the books.

    Args:
        path: The store.
        books: What must be there.
        pending: Of each book the step that was under way, if any: done or not, never between.
        count: Where it is counted.
        retry: Steps of each book to be done before.
    """
    store = SQLiteStore(path)
    with opened(None, store=store) as memory:
        count.broken += store.check()["integrity"] != "ok"
        late = datetime.now(UTC) + timedelta(minutes=2)  # the leases of the dead have run out
        store.jobs.lease("selftest", now=late, until=late, most=1_000, hurry=True)
        store.jobs.release("selftest")
        _flush(memory, count)
        for book, steps in zip(books, retry, strict=False):
            for step in steps:
                do(memory, store, path, step)
                book.apply(step)
        for book, steps in zip(books, pending, strict=True):
            for user, held in book.rules.items():
                found = difference(memory, user, frozenset(held.values()))
                if found and steps and steps[0][1] == user:
                    after = book.after(steps[0]).rules[user]
                    found = difference(memory, user, frozenset(after.values()))
                    count.unanswered += not found
                count.lost += found.lost
                count.extra += found.extra
                count.doubled += found.doubled
                memory.get_user(user)
            book.waiting.clear()


def _flush(memory: PreferenceMemory, count: Count) -> None:
    """Learn what waits, also what failed before and was put off."""
    until = monotonic() + _PATIENCE
    while not memory.flush(1):
        if monotonic() > until:
            count.errors.append(f"what waited was not learned in {_PATIENCE} s")
            return
        sleep(0.1)


def look_aside(path: Path, step: Step, count: Count) -> None:
    """Look into a file that was made by the way: it holds one rule."""
    _, user, number = step
    with opened(_aside(path, step)) as memory:
        found = difference(memory, user, {rule(user, number)})
    count.lost += found.lost
    count.doubled += found.doubled
    for file in path.parent.glob(f"{_aside(path, step).name}*"):
        file.unlink()


def _aside(path: Path, step: Step) -> Path:
    return path.with_suffix(f".{step[1]}.{step[2]}.side")


def do(memory: PreferenceMemory, store: SQLiteStore, path: Path, step: Step) -> None:
    """Do one step; one that was done before its answer was lost does no harm."""
    what, user, number = step
    if what in ("learn", "again", "later"):
        said = window(user, number)
        if len(said) > 1:
            memory.recall(request(user, number), user_id=user, session_id=user)
        if what == "later":
            memory.learn_later(said, user_id=user, session_id=user)
        else:
            memory.learn(said, user_id=user, session_id=user)
    elif what == "recall":
        memory.recall(request(user, number), user_id=user, session_id=user)
    elif what == "forget_user":
        memory.forget_user(user_id=user)
    elif what == "checkpoint":
        store.checkpoint()
    elif what == "compact":
        store.compact()
    elif what == "file":
        with opened(_aside(path, step)) as other:
            other.learn(window(user, number), user_id=user, session_id=user)
    else:
        _change(memory, what, user, number)


def _change(memory: PreferenceMemory, what: str, user: str, number: int) -> None:
    """Edit, forget or undo the card of a rule, if it is there."""
    texts = (rule(user, number), rule(user, number, edited=True))
    card = next((c for c in memory.list(user_id=user) if c.text in texts), None)
    if card is None:
        return
    if what == "edit":
        memory.edit(card.id, user_id=user, action=action(user, number))
    elif what == "forget":
        memory.forget(card.id, user_id=user)
    else:
        memory.undo(memory.history(card.id, user_id=user)[0].id, user_id=user)
