"""Upkeep of a store: backup, restore, verify, rebuild, sweep, audit, erasures."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import typer

from prefmem.cli.keys import PASSPHRASE, opened_store
from prefmem.cli.options import Json, Tenant, missing, opened, shown
from prefmem.cli.show import console, counted, emit, grid, say
from prefmem.errors import InputError
from prefmem.stores import backup as copies
from prefmem.stores.driver import Driver, SQLCipher
from prefmem.stores.erasures import Erased, ErasureFile
from prefmem.stores.rowstore import RowStore
from prefmem.stores.sqlite import SQLiteStore
from prefmem.types import UserKey

StoreArgument = Annotated[str, typer.Argument(metavar="DB|DSN", envvar="PREFMEM_DB")]
SomeUser = Annotated[str | None, typer.Option("--user", help="Only this user.")]
Actor = Annotated[str, typer.Option(help="Who does it, for the audit log.")]
Replace = Annotated[bool, typer.Option("--replace", help="Lose the file that is there.")]
Passphrase = Annotated[str | None, typer.Option(envvar=PASSPHRASE, hidden=True)]

erasures = typer.Typer(help="The list of users who must not come back.", no_args_is_help=True)


def backup(
    db: Annotated[Path, typer.Argument(metavar="DB", envvar="PREFMEM_DB")],
    to: Annotated[Path, typer.Option(dir_okay=False, help="The copy: one file.")],
    replace: Replace = False,
    as_json: Json = False,
    passphrase: Passphrase = None,
) -> None:
    """Copy a database while it is in use; the copy is checked and on disk at the end."""
    done = copies.backup(db, to, replace=replace, driver=_driver(passphrase))
    if as_json:
        emit(asdict(done))
        return
    users, cards = counted(done.counts["users"], "user"), counted(done.counts["cards"], "card")
    say(f"Wrote {users}, {cards}, {done.size_bytes / 1e6:.1f} MB to {to}; the copy is sound.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    to: Annotated[Path, typer.Option(dir_okay=False, help="The database to make of it.")],
    lists: Annotated[
        list[Path] | None,
        typer.Option("--erasures", help="A list of erasures, besides those that are found."),
    ] = None,
    replace: Replace = False,
    actor: Actor = "operator",
    as_json: Json = False,
    passphrase: Passphrase = None,
) -> None:
    """Make a database from a backup, without the users who were erased since."""

    @contextmanager
    def opening(path: Path) -> Generator[SQLiteStore]:
        with opened_store(str(path)) as store:
            yield cast(SQLiteStore, store)

    done = copies.restore(
        file, to, lists=lists or (), replace=replace, actor=actor, at=datetime.now(UTC),
        driver=_driver(passphrase), opening=opening,
    )  # fmt: skip
    if as_json:
        emit(asdict(done))
    else:
        say(
            f"Restored {counted(done.counts['users'], 'user')} to {to}; "
            f"{counted(done.erased, 'user')} had been erased since."
        )
    if not done.lists:
        say("No list of erasures was found: whoever was erased since this backup is back. Pass "
            "--erasures where there is one.")  # fmt: skip


def verify(
    ctx: typer.Context,
    db: StoreArgument,
    users: Annotated[int, typer.Option(min=0, help="Users that are looked at; 0 for all.")] = 100,
    as_json: Json = False,
) -> None:
    """Look for damage in the file, the logs, and some users. Exit code 1 where there is any."""
    with opened(ctx, db, "", made=False) as memory:
        checks = memory.verify(users=users)
    if as_json:
        emit({"ok": all(c.ok for c in checks), "checks": [asdict(check) for check in checks]})
    else:
        table = grid("", "checked", "found", wide="found")
        for check in checks:
            table.add_row("ok" if check.ok else "!!", check.what, check.detail)
        console().print(table)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def rebuild(
    ctx: typer.Context,
    db: StoreArgument,
    user: SomeUser = None,
    tenant: Tenant = "",
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Make cards, vectors and learned states again from the logs, where they are wrong."""
    with opened(ctx, db, tenant, made=False) as memory, _rows(db) as store:
        names = [user] if user is not None else store.users(tenant)
        done = {name: memory.rebuild(user_id=name, actor=actor) for name in names}
    wrong = {name: one for name, one in done.items() if one}
    if as_json:
        emit({"users": len(done), "rebuilt": {name: asdict(one) for name, one in wrong.items()}})
        return
    for name, one in wrong.items():
        state = ", the learned state" if one.state else ""
        say(f"{name}: {counted(len(one.cards), 'card')}, {len(one.removed)} removed, "
            f"{counted(len(one.vectors), 'vector')}{state}")  # fmt: skip
    say(f"{counted(len(done), 'user')} looked at, {len(wrong)} made again.")


