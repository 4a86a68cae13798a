"""Which SQLite opens a file: Python's own, or SQLCipher, which encrypts every page of it."""

import hashlib
import os
import sqlite3
from importlib import import_module
from pathlib import Path
from typing import Any

from prefmem.errors import ConfigError, MissingExtraError, StoreUnavailableError
from prefmem.stores.filelock import FileLock

_SALT_BYTES, _KEY_BYTES, _ROUNDS = 16, 32, 256_000  # as SQLCipher 4 derives a key
_WAIT = 15.0  # seconds for another process that makes the file


class Driver:
    """Python's own SQLite.

    Attributes:
        page_bytes: Pages of a new file: a card with its vector stays in one of this size, where in
            SQLite's own of 4 kB it would go on in another. None leaves the size as it is.
        unreadable: What to do about a file that is no database to it.
    """

    page_bytes: int | None = 8192
    Error: type[Exception] = sqlite3.Error
    OperationalError: type[Exception] = sqlite3.OperationalError
    ProgrammingError: type[Exception] = sqlite3.ProgrammingError
    IntegrityError: type[Exception] = sqlite3.IntegrityError
    unreadable = "it needs a passphrase, or is damaged; restore a backup"

    def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
        """Open a connection without transactions of its own, for any thread.

        Args:
            path: The file; it is made if missing.
            timeout: Seconds to wait for a lock.
        """
        return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


class SQLCipher(Driver):
    """SQLCipher 4: every page and the write-ahead log encrypted, with one key for the whole file.

    A passphrase is stretched once for a file, which takes about a third of a second, not for every
    connection; other programs open the file with the same passphrase.

    Args:
        passphrase: A passphrase; or 32 random bytes, which are used as they are.

    Raises:
        ConfigError: The passphrase is empty, or the bytes are not 32.
        MissingExtraError: `sqlcipher3` is not installed.
    """

    page_bytes = None  # SQLCipher opens no file whose pages have another size than its own
    unreadable = "the passphrase is another one, or the file is damaged or was never encrypted"

    def __init__(self, passphrase: str | bytes) -> None:
        """Load SQLCipher."""
        if not passphrase or (isinstance(passphrase, bytes) and len(passphrase) != _KEY_BYTES):
            raise ConfigError(f"pass a passphrase, or a key of {_KEY_BYTES} random bytes")
        try:
            module: Any = import_module("sqlcipher3.dbapi2")
        except ImportError:
            raise MissingExtraError(
                'a passphrase needs SQLCipher: pip install "prefmem[sqlcipher]"'
            ) from None
        self._module, self._passphrase = module, passphrase
        self._stretched: dict[bytes, bytes] = {}  # by salt
        self.Error, self.OperationalError = module.Error, module.OperationalError
        self.ProgrammingError, self.IntegrityError = module.ProgrammingError, module.IntegrityError

    def connect(self, path: str, *, timeout: float) -> sqlite3.Connection:
        """Open a connection; the file is made in one step if missing."""
        if path == ":memory:":
            return self._connected(path, timeout, b"")
        salt = _salt(path)
        if not salt:
            self._make(path)
            salt = _salt(path)
        return self._connected(path, timeout, salt)

    def _make(self, path: str) -> None:
        """Write the first page, with a salt that all who open the file at once will find."""
        lock = FileLock(f"{path}-lock")
        if not lock.acquire(_WAIT):
            raise StoreUnavailableError(f"cannot make {path}: another process is at it; try again")
        try:
            if not _salt(path):
                db = self._connected(path, _WAIT, os.urandom(_SALT_BYTES))
                db.execute("vacuum")  # writes what an empty database is
                db.close()
        finally:
            lock.release()
            lock.close()

    def _connected(self, path: str, timeout: float, salt: bytes) -> sqlite3.Connection:
        db: sqlite3.Connection = self._module.connect(
            path, timeout=timeout, isolation_level=None, check_same_thread=False
        )
        if salt:
            db.execute("pragma cipher_log_level = none")  # it would write to stderr
            told = (self._key(salt) + salt).hex()
            db.execute(f"pragma key = \"x'{told}'\"")
        return db

    def _key(self, salt: bytes) -> bytes:
        if isinstance(self._passphrase, bytes):
            return self._passphrase
        if salt not in self._stretched:
            self._stretched[salt] = hashlib.pbkdf2_hmac(
                "sha512", self._passphrase.encode(), salt, _ROUNDS, _KEY_BYTES
            )
        return self._stretched[salt]


def _salt(path: str) -> bytes:
    """Read the salt that an encrypted file begins with; nothing where there is no file yet."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_SALT_BYTES)
    except OSError:  # SQLite says what is wrong
        return b""
