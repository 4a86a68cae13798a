"""`prefmem migrate`: makes the tables in PostgreSQL, and lets a role use them."""

from typing import Annotated, Literal

import typer

from prefmem.cli.show import say
from prefmem.defaults import is_dsn
from prefmem.errors import InputError, MissingExtraError


def migrate(
    dsn: Annotated[
        str, typer.Argument(envvar="PREFMEM_DB", help="postgresql://..., as who owns the tables.")
    ],
    role: Annotated[
        str | None, typer.Option(help="A role with LOGIN that may use the tables afterwards.")
    ] = None,
    vectors: Annotated[
        Literal["bytea", "halfvec"],
        typer.Option(help="For new tables: bytea, or halfvec, which needs pgvector 0.7."),
    ] = "bytea",
    schema: Annotated[str, typer.Option(help="Where the tables are.")] = "prefmem",
) -> None:
    """Make the tables in PostgreSQL or bring them up to date; running it again changes nothing.

    An application needs no role that owns the tables: row-level security shows --role the rows of
    the user whom a transaction is about, and no others.
    """
    if not is_dsn(dsn):
        raise InputError("migrate is for PostgreSQL; pass postgresql://...")
    try:
        from prefmem.stores.postgres import migrate as migrated
    except ImportError:
        raise MissingExtraError(
            'PostgreSQL needs its driver: pip install "prefmem[postgres]"'
        ) from None
    held = migrated(dsn, schema=schema, vectors=vectors, role=role)
    if role is not None:
        say(f"The role {role!r} may use it.")
    typer.echo(f"schema {schema!r} has version {held.version}, vectors of {held.vectors}")
