"""How things look: JSON for machines, short tables for people, progress on stderr."""

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import typer
from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from prefmem.config import Config
from prefmem.messages import plain
from prefmem.stores.codec import CardRecord, EventRecord
from prefmem.types import Card, Change, Event, Explanation, Reason, Recall, Verdict

_QUOTE_CHARS = 160
_ID_CHARS = 8

Tell: TypeAlias = Callable[[str, int, int], None]


def console(*, stderr: bool = False) -> Console:
    """Make a console that takes every text as it is: no markup, no emoji codes, no colouring."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(message: str) -> None:
    """Tell a person something, on stderr, as one unbroken line."""
    typer.echo(message, err=True)


def emit(data: object) -> None:
    """Write JSON to stdout, in ASCII, so that no terminal's encoding can refuse it."""
    typer.echo(json.dumps(data, indent=2))


def card_data(card: Card) -> dict[str, Any]:
    """Give a card as JSON data, with its text."""
    return {**CardRecord.of(card).model_dump(mode="json"), "text": card.text}


def event_data(event: Event) -> dict[str, Any]:
    """Give an event as JSON data, with its id."""
    return {"id": event.id, **EventRecord.of(event).model_dump(mode="json")}


@contextmanager
def progress(*, unit: str = "") -> Generator[Tell]:
    """Show a bar on stderr, where that is a terminal; gives what moves it: stage, done, total.

    Args:
        unit: What is counted; with it the bar says how many of them are done in a second.
    """
    screen = console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        *([_Rate(unit)] if unit else []), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as shown:
        task = shown.add_task("starting", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            shown.update(task, description=stage, completed=done, total=total)

        yield tell


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} {self._unit}/s" if task.speed else "")


