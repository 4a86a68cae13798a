"""Questions to a big model, each of which is asked and paid once, even if the process is killed."""

import hashlib
import json
import sqlite3
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from prefmem.agent.bigmodel import BigModel, Messages
from prefmem.errors import StoreUnavailableError, StoreVersionError
from prefmem.messages import clean

CALLS = "calls.db"  # name of the cache in a user's folder
_APPLICATION, _VERSION = 0x70666D63, 1  # "pfmc"
_MADE = """
create table if not exists calls (
    key blob primary key, answer text not null, tokens_in integer not null,
    tokens_out integer not null
) without rowid
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls took. Tokens are estimated from characters; see `tokens`.

    Attributes:
        calls: Answers.
        tokens_in: Read by the model.
        tokens_out: Written by it.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        """Give both together."""
        return Spent(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
        )

    def times(self, n: int) -> "Spent":
        """Give n times as much."""
        return Spent(n * self.calls, n * self.tokens_in, n * self.tokens_out)

    def price(self, per_million_in: float, per_million_out: float) -> float:
        """Give what it costs, by the price of a million tokens read and written."""
        return (self.tokens_in * per_million_in + self.tokens_out * per_million_out) / 1e6


def tokens(text: str) -> int:
    """Estimate the tokens of a text: one for 4 ASCII characters, two for 3 others."""
    plain = sum(1 for c in text if c < "\x80")
    return -(-plain // 4) + -(-2 * (len(text) - plain) // 3)


class Calls:
    """Asks a big model and keeps every answer, so that nothing is asked twice.

    An answer is in the file before it is given, and a kill leaves it there. Its name is the SHA-256
    of the model's name, the messages, the temperature and the number of the sample. The file holds
    what the user wrote, in the answers; only its owner may read it. Threads and processes may share
    it.

    Args:
        model: The model; `big_model` makes one of any chat model.
        path: The cache, a SQLite file that is made if missing; None keeps answers in memory.

    Raises:
        StoreVersionError: The file is of another program or a newer prefmem.
        StoreUnavailableError: The file cannot be opened, or is damaged.
    """

    def __init__(self, model: BigModel, path: Path | None = None) -> None:
        """Open the cache."""
        self._model, self._path = model, path
        self._lock = Lock()
        self._asked: dict[bytes, Future[str]] = {}
        self._fresh = self._kept = Spent()
        with self._errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)
            self._db = sqlite3.connect(
                ":memory:" if path is None else path, timeout=60, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    @property
    def concurrency(self) -> int:
        """Calls in flight at once that the model takes."""
        return self._model.concurrency

    @property
    def fresh(self) -> Spent:
        """What was asked of the model since the cache was opened."""
        with self._lock:
            return self._fresh

    @property
    def kept(self) -> Spent:
        """What the cache gave since it was opened, at what it had cost."""
        with self._lock:
            return self._kept

    def __call__(self, messages: Messages, temperature: float | None, *, sample: int = 0) -> str:
        """Give the reply to messages; the same one for the same question and sample.

        Args:
            messages: Each with `role` and `content`.
            temperature: Of the model; None leaves it to it.
            sample: Number of the try, where several answers to one question are wanted.

        Raises:
            EndpointError: The model fails; nothing is kept then.
            StoreUnavailableError: The cache cannot be read or written.
        """
        key = self._key(messages, temperature, sample)
        with self._lock:
            waiting = self._asked.get(key)
            mine = self._asked.setdefault(key, Future()) if waiting is None else None
        if mine is None:
            return waiting.result() if waiting else ""
        try:
            answer = self._answer(key, messages, temperature)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(answer)
            return answer
        finally:
            with self._lock:
                del self._asked[key]

    def knows(self, messages: Messages, temperature: float | None, *, sample: int = 0) -> bool:
        """Whether the cache holds the reply."""
        return self._read(self._key(messages, temperature, sample)) is not None

    def close(self) -> None:
        """Close the cache."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> "Calls":
        """Give itself."""
        return self

    def __exit__(self, *args: object) -> None:
        """Close the cache."""
        self.close()

    def _answer(self, key: bytes, messages: Messages, temperature: float | None) -> str:
        row = self._read(key)
        if row is not None:
            answer, spent = row
            with self._lock:
                self._kept += spent
            return answer
        answer = clean(self._model.ask(messages, temperature))
        spent = Spent(1, sum(tokens(m["content"]) for m in messages), tokens(answer))
        with self._errors(), self._lock:
            self._db.execute(
                "insert or ignore into calls values (?, ?, ?, ?)",
                (key, answer, spent.tokens_in, spent.tokens_out),
            )
            self._fresh += spent
        return answer

    def _read(self, key: bytes) -> tuple[str, Spent] | None:
        with self._errors(), self._lock:
            found: Any = self._db.execute(
                "select answer, tokens_in, tokens_out from calls where key = ?", (key,)
            ).fetchone()
        return (str(found[0]), Spent(1, int(found[1]), int(found[2]))) if found else None

    def _key(self, messages: Messages, temperature: float | None, sample: int) -> bytes:
        asked = [[m["role"], m["content"]] for m in messages]
        told = json.dumps([self._model.name, asked, temperature, sample])
        return hashlib.sha256(told.encode()).digest()

    def _prepare(self) -> None:
        (version,) = self._db.execute("pragma user_version").fetchone()
        (owner,) = self._db.execute("pragma application_id").fetchone()
        tables = self._db.execute("select count(*) from sqlite_master").fetchone()[0]
        if (owner, version) not in ((_APPLICATION, _VERSION), (0, 0)) or (tables and not owner):
            raise StoreVersionError(
                f"{self._path} is no cache of calls of this version; move it away, or use the "
                "prefmem that wrote it"
            )
        # A kill takes no answer that was written, and none waits for the disk: what is in hand when
        # the process dies would be paid again. A power cut may take the last ones.
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.execute("begin immediate")
        self._db.execute(_MADE)
        self._db.execute(f"pragma application_id = {_APPLICATION}")
        self._db.execute(f"pragma user_version = {_VERSION}")
        self._db.execute("commit")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(
                f"the cache of calls {self._path} cannot be used ({type(error).__name__}: "
                f"{error}); free or mend its disk, or delete the file and pay for its answers again"
            ) from error
