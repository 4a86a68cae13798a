"""No room on the disk, at any write of any verb, and files that may not be read or written."""

import os
import shutil
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from prefmem.errors import PrefmemError, StoreError, StoreUnavailableError
from prefmem.memory import PreferenceMemory
from prefmem.selftest.book import Book, Count, Step, do, look
from prefmem.selftest.ground import Finding, Ground, opened, told
from prefmem.selftest.said import request, window
from prefmem.selftest.worker import Tell
from prefmem.selftest.workers import Nest
from prefmem.stores.sqlite import SQLiteStore

_USERS, _BEFORE, _STEPS = 3, 40, 60
_LIMIT = 400_000  # bytes up to which a file may grow
_DISK = 1_500  # KB of the small disk
_FREE = 300_000  # bytes that are left on it, at most
_NOBODY = 65534
_FORBIDDEN = ("file is read-only", "folder is read-only", "file is closed", "folder is closed")
_HELP = ("free disk space", "can be written", "can be read")  # one of them in each refusal


@dataclass(slots=True)
class _Seen:
    """What happened where there was no room, or no right."""

    refused: int = 0
    unreached: int = 0
    unclear: list[str] = field(default_factory=list[str])
    silent: int = 0  # recalls that failed
    stuck: int = 0  # processes that did not recover


def run(ground: Ground, size: int) -> Finding:
    """Let verbs meet `size` limits, a third on a small disk where one can be mounted."""
    rng, count, seen = ground.rng("full"), Count(), _Seen()
    seed, before = _seeded(ground, rng)
    with Nest() as nest, _small_disk(ground.folder) as disk:
        for number in range(size):
            book = before.after()
            on_disk = disk is not None and number % 3 == 0
            folder = disk if on_disk and disk is not None else ground.folder / "case"
            path = _copied(seed, folder)
            script = book.script(rng, _STEPS)
            limits = {"free": rng.randrange(_FREE)} if on_disk else {"limit": rng.randrange(_LIMIT)}
            nest.work("full.press", path=str(path), script=script, **limits)
            _read(nest.rest(), book, script, count, seen)
            look(path, [book], [[]], count)
            ground.tell("limits", number + 1, size)
        forbidden = _forbid(nest, seed, before, count, seen)
        small = disk is not None
    wrong = count.wrong + len(seen.unclear) + seen.silent + seen.stuck
    return Finding(
        "full", not wrong, size,
        {
            **count.figures, "refused": seen.refused, "unreached": seen.unreached,
            "unclear": len(seen.unclear), "recalls_failed": seen.silent, "stuck": seen.stuck,
            "forbidden": forbidden, "small_disk": small,
        },
        f"{size:,} limits on the size of files{' and of the disk' if small else ''}, {forbidden} "
        f"files and folders without rights: {seen.refused} refusals, {len(seen.unclear)} without "
        f"saying what to do{f' ({seen.unclear[0]})' if seen.unclear else ''}; {count.told()}; "
        f"{seen.silent} recalls failed meanwhile, {seen.stuck} processes did not recover",
    )  # fmt: skip


def _seeded(ground: Ground, rng: Random) -> tuple[Path, Book]:
    """Make the file that every case begins with, and what it holds."""
    path, book = ground.folder / "seed.db", Book({f"u{n}": {} for n in range(_USERS)})
    store = SQLiteStore(path)
    with opened(None, store=store) as memory:
        for step in book.script(rng, _BEFORE):
            if step[0] in ("learn", "again", "edit"):
                do(memory, store, path, step)
                book.apply(step)
    return path, book


def _copied(seed: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)  # a disk's own folder stays, empty
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    return Path(shutil.copy(seed, folder / "prefs.db"))


def _read(answers: list[Any], book: Book, script: list[Step], count: Count, seen: _Seen) -> None:
    """Write into the book what was acknowledged, and count how refusals looked."""
    done: list[int] = [a["done"] for a in answers if "done" in a]
    refused: list[str] = [a["refused"] for a in answers if "refused" in a]
    for index in done:
        book.apply(script[index])
    count.acknowledged += len(done)
    count.errors += [str(a["error"]) for a in answers if "error" in a]
    seen.refused += len(refused)
    seen.unreached += not refused
    seen.unclear += [text for text in refused if not any(help_ in text for help_ in _HELP)]
    seen.silent += sum("mute" in a for a in answers)
    seen.stuck += not any("recovered" in a for a in answers)


