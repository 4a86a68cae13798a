"""What stands between a value and its column: nothing, or a cipher with a key for each user.

A value is sealed for one place: `column` (`table.column`) and `row`, what names its row within the
user. Sealed values do not open in another place.
"""

from typing import Protocol


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
    """Keeps values as they are."""

    def text(self, text: str, column: str, row: str | int = "") -> str:
        """Give the text."""
        del column, row
        return text

    def open_text(self, sealed: str, column: str, row: str | int = "") -> str:
        """Give the text."""
        del column, row
        return sealed

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


OPEN = Open()
