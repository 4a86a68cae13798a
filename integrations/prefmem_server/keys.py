"""The keys file as the gate reads it, see `prefmem_keys.file`: keys become principals."""

from collections.abc import Iterator
from pathlib import Path

from prefmem import ConfigError
from prefmem_keys import file
from prefmem_keys.file import KeyEntry, make_key, read_keys
from prefmem_server.auth import Principal

__all__ = ["KeyEntry", "KeyFile", "make_key", "read_keys"]


class KeyFile:
    """The keys of a file, as they are now; none while it is broken or gone.

    Args:
        path: The file.

    Raises:
        ConfigError: The file cannot be read, is no keys file, or holds no key.
    """

    def __init__(self, path: Path) -> None:
        """Read the file."""
        self._file = file.KeyFile(path)
        if not self._file.known():
            raise ConfigError(
                f"{path} holds no key; make one with: prefmem serve --keys {path} --new-key NAME"
            )

    def __iter__(self) -> Iterator[tuple[bytes, Principal]]:
        """Give each key's hash and what it opens."""
        for digest, bearer in self._file.known().items():
            yield digest, Principal.of(bearer)
