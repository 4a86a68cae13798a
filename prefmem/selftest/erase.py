"""Erases half of the users, then searches every byte of every file for anything of theirs."""

import hashlib
import json
import logging
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prefmem.config import Config
from prefmem.errors import NotFoundError
from prefmem.memory import PreferenceMemory
from prefmem.selftest.ground import Finding, Ground
from prefmem.stores.sqlite import SQLiteStore
from prefmem.testing import HashEmbedder

MOST_SECONDS = 60.0  # for erasing half of the full size
_THREADS = 16
_MORE = 10  # every so many users also have edits, recalls and a waiting job
_ALONE = 20  # users that are erased one by one, and cards that are forgotten one by one
MARK = re.compile(rb"kx7q[0-9a-f]{12}", re.I)
_HALF = 64  # bytes of a vector that are looked for: its first, and its last
_FACTORS = np.random.default_rng(5).integers(1, 2**63, _HALF // 8, dtype=np.uint64)
_CHUNK = 16 * 2**20
_OVERLAP = 512  # bytes of a chunk that come again in the next: no mark is longer


@dataclass(slots=True)
class Hidden:
    """What of erased users must not be found.

    Attributes:
        marks: Words that stand in their ids, sessions and texts, and names of their cards.
        vectors: Vectors of their rules, as bytes.
    """

    marks: set[bytes] = field(default_factory=set[bytes])
    vectors: set[bytes] = field(default_factory=set[bytes])


@dataclass(frozen=True, slots=True)
class Found:
    """How often what was to be gone was found, and in which files."""

    marks: int
    vectors: int
    files: tuple[str, ...]
    bytes: int


def run(ground: Ground, size: int) -> Finding:
    """Plant `size` users, erase half of them, and search."""
    people = [f"kx7q{ground.rng(n).getrandbits(48):012x}" for n in range(size)]
    erased, kept = people[::2], people[1::2]
    hidden = Hidden()
    config = Config(learn_delay=60)
    with (
        _logged(ground.folder / "prefmem.log"),
        ground.open(config=config, ids=_names(ground)) as memory,
        ground.open(config=config) as other,
    ):
        _plant(memory, people, ground)
        for person in erased[:: _MORE * 2]:  # indexes of another handle
            other.recall(f"writing {person}", user_id=person, strict=True)
        _hide(memory, erased, hidden)
        there = search(ground.folder, hidden)  # else nothing found would mean nothing
        forgotten = _forget_cards(memory, kept[:_ALONE], hidden)
        before = {person: _digest(memory, person) for person in kept}
        ground.tell("erasing", 0, 1)
        seconds, alone, receipts = _erase(memory, erased)
        searched = search(ground.folder, hidden)
        changed = sum(_digest(memory, person) != told for person, told in before.items())
        back = sum(_traces(memory, other, erased))
        with closing(SQLiteStore(ground.target())) as store:
            back += len(set(erased) & set(store.users()))
        _hide(memory, kept[-1:], hidden)
        reader_told = _with_a_reader(memory, ground, kept[-1])
    after = search(ground.folder, hidden)
    lost = searched.marks + searched.vectors + after.marks + after.vectors
    # The bound is for half of 20,000; a smaller run is faster anyway.
    sound = min(there.marks, there.vectors) >= len(erased) and receipts and reader_told
    passed = sound and not (lost or back or changed) and seconds <= MOST_SECONDS
    files = f" in {', '.join((*searched.files, *after.files))}" if lost else ""
    return Finding(
        "erase", passed, size,
        {
            "erased": len(erased), "kept": len(kept), "cards_forgotten": forgotten,
            "marks_before": there.marks, "vectors_before": there.vectors,
            "marks_found": searched.marks + after.marks,
            "vectors_found": searched.vectors + after.vectors,
            "answers_found": back, "kept_changed": changed, "seconds": round(seconds, 2),
            "ms_alone": round(alone, 1), "searched_mb": round(searched.bytes / 2**20, 1),
            "reader_told": reader_told,
        },
        f"{len(erased):,} of {size:,} users erased in {seconds:.1f} s, {lost} traces in "
        f"{searched.bytes / 2**20:.0f} MB{files}, {back} answers about them, {changed} kept users "
        f"changed, a busy reader was {'told' if reader_told else 'NOT told'}",
    )  # fmt: skip


def search(folder: Path, hidden: Hidden) -> Found:
    """Search every byte of every file of a folder, and of temporary files of ours and SQLite's."""
    marks = vectors = total = 0
    files: list[str] = []
    halves = _halves(hidden.vectors)
    for path in _files(folder):
        hits = 0
        for chunk in _chunks(path):
            found = {match.lower() for match in MARK.findall(chunk)} & hidden.marks
            rows = _matching(chunk, halves)
            marks, vectors, hits = marks + len(found), vectors + rows, hits + len(found) + rows
        total += path.stat().st_size
        files += [path.name] if hits else []
    return Found(marks, vectors, tuple(files), total)


# Before


def _names(ground: Ground) -> Callable[[], str]:
    """Name cards, recalls and events by words that can be searched for."""
    numbers = count()

    def name() -> str:
        told = f"{ground.seed}:{next(numbers)}".encode()
        return f"kx7q{hashlib.sha256(told).hexdigest()[:12]}"

    return name


def _plant(memory: PreferenceMemory, people: Sequence[str], ground: Ground) -> None:
    """Give every user two rules, and some of them everything that can be held about a user."""

    def one(numbered: tuple[int, str]) -> None:
        number, person = numbered
        said = f"When writing {person}, always sign as {person}. Never rest {person}."
        memory.learn([("user", said)], user_id=person, session_id=f"s-{person}")
        if number % _MORE < 2:
            recall = memory.recall(
                f"writing {person}", user_id=person, session_id=f"s-{person}", strict=True
            )
            with suppress(NotFoundError):  # a busy store drops what was offered
                memory.feedback(recall, 1.0, user_id=person)
            memory.learn_from_edit(f"Hello {person}", f"Hi {person}", person, user_id=person)
            memory.learn_later([("user", f"Always hum {person}.")], user_id=person)
            card = memory.add("", f"walk {person}", user_id=person)
            memory.edit(card.id, user_id=person, action=f"run {person}")
            memory.undo(memory.history(card.id, user_id=person)[-1].id, user_id=person)
        if number % 100 == 0:
            ground.tell("planting", number, len(people))

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(one, enumerate(people)):
            pass


def _hide(memory: PreferenceMemory, people: Iterable[str], hidden: Hidden) -> None:
    """Note everything that names or belongs to users: words, ids and vectors."""
    embedder = HashEmbedder()
    for person in people:
        held = json.dumps(memory.export(user_id=person)).encode()
        hidden.marks |= {mark.lower() for mark in MARK.findall(held)}
        texts = [card.text for card in memory.list(user_id=person)]
        hidden.vectors |= {_half(row) for row in embedder.embed(texts)}


def _half(vector: npt.NDArray[np.float32]) -> bytes:
    return vector.astype("<f2").tobytes()


def _forget_cards(memory: PreferenceMemory, people: Sequence[str], hidden: Hidden) -> int:
    """Forget a card of each of some users who stay."""
    for person in people:
        mark = f"kx7q{hashlib.sha256(person.encode()).hexdigest()[:12]}"
        card = memory.add(f"painting {mark}", f"use {mark}", user_id=person)
        memory.recall(f"painting {mark}", user_id=person, strict=True)
        hidden.marks |= {mark.encode(), card.id.encode()}
        hidden.vectors.add(_half(HashEmbedder().embed([card.text])[0]))
        memory.forget(card.id, user_id=person)
    return len(people)


def _digest(memory: PreferenceMemory, person: str) -> bytes:
    """Sum up everything held about a user."""
    held = memory.export(user_id=person) | {"exported_at": ""}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).digest()


