"""kill -9 at random moments of every verb, and the same turns once more after each restart."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from prefmem.selftest.book import Book, Count, Step, do, look, look_aside
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.worker import Tell
from prefmem.selftest.workers import Nest
from prefmem.stores.sqlite import SQLiteStore

_THREADS = 4
_USERS = 6  # of each thread
_STEPS = 400  # of each thread in a life, more than one lives for
_LIVES = 100  # on one file
_OPENINGS = 0.15  # of the kills fall about the opening of the file
_CALLS, _LATER = 40, 0.02  # a kill comes after so many calls at most, and so many seconds more


def run(ground: Ground, size: int) -> Finding:
    """Kill a process of four threads `size` times, looking after each at all that is held."""
    rng, count, opening = ground.rng("kill"), Count(), 0
    with Nest() as nest:
        for first in range(0, size, _LIVES):
            path = ground.folder / f"prefs{first}.db"
            books = [Book({f"u{t}.{n}": {} for n in range(_USERS)}) for t in range(_THREADS)]
            pending: list[list[Step]] = [[] for _ in books]
            for life in range(first, min(size, first + _LIVES)):
                opening += _live(nest, path, books, pending, rng, count)
                ground.tell("kills", life + 1, size)
            look(path, books, [[] for _ in books], count, retry=pending)
    return Finding(
        "kill", not count.wrong, size, {**count.figures, "killed_opening": opening},
        f"{size:,} kills, {count.told()}; {count.unanswered} calls had committed without an answer "
        f"and were made again, {opening} kills fell into the opening of the file",
    )  # fmt: skip


def _live(
    nest: Nest, path: Path, books: list[Book], pending: list[list[Step]], rng: Random,
    count: Count,
) -> bool:  # fmt: skip
    """Let a process work on the file, kill it, and compare what is there with the books.

    Gives whether it was killed before the file was open.
    """
    scripts = [
        book.script(rng, _STEPS, first=first) for book, first in zip(books, pending, strict=True)
    ]
    nest.work("kill.write", path=str(path), scripts=scripts)
    answers = nest.some(rng.randrange(_CALLS)) if rng.random() > _OPENINGS else []
    time.sleep(rng.uniform(0, _LATER))
    answers += nest.kill()

    done = [0] * len(books)
    for answer in answers:
        if "error" in answer:
            count.errors.append(answer["error"])
        if "done" in answer:
            thread = int(answer["done"])
            step = scripts[thread][done[thread]]
            books[thread].apply(step)
            done[thread] += 1
            if step[0] == "file":
                look_aside(path, step, count)
    count.acknowledged += sum(done)
    for thread, (script, n) in enumerate(zip(scripts, done, strict=True)):
        pending[thread] = [script[n]] if n < len(script) else []
    look(path, books, pending, count)
    return not answers


def write(given: Mapping[str, Any], tell: Tell) -> None:
    """Run the scripts, a thread each, telling every step that is done."""
    path, store = Path(given["path"]), SQLiteStore(given["path"])
    memory = opened(None, store=store)
    tell({"open": True})

    def work(thread: int, script: list[Step]) -> None:
        for step in script:
            try:
                do(memory, store, path, step)
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
