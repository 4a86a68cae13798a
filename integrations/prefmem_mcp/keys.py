"""The keys file as the SDK asks for it, see `prefmem_keys.file`: keys become tokens of users.

A key of a whole tenant, without `user`, opens nothing here, since no request may name a user.
"""

from pathlib import Path

from mcp.server.auth.provider import AccessToken

from prefmem import ConfigError
from prefmem_keys.file import KeyEntry, KeyFile, make_key
from prefmem_mcp.identity import TokenUser

__all__ = ["KeyEntry", "KeyVerifier", "make_key"]


class KeyVerifier:
    """Knows the keys of a file, as it is now: a key that is taken out opens nothing any more.

    While the file is broken or gone, no key opens anything.

    Args:
        path: The file.

    Raises:
        ConfigError: The file cannot be read, is no keys file, or holds no user's key.
    """

    def __init__(self, path: Path) -> None:
        """Read the file."""
        self._file = KeyFile(path)
        if all(bearer.user_id is None for bearer in self._file.known().values()):
            raise ConfigError(
                f"{path} holds no key of a user; make one with: "
                f"prefmem mcp --keys {path} --new-key NAME --user USER"
            )

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give whose key it is; None for an unknown one."""
        found = self._file.find(token.encode("utf-8", "replace"))
        return None if found is None else TokenUser.from_bearer(found)
