"""What stands between a value and its column: a checksum, or a cipher with a key for each user.

A value is sealed for one place: `column` (`table.column`) and `row`, what names its row within the
user. Sealed values do not open in another place.
"""

import zlib
from typing import Protocol

from prefmem.errors import StoreUnavailableError

_MARK = "\x1e"  # between a text and its checksum: no JSON holds it


class Seal(Protocol):
    """Seals and opens what is held about one user."""

    def text(self, text: str, column: str, row: str | int = "") -> str:
        """Seal a text."""
        ...

    def open_text(self, sealed: str, column: str, row: str | int = "") -> str:
        """Open a text.

        Raises:
            StoreUnavailableError: It was not sealed for this place with this key, or is damaged.
        """
        ...

    def blob(self, blob: bytes, column: str, row: str | int = "") -> bytes:
        """Seal bytes."""
        ...

    def open_blob(self, sealed: bytes, column: str, row: str | int = "") -> bytes:
        """Open bytes.

        Raises:
            StoreUnavailableError: They were not sealed for this place with this key, or are
                damaged.
        """
        ...

    def key(self, key: str, column: str) -> str:
        """Seal what rows are found by: equal for equal, and so are the parts around a colon."""
        ...

    def open_key(self, sealed: str, column: str) -> str:
        """Open what rows are found by.

        Raises:
            StoreUnavailableError: It was not sealed for this column with this key, or is damaged.
        """
        ...

    def name(self, digest: bytes) -> bytes:
        """Give for a hash of a text one that tells nothing without the key; equal for equal."""
        ...


class Open:
    """Keeps values readable: texts with a checksum over them and their place, as SQLite has none.

    Bytes have one of their own. A text of before, without a checksum, is read as it is.
    """

    def text(self, text: str, column: str, row: str | int = "") -> str:
        """Give the text, and nine characters behind it."""
        return f"{text}{_MARK}{_checksum(text, column, row)}"

    def open_text(self, sealed: str, column: str, row: str | int = "") -> str:
        """Give the text.

        Raises:
            StoreUnavailableError: It is damaged, or was written for another place.
        """
        text, mark, told = sealed[:-9], sealed[-9:-8], sealed[-8:]
        if mark != _MARK:
            return sealed
        if told != _checksum(text, column, row):
            raise StoreUnavailableError(
                f"a value of {column} is damaged; restore a backup of the store"
            )
        return text

    def blob(self, blob: bytes, column: str, row: str | int = "") -> bytes:
        """Give the bytes."""
        del column, row
        return blob

    def open_blob(self, sealed: bytes, column: str, row: str | int = "") -> bytes:
        """Give the bytes."""
        del column, row
        return sealed

    def key(self, key: str, column: str) -> str:
        """Give the key."""
        del column
        return key

    def open_key(self, sealed: str, column: str) -> str:
        """Give the key."""
        del column
        return sealed

    def name(self, digest: bytes) -> bytes:
        """Give the hash."""
        return digest


def _checksum(text: str, column: str, row: str | int) -> str:
    return f"{zlib.crc32(f'{column}{_MARK}{row}{_MARK}{text}'.encode(errors='replace')):08x}"


OPEN = Open()
