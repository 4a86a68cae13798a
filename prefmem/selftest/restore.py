"""Backups that are older than erasures, put back in every way that people do it."""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prefmem.config import Config
from prefmem.memory import PreferenceMemory
from prefmem.selftest.erase import MARK, Hidden, search
from prefmem.selftest.ground import Finding, Ground, opened
from prefmem.stores.backup import backup, restore
from prefmem.stores.erasures import LIST_SUFFIX

_WAYS = ("over the database", "by hand", "elsewhere with a list", "after a loss with a list")


def run(ground: Ground, size: int) -> Finding:
    """For each way: plant `size` users, back up under load, erase half, put back, and ask."""
    back = changed = traces = lost = 0
    sound = True
    for number, way in enumerate(_WAYS):
        ground.tell(way, number, len(_WAYS))
        folder = ground.folder / f"way{number}"
        folder.mkdir()
        people = [f"kx7q{ground.rng((way, n)).getrandbits(48):012x}" for n in range(size)]
        told = _history(folder, people)
        sound = sound and _put_back(way, folder)
        erased, kept = people[::2], people[1::2]
        with _memory(folder / "prefs.db") as memory:  # the first answers
            back += sum(_answers(memory, person) for person in erased)
            lost += sum(not memory.list(user_id=person) for person in kept)
            changed += sum(_digest(memory, person) != told[person] for person in kept)
        hidden = Hidden({person.encode() for person in erased}, set())
        (folder / "old.db").unlink()  # a backup keeps what it was made of
        traces += search(folder, hidden).marks
    figures = {
        "ways": len(_WAYS), "erased_back": back, "traces": traces, "kept_lost": lost,
        "kept_changed": changed, "lists_used": sound,
    }  # fmt: skip
    passed = sound and not (back or traces or lost or changed)
    return Finding(
        "restore", passed, size * len(_WAYS), figures,
        f"a backup put back in {len(_WAYS)} ways, {size // 2:,} of {size:,} users erased since: "
        f"{back} answers about them, {traces} traces in the files, {lost} kept users lost, "
        f"{changed} changed",
    )  # fmt: skip


@contextmanager
def _memory(path: Path) -> Generator[PreferenceMemory, None, None]:
    with opened(path, config=Config(learn_delay=60)) as memory:
        yield memory


def _history(folder: Path, people: Sequence[str]) -> Mapping[str, bytes]:
    """Plant, back up while others write, and erase half; gives what the rest held in the backup."""
    with _memory(folder / "prefs.db") as memory:
        for person in people:
            said = f"When writing {person}, always sign as {person}. Never rest {person}."
            memory.learn([("user", said)], user_id=person)
        told = {person: _digest(memory, person) for person in people[1::2]}
        with _writing(memory):
            backup(folder / "prefs.db", folder / "old.db")
        memory.forget_users(people[::2][1:])
        memory.forget_user(user_id=people[0])
        for person in people[1::2]:
            memory.add("", "say something newer", user_id=person)
    return told


@contextmanager
def _writing(memory: PreferenceMemory) -> Generator[None, None, None]:
    """Write for another user meanwhile."""
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.wait(0.001):
            number += 1
            memory.add("", f"count to {number}", user_id="busy")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _put_back(way: str, folder: Path) -> bool:
    """Put the backup back; gives whether a list of erasures was found where one was needed."""
    ways: Mapping[str, Callable[[Path, Path], bool]] = {
        "over the database": _over,
        "by hand": _by_hand,
        "elsewhere with a list": _elsewhere,
        "after a loss with a list": _after_a_loss,
    }
    return ways[way](folder / "old.db", folder / "prefs.db")


def _over(old: Path, db: Path) -> bool:
    return bool(restore(old, db, replace=True, at=datetime.now(UTC)).lists)


def _by_hand(old: Path, db: Path) -> bool:
    """Copy the file over the database, as who knows no command would do it."""
    for suffix in ("", "-wal", "-shm", "-lock"):
        Path(f"{db}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(old, db)
    return Path(f"{db}{LIST_SUFFIX}").exists()


def _elsewhere(old: Path, db: Path) -> bool:
    """Make another database, which takes the place of the first."""
    new = db.with_name("new.db")
    lists = [Path(f"{db}{LIST_SUFFIX}")]
    found = bool(restore(old, new, lists=lists, at=datetime.now(UTC)).lists)
    _clear(db)
    for path in sorted(new.parent.glob("new.db*")):
        path.rename(db.with_name(path.name.replace("new.db", db.name)))
    return found


def _after_a_loss(old: Path, db: Path) -> bool:
    """Lose the database and all beside it; the list was kept elsewhere."""
    kept = db.with_name("list.txt")
    shutil.copyfile(f"{db}{LIST_SUFFIX}", kept)
    _clear(db)
    return bool(restore(old, db, lists=[kept], at=datetime.now(UTC)).lists)


def _clear(db: Path) -> None:
    for path in sorted(db.parent.glob(f"{db.name}*")):
        path.unlink()


def _answers(memory: PreferenceMemory, person: str) -> int:
    """Count what is answered about a user who must not be there."""
    recalled = memory.recall(f"writing {person}", user_id=person, strict=True)
    held = json.dumps(memory.export(user_id=person)).replace(f'"user_id": "{person}"', "")
    return len(recalled.candidates) + len(MARK.findall(held.encode()))


def _digest(memory: PreferenceMemory, person: str) -> bytes:
    """Sum up everything held about a user."""
    held = memory.export(user_id=person) | {"exported_at": ""}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).digest()
