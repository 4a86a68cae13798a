"""Commands for learning from use: feedback, tell, replay."""

from typing import Annotated

import typer
from rich.text import Text

from prefmem.cli.options import DB, Db, Json, Tenant, User, opened
from prefmem.cli.show import card_data, console, counted, emit, grid, line, say
from prefmem.usage import Replayed


def feedback(
    ctx: typer.Context,
    recall_id: Annotated[str, typer.Argument(metavar="RECALL", help="Id that recall gives.")],
    score: Annotated[float, typer.Argument(min=-1, max=1, help="-1 useless, 1 just right.")],
    user: User,
    card: Annotated[str | None, typer.Option(help="The card that it is about.")] = None,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Say how good the rules of a recall, or one of them, were."""
    with opened(ctx, db, tenant, made=False) as memory:
        memory.feedback(recall_id, score, user_id=user, card_id=card)
    if as_json:
        emit({"recall": recall_id, "score": score, "card": card})
    else:
        say("Noted.")


def tell(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help='As in a chat: "forget what I said about tables".')],
    user: User,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Tell the memory something in plain words: remember, forget, show, change."""
    with opened(ctx, db, tenant) as memory:
        found = memory.command([("user", text)], user_id=user)
    if as_json:
        intents = [command.intent for command in found.commands]
        cards = [card_data(card) for card in found.cards]
        emit({"commands": intents, "reply": found.reply, "cards": cards})
    elif found.commands:
        typer.echo(line(found.reply or "That was done before.", limit=5_000))
    else:
        say("That is not for the memory; try: remember that I use tabs in Go.")


def replay(
    ctx: typer.Context,
    user: User,
    user_model: Annotated[
        str | None, typer.Option("--user-model", help="ledger, vars or none; else the default.")
    ] = None,
    db: Db = DB,
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Say what another user model would have shown in each logged recall."""
    with opened(ctx, db, tenant, made=False) as memory:
        rows = memory.replay(user_id=user, user_model=user_model)
        texts = {card.id: card.text for card in memory.list(user_id=user)}
    changed = [row for row in rows if set(row.shown) != set(row.shows)]
    if as_json:
        emit([_data(row) for row in rows])
        return
    say(
        f"{counted(len(rows), 'recall')} logged; {user_model or 'the default'} would have shown "
        f"other rules in {len(changed)}."
    )
    if changed:
        table = grid("recall", "shown only then", "shown only now", wide="shown only now")
        for row in changed:
            gone, new = set(row.shown) - set(row.shows), set(row.shows) - set(row.shown)
            table.add_row(
                f"{row.at:%Y-%m-%d %H:%M}",
                Text("\n".join(line(texts.get(i, i)) for i in sorted(gone))),
                Text("\n".join(line(texts.get(i, i)) for i in sorted(new))),
            )
        console().print(table)


def _data(row: Replayed) -> dict[str, object]:
    return {
        "recall": row.recall_id,
        "at": row.at.isoformat(),
        "shown": list(row.shown),
        "shows": list(row.shows),
    }
