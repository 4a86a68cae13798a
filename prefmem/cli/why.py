"""`prefmem why`: why did it say that? What a recall showed, what it withheld, and on what terms."""

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from prefmem.cli.dialogue import nothing, recall_data
from prefmem.cli.options import DB, Agents, Db, Json, Tenant, Who, opened, say_waiting
from prefmem.cli.show import console, counted, emit, grid, line, say, told_because, why_table
from prefmem.config import Config
from prefmem.errors import NotFoundError
from prefmem.interaction import Answered, PastRecall
from prefmem.memory import PreferenceMemory
from prefmem.types import Card

_LOOKED_AT = 200  # logged recalls among which the beginning of an id is looked up
_WITHHELD = 10  # candidates that are shown of those that were withheld
_SHORTEST_ID = 4


def why(
    ctx: typer.Context,
    user: Who,
    query: Annotated[
        str | None, typer.Argument(help="A request: what would be shown for it? Logs nothing.")
    ] = None,
    recall: Annotated[
        str | None,
        typer.Option("--recall", metavar="ID", help="A logged recall, or the id's beginning."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every candidate that was withheld.")
    ] = False,
    db: Db = DB,
    tenant: Tenant = "",
    agents: Agents = None,
    as_json: Json = False,
) -> None:
    """Show why a user's last answer got the rules it got; or what a request would get."""
    if query is not None and recall is not None:
        raise typer.BadParameter("give either a request, or --recall")
    most = None if everything else _WITHHELD
    with opened(ctx, db, tenant, made=False, agents=agents) as memory:
        if query is not None:
            _supposed(memory, user, query, most, as_json=as_json)
        else:
            _logged(memory, user, recall, most, as_json=as_json)


def _supposed(
    memory: PreferenceMemory, user: str, query: str, most: int | None, *, as_json: bool
) -> None:
    """Recall in pencil, and show every term."""
    found = memory.supposing().recall(query, user_id=user, why=True, strict=True)
    if as_json:
        emit(recall_data(found, memory.render(found), memory.config))
        return
    rows = found.explain()
    if not rows and not found.written:
        say(nothing(found))
        return
    shown = sum(row.verdict.injected for row in rows)
    console().print(f"For this request {_said(shown, len(rows))}; nothing was logged.\n")
    console().print(why_table(found, memory.config, most=most))
    _left_out(len(rows) - shown, most)


def _logged(
    memory: PreferenceMemory, user: str, recall: str | None, most: int | None, *, as_json: bool
) -> None:
    """Show a recall of the log; the newest unless one is named."""
    found = _found(memory, user, recall)
    if found is None:
        if as_json:
            emit(None)
        else:
            say(
                f"Nothing was recalled for {line(user)} yet: a recall is logged where there is a "
                f'rule to consider. Try: prefmem why {line(user)} "a request"'
            )
            say_waiting(memory.backlog().waiting)
        return
    cards = {card.id: card for card in memory.list(user_id=user)}
    if as_json:
        emit(past_data(found, cards, memory.config))
        return
    shown = sum(each.injected for each in found.candidates)
    talk = f", conversation {line(found.session_id)}" if found.session_id else ""
    screen = console()
    screen.print(
        f"Recall {found.recall_id} of {line(user)}, {found.at:%Y-%m-%d %H:%M} UTC{talk}\n"
        f"{_said(shown, len(found.candidates)).capitalize()}. What was asked is not kept.\n"
    )
    screen.print(_past_table(found, cards, memory.config, most))
    _left_out(len(found.candidates) - shown, most)
    for answer in found.answers:
        screen.print(f"\n{answer.at:%Y-%m-%d %H:%M}: {_came_back(answer)}")


def _found(memory: PreferenceMemory, user: str, recall: str | None) -> PastRecall | None:
    """Find a logged recall by its id or the beginning of it, or the newest.

    Raises:
        NotFoundError: There is none of that name.
    """
    if recall is None:
        newest = memory.recalls(user_id=user, newest=1)
        return newest[0] if newest else None
    if len(recall) >= _SHORTEST_ID:
        logged = memory.recalls(user_id=user, newest=_LOOKED_AT)
        begins = [each for each in logged if each.recall_id.startswith(recall)]
        if len(begins) == 1:
            return begins[0]
    try:
        return memory.recalls(user_id=user, recall_id=recall)[0]
    except NotFoundError:
        raise NotFoundError(
            f"user {user!r} has no recall {recall!r} in the log; prefmem show {user} lists them"
        ) from None


def past_data(found: PastRecall, cards: dict[str, Card], config: Config) -> dict[str, Any]:
    """Give a recall of the log as JSON data."""
    return {
        "id": found.recall_id,
        "session_id": found.session_id,
        "at": found.at.isoformat(),
        "model": found.model,
        "floor": found.floor,
        "candidates": [
            {
                "card_id": each.card_id,
                "text": cards[each.card_id].text if each.card_id in cards else None,
                "relevance": round(each.relevance, 4),
                "belief": None if each.belief is None else round(each.belief, 4),
                "worth": None if each.worth is None else round(each.worth, 4),
                "chance": round(each.chance, 4),
                "chosen": each.injected,
                "reason": each.reason,
                "why": told_because(each.reason, floor=found.floor, config=config),
            }
            for each in found.candidates
        ],
        "answers": [
            {"label": each.label, "reward": each.reward, "heard": each.heard,
             "at": each.at.isoformat()}
            for each in found.answers
        ],
    }  # fmt: skip


def _past_table(
    found: PastRecall, cards: dict[str, Card], config: Config, most: int | None
) -> Table:
    table = grid("", "rule", "applies", "works", "counts", "why", wide="rule")
    ordered = sorted(found.candidates, key=lambda each: not each.injected)
    shown = sum(each.injected for each in ordered)
    for each in ordered[: None if most is None else shown + most]:
        card = cards.get(each.card_id)
        table.add_row(
            "+" if each.injected else "-",
            Text(line(card.text) if card else each.card_id, "" if each.injected else "dim"),
            f"{each.relevance:.2f}", _figure(each.belief), _figure(each.worth),
            told_because(each.reason, floor=found.floor, config=config),
        )  # fmt: skip
    return table


def _said(shown: int, considered: int) -> str:
    rules = "no rule was" if not shown else "1 rule was" if shown == 1 else f"{shown} rules were"
    return f"{rules} shown of {considered} considered"


def _left_out(withheld: int, most: int | None) -> None:
    if most is not None and withheld > most:
        say(f"{counted(withheld - most, 'rule')} more withheld: --all shows them.")


def _came_back(answer: Answered) -> str:
    how = "the next message" if answer.heard else "a score"
    return f"{how} says {answer.label}, {answer.reward:+.2f}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