# The erasure


def _erase(memory: PreferenceMemory, people: Sequence[str]) -> tuple[float, float, bool]:
    """Erase users, some one by one and the rest together.

    Gives the seconds of all of it, the milliseconds of one alone, and whether the receipts say
    that the bytes are gone.
    """
    alone, rest = people[:_ALONE], people[_ALONE:]
    begun = time.monotonic()
    for person in alone:
        memory.forget_user(user_id=person)
    single = (time.monotonic() - begun) * 1000 / len(alone)
    receipt = memory.forget_users(rest)
    return time.monotonic() - begun, single, receipt.checkpointed and receipt.cards >= 2 * len(rest)


def _traces(
    memory: PreferenceMemory, other: PreferenceMemory, people: Sequence[str]
) -> Iterator[bool]:
    """Ask for what is gone, also through another handle that held its index."""
    memory.flush(timeout=5)
    for number, person in enumerate(people):
        user = memory if number % _MORE else other
        yield bool(user.recall(f"writing {person}", user_id=person, strict=True).candidates)
        held = user.export(user_id=person)
        yield any(held[name] for name in ("cards", "events", "interactions", "edits", "jobs"))


def _with_a_reader(memory: PreferenceMemory, ground: Ground, person: str) -> bool:
    """Erase a user while another connection reads: the receipt says so, and the next one clears."""
    reader = sqlite3.connect(ground.target(), isolation_level=None)
    try:
        reader.execute("begin")
        reader.execute("select count(*) from users").fetchall()
        told = not memory.forget_users([person]).checkpointed
    finally:
        reader.close()
    return told and memory.forget_users(()).checkpointed


# The search


@contextmanager
def _logged(path: Path) -> Generator[None, None, None]:
    """Write everything that is logged meanwhile into a file, which is searched, too."""
    handler, root = logging.FileHandler(path, encoding="utf-8"), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
    there = Path(tempfile.gettempdir())
    yield from (path for path in sorted(there.glob("etilqs_*")) if path.is_file())


def _chunks(path: Path) -> Iterator[bytes]:
    kept = b""
    with path.open("rb") as file, suppress(FileNotFoundError):
        while block := file.read(_CHUNK):
            yield kept + block
            kept = block[-_OVERLAP:]


def _halves(vectors: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """Give a number for the first and for the last 64 bytes of each vector."""
    halves = b"".join(vector[:_HALF] + vector[-_HALF:] for vector in vectors)
    words = np.frombuffer(halves, dtype="<u8").reshape(-1, len(_FACTORS))
    return np.unique((words * _FACTORS).sum(axis=1))


def _matching(chunk: bytes, halves: npt.NDArray[np.uint64]) -> int:
    """Count the places of a chunk where half of a vector stands, at any byte."""
    found = 0
    for start in range(8):
        words = np.frombuffer(chunk, dtype="<u8", offset=start, count=(len(chunk) - start) // 8)
        places = len(words) - len(_FACTORS) + 1
        if places < 1 or not len(halves):
            continue
        total = np.zeros(places, dtype=np.uint64)
        for step, factor in enumerate(_FACTORS):
            total += words[step : step + places] * factor
        found += int(np.isin(total, halves).sum())
    return found
