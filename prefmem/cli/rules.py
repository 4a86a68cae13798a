"""How the rules of a user are listed: in groups on a terminal, a line each in a pipe."""

from collections import Counter
from collections.abc import Sequence

import typer
from rich.console import Console, Group
from rich.text import Text

from prefmem.cli.show import counted, grid, line, telling
from prefmem.types import Card

_NARROW = 60  # columns below which only id and rule are shown
_WAITS = "Waits for you"
# Names of the groups, in the order of showing; the last one only where it is asked for.
GROUPS = ("Always", "When it applies", _WAITS, "Not sure yet", "Over")
_BY_STATUS = {"quarantined": _WAITS, "candidate": "Not sure yet"}


def group_of(card: Card) -> str:
    """Give the group that a card is listed in."""
    if card.status == "active":
        return "Always" if card.preference.scope.kind == "global" else "When it applies"
    return _BY_STATUS.get(card.status, "Over")


def sizes(cards: Sequence[Card]) -> Counter[str]:
    """Count the cards of each group."""
    return Counter(group_of(card) for card in cards)


def has_words(card: Card, words: Sequence[str]) -> bool:
    """Whether a card's text holds all of these words or parts of words, in any case."""
    text = card.text.casefold()
    return all(word.casefold() in text for word in words)


def grouped(cards: Sequence[Card], screen: Console, *, user: str, over: bool) -> Group:
    """Show cards by group; conditional ones by their condition, so that like stands with like.

    Args:
        cards: In the order of saying.
        screen: Where they are to be shown: a narrow one gets fewer columns.
        user: Whose they are.
        over: Whether those that hold no more are shown, too.
    """
    length = telling([card.id for card in cards])
    parts: list[Text | object] = []
    for name in GROUPS if over else GROUPS[:-1]:
        some = [card for card in cards if group_of(card) == name]
        if not some:
            continue
        if name == "When it applies":
            some.sort(key=lambda card: card.preference.condition.casefold())
        title = Text(f"{name} ({len(some)})", style="bold")
        if name in (_WAITS, "Not sure yet"):
            title.append(f"  confirm: prefmem edit ID --status active --user {line(user)}", "dim")
        parts += [title, _table(some, length, narrow=screen.width < _NARROW), Text()]
    hidden = 0 if over else sizes(cards)["Over"]
    if hidden:
        parts.append(Text(f"{counted(hidden, 'rule')} over: --all shows what held once", "dim"))
    return Group(*parts[:-1] if not hidden else parts)  # type: ignore[arg-type]  # renderables all


def _table(cards: Sequence[Card], length: int, *, narrow: bool) -> object:
    columns = ("id", "rule") if narrow else ("id", "rule", "sure", "since")
    table = grid(*columns, wide="rule")
    table.show_header = False
    table.box = None
    table.padding = (0, 2, 0, 0)
    for card in cards:
        sure = card.preference.confidence
        figures = ("" if sure >= 1 else f"{sure:.2f}", f"{card.valid_from:%Y-%m-%d}")
        table.add_row(card.id[:length], line(card.text), *(() if narrow else figures))
    return table


def plain_lines(cards: Sequence[Card]) -> None:
    """Write a line for each card with tabs between, for `grep`, `cut` and `wc`."""
    for card in cards:
        rule = card.preference
        fields = (
            card.id, card.status, rule.scope.kind, rule.polarity, f"{rule.confidence:.2f}",
            f"{card.valid_from:%Y-%m-%d}", line(card.text),
        )  # fmt: skip
        typer.echo("\t".join(fields))
