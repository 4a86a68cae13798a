"""The keys file: who each key is, as SHA-256 hashes. The keys themselves are nowhere.

The same file serves `prefmem serve`. A change takes effect with the next request; a key of a whole
tenant, without `user`, opens nothing here, since no request may name a user.
"""

import json
import logging
import os
import secrets
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from mcp.server.auth.provider import AccessToken
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prefmem import ConfigError
from prefmem.types import UserKey
from prefmem_mcp.identity import READ, WRITE, TokenUser

_log = logging.getLogger("prefmem.mcp")


class KeyEntry(BaseModel):
    """A key as the file has it.

    Attributes:
        name: For people; unique.
        sha256: Hash of the key, 64 hexadecimal digits.
        user: The one user that it is for.
        tenant: The user's tenant; empty for the memory's own.
        scopes: `read` looks, `write` changes; others are for other servers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # `prefmem serve` keeps rates here

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    user: str | None = None
    tenant: str = ""
    scopes: tuple[str, ...] = (READ, WRITE)

    @model_validator(mode="after")
    def _usable(self) -> "KeyEntry":
        if self.user is not None:
            UserKey(self.user, self.tenant)
        return self


class _Keys(BaseModel):
    keys: tuple[KeyEntry, ...]

    @model_validator(mode="after")
    def _unique(self) -> "_Keys":
        for column in ("name", "sha256"):
            values = [getattr(entry, column) for entry in self.keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {column}")
        return self


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
        self._path = path
        self._stamp = _stamp(path)
        self._known: Mapping[str, TokenUser] = _known(path)
        if not self._known:
            raise ConfigError(
                f"{path} holds no key of a user; make one with: "
                f"prefmem mcp --keys {path} --new-key NAME --user USER"
            )

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give whose key it is; None for an unknown one."""
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._known = _known(self._path)
            except ConfigError as error:
                self._known = {}
                _log.error("no key opens anything until this is put right: %s", error)
        return self._known.get(sha256(token.encode("utf-8", "replace")).hexdigest())


def make_key(path: Path, name: str, user: UserKey) -> str:
    """Make a key, put its hash into a keys file, and give it: it is not to be had again.

    The file is made if missing, readable by its owner only, and replaced as a whole.

    Args:
        path: A file in JSON.
        name: Name of the key.
        user: Whose it is.

    Raises:
        ConfigError: The name is taken or unusable, or the file cannot be read or written.
    """
    if path.suffix == ".toml":
        raise ConfigError(f"{path}: keys are added to JSON files only; write TOML by hand")
    held: list[dict[str, Any]] = _data(path)["keys"] if path.exists() else []
    key = f"pm_{secrets.token_urlsafe(32)}"
    entry = {"name": name, "sha256": sha256(key.encode()).hexdigest(), "user": user.user_id}
    entry |= {"tenant": user.tenant} if user.tenant else {}
    data = {"keys": [*held, entry]}
    _read(path, data)
    try:
        _replace(path, json.dumps(data, indent=2) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; no key was made") from error
    return key


def _known(path: Path) -> Mapping[str, TokenUser]:
    entries = _read(path, _data(path))
    return {
        entry.sha256: TokenUser.of(
            UserKey(entry.user, entry.tenant), frozenset(entry.scopes) & {READ, WRITE}
        )
        for entry in entries
        if entry.user is not None
    }


def _data(path: Path) -> Any:  # noqa: ANN401  # what a file holds
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read the keys file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is neither JSON nor, by the name .toml, TOML") from error
    _read(path, data)
    return data


def _read(path: Path, data: object) -> tuple[KeyEntry, ...]:
    try:
        return _Keys.model_validate(data).keys
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise ConfigError(f"{path} is no keys file: {where}: {first['msg']}") from None


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
