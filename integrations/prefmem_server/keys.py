"""The keys file: names, hashes and what each key opens. The keys themselves are nowhere.

A file in JSON (`{"keys": [...]}`) or TOML (`[[keys]]`); a change takes effect within a second.
"""

import json
import logging
import os
import secrets
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prefmem import ConfigError
from prefmem_server.auth import Principal, Scope
from prefmem_server.limits import Rate

_CHECKED = 1.0  # seconds between two looks at the file
_log = logging.getLogger("prefmem.server")

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]


class KeyEntry(BaseModel):
    """A key as the file has it.

    Attributes:
        name: For logs and limits; unique.
        sha256: Hash of the key, 64 hexadecimal digits.
        tenant: Whose users it reaches; empty for the memory's own tenant.
        user: The one user that it may act for; None for any of the tenant.
        scopes: What it may do, see `Principal`.
        rate: Requests a second; None for the server's limit.
        burst: Requests at once; twice the rate unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    tenant: Annotated[str, Field(max_length=256, pattern=r"^[^\x00]*$")] = ""
    user: Id | None = None
    scopes: tuple[Scope, ...] = ("read", "write")
    rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    burst: Annotated[float, Field(ge=1, le=1e6)] | None = None

    def principal(self) -> Principal:
        """Give what the key opens."""
        rate = None
        if self.rate is not None:
            rate = Rate(self.rate, max(1.0, self.burst or 2 * self.rate))
        return Principal(self.name, self.tenant, self.user, frozenset(self.scopes), rate)


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[KeyEntry, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "_Keys":
        for column in ("name", "sha256"):
            values = [getattr(entry, column) for entry in self.keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {column}")
        return self


class KeyFile:
    """The keys of a file, as they are now.

    A file that was broken or removed meanwhile is logged, and what was read before stays.

    Args:
        path: The file.
        clock: Seconds that only grow.

    Raises:
        ConfigError: The file cannot be read, is no keys file, or holds no key.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file."""
        self._path, self._clock = path, clock
        self._stamp = _stamp(path)
        self._looked = clock()
        self._keys = _opened(read_keys(path))
        if not self._keys:
            raise ConfigError(
                f"{path} holds no key; make one with: prefmem serve --keys {path} --new-key NAME"
            )

    def __iter__(self) -> Iterator[tuple[bytes, Principal]]:
        """Give each key's hash and what it opens."""
        if self._clock() - self._looked >= _CHECKED:
            self._looked = self._clock()
            self._refresh()
        return iter(self._keys)

    def _refresh(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _opened(read_keys(self._path))
        except ConfigError as error:
            _log.error("the keys stay as they were: %s", error)
        else:
            _log.info("read %d keys anew", len(self._keys))


def read_keys(path: Path) -> tuple[KeyEntry, ...]:
    """Read a keys file.

    Raises:
        ConfigError: It cannot be read, or is no keys file; the message names the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        return _Keys.model_validate(data).keys
    except OSError as error:
        raise ConfigError(f"cannot read the keys file {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise ConfigError(f"{path} is no keys file: {where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is neither JSON nor, by the name .toml, TOML") from error


def make_key(
    path: Path,
    name: str,
    *,
    tenant: str = "",
    user: str | None = None,
    scopes: Sequence[str] = ("read", "write"),
) -> str:
    """Make a key, put its hash into a keys file, and give it: it is not to be had again.

    The file is made if missing, readable by its owner only, and replaced as a whole.

    Raises:
        ConfigError: The name is taken or unusable, or the file cannot be read or written.
    """
    key = f"pm_{secrets.token_urlsafe(32)}"
    held = read_keys(path) if path.exists() else ()
    given = {"name": name, "sha256": sha256(key.encode()).hexdigest(), "tenant": tenant}
    try:
        entry = KeyEntry.model_validate({**given, "user": user, "scopes": scopes})
        _Keys(keys=(*held, entry))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "name"
        raise ConfigError(f"no key was made: {where}: {first['msg']}") from None
    try:
        _replace(path, _with(path, held, entry))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; no key was made") from error
    return key


def _with(path: Path, held: Sequence[KeyEntry], entry: KeyEntry) -> str:
    """Give the file's text with one more key; a TOML file keeps what people wrote into it."""
    if path.suffix == ".toml":
        before = path.read_text(encoding="utf-8").rstrip() if path.exists() else ""
        data = entry.model_dump(mode="json", exclude_none=True)
        lines = (f"{name} = {json.dumps(value)}" for name, value in data.items())
        return "\n".join((*([before, ""] if before else []), "[[keys]]", *lines, ""))
    entries = [e.model_dump(mode="json", exclude_none=True) for e in (*held, entry)]
    return json.dumps({"keys": entries}, indent=2) + "\n"


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _opened(entries: Sequence[KeyEntry]) -> tuple[tuple[bytes, Principal], ...]:
    return tuple((bytes.fromhex(entry.sha256), entry.principal()) for entry in entries)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