def press(given: Mapping[str, Any], tell: Tell) -> None:
    """Run a script until there is no room, recall, make room, and go on in the same process."""
    path = Path(given["path"])
    script: list[Step] = [(what, user, number) for what, user, number in given["script"]]
    with _pressed(path, given) as relieve:
        held, at = _until_refused(path, script, tell)
        if held is not None:
            _recalled(held[0], script[0][1], tell)
        relieve()
        again = held or _open(path)
        for index in range(at, min(at + 5, len(script))):
            do(*again, path, script[index])
            tell({"done": index})
        again[0].close()
    tell({"recovered": True})


def _open(path: Path) -> tuple[PreferenceMemory, SQLiteStore]:
    store = SQLiteStore(path)
    return opened(None, store=store), store


def _until_refused(
    path: Path, script: list[Step], tell: Tell
) -> tuple[tuple[PreferenceMemory, SQLiteStore] | None, int]:
    """Run steps until one is refused; gives the open memory, and which step it was."""
    held, at = None, 0
    try:
        held = _open(path)
        for at, step in enumerate(script):  # the step that failed is told
            do(*held, path, step)
            tell({"done": at})
        return held, len(script)
    except StoreUnavailableError as error:
        tell({"refused": str(error)})
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent counts it
        tell({"error": told(error)})
    return held, at


def _recalled(memory: PreferenceMemory, user: str, tell: Tell) -> None:
    """Recall as an agent does while nothing can be written."""
    try:
        memory.render(memory.recall(request(user, 0), user_id=user))
    except PrefmemError as error:
        tell({"mute": told(error)})


@contextmanager
def _pressed(path: Path, given: Mapping[str, Any]) -> Generator[Any]:
    """Leave little room: by a limit on files of this process, or by a file that fills the disk."""
    import resource

    if "limit" in given:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (given["limit"], most))
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        return
    ballast = path.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(ballast, max(0, ballast.stat().st_size - given["free"]))
    yield ballast.unlink


@contextmanager
def _small_disk(folder: Path) -> Generator[Path | None]:
    """Mount a disk of a megabyte and a half in memory; None where that may not be done."""
    place, mount = folder / "disk", shutil.which("mount")
    place.mkdir()
    words = [mount or "mount", "-t", "tmpfs", "-o", f"size={_DISK}k", "none", str(place)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run([shutil.which("umount") or "umount", str(place)], check=True)


def _forbid(nest: Nest, seed: Path, before: Book, count: Count, seen: _Seen) -> int:
    """Try files and folders that may not be read or written; gives how many."""
    with TemporaryDirectory(prefix="prefmem-rights-") as place:
        Path(place).chmod(0o755)  # root tries it as nobody, who must come so far
        for number, what in enumerate(_FORBIDDEN):
            path = _copied(seed, Path(place) / str(number))
            nest.work("full.knock", path=str(path), what=what)
            book = before.after()
            _read(nest.rest(), book, [("learn", "u0", 10_000)], count, seen)
            look(path, [book], [[]], count)
    return len(_FORBIDDEN)


def knock(given: Mapping[str, Any], tell: Tell) -> None:
    """Open a file without the right to, as nobody where this is root; then with it."""
    path, what = Path(given["path"]), given["what"]
    shut = path if what.startswith("file") else path.parent
    modes = {"read-only": 0o555, "closed": 0o000}
    kept = shut.stat().st_mode
    if os.geteuid() == 0:
        for own in (path, path.parent):
            os.chown(own, _NOBODY, _NOBODY)
        os.setgroups([])
        os.setegid(_NOBODY)
        os.seteuid(_NOBODY)
    shut.chmod(modes[what.split()[-1]])
    held = None
    try:
        held = opened(path)
        _recalled(held, "u0", tell)
        held.learn(window("u0", 10_000), user_id="u0", session_id="u0")
        tell({"done": 0})
    except StoreUnavailableError as error:
        tell({"refused": str(error)})
    except Exception as error:  # noqa: BLE001  # as above
        tell({"error": f"{what}: {told(error)}"})
    shut.chmod(kept)
    for beside in path.parent.glob(f"{path.name}-*"):  # SQLite gives them the file's own rights
        beside.chmod(0o644)
    if held is not None:
        with suppress(StoreError):
            held.close()
    with opened(path) as memory:
        memory.learn(window("u0", 10_000), user_id="u0", session_id="u0")
    tell({"done": 0})
    tell({"recovered": True})
