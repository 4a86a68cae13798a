"""The keys file: names, hashes and what each key opens. The keys themselves are nowhere.

A file in JSON (`{"keys": [...]}`) or, by the name .toml, in TOML (`[[keys]]`), for all servers.
No error and no log line holds anything that stands in the file, but names of its fields.
"""

import json
import logging
import os
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from prefmem import ConfigError, UserRequiredError
from prefmem.types import UserKey
from prefmem_keys.bearer import Bearer, Scope

_log = logging.getLogger("prefmem.keys")

_Stamp: TypeAlias = tuple[int, int, int, int]


class KeyEntry(BaseModel):
    """A key as the file has it.

    Attributes:
        name: For logs and limits; unique.
        sha256: Hash of the key, 64 hexadecimal digits; unique.
        tenant: Whose users it reaches; empty for the memory's own tenant.
        user: The one user that it may act for; None for any of the tenant.
        scopes: What it may do, see `Bearer`.
        rate: Requests a second; None for the server's limit.
        burst: Requests at once; twice the rate unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    tenant: str = ""
    user: str | None = None
    scopes: tuple[Scope, ...] = ("read", "write")
    rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    burst: Annotated[float, Field(ge=1, le=1e6)] | None = None

    @field_validator("user")
    @classmethod
    def _a_user(cls, user: str | None) -> str | None:
        try:
            return user if user is None else UserKey(user).user_id
        except UserRequiredError:  # whose message quotes the id
            raise ValueError("a user id is needed, not blank, 256 bytes at most, no NUL") from None

    @field_validator("tenant")
    @classmethod
    def _a_tenant(cls, tenant: str) -> str:
        try:
            return UserKey("any", tenant).tenant
        except UserRequiredError:
            raise ValueError("a tenant has 256 bytes at most and no NUL") from None

    def bearer(self) -> Bearer:
        """Give whom the key speaks for."""
        scopes = frozenset(self.scopes)
        return Bearer(self.name, self.tenant, self.user, scopes, self.rate, self.burst)


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
    """The keys of a file, as they are now: what is taken out opens nothing from then on.

    The file is looked at with every question. While it is broken or gone, no key opens anything;
    that is logged once, and ends when the file is right again.

    Args:
        path: The file.

    Raises:
        ConfigError: The file cannot be read, or is no keys file.
    """

    def __init__(self, path: Path) -> None:
        """Read the file."""
        self._path = path
        self._stamp = _stamp(path)  # before it is read, so that a change meanwhile is seen
        self._known = _opened(read_keys(path))
        self._wrong = ""

    def known(self) -> Mapping[bytes, Bearer]:
        """Give the SHA-256 of each key, with whom it speaks for."""
        stamp = _stamp(self._path)
        if stamp is None or stamp != self._stamp:
            self._refresh(stamp)
        return self._known

    def find(self, key: bytes) -> Bearer | None:
        """Give whom a key speaks for; None for an unknown one."""
        return self.known().get(sha256(key).digest())

    def _refresh(self, stamp: _Stamp | None) -> None:
        try:
            self._known = _opened(read_keys(self._path))
        except ConfigError as error:
            self._known = _opened(())
            if isinstance(error.__cause__, OSError):  # may pass without a change to the file
                stamp = None
            if str(error) != self._wrong:
                self._wrong = str(error)
                _log.error("no key opens anything until this is put right: %s", error)
        else:
            self._wrong = ""
            _log.info("read %d keys anew", len(self._known))
        self._stamp = stamp


def read_keys(path: Path) -> tuple[KeyEntry, ...]:
    """Read a keys file.

    Raises:
        ConfigError: It cannot be read, or is no keys file; the message names the field.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the keys file {path}: {error.strerror}") from error
    try:
        return _parsed(path, data.decode("utf-8"))
    except ValidationError as error:
        raise ConfigError(f"{path} is no keys file: {_told(error, 'the top level')}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is neither JSON nor, by the name .toml, TOML") from None


def make_key(
    path: Path,
    name: str,
    *,
    tenant: str = "",
    user: str | None = None,
    scopes: Sequence[str] = ("read", "write"),
) -> str:
    """Make a key, put its hash into a keys file, and give it: it is not to be had again.

    The file is made if missing, readable by its owner only, and replaced as a whole. One in TOML
    keeps what people wrote into it.

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
        raise ConfigError(f"no key was made: {_told(error, 'name')}") from None
    try:
        text = _with(path, held, entry)
        if _parsed(path, text) != (*held, entry):
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"no key was made: {path} takes no [[keys]] at its end; write it in this form"
        ) from None
    try:
        _replace(path, text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; no key was made") from error
    return key


def _parsed(path: Path, text: str) -> tuple[KeyEntry, ...]:
    data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    return _Keys.model_validate(data).keys


def _told(error: ValidationError, otherwise: str) -> str:
    """Say what is wrong where; an unknown field is not named, since somebody's key may be."""
    first = error.errors(include_input=False, include_url=False)[0]
    where, why = list(first["loc"]), first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        fields = KeyEntry.model_fields if len(where) > 1 else _Keys.model_fields
        where, why = where[:-1], f"an unknown field; known are {', '.join(fields)}"
    return f"{'.'.join(str(part) for part in where) or otherwise}: {why}"


def _with(path: Path, held: Sequence[KeyEntry], entry: KeyEntry) -> str:
    """Give the file's text with one more key."""
    if path.suffix == ".toml":
        before = path.read_text(encoding="utf-8").rstrip() if path.exists() else ""
        data = entry.model_dump(mode="json", exclude_none=True)
        lines = (f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in data.items())
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


def _opened(entries: Sequence[KeyEntry]) -> Mapping[bytes, Bearer]:
    return MappingProxyType({bytes.fromhex(e.sha256): e.bearer() for e in entries})


def _stamp(path: Path) -> _Stamp | None:
    """Give what changes with a file, its permissions included; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
