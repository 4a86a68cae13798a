"""kill -9 at random moments of every verb, and the same turns once more after each restart."""

import threading
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import action, difference, request, rule, window
from prefmem.selftest.worker import Tell
from prefmem.selftest.workers import Nest
from prefmem.stores.sqlite import SQLiteStore

Step: TypeAlias = tuple[str, str, int]  # what, of which user, with which rule

_THREADS = 4
_USERS = 6  # of each thread
_STEPS = 400  # of each thread in a life, more than one lives for
_LIVES = 100  # on one file
_OPENING, _WORKING = 0.03, 0.5  # seconds in which a kill falls
_MIX = {
    "learn": 40, "again": 10, "later": 10, "recall": 8, "edit": 9, "forget": 9, "undo": 6,
    "forget_user": 3, "checkpoint": 2, "compact": 1, "file": 2,
}  # fmt: skip


@dataclass(slots=True)
class _Book:
    """What the users of one thread must hold.

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

    def after(self, step: Step) -> "_Book":
        """Give the book as it is after a step."""
        other = deepcopy(self)
        other.apply(step)
        return other


@dataclass(slots=True)
class _Count:
    acknowledged: int = 0
    unanswered: int = 0  # committed, but killed before the answer
    opening: int = 0  # kills before the file was open
    lost: int = 0
    extra: int = 0
    doubled: int = 0
    broken: int = 0
    errors: list[str] = field(default_factory=list[str])


def run(ground: Ground, size: int) -> Finding:
    """Kill a process of four threads `size` times, looking after each at all that is held."""
    rng, count = ground.rng("kill"), _Count()
    with Nest() as nest:
        for first in range(0, size, _LIVES):
            path = ground.folder / f"prefs{first}.db"
            books = [_Book({f"u{t}.{n}": {} for n in range(_USERS)}) for t in range(_THREADS)]
            pending: list[list[Step]] = [[] for _ in books]
            for life in range(first, min(size, first + _LIVES)):
                _live(nest, path, books, pending, rng, count)
                ground.tell("kills", life + 1, size)
            _look(path, books, [[] for _ in books], count, retry=pending)
    wrong = count.lost + count.extra + count.doubled + count.broken
    return Finding(
        "kill", not wrong and not count.errors, size,
        {
            "acknowledged": count.acknowledged, "lost": count.lost, "extra": count.extra,
            "doubled": count.doubled, "broken": count.broken, "unanswered": count.unanswered,
            "killed_opening": count.opening, "errors": len(count.errors),
        },
        f"{size:,} kills, {count.acknowledged:,} calls acknowledged: {count.lost} lost, "
        f"{count.extra} came back, {count.doubled} doubled; {count.unanswered} had committed "
        f"without an answer and were sent again; files broken: {count.broken}"
        + (f"; {len(count.errors)} errors, the first: {count.errors[0]}" if count.errors else ""),
    )  # fmt: skip


def _live(
    nest: Nest, path: Path, books: list[_Book], pending: list[list[Step]], rng: Random,
    count: _Count,
) -> None:  # fmt: skip
    """Let a process work on the file, kill it, and compare what is there with the books."""
    scripts: list[list[Step]] = []
    for book, again in zip(books, pending, strict=True):
        ahead, script = deepcopy(book), list(again)
        for step in again:
            ahead.apply(step)
        while len(script) < _STEPS:
            script.append(ahead.drawn(rng))
            ahead.apply(script[-1])
        scripts.append(script)
    nest.work("kill.write", path=str(path), scripts=scripts)
    time.sleep(rng.uniform(0, _OPENING if rng.random() < 0.25 else _WORKING))
    answers = nest.kill()

    done = [0] * len(books)
    count.opening += not answers
    for answer in answers:
        if "error" in answer:
            count.errors.append(answer["error"])
        if "done" in answer:
            thread = int(answer["done"])
            step = scripts[thread][done[thread]]
            books[thread].apply(step)
            done[thread] += 1
            if step[0] == "file":
                _look_aside(path, step, count)
    count.acknowledged += sum(done)
    for thread, (script, n) in enumerate(zip(scripts, done, strict=True)):
        pending[thread] = [script[n]] if n < len(script) else []
    _look(path, books, pending, count)


def _look(
    path: Path, books: list[_Book], pending: list[list[Step]], count: _Count,
    retry: Sequence[Sequence[Step]] = (),
) -> None:  # fmt: skip
    """Compare every user's cards with the books, before or after the step that was under way."""
    store = SQLiteStore(path)
    with opened(None, store=store) as memory:
        count.broken += store.check()["integrity"] != "ok"
        late = datetime.now(UTC) + timedelta(minutes=2)  # the leases of the dead have run out
        store.jobs.lease("selftest", now=late, until=late, most=1_000, hurry=True)
        store.jobs.release("selftest")
        if not memory.flush(60):
            count.errors.append("what waited was not learned in a minute")
        for book, steps in zip(books, retry, strict=False):
            for step in steps:
                _do(memory, store, path, step)
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


def _look_aside(path: Path, step: Step, count: _Count) -> None:
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


def write(given: Mapping[str, Any], tell: Tell) -> None:
    """Run the scripts, a thread each, telling every step that is done."""
    path, store = Path(given["path"]), SQLiteStore(given["path"])
    memory = opened(None, store=store)
    tell({"open": True})

    def work(thread: int, script: list[Step]) -> None:
        for step in script:
            try:
                _do(memory, store, path, step)
            except Exception as error:  # noqa: BLE001  # whatever it is, the parent counts it
                tell({"error": f"{step[0]}: {told(error)}"})
                return
            tell({"done": thread})

    threads = [
        threading.Thread(target=work, args=(n, script)) for n, script in enumerate(given["scripts"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(60)  # the kill comes


def _do(memory: PreferenceMemory, store: SQLiteStore, path: Path, step: Step) -> None:
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
