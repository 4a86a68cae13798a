"""Every user has a word of their own; nobody may ever be given another's, whatever is called.

On PostgreSQL the tables are also read without any condition, as the role of the application: what
row-level security shows then is counted, too.
"""

import json
import random
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from prefmem.errors import PrefmemError, StoreError
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.worker import Tell, warm

_PROCESSES, _THREADS = 4, 16
_CALLS_OF_A_USER = 10
_CALLS_OF_A_PROCESS = 500  # at least, where there are more than two
_UNFILTERED = 1_000  # users whose transactions read whole tables, on PostgreSQL
_TABLES = ("users", "events", "cards", "retired", "interactions", "edits", "jobs")
_WORD = re.compile(r"kx7q[0-9a-f]{12}", re.I)


def run(ground: Ground, size: int) -> Finding:
    """Plant a word for each of `size / 10` users, then make `size` calls of all verbs at once."""
    users = max(_PROCESSES, size // _CALLS_OF_A_USER)
    processes = min(_PROCESSES, max(2, size // _CALLS_OF_A_PROCESS))
    answers = _worked(ground, users, processes, -(-size // (processes * _THREADS)))
    ground.tell("looking", size, size)
    with ground.open() as memory:
        changed = sum(_held_by_another(memory, ground.seed, n) for n in range(users))
    seen, unfiltered = _unfiltered(ground, users) if ground.dsn else (users, 0)

    def total(name: str) -> int:
        return sum(len(a[name]) if isinstance(a[name], list) else a[name] for a in answers)

    calls, foreign, taken = total("calls"), total("foreign"), total("taken")
    errors = [error for answer in answers for error in answer["errors"]]
    figures = {
        "users": users, "calls": calls, "foreign_words": foreign, "foreign_ids_taken": taken,
        "held_by_another": changed, "unfiltered_own_rows": seen,
        "unfiltered_foreign_rows": unfiltered, "errors": len(errors),
        "answers_with_own_word": total("own"),
    }  # fmt: skip
    wrong = foreign + taken + changed + unfiltered + (seen < min(users, _UNFILTERED))
    return Finding(
        "canary", not wrong and not errors and calls >= size, calls, figures,
        f"{calls:,} calls for {users:,} users in {processes} processes of {_THREADS} threads: "
        f"{foreign} foreign words in {total('own'):,} answers that held the own one, {taken} "
        f"foreign ids taken, {changed} users hold another's"
        + f", {unfiltered} foreign rows beside {seen:,} own ones without WHERE" * bool(ground.dsn)
        + (f"; {len(errors)} errors, the first: {errors[0]}" if errors else ""),
    )  # fmt: skip


def _worked(ground: Ground, users: int, processes: int, calls: int) -> list[Any]:
    """Let processes plant, and call once all have planted; gives what they told."""
    given = {"target": ground.target(), "seed": ground.seed, "users": users, "of": processes}
    path = ground.folder / "planted.json"
    with ExitStack() as stack:
        workers = [
            stack.enter_context(ground.work("canary.work", **given, slot=slot, calls=calls))
            for slot in range(processes)
        ]
        ground.tell("planting", 0, users)
        planted = [pair for worker in workers for pair in worker.next()]
        path.write_text(json.dumps(dict(planted)), encoding="utf-8")
        ground.tell("calling", 0, calls)
        for worker in workers:
            worker.say(str(path))
        return [worker.next() for worker in workers]


def word(seed: int, number: int) -> str:
    """Give the word of a user."""
    return f"kx7q{random.Random(f'{seed}:{number}').getrandbits(48):012x}"


def _held_by_another(memory: PreferenceMemory, seed: int, number: int) -> bool:
    """Whether a user holds another's word, or lost the own."""
    held = json.dumps(memory.export(user_id=f"u{number}"))
    return set(_WORD.findall(held)) != {word(seed, number)}


# In the processes


def work(given: Mapping[str, Any], tell: Tell) -> None:
    """Plant for the users of this slot, wait for the other processes, then call for all users."""
    warm()
    with opened(given["target"]) as memory:
        tell(list(_planted(memory, given).items()))
        planted = json.loads(Path(json.loads(sys.stdin.readline())).read_text("utf-8"))
        callers = [
            _Caller(memory, given["seed"], planted, f"{given['slot']}.{thread}")
            for thread in range(_THREADS)
        ]
        _together(lambda thread: callers[thread].work(given["calls"]))
    tell(
        {
            "calls": sum(caller.calls for caller in callers),
            "own": sum(caller.own for caller in callers),
            "foreign": [found for caller in callers for found in caller.foreign],
            "taken": sum(caller.taken for caller in callers),
            "errors": [error for caller in callers for error in caller.errors],
        }
    )


def _planted(memory: PreferenceMemory, given: Mapping[str, Any]) -> Mapping[int, list[str]]:
    """Give every user of this slot two rules with the user's word; gives ids by user."""
    numbers = range(given["slot"], given["users"], given["of"])
    planted: dict[int, list[str]] = {}

    def some(thread: int) -> None:
        for number in numbers[thread::_THREADS]:
            user, own = f"u{number}", word(given["seed"], number)
            said = f"When writing mails, always greet {own}. Never mention {own}."
            report = memory.learn([("user", said)], user_id=user)
            recall = memory.recall("write a mail", user_id=user, strict=True)
            planted[number] = [report.added[0].id, report.events[0], recall.id]

    _together(some)
    return planted


def _together(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Caller:
    """One thread: calls, and counts what it was given."""

    def __init__(
        self, memory: PreferenceMemory, seed: int, planted: Mapping[str, list[str]], name: str
    ) -> None:
        self._memory, self._seed, self._planted = memory, seed, planted
        self._rng, self._name = random.Random(f"{seed}:{name}"), name
        self.calls = self.own = self.taken = 0
        self.foreign: list[str] = []
        self.errors: list[str] = []

    def work(self, calls: int) -> None:
        """Make that many calls."""
        for number in range(calls):
            mine = self._rng.randrange(len(self._planted))
            if self._rng.random() < 0.25:
                self._intrude(mine)
            else:
                self._use(mine, number)
            self.calls += 1

    def _use(self, mine: int, number: int) -> None:
        """Call a verb for a user with the user's own ids."""
        user, own, memory = f"u{mine}", word(self._seed, mine), self._memory
        card, event, recall = self._planted[str(mine)]
        more = f"{own} {self._name}.{number}".replace(".", " ")
        uses: dict[str, Callable[[], object]] = {
            "recall": lambda: memory.recall("write a mail", user_id=user, why=True, strict=True),
            "render": lambda: memory.render(
                memory.recall("greet mails", user_id=user, strict=True), strict=True
            ),
            "list": lambda: memory.list(user_id=user),
            "get": lambda: memory.get(card, user_id=user),
            "edit": lambda: memory.edit(card, user_id=user, action=f"greet {more}"),
            "learn": lambda: memory.learn([("user", f"Always hum {more}.")], user_id=user),
            "add": lambda: memory.add("", f"sing {more}", user_id=user),
            "export": lambda: memory.export(user_id=user),
            "history": lambda: memory.history(card, user_id=user),
            "undo": lambda: memory.undo(event, user_id=user),
            "feedback": lambda: memory.feedback(recall, 1.0, user_id=user),
            "state": lambda: memory.get_user(user),
            "command": lambda: memory.command([("user", "show my preferences")], user_id=user),
        }
        name = self._rng.choice(list(uses))
        self._look(own, name, uses[name])

    def _intrude(self, mine: int) -> None:
        """Call a verb for a user with another's ids: it finds nothing, and changes nothing."""
        user, memory = f"u{mine}", self._memory
        theirs = self._rng.randrange(len(self._planted) - 1)
        theirs += theirs >= mine
        card, event, recall = self._planted[str(theirs)]
        own = word(self._seed, mine)
        uses: dict[str, Callable[[], object]] = {
            "get": lambda: memory.get(card, user_id=user),
            "edit": lambda: memory.edit(card, user_id=user, action=f"greet {own}"),
            "forget": lambda: memory.forget(card, user_id=user),
            "history": lambda: memory.history(card, user_id=user),
            "undo": lambda: memory.undo(event, user_id=user),
            "feedback": lambda: memory.feedback(recall, -1.0, user_id=user),
            "render": lambda: memory.render([card], user_id=user, strict=True),
            "recall": lambda: (
                memory.recall(f"greet {word(self._seed, theirs)}", user_id=user, strict=True).rules
            ),
        }
        name = self._rng.choice(list(uses))
        found = self._look(own, name, uses[name])
        self.taken += bool(found) and name != "recall"

    def _look(self, own: str, name: str, use: Callable[[], object]) -> object:
        """Look for words in what a call gives, or in what it says as it refuses."""
        found: object = None
        try:
            found = use()
            said = repr(found)
        except StoreError as error:
            self.errors.append(told(error))
            said = str(error)
        except PrefmemError as error:
            said = str(error)
        except Exception as error:  # noqa: BLE001  # no verb may raise it
            self.errors.append(told(error))
            said = ""
        words = set(_WORD.findall(said))
        self.own += own in words
        self.foreign += [name] * len(words - {own})
        return found


# On PostgreSQL


def _unfiltered(ground: Ground, users: int) -> tuple[int, int]:
    """Count rows of one's own and of others in whole tables, read as the application's role.

    One connection reads for one user after the other, and in between for nobody.
    """
    psycopg: Any = import_module("psycopg")
    store: Any = import_module("prefmem.stores.postgres")
    schema: Any = import_module("prefmem.stores.pgschema")
    user_key: Any = import_module("prefmem.types").UserKey
    own = foreign = 0
    with psycopg.connect(ground.dsn) as db:

        def rows(uid: str) -> list[bool]:
            """Read all tables; gives for each row that is seen whether it is the user's."""
            with db.transaction():
                db.execute("set local search_path to prefmem, public")
                db.execute(f"set local role {schema.APP_ROLE}")
                if uid:
                    db.execute("select set_config('prefmem.uid', %s, true)", (uid,))
                return [
                    str(row[0]) == uid
                    for table in _TABLES
                    for row in db.execute(f"select uid from {table}").fetchall()  # noqa: S608  # fixed names
                ]

        for number in range(min(users, _UNFILTERED)):
            found = rows(str(store.uid_of(user_key(f"u{number}"))))
            found += rows("") if number % 100 == 0 else []
            own, foreign = own + sum(found), foreign + len(found) - sum(found)
    return own, foreign
