"""Commands for cards: list, add, edit, forget, history, undo, export, import."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from prefmem.cli.options import (
    DB,
    Agents,
    CardId,
    Db,
    ExistingFile,
    Json,
    Tenant,
    User,
    found,
    opened,
    say_waiting,
    shown,
)
from prefmem.cli.rules import grouped, has_words, plain_lines
from prefmem.cli.show import (
    card_data,
    cards_table,
    console,
    counted,
    emit,
    event_data,
    history_table,
    line,
    say,
    waiting,
)
from prefmem.errors import InputError, NotFoundError
from prefmem.types import Card, Erasure, Polarity, ScopeKind, Status

Condition = Annotated[str | None, typer.Option(help='Completes "When ..."; empty for none.')]
PolarityOption = Annotated[
    Polarity | None, typer.Option(help="avoid: the action keeps away from something.")
]
Scope = Annotated[ScopeKind | None, typer.Option(help="global: injected always.")]


def list_(
    ctx: typer.Context,
    user: User,
    words: Annotated[
        list[str] | None, typer.Argument(help="Only rules that hold all of these words.")
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Only rules that have this one.")] = None,
    over: Annotated[bool, typer.Option("--all", help="What holds no more, too.")] = False,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """List the rules of a user: in groups on a terminal, one a line with tabs in a pipe."""
    with opened(ctx, db, tenant, made=False) as memory:
        cards = [c for c in memory.list(user_id=user, status=status) if has_words(c, words or ())]
        waiting = 0 if cards else memory.backlog().waiting
    if as_json:
        emit([card_data(card) for card in cards])
    elif not cards:
        such = "such cards" if words or status else "cards"
        say(f"{line(user)} has no {such} in {shown(db)}.")
        say_waiting(waiting)
    elif (screen := console()).is_terminal:
        screen.print(grouped(cards, screen, user=user, over=over or status is not None))
    else:
        plain_lines(cards)


def add(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(help="An instruction that can stand alone.")],
    user: User,
    condition: Condition = None,
    polarity: PolarityOption = None,
    scope: Scope = None,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Store a rule as you give it."""
    with opened(ctx, db, tenant) as memory:
        card = memory.add(
            condition or "", action, user_id=user, polarity=polarity or "do", scope=scope
        )
    _show(card, as_json=as_json)


