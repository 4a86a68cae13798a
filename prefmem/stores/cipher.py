"""Seals with a key for each user: AES-256-GCM, bound to user, column and row.

A sealed text reads `1:` and base64, sealed bytes begin with the byte 1, and both go on with a nonce
of 12 random bytes and what AES-GCM gives. What is looked up is sealed by AES-SIV, equal for equal.
"""

import base64
import binascii
import hmac
import os
import secrets
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from prefmem.errors import ConfigError, StoreUnavailableError
from prefmem.stores.base import Connection, Uid
from prefmem.stores.keys import KEY_BYTES, UserKeys
from prefmem.types import UserKey

_TEXT, _BLOB, _NONCE = "1:", b"\x01", 12


class Ciphers:
    """What one data key seals with; each use has a key of its own, derived from it."""

    def __init__(self, key: bytes) -> None:
        """Derive the keys."""
        self.values = AESGCM(_derived(key, b"values"))
        self.keys = AESSIV(_derived(key, b"keys 1") + _derived(key, b"keys 2"))
        self.names = _derived(key, b"names")


class LocalMaster:
    """Wraps with AES-256-GCM under a key that is in this process.

    Args:
        key: 32 random bytes.

    Raises:
        ConfigError: The key has another length.
    """

    def __init__(self, key: bytes) -> None:
        """Take the key."""
        if len(key) != KEY_BYTES:
            raise ConfigError(
                f"the master key has {len(key)} bytes; pass {KEY_BYTES} random ones, as "
                "`prefmem keys new FILE` makes them"
            )
        self._cipher = AESGCM(key)

    def wrap(self, key: bytes, about: bytes) -> bytes:
        """Encrypt a key, bound to `about`."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, key, about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """Decrypt a key.

        Raises:
            ValueError: It was not wrapped with this key, or not about this.
        """
        try:
            return self._cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], about)
        except (InvalidTag, ValueError):
            raise ValueError("not wrapped with this key") from None


class UserSeal:
    """Seals the values of one user; the key is looked up with the first value.

    Args:
        keys: The data keys.
        db: A connection within a transaction.
        user: The user.
        uid: What stands for the user.
        writing: Whether a user without a key gets one.
    """

    def __init__(
        self, keys: UserKeys, db: Connection, user: UserKey, uid: Uid, *, writing: bool
    ) -> None:
        """Look up nothing yet."""
        self._keys, self._db, self._uid, self._writing = keys, db, uid, writing
        self._whose = sha256(f"{user.tenant}\0{user.user_id}".encode()).digest()

    @cached_property
    def _ciphers(self) -> Ciphers:
        row = self._db.execute("select key_id from users where uid = ?", (self._uid,)).fetchone()
        name = str(row[0]) if row else ""
        if not name:
            if not (self._writing and row):  # then nothing is held that could be found or opened
                return Ciphers(secrets.token_bytes(KEY_BYTES))
            name = self._made()
        found = self._keys.find(name)
        if found is None:
            raise StoreUnavailableError(
                "the key of this user was dropped: nothing that is held can be read any more; "
                "forget_user removes it"
            )
        return found

    def _made(self) -> str:
        """Give the user a key, unless another transaction does so just now; gives its name."""
        name = self._keys.make()
        given = self._db.execute(
            "update users set key_id = ? where uid = ? and key_id = ''", (name, self._uid)
        )
        if given.rowcount:
            return name
        row = self._db.execute("select key_id from users where uid = ?", (self._uid,)).fetchone()
        return str(row[0])

    def text(self, text: str, column: str, row: str | int = "") -> str:
        """Seal a text."""
        sealed = self._sealed(text.encode("utf-8", "surrogatepass"), column, row)
        return _TEXT + base64.b64encode(sealed).decode()

    def open_text(self, sealed: str, column: str, row: str | int = "") -> str:
        """Open a text.

        Raises:
            StoreUnavailableError: It was not sealed for this place with this key, or is damaged.
        """
        try:
            if not sealed.startswith(_TEXT):
                raise _damaged(column)
            blob = base64.b64decode(sealed[len(_TEXT) :], validate=True)
            return self._opened(blob, column, row).decode("utf-8", "surrogatepass")
        except (binascii.Error, UnicodeError):
            raise _damaged(column) from None

    def blob(self, blob: bytes, column: str, row: str | int = "") -> bytes:
        """Seal bytes."""
        return _BLOB + self._sealed(blob, column, row)

    def open_blob(self, sealed: bytes, column: str, row: str | int = "") -> bytes:
        """Open bytes.

        Raises:
            StoreUnavailableError: They were not sealed for this place with this key, or are
                damaged.
        """
        if sealed[:1] != _BLOB:
            raise _damaged(column)
        return self._opened(sealed[1:], column, row)

    def key(self, key: str, column: str) -> str:
        """Seal what rows are found by: equal for equal, and so are the parts around a colon."""
        about = [self._whose, column.encode()]
        return ":".join(
            base64.urlsafe_b64encode(self._ciphers.keys.encrypt(part.encode(), about)).decode()
            if part
            else ""
            for part in key.split(":", 1)
        )

    def open_key(self, sealed: str, column: str) -> str:
        """Open what rows are found by.

        Raises:
            StoreUnavailableError: It was not sealed for this column with this key, or is damaged.
        """
        about = [self._whose, column.encode()]
        try:
            return ":".join(
                self._ciphers.keys.decrypt(base64.urlsafe_b64decode(part), about).decode()
                if part
                else ""
                for part in sealed.split(":", 1)
            )
        except (InvalidTag, ValueError):
            raise _damaged(column) from None

    def name(self, digest: bytes) -> bytes:
        """Give for a hash of a text one that tells nothing without the key; equal for equal."""
        return hmac.digest(self._ciphers.names, self._whose + digest, "sha256")[:16]

    def _sealed(self, value: bytes, column: str, row: str | int) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._ciphers.values.encrypt(nonce, value, self._about(column, row))

    def _opened(self, sealed: bytes, column: str, row: str | int) -> bytes:
        try:
            return self._ciphers.values.decrypt(
                sealed[:_NONCE], sealed[_NONCE:], self._about(column, row)
            )
        except (InvalidTag, ValueError):
            raise _damaged(column) from None

    def _about(self, column: str, row: str | int) -> bytes:
        return self._whose + f"{column}\0{row}".encode("utf-8", "surrogatepass")


def _derived(key: bytes, use: bytes) -> bytes:
    return hmac.digest(key, b"prefmem " + use, "sha256")


def _damaged(column: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"what {column} holds of this user was not sealed with the user's key for this place, or "
        "is damaged; restore a backup"
    )