def grid(*columns: str, wide: str) -> Table:
    """Make a plain table whose column `wide` takes the room that is left."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True)
    for name in columns:
        if name == wide:
            table.add_column(name, ratio=1, overflow="fold")
        else:
            table.add_column(name, no_wrap=True)
    return table


def cards_table(cards: Sequence[Card]) -> Table:
    """List cards with the shortest ids that tell them apart."""
    table = grid("id", "rule", "kind", "conf", "status", "since", wide="rule")
    length = telling([card.id for card in cards])
    for card in cards:
        p = card.preference
        table.add_row(
            card.id[:length], line(card.text), p.polarity, f"{p.confidence:.2f}", card.status,
            f"{card.valid_from:%Y-%m-%d}",
        )  # fmt: skip
    return table


def history_table(events: Sequence[Event]) -> Table:
    """Show what happened to one card, and why."""
    table = grid("event", "when", "what", "rule", "why", wide="rule")
    for event in events:
        for change in event.changes:
            table.add_row(
                event.id, f"{event.at:%Y-%m-%d %H:%M}", f"{event.kind}: {change.op}",
                line(change.card.text), _cause(event, change),
            )  # fmt: skip
    return table


def _cause(event: Event, change: Change) -> str:
    """Say in a few words why an event changed a card."""
    if event.undoes:
        return f"undoes {event.undoes}"
    if change.reason is None:
        links = change.card.links if change.op == "add" else ()
        return ", ".join(f"{k.relation} of {k.card_id[:_ID_CHARS]}" for k in links)
    by, chance = change.reason.card_id[:_ID_CHARS], f"{change.reason.probability:.2f}"
    if change.op == "merge":
        return f"said again ({chance})"
    return f"{change.reason.relation} by {by} ({chance})" if by else f"taken back ({chance})"


def learned_table(cards: Sequence[Card]) -> Table:
    """Show what was learned, each rule above the words that it rests on."""
    wide = "rule, and the words it comes from"
    table = grid(wide, "kind", "conf", wide=wide)
    for card in cards:
        p = card.preference
        below = [
            Text(f'"{line(evidence.quote, limit=_QUOTE_CHARS)}"', style="dim")
            for evidence in p.evidence
        ]
        if waits := waiting(card):
            below.append(Text(waits))
        cell = Group(line(card.text), *(Padding(text, (0, 0, 0, 2)) for text in below))
        table.add_row(cell, p.polarity, f"{p.confidence:.2f}")
    return table


def waiting(card: Card) -> str:
    """Say why a card is not injected yet and what to do; empty for an active one."""
    confirm = f"prefmem edit {card.id} --status active"
    if card.status == "quarantined":
        return f"waits for you: {confirm}"
    if card.status == "candidate":
        if any(link.relation in ("supersede", "widen") for link in card.links):
            return f"waits to take another rule's place: {confirm}"
        return f"waits until it is said again, or: {confirm}"
    return ""


def recall_table(recall: Recall, config: Config, *, everything: bool) -> Table:
    """Show the rules that would be injected, and with `everything` the other candidates below."""
    table = grid("", "rule", "relevance", "belief", "why", wide="rule")
    for row in recall.explain():
        injected = row.verdict.injected
        if injected or everything:
            before = f"{row.dense_relevance:.2f} > " if row.reranked else ""
            table.add_row(
                "+" if injected else "-",
                Text(line(row.text), style="" if injected else "dim"),
                f"{before}{row.relevance:.2f}",
                f"{row.belief:.2f}",
                why(row, config=config),
            )
    for one in recall.written:
        injected = one.verdict.injected
        if injected or everything:
            text = Text(line(one.text), style="" if injected else "dim")
            table.add_row("+" if injected else "-", text, "", "", _of_agent(one.verdict))
    return table


def _of_agent(verdict: Verdict) -> str:
    """Say in a few words why a rule of an agent is injected or left out."""
    by = verdict.by[:_ID_CHARS]
    words = {
        "relevant": "by the agent", "contradicted": f"against {by}" if by else "against another",
        "duplicate": f"same as {by}" if by else "same as another",
    }  # fmt: skip
    return words.get(verdict.reason, verdict.reason)


def why_table(recall: Recall, config: Config, *, most: int | None) -> Table:
    """Show every term of a recall: the rules that are shown, then those that are withheld.

    Columns: the probability that the rule applies, by its cosine alone and, after ">", as a
    reranker read it; the probability that it works for this user; both together, which is held
    against the floor.

    Args:
        recall: The recall.
        config: Its settings.
        most: Withheld ones at most; all if None.
    """
    table = grid("", "rule", "applies", "works", "counts", "why", wide="rule")
    rows = recall.explain()
    shown = sum(row.verdict.injected for row in rows)
    for row in rows[: None if most is None else shown + most]:
        before = f"{row.dense_relevance:.2f} > " if row.reranked else ""
        table.add_row(
            "+" if row.verdict.injected else "-",
            Text(line(row.text), style="" if row.verdict.injected else "dim"),
            f"{before}{row.relevance:.2f}", f"{row.belief:.2f}", f"{row.worth:.2f}",
            why(row, config=config),
        )  # fmt: skip
    for one in recall.written:
        text = Text(line(one.text), style="" if one.verdict.injected else "dim")
        sign = "+" if one.verdict.injected else "-"
        table.add_row(sign, text, "", "", "", _of_agent(one.verdict))
    return table


def why(row: Explanation, *, config: Config) -> str:
    """Say in a few words why a candidate is injected or left out."""
    return told_because(
        row.verdict.reason, floor=row.floor, by=row.verdict.by[:_ID_CHARS], config=config
    )


def told_because(reason: Reason, *, floor: float, config: Config, by: str = "") -> str:
    """Say a reason in a few words.

    Args:
        reason: Why a rule is injected or left out.
        floor: Relevance that was needed.
        config: The limits.
        by: The rule that it gave way to, where that is known.
    """
    words: dict[str, str] = {
        "relevant": f"at least {floor:.2f}",
        "irrelevant": f"below {floor:.2f}",
        "doubted": "what was said about it speaks against it",
        "paused": "not in this conversation, as you wished",
        "over limit": f"over {config.limit} rules",
        "over global limit": f"over {config.max_global} global",
        "over budget": f"over {config.max_tokens} tokens",
        "duplicate": f"same as {by or 'another'}",
        "overruled": f"{by or 'another rule'} is an exception to it",
        "other audience": "for somebody else",
    }
    return words.get(reason, reason)


def line(text: str, *, limit: int = 500) -> str:
    """Make a user's words safe for a terminal: one line without control characters."""
    return plain(text, limit=limit)


def counted(n: int, noun: str) -> str:
    """Write a number with its noun: 1 rule, 2 rules."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def telling(ids: Sequence[str]) -> int:
    """Give the length at which the beginnings of ids tell them apart, at least 8."""
    length = _ID_CHARS
    while len({i[:length] for i in ids}) < len(set(ids)):
        length += 1
    return length
