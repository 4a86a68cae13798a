"""What stands between a value and its column: nothing, or a cipher with a key for each user."""

from typing import Protocol


class Seal(Protocol):
    """Seals and opens what is held about one user."""

    def text(self, text: str) -> str:
        """Seal a text."""
        ...

    def open_text(self, sealed: str) -> str:
        """Open a text.

        Raises:
            StoreUnavailableError: It was not sealed with this key, or is damaged.
        """
        ...

    def blob(self, blob: bytes) -> bytes:
        """Seal bytes."""
        ...

    def open_blob(self, sealed: bytes) -> bytes:
        """Open bytes.

        Raises:
            StoreUnavailableError: They were not sealed with this key, or are damaged.
        """
        ...

    def name(self, digest: bytes) -> bytes:
        """Give for a hash of a text one that tells nothing without the key; equal for equal."""
        ...


class Open:
    """Keeps values as they are."""

    def text(self, text: str) -> str:
        """Give the text."""
        return text

    def open_text(self, sealed: str) -> str:
        """Give the text."""
        return sealed

    def blob(self, blob: bytes) -> bytes:
        """Give the bytes."""
        return blob

    def open_blob(self, sealed: bytes) -> bytes:
        """Give the bytes."""
        return sealed

    def name(self, digest: bytes) -> bytes:
        """Give the hash."""
        return digest


OPEN = Open()
