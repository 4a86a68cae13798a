"""The list of erasures: whom no backup may bring back, in the database and in a file beside it.

A user is named by a keyed hash, and comes with the time of the newest erasure, which only grows:
two lists make one by taking the later time of each. A user is erased again where a list knows a
later time than the database; who comes back after an erasure stays, as the database knows it.
"""

import os
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefmem.errors import InputError, StoreUnavailableError
from prefmem.stores.audit import token_of, write_act
from prefmem.stores.base import Connection
from prefmem.types import Action, UserKey

try:
    import fcntl
except ImportError:  # Windows: one process at a time writes a database
    fcntl = None  # type: ignore[assignment]

LIST_SUFFIX = "-erased"  # after the name of a database: the list beside it
_TITLE = "prefmem erasures 1"
_TOKEN_BYTES = 32
_TAIL = 4096  # bytes that hold more than one line


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased, and when last.

    Attributes:
        secret: Key of the hashes, as the database holds it.
        times: Time of the newest erasure, ISO 8601 in UTC with microseconds, by token.
        mark: Names the content of the file that it was read from; empty where there was none.
    """

    secret: str
    times: Mapping[bytes, str] = field(default_factory=dict[bytes, str])
    mark: str = ""

    def later_than(self, known: Mapping[bytes, str]) -> Mapping[bytes, str]:
        """Give the erasures that others do not know."""
        return {token: at for token, at in self.times.items() if known.get(token, "") < at}

    def joined(self, times: Mapping[bytes, str]) -> "Erased":
        """Give both lists as one."""
        latest = dict(self.times)
        for token, at in times.items():
            latest[token] = max(at, latest.get(token, ""))
        return Erased(self.secret, latest, self.mark)

    def text(self) -> str:
        """Give the list as a file holds it."""
        lines = (_line(token, at) for token, at in sorted(self.times.items()))
        return f"{_title(self.secret)}{''.join(lines)}"

    @classmethod
    def read(cls, data: bytes, name: str) -> "Erased":
        """Read what a file holds; a last line that a crash cut off was never acknowledged.

        Args:
            data: The content.
            name: What the file is called in a message.

        Raises:
            InputError: It is no list of erasures.
            StoreUnavailableError: A line is damaged.
        """
        title, *lines = data.split(b"\n")
        words = title.split(b" ")
        if b" ".join(words[:3]) != _TITLE.encode() or len(words) != 5 or not lines:
            raise InputError(f"{name} is no list of erasures; prefmem erasures export writes one")
        secret = words[3].decode("ascii", "replace")
        if title.decode("ascii", "replace") != _title(secret)[:-1]:
            raise _damaged(name, 1)
        found = cls(secret, mark=f"{len(data)}:{zlib.crc32(data):08x}")
        times: dict[bytes, str] = {}
        for number, line in enumerate(lines[:-1], start=2):
            token, at = _read_line(line, name, number)
            times[token] = max(at, times.get(token, ""))
        return cls(secret, times, found.mark)


class ErasureFile:
    """A list of erasures that only grows: every line is on disk when the call returns.

    Args:
        path: The file; it is made with the first erasure, for the owner alone.
    """

    def __init__(self, path: str | Path) -> None:
        """Read nothing yet."""
        self.path = Path(path)

    def read(self) -> Erased | None:
        """Read the list; None where there is no file.

        Raises:
            StoreUnavailableError: The file cannot be read, or is damaged.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailableError(
                f"cannot read the list of erasures {self.path}: {error.strerror}; who was erased "
                "would come back with a backup; let this user read it"
            ) from error
        if b"\n" not in data:  # a crash while it was made: nothing in it was acknowledged
            return None
        try:
            return Erased.read(data, str(self.path))
        except InputError as error:
            raise StoreUnavailableError(f"{error}; move the file away if it is another's") from None

    def append(self, secret: str, times: Mapping[bytes, str]) -> bool:
        """Add erasures; False where the file cannot be written."""
        lines = "".join(_line(token, at) for token, at in sorted(times.items())).encode()
        try:
            with self._opened() as (file, made):
                whole = _whole(file)
                if whole == 0:
                    lines = _title(secret).encode() + lines
                os.ftruncate(file, whole)  # what a crash cut off
                os.lseek(file, 0, os.SEEK_END)
                _written(file, lines)
                os.fsync(file)
            if made:
                sync_folder(self.path)
        except OSError:
            return False
        return True

    def write(self, listed: Erased) -> None:
        """Write a whole list in one step; what was there is replaced.

        Raises:
            StoreUnavailableError: It cannot be written.
        """
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            file = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                _written(file, listed.text().encode())
                os.fsync(file)
            finally:
                os.close(file)
            partial.replace(self.path)
            sync_folder(self.path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise StoreUnavailableError(
                f"cannot write the list of erasures {self.path}: {error.strerror}; nothing was "
                "changed"
            ) from error

    @contextmanager
    def _opened(self) -> Generator[tuple[int, bool], None, None]:
        """Open the file, alone; says whether it was made."""
        made = not self.path.exists()
        file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield file, made
        finally:
            os.close(file)


def next_time(at: datetime, before: str | None) -> str:
    """Give the time of an erasure, later than the one before whatever the clock says."""
    if before is not None:
        at = max(at, datetime.fromisoformat(before) + timedelta(microseconds=1))
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def read_times(db: Connection) -> Mapping[bytes, str]:
    """Read the list that a database holds."""
    return {bytes(t): at for t, at in db.execute("select token, at from erasures").fetchall()}


def write_times(db: Connection, times: Mapping[bytes, str]) -> None:
    """Add to the list that a database holds, within a transaction."""
    db.executemany(
        "insert into erasures (token, at) values (?, ?) "
        "on conflict (token) do update set at = excluded.at",
        list(times.items()),
    )


def note_erasure(
    db: Connection, secret: str, user: UserKey, *, action: Action, actor: str, at: datetime, n: int
) -> tuple[bytes, str]:
    """Write down within a transaction that a user is erased, with `n` cards; gives the line."""
    token = token_of(secret, user)
    known = db.execute("select at from erasures where token = ?", (token,)).fetchone()
    when = next_time(at, known[0] if known else None)
    write_times(db, {token: when})
    write_act(db, secret, action, user=user, actor=actor, at=at, n=n)
    return token, when


def everyone(db: Connection) -> tuple[UserKey, ...]:
    """List the users of all tenants."""
    rows = db.execute("select tenant, ext_id from users order by tenant, ext_id").fetchall()
    return tuple(UserKey(user_id, tenant) for tenant, user_id in rows)


def sync_folder(path: Path) -> None:
    """Bring to disk that a file has come into its folder."""
    if os.name == "nt":  # where a folder cannot be opened
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def joined(lists: Iterable[Erased]) -> tuple[Erased, ...]:
    """Make one list of those that have one secret, in the order of the secrets' first lists."""
    found: dict[str, Erased] = {}
    for listed in lists:
        known = found.get(listed.secret)
        found[listed.secret] = known.joined(listed.times) if known else listed
    return tuple(found.values())


def _title(secret: str) -> str:
    told = f"{_TITLE} {secret}"
    return f"{told} {zlib.crc32(told.encode()):08x}\n"


def _line(token: bytes, at: str) -> str:
    told = f"{token.hex()} {at}"
    return f"{told} {zlib.crc32(told.encode()):08x}\n"


def _read_line(line: bytes, name: str, number: int) -> tuple[bytes, str]:
    told, _, check = line.rpartition(b" ")
    try:
        if int(check, 16) != zlib.crc32(told):
            raise ValueError
        token, at = told.decode("ascii").split(" ")
        datetime.fromisoformat(at)
        found = bytes.fromhex(token)
    except ValueError:
        raise _damaged(name, number) from None
    if len(found) != _TOKEN_BYTES:
        raise _damaged(name, number)
    return found, at


def _whole(file: int) -> int:
    """Give the length of the file up to its last whole line."""
    size = os.lseek(file, 0, os.SEEK_END)
    start = max(0, size - _TAIL)
    os.lseek(file, start, os.SEEK_SET)
    cut = os.read(file, _TAIL).rfind(b"\n")
    if cut < 0 and start:
        raise OSError("no line ends near the end of the file")
    return start + cut + 1


def _written(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _damaged(name: str, line: int) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the list of erasures {name} is damaged in line {line}, so who was erased since a backup "
        "is not known; put a copy of it back, or take that line out once the database that "
        "wrote it is known to be the newest"
    )
