"""Bytes that change on the disk: in the files, in a page, in one value of a row."""

import hashlib
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from prefmem.config import Config
from prefmem.errors import StoreError
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import action, request, window
from prefmem.selftest.worker import Tell
from prefmem.selftest.workers import Nest
from prefmem.stores.sqlite import SQLiteStore

Answers: TypeAlias = dict[str, str]  # by what was asked; what begins with "!" is an error

_USERS, _TURNS, _LATER = 12, 8, 3
_PAGE = 8192
_LOST = "!gone"
_HOW = ("flip", "zero", "cut")
_FILES = ("db", "db-wal", "db-shm")
_VALUES = (
    "users.state",
    "cards.body",
    "cards.vec",
    "events.body",
    "interactions.body",
    "jobs.body",
)


def run(ground: Ground, size: int) -> Finding:
    """Damage `size` places, and read everything of everyone after each."""
    rng, seed = ground.rng("damage"), ground.folder / "seed"
    _seeded(seed)
    kinds = [(how, file) for file in _FILES for how in _HOW]
    kinds += [("flip", value) for value in _VALUES]
    seen: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    unclear: list[str] = []
    with Nest() as nest:
        truth = _answers(nest, ground, seed, lambda path: None)
        for number in range(size):
            kind = kinds[number % len(kinds)]
            found = _answers(nest, ground, seed, lambda path: _damage(*kind, path, rng))  # noqa: B023  # called at once
            verdict = _verdict(truth, found, unclear)
            seen[verdict] += 1
            silent[" in ".join(kind)] += verdict == "silent"
            ground.tell("places", number + 1, size)
    where = ", ".join(f"{kind} {n}" for kind, n in silent.most_common() if n)
    return Finding(
        "damage", not (seen["silent"] or seen["unclear"] or seen["crash"]), size,
        {name: seen[name] for name in ("silent", "unclear", "crash", "named", "harmless")},
        f"{size:,} places: {seen['harmless']} without effect, {seen['named']} named with what "
        f"to do, {seen['silent']} wrong without a word{f' ({where})' if where else ''}, "
        f"{seen['unclear']} unclear errors{f' ({unclear[0]})' if unclear else ''}, "
        f"{seen['crash']} crashes",
    )  # fmt: skip


def _verdict(truth: Answers, found: Answers, unclear: list[str]) -> str:
    """Say how one place was dealt with, by the worst answer."""
    if _LOST in found:
        return "crash"
    errors = [text for text in found.values() if text.startswith("!")]
    odd = [text for text in errors if "restore" not in text]
    wrong = [name for name, text in found.items() if text != truth[name] and text not in errors]
    unclear += odd[:1]
    if wrong:
        return "silent"
    if odd:
        return "unclear"
    return "named" if errors else "harmless"


def _seeded(folder: Path) -> None:
    """Make a store of which some is in the write-ahead log, as a process that runs leaves it."""
    folder.mkdir()
    work = folder / "work"
    work.mkdir()
    path = work / "prefs.db"
    store = SQLiteStore(path)
    with opened(None, store=store, config=Config(learn_delay=60)) as memory:
        for number in range(_TURNS):
            if number == _TURNS // 2:
                store.checkpoint()
            for user in _names():
                memory.recall(request(user, number), user_id=user, session_id=user)
                learned = memory.learn(window(user, number), user_id=user, session_id=user)
                if number == 2:
                    memory.edit(learned.added[0].id, user_id=user, action=action(user, number))
        for user in _names()[:_LATER]:
            memory.learn_later(window(user, _TURNS), user_id=user, session_id=user)
        for file in work.iterdir():
            shutil.copy(file, folder / file.name)
        memory.close(timeout=0)
    shutil.rmtree(work)


def _names() -> list[str]:
    return [f"u{number}" for number in range(_USERS)]