def edit(
    ctx: typer.Context,
    card_id: CardId,
    user: User,
    condition: Condition = None,
    action: Annotated[str | None, typer.Option(help="What to do or avoid.")] = None,
    polarity: PolarityOption = None,
    scope: Scope = None,
    status: Annotated[
        Literal["active", "quarantined"] | None, typer.Option(help="active: confirm the card.")
    ] = None,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Change a card; what is not given stays."""
    if all(value is None for value in (condition, action, polarity, scope, status)):
        raise typer.BadParameter(
            "nothing to change: give --condition, --action, --polarity, --scope or --status"
        )
    with opened(ctx, db, tenant, made=False) as memory:
        card = memory.edit(
            found(memory, user, card_id).id, user_id=user, condition=condition, action=action,
            polarity=polarity, scope=scope, status=status,
        )  # fmt: skip
    _show(card, as_json=as_json)


def forget(
    ctx: typer.Context,
    user: User,
    card_id: Annotated[
        str | None, typer.Argument(metavar="CARD", help="Id of a card, or its beginning.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that is held about the user.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --all.")] = False,
    db: Db = DB,
    tenant: Tenant = "",
    agents: Agents = None,
    as_json: Json = False,
) -> None:
    """Remove a card for good, or with --all the user."""
    if (card_id is None) != everything:
        raise typer.BadParameter("give either the id of a card, or --all")
    with opened(ctx, db, tenant, made=False, agents=agents) as memory:
        if card_id is not None:
            card = found(memory, user, card_id)
            memory.forget(card.id, user_id=user)
            _report({"forgotten": [card.id]}, f"Forgotten: {card.text}", as_json=as_json)
            return
        held = counted(len(memory.list(user_id=user)), "card")
        if not yes:
            question = f"Remove {held} of {user!r}, history and vectors included?"
            typer.confirm(question, abort=True, err=True)
        erased = memory.forget_user(user_id=user)
    _report(asdict(erased), f"Forgotten: {held} of {user!r}. {_told(erased)}", as_json=as_json)


def history(
    ctx: typer.Context,
    card_id: CardId,
    user: User,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Show what happened to a card and why, with the events' ids."""
    with opened(ctx, db, tenant, made=False) as memory:
        try:
            name = found(memory, user, card_id).id
        except NotFoundError:  # one that was undone has a history, too
            name = card_id
        events = memory.history(name, user_id=user)
    if as_json:
        emit([event_data(event) for event in events])
    else:
        console().print(history_table(events))


def undo(
    ctx: typer.Context,
    event_id: Annotated[str, typer.Argument(metavar="EVENT", help="Id of an event.")],
    user: User,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Take back one event: its cards are as they were before it."""
    with opened(ctx, db, tenant, made=False) as memory:
        event = memory.undo(event_id, user_id=user)
    cards = [change.card.id for change in event.changes]
    done = counted(len(cards), "card")
    _report(
        {"id": event.id, "undoes": event.undoes, "cards": cards},
        f"Undone: {done} as before. Back again: prefmem undo {event.id}",
        as_json=as_json,
    )  # fmt: skip


def export(
    ctx: typer.Context,
    user: User,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="A file, not stdout.")] = None,
    db: Db = DB,
    tenant: Tenant = "",
) -> None:
    """Write everything held about a user as JSON."""
    with opened(ctx, db, tenant, made=False) as memory:
        data = memory.export(user_id=user)
    if out is None:
        emit(data)
        return
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False)
        out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}") from error
    say(f"Wrote {counted(len(data['cards']), 'card')} to {out}.")


def import_(
    ctx: typer.Context,
    file: ExistingFile,
    user: User,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Take in an export, for this user or another one."""
    data = _export_in(file)
    with opened(ctx, db, tenant) as memory:
        report = memory.load(data, user_id=user)
    if as_json:
        emit({name: [card_data(c) for c in getattr(report, name)] for name in ("added", "updated")})
        return
    if report.added:
        console().print(cards_table(report.added))
    say(f"{counted(len(report.added), 'card')} added, {len(report.updated)} heard again.")


def _export_in(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{file} holds no export; prefmem export writes one")
    return cast(dict[str, Any], data)


def _told(erased: Erasure) -> str:
    """Say what went besides the cards, and what is still to be done."""
    entries = f"{erased.events} log {'entry' if erased.events == 1 else 'entries'}"
    edits, windows = counted(erased.edits, "edit"), counted(erased.jobs, "window")
    lines = [
        f"With {'it' if erased.cards == 1 else 'them'} went {entries} ({erased.interactions} of "
        f"interaction), {edits} and {windows} that waited to be learned from"
        + (", and what was learned from use." if erased.states else ".")
    ]
    if erased.busy:
        lines.append("Another connection was reading: freed bytes stay on disk until the store is "
                     "closed or erases again.")  # fmt: skip
    elif not erased.checkpointed:
        lines.append("Freed bytes stay on disk until the store is closed, erases again or is "
                     "vacuumed.")  # fmt: skip
    if erased.adapters:
        lines.append(f"{counted(erased.adapters, 'adapter')} went, and what was learned from.")
    if not erased.listed:
        lines.append("No list beside the store has it: write one with prefmem erasures export.")
    return "\n".join(lines)


def _show(card: Card, *, as_json: bool) -> None:
    if as_json:
        emit(card_data(card))
        return
    console().print(cards_table([card]))
    if waits := waiting(card):
        say(f"It {waits}")


def _report(data: dict[str, Any], message: str, *, as_json: bool) -> None:
    if as_json:
        emit(data)
    else:
        say(message)