def sweep(
    ctx: typer.Context,
    db: StoreArgument,
    user: SomeUser = None,
    tenant: Tenant = "",
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """End what nobody confirmed in time, and remove what has been over for long. Run it daily."""
    with opened(ctx, db, tenant, made=False) as memory:
        done = memory.sweep(user_id=user, actor=actor)
    if as_json:
        emit(asdict(done))
    else:
        say(f"{counted(done.users, 'user')} looked at: {counted(done.ended, 'card')} ended, "
            f"{done.removed} removed.")  # fmt: skip


def audit(
    db: StoreArgument,
    user: SomeUser = None,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Show who did what, oldest first; of a user also after an erasure. Never a rule's text."""
    with _rows(db) as store:
        about = None if user is None else UserKey(user, tenant)
        acts = store.acts(about)
        names = dict[str, str]() if about is None else store.card_names(about)
    rows = [
        {
            "seq": act.seq, "at": act.at.isoformat(), "actor": act.actor, "action": act.action,
            "who": act.who.hex(), "card": names.get(act.card, act.card), "n": act.n,
        }
        for act in acts
    ]  # fmt: skip
    if as_json:
        emit(rows)
        return
    table = grid("at", "actor", "action", "user", "card", "n", wide="actor")
    for act, row in zip(acts, rows, strict=True):
        at = f"{act.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, act.actor, act.action, act.who.hex()[:12], str(row["card"]), str(act.n))
    console().print(table)


@erasures.command("export")
def export_erasures(
    db: StoreArgument,
    to: Annotated[Path, typer.Option(dir_okay=False, help="The list; it is replaced if there.")],
) -> None:
    """Write the list of erasures to a file, to be kept where the store's loss does not reach it.

    It names users by keyed hashes and holds the key: keep it as safe as the store.
    """
    with _rows(db) as store:
        listed = store.erased()
    ErasureFile(to).write(listed)
    say(f"Wrote {counted(len(listed.times), 'erasure')} to {to}.")


@erasures.command("replay")
def replay_erasures(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    to: Annotated[str, typer.Option(metavar="DB|DSN", help="The store that was put back.")],
    actor: Actor = "operator",
) -> None:
    """Erase from a store that was put back whom a list names, before anybody uses it."""
    listed = Erased.read(file.read_bytes(), str(file))
    with _rows(to) as store:
        count = store.replay_erasures(listed, actor=actor, at=datetime.now(UTC))
    say(f"{counted(count, 'user')} erased again, of {len(listed.times)} on the list.")


@contextmanager
def _rows(db: str) -> Generator[RowStore]:
    """Open a store without any model.

    Raises:
        InputError: There is none.
    """
    if missing(db):
        raise InputError(f"there is no store at {db}")
    with opened_store(db) as store:
        if not isinstance(store, RowStore):
            raise InputError(f"{shown(db)} cannot do this; name its parts one by one")
        yield store


def _driver(passphrase: str | None) -> Driver:
    return SQLCipher(passphrase) if passphrase else Driver()