def _answers(nest: Nest, ground: Ground, seed: Path, damage: Callable[[Path], None]) -> Answers:
    """Copy the store, damage it, and let a process read everything."""
    folder = ground.folder / "case"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seed, folder)
    path = folder / "prefs.db"
    damage(path)
    nest.work("damage.read", path=str(path))
    found: Answers = {}
    for answer in nest.rest():
        found.update(answer)
    if found.pop("end", None) is None:
        found[_LOST] = _LOST
    return found


def _damage(how: str, where: str, path: Path, rng: Random) -> None:
    """Change one place of a file, or of a value in a column."""
    if "." in where:
        table, column = where.split(".")
        _flip_value(path, table, column, rng)
        return
    file = path.with_name(f"{path.name}{where.removeprefix('db')}")
    data = bytearray(file.read_bytes())
    place = rng.randrange(len(data))
    if how == "flip":
        data[place] ^= 1 << rng.randrange(8)
    elif how == "zero":
        page = place - place % _PAGE
        data[page : page + _PAGE] = bytes(len(data[page : page + _PAGE]))
    else:
        del data[place:]
    file.write_bytes(data)


def _flip_value(path: Path, table: str, column: str, rng: Random) -> None:
    """Flip a bit in one value of a row, as damage within a page does; texts stay texts."""
    with sqlite3.connect(path) as db:
        held = db.execute(f"select count(*) from {table} where {column} is not null").fetchone()[0]  # noqa: S608  # fixed names
        at = rng.randrange(held)
        keys = {"users": "uid", "jobs": "id", "cards": "uid, card_id"}.get(table, "uid, seq")
        *key, value = db.execute(
            f"select {keys}, {column} from {table} where {column} is not null "  # noqa: S608  # fixed names
            "limit 1 offset ?", (at,),
        ).fetchone()  # fmt: skip
        data = bytearray(value.encode() if isinstance(value, str) else value)
        place = rng.randrange(len(data))
        data[place] ^= 1 if isinstance(value, str) else 1 << rng.randrange(8)
        changed = data.decode(errors="replace") if isinstance(value, str) else bytes(data)
        chosen = " and ".join(f"{name} = ?" for name in keys.split(", "))
        db.execute(f"update {table} set {column} = ? where {chosen}", (changed, *key))  # noqa: S608  # fixed names
    db.close()


def read(given: Mapping[str, Any], tell: Tell) -> None:
    """Read everything of everyone: cards, history, state, jobs, and what a recall finds."""
    try:
        store = SQLiteStore(given["path"])
        memory = opened(None, store=store, config=Config(learn_delay=60, log_offers=False))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is judged
        tell({name: _error(error) for name in _asked()})
        tell({"end": "open"})
        return
    for name in _asked():
        try:
            tell({name: _digest(_ask(memory, store, name))})
        except Exception as error:  # noqa: BLE001  # as above
            tell({name: _error(error)})
    tell({"end": "read"})


def _asked() -> list[str]:
    return ["users", *(f"{what} {u}" for u in _names() for what in ("list", "export", "recall"))]


def _ask(memory: PreferenceMemory, store: SQLiteStore, name: str) -> object:
    what, _, user = name.partition(" ")
    if what == "users":
        return store.users()
    if what == "list":
        return [repr(card) for card in memory.list(user_id=user)]
    if what == "export":
        held = memory.export(user_id=user)
        del held["exported_at"]
        return held
    before = memory.degraded.total()
    found = memory.recall(request(user, 1), user_id=user, session_id=user, min_score=0, limit=50)
    if memory.degraded.total() > before:  # it went on without, and counted it
        raise StoreError("recall failed open; restore")
    return [(c.card.id, round(c.dense, 6)) for c in found.candidates]


def _digest(answer: object) -> str:
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()


def _error(error: Exception) -> str:
    """Give an error as an answer; one that is not the store's own never counts as clear."""
    return f"!{told(error)}" if isinstance(error, StoreError) else f"!{type(error).__name__}"
