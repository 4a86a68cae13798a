"""`prefmem shard`: where users are among several stores, and how they come somewhere else."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from prefmem.cli.options import Json, Tenant
from prefmem.cli.show import console, counted, emit, grid, say
from prefmem.defaults import shards as opened_shards
from prefmem.errors import InputError, NotFoundError
from prefmem.stores import moving
from prefmem.stores.sharded import ShardedStore
from prefmem.types import UserKey

app = typer.Typer(no_args_is_help=True, help="Where users are among several stores; move them.")

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)", re.DOTALL)

Addresses = Annotated[
    list[str],
    typer.Option(
        "--shard", "-s", envvar="PREFMEM_SHARDS", metavar="[NAME=]FILE|DSN",
        help="Each shard, as the memory is opened with: by name, or in its order.",
    ),
]  # fmt: skip
Who = Annotated[str, typer.Argument(metavar="USER", help="Whose rows.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a shard.")]


@app.command("list")
def list_(shards: Addresses, as_json: Json = False) -> None:
    """List the shards, with the number of their users."""
    with _opened(shards) as store:
        held, homes = moving.counts(store), store.finder.plan.now
        if as_json:
            emit([{"shard": n, "home": n in homes, "users": held[n]} for n in sorted(held)])
            return
        table = grid("shard", "users", "", wide="")
        for name in sorted(held):
            table.add_row(name, f"{held[name]:,}", "" if name in homes else "no home: shard add")
        console().print(table)
        if store.finder.plan.before:
            say("Some homes changed: prefmem shard rebalance moves users to theirs.")


@app.command()
def where(user: Who, shards: Addresses, tenant: Tenant = "", as_json: Json = False) -> None:
    """Say in which shard a user's rows are."""
    key = UserKey(user, tenant)
    with _opened(shards) as store:
        place, home = moving.where(store, key), store.finder.plan.home(key)
        if place is None:
            raise NotFoundError(f"no shard has rows of the user {user!r}; the home is {home!r}")
        going = place.mark.other if place.mark.kind == "going" else None
        if as_json:
            emit({"user": user, "shard": place.name, "home": home, "moving_to": going})
            return
        typer.echo(place.name)
        if place.name != home:
            say(f"The home is {home!r}.")
        if going:
            say(f"On the way to {going!r}: run prefmem shard move again if that died.")


@app.command()
def move(
    user: Who,
    shards: Addresses,
    to: Annotated[str, typer.Option(metavar="NAME", help="The shard that takes the user.")],
    tenant: Tenant = "",
) -> None:
    """Move a user to another shard, while the memory is in use; run it again if it was stopped.

    Reading goes on; what the user teaches meanwhile waits for the end, and nothing is lost.
    """
    with _opened(shards) as store:
        moved = moving.move(store, UserKey(user, tenant), to)
        say(f"{user!r} is in {to!r} now." if moved else f"{user!r} was in {to!r} already.")


@app.command()
def add(name: Name, shards: Addresses) -> None:
    """Make a shard a home of users; nobody is lost, and nobody is moved yet.

    First start every process with its address among the others, then do this, then rebalance.
    """
    with _opened(shards) as store:
        moving.join(store, name)
        say(f"{name!r} is a home from now on; prefmem shard rebalance moves the users it is for.")


@app.command()
def rebalance(
    shards: Addresses,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list who would be moved.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move every user home whose home changed as a shard joined; run it again if it was stopped."""
    with _opened(shards) as store:
        if dry_run:
            found = [s for s in moving.strays(store) if not s.placed]
            told = [
                {"user": s.user.user_id, "tenant": s.user.tenant, "from": s.shard, "to": s.home}
                for s in found
            ]
            if as_json:
                emit(told)
                return
            for line in told:
                typer.echo(f"{line['user']}\t{line['from']}\t{line['to']}")
            say(f"{counted(len(told), 'user')} would be moved.")
            return
        number = moving.rebalance(store)
        if as_json:
            emit({"moved": number})
        else:
            say(f"{counted(number, 'user')} moved.")


@contextmanager
def _opened(given: list[str]) -> Generator[ShardedStore]:
    """Open the shards that were named; all of them by name, or none."""
    named = [_NAMED.fullmatch(word) for word in given]
    if any(named) and not all(named):
        raise InputError("give all shards a name, as in --shard a=FILE, or none of them")
    addresses = {m[1]: m[2] for m in named if m} or {str(n): word for n, word in enumerate(given)}
    if len(addresses) < len(given):
        raise InputError("two shards have one name")
    store = opened_shards(addresses)
    try:
        yield store
    finally:
        store.close()
