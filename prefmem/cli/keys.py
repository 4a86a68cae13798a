"""Encryption from the command line: `prefmem encrypt`, `prefmem keys`, and what opens a store."""

import os
import secrets
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from prefmem import defaults
from prefmem.cli.show import counted, say
from prefmem.errors import ConfigError, InputError
from prefmem.protocols import Store
from prefmem.stores.keys import KEY_BYTES, UserKeys, master_key, read_key

KEYS, MASTER, MASTER_FILE, PASSPHRASE = (
    "PREFMEM_KEYS", "PREFMEM_MASTER_KEY", "PREFMEM_MASTER_KEY_FILE", "PREFMEM_PASSPHRASE"
)  # fmt: skip

Ring = Annotated[
    Path | None,
    typer.Option("--keys", envvar=KEYS, dir_okay=False, help="The key ring; made if missing."),
]
MasterFile = Annotated[
    Path | None,
    typer.Option(
        envvar=MASTER_FILE,
        dir_okay=False,
        help=f"File of the master key, unless {MASTER} holds it.",
    ),
]

app = typer.Typer(help="Master keys of an encrypted store.", no_args_is_help=True)


@contextmanager
def opened_store(db: str) -> Generator[Store]:
    """Open the store that is named, with the keys and the passphrase of the environment.

    Raises:
        ConfigError: A key ring is named without a master key, or does not fit the store.
    """
    ring, file = _given(KEYS), _given(MASTER_FILE)
    with nullcontext() if ring is None else _keys(Path(ring), Path(file) if file else None) as keys:
        store = defaults.store(db, encryption=keys, passphrase=_given(PASSPHRASE))
        try:
            yield store
        finally:
            store.close()


def encrypt(
    db: Annotated[str, typer.Argument(metavar="FILE|DSN", envvar="PREFMEM_DB")],
    keys: Ring = None,
    master_key_file: MasterFile = None,
) -> None:
    """Encrypt what a store holds in plain text, with a key for each user.

    Close every use of the store first. A run that was stopped or killed goes on with the next one.
    Old backups stay as they are: remove them. In PostgreSQL run it as the owner of the tables,
    which are rewritten; the write-ahead log and replicas keep plain text until they are recycled.
    """
    if keys is None:
        raise typer.BadParameter(f"give the path of a key ring, or set {KEYS}", param_hint="--keys")
    if not defaults.is_dsn(db) and not Path(db).exists():
        raise InputError(f"there is no store at {db}")
    with _keys(keys, master_key_file) as held:
        store = defaults.store(db, encryption=held, convert=True, passphrase=_given(PASSPHRASE))
        store.close()
    say(f"Encrypted. Back up {keys} apart from the store: without it nothing can be read again.")


@app.command()
def new(file: Annotated[Path, typer.Argument(help="Is made, for its owner alone.")]) -> None:
    """Make a random master key, in a file or for a key service; nothing is overwritten."""
    try:
        number = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise InputError(f"cannot make {file}: {error.strerror}; pass another path") from None
    with os.fdopen(number, "wb") as out:
        out.write(b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    say(f"A master key is in {file}; keep it apart from the key ring and the store.")


@app.command()
def rewrap(
    new_master_key_file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The new one.")
    ],
    keys: Ring = None,
    master_key_file: MasterFile = None,
) -> None:
    """Wrap every key with another master key; the store itself does not change.

    Restart what uses the store, with the new master key, before it meets a new user.
    """
    if keys is None or not keys.exists():
        raise typer.BadParameter("give the path of a key ring that is there", param_hint="--keys")
    with _keys(keys, master_key_file) as held:
        count = held.rewrap(master_key(new_master_key_file))
    say(f"{counted(count, 'key')} wrapped with the master key of {new_master_key_file}.")


def _keys(ring: Path, file: Path | None) -> UserKeys:
    """Open a key ring with the master key that is given."""
    told = _given(MASTER)
    if file is not None:
        return UserKeys(ring, master=master_key(file))
    if told is None:
        raise ConfigError(f"a key ring needs a master key: set {MASTER_FILE} or {MASTER}")
    return UserKeys(ring, master=read_key(told))


def _given(name: str) -> str | None:
    return os.environ.get(name) or None  # noqa: TID251  # the environment is read here
