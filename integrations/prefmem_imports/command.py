"""`prefmem import FILE --from mem0|langmem`: another memory's export, taken in as cards."""

import json
from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from rich.table import Table

from prefmem import InputError
from prefmem.cli import cards
from prefmem.cli.options import DB, Db, ExistingFile, Json, Tenant, User, opened
from prefmem.cli.show import card_data, cards_table, console, counted, emit, line, say
from prefmem_imports.entries import ImportReport, mapping
from prefmem_imports.langmem import import_langmem
from prefmem_imports.mem0 import import_mem0


def import_(
    ctx: typer.Context,
    file: ExistingFile,
    user: User,
    source: Annotated[
        Literal["prefmem", "mem0", "langmem"], typer.Option("--from", help="What wrote the file.")
    ] = "prefmem",
    owner: Annotated[
        str | None,
        typer.Option(help="Whose entries: the user's name in the file; the same unless given."),
    ] = None,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Take in an export: of prefmem, or the preferences in one of mem0 or langmem.

    mem0: what get_all() gives, as JSON. langmem: the items of a store's namespace, as JSON or one a
    line. Entries that are no standing preference are shown with the reason; importing twice changes
    nothing.
    """
    if source == "prefmem":
        if owner is not None:
            raise typer.BadParameter("--owner names a user in a file of mem0 or langmem")
        cards.import_(ctx, file, user, db, tenant, as_json)
        return
    data = read(file)
    with opened(ctx, db, tenant) as memory:
        if source == "mem0":
            report = import_mem0(memory, data, user_id=user, owner=owner)
        else:
            items = cast(list[object], data) if isinstance(data, list) else [data]
            report = import_langmem(memory, items, user_id=user, owner=owner)
    if as_json:
        emit(_data(report))
    else:
        _show(report)


def read(file: Path) -> object:
    """Read a file of JSON, or of one JSON value a line.

    Raises:
        InputError: It is neither; the message names the line.
    """
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    try:
        return _listed(json.loads(text))
    except RecursionError as error:
        raise InputError(f"{file} is nested too deeply") from error
    except ValueError:
        values: list[object] = []
    for number, row in enumerate(text.splitlines(), start=1):
        if row.strip():
            try:
                values.append(json.loads(row))
            except (ValueError, RecursionError) as error:
                raise InputError(f"{file}, line {number}: no JSON ({error})") from error
    return values


def _listed(data: object) -> object:
    """Give the items of a file that holds them under one name."""
    return mapping(data).get("items", data)


def _data(report: ImportReport) -> dict[str, object]:
    return {
        "added": [card_data(card) for card in report.added],
        "updated": [card_data(card) for card in report.updated],
        "skipped": [
            {"id": each.entry.id, "text": each.entry.text, "reason": each.reason}
            for each in report.skipped
        ],
    }


def _show(report: ImportReport) -> None:
    screen = console()
    if report.added:
        screen.print(cards_table(report.added))
    if report.skipped:
        table = Table("left out", "because", box=None, header_style="bold")
        for each in report.skipped:
            table.add_row(line(each.entry.text, limit=100), each.reason)
        screen.print(table)
    waiting = sum(card.status == "quarantined" for card in report.added)
    say(
        f"{counted(len(report.added), 'card')} added, {len(report.updated)} heard again, "
        f"{len(report.skipped)} left out."
        + (f" {waiting} of them claim authority and wait for you to confirm." if waiting else "")
    )
