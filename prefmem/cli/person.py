"""`prefmem show`: a user on one screen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from prefmem.cli.options import DB, Db, Json, Tenant, Who, opened, say_waiting, shown
from prefmem.cli.rules import sizes
from prefmem.cli.show import card_data, console, counted, emit, grid, line, say
from prefmem.defaults import is_dsn
from prefmem.interaction import Observation, Offer, Timeline
from prefmem.memory import PreferenceMemory
from prefmem.types import Card, Event

_RULES, _WAITING, _EVENTS, _RECALLS = 5, 5, 5, 5  # lines of each part
_TREND = 30  # follow-ups whose signs are shown
_ID = 8
_SIGNS = {"satisfied": "+", "dissatisfied": "-", "neutral": "."}


@dataclass(frozen=True, slots=True)
class Strength:
    """How well a rule is borne out.

    Attributes:
        card: The rule.
        evidence: Log-odds that it is right, relative to its prior, in [-5, 5].
        shown: Logged recalls that injected it.
    """

    card: Card
    evidence: float
    shown: int


@dataclass(frozen=True, slots=True)
class Person:
    """What is shown of a user.

    Attributes:
        user_id: The user.
        cards: All cards, oldest first.
        told: What happened.
        strengths: Active cards, the best borne out first.
        vector_bytes: What the vectors of active cards take, 2 bytes a dimension.
    """

    user_id: str
    cards: tuple[Card, ...]
    told: Timeline
    strengths: tuple[Strength, ...]
    vector_bytes: int

    @property
    def offers(self) -> list[Offer]:
        """Logged recalls, oldest first."""
        return [e.payload for e in self.told.interactions if isinstance(e.payload, Offer)]

    @property
    def answers(self) -> list[Observation]:
        """What came back, oldest first; pauses and the like are none."""
        said = (e.payload for e in self.told.interactions)
        return [s for s in said if isinstance(s, Observation) and (s.heard or s.recall_id)]

    @property
    def waiting(self) -> list[Card]:
        """Cards in quarantine, the newest first."""
        return [card for card in reversed(self.cards) if card.status == "quarantined"]

    @property
    def lessons(self) -> list[Event]:
        """Events that changed cards, the newest first."""
        return [event for event in reversed(self.told.events) if event.changes]


def show(
    ctx: typer.Context, user: Who, db: Db = DB, tenant: Tenant = "", as_json: Json = False
) -> None:
    """Show a user on one screen: rules, what waits, what was learned, shown and said of it."""
    with opened(ctx, db, tenant, made=False) as memory:
        person, waiting = look(memory, user), memory.backlog().waiting
    if as_json:
        emit(person_data(person))
    elif not person.cards and not person.told.events:
        say(f"{line(user)} is not in {shown(db)}.")
        say_waiting(waiting)
    else:
        _print(person, db)


def look(memory: PreferenceMemory, user: str) -> Person:
    """Read what is shown of a user; nothing is written."""
    cards, told = memory.list(user_id=user), memory.timeline(user_id=user)
    state, shelf = memory.get_user(user), memory.shelf(user_id=user)
    evidence = dict(zip(state.numbers.tolist(), state.evidence.tolist(), strict=True))
    injected: Counter[int] = Counter()
    for entry in told.interactions:
        if isinstance(entry.payload, Offer):
            injected.update(entry.payload.numbers[entry.payload.shown].tolist())
    strengths = [
        Strength(card, float(evidence.get(number, 0.0)), injected[number])
        for card in cards
        if card.status == "active" and (number := told.numbers.get(card.id)) is not None
    ]
    strengths.sort(key=lambda each: (-each.evidence, -each.shown))
    return Person(user, cards, told, tuple(strengths), 2 * int(shelf.matrix.size))


def person_data(person: Person) -> dict[str, Any]:
    """Give what is shown as JSON data."""
    statuses = Counter(card.status for card in person.cards)
    return {
        "user_id": person.user_id,
        "cards": dict(statuses),
        "strongest": [
            {**card_data(each.card), "evidence": round(each.evidence, 3), "shown": each.shown}
            for each in person.strengths[:_RULES]
        ],
        "waiting": [card_data(card) for card in person.waiting],
        "learned": [
            {"id": event.id, "at": event.at.isoformat(), "kind": event.kind,
             "changes": dict(Counter(change.op for change in event.changes))}
            for event in person.lessons[:_EVENTS]
        ],
        "recalls": [_recall_data(offer) for offer in reversed(person.offers[-_RECALLS:])],
        "answers": dict(Counter(answer.label for answer in person.answers)),
        "rewards": [round(answer.reward, 3) for answer in person.answers[-_TREND:]],
        "storage": {
            "events": len(person.told.events),
            "interactions": len(person.told.interactions),
            "vector_bytes": person.vector_bytes,
        },
    }  # fmt: skip


def _recall_data(offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.recall_id,
        "at": offer.at.isoformat(),
        "session_id": offer.session_id,
        "considered": len(offer.numbers),
        "shown": int(offer.shown.sum()),
    }


def _print(person: Person, db: str) -> None:
    screen = console()
    screen.print(Text(f"{line(person.user_id)} in {shown(db)}", "bold"))
    facts = Table.grid(padding=(0, 2))
    for name, text in (
        ("Rules", _rules(person)), ("Learning", _learning(person)), ("Recalls", _recalls(person)),
        ("Answers", _answers(person)), ("Storage", _storage(person, db)),
    ):  # fmt: skip
        facts.add_row(name, text)
    screen.print(facts)
    for title, table in (
        ("Strongest rules", _strongest(person)), ("Waits for you", _waits(person)),
        ("Learned last", _learned(person)), ("Recalled last", _recalled(person)),
    ):  # fmt: skip
        if table is not None:
            screen.print()
            screen.print(Text(title, "bold"))
            screen.print(table)
    name = line(person.user_id)
    say(f"More: prefmem list --user {name}; prefmem why {name} --recall ID")


def _rules(person: Person) -> str:
    size = sizes(person.cards)
    parts = [
        f"{size['Always'] + size['When it applies']} in force ({size['Always']} always)",
        f"{size['Waits for you']} waiting for you" if size["Waits for you"] else "",
        f"{size['Not sure yet']} not sure yet" if size["Not sure yet"] else "",
        f"{size['Over']} over" if size["Over"] else "",
    ]
    return ", ".join(part for part in parts if part)


def _learning(person: Person) -> str:
    read = [event for event in person.told.events if event.kind == "learn"]
    taught = sum(bool(event.changes) for event in read)
    if not read:
        return "nothing was said yet"
    return f"{counted(len(read), 'turn')} read, {taught} of them taught; last {_when(read[-1].at)}"


def _recalls(person: Person) -> str:
    offers = person.offers
    if not offers:
        return "none logged"
    helped = sum(bool(offer.shown.any()) for offer in offers)
    return (
        f"{len(offers)} logged, rules shown in {helped} ({helped / len(offers):.0%}); last "
        f"{_when(offers[-1].at)}"
    )


def _answers(person: Person) -> str:
    answers = person.answers
    if not answers:
        return "none yet"
    signs = "".join(_SIGNS[answer.label] for answer in answers[-_TREND:])
    labels = Counter(answer.label for answer in answers)
    half = answers[-_TREND:]
    late, early = half[len(half) // 2 :], half[: len(half) // 2]
    trend = f"; mean reward {_mean(late):+.2f}"
    if early:
        trend += f", before {_mean(early):+.2f}"
    return f"{labels['satisfied']} content, {labels['dissatisfied']} not {signs}{trend}"


def _storage(person: Person, db: str) -> str:
    lines = len(person.told.events) + len(person.told.interactions)
    held = f"{counted(len(person.cards), 'rule')}, {counted(lines, 'log entry')}"
    held = held.replace("log entrys", "log entries")
    text = f"{held}, {person.vector_bytes / 1e3:.1f} kB of vectors"
    if is_dsn(db) or not Path(db).exists():
        return text
    return f"{text}; the file has {Path(db).stat().st_size / 1e6:.1f} MB for all users"


def _strongest(person: Person) -> Table | None:
    table = grid("id", "rule", "evidence", "shown", wide="rule")
    for each in person.strengths[:_RULES]:
        name, text = each.card.id[:_ID], line(each.card.text)
        table.add_row(name, text, f"{each.evidence:+.1f}", f"{each.shown}x")
    return table if table.row_count else None


def _waits(person: Person) -> Table | None:
    waiting = person.waiting
    table = grid("id", "rule", "since", wide="rule")
    for card in waiting[:_WAITING]:
        table.add_row(card.id[:_ID], line(card.text), f"{card.valid_from:%Y-%m-%d}")
    if len(waiting) > _WAITING:
        table.add_row("", f"and {len(waiting) - _WAITING} more", "")
    return table if waiting else None


def _learned(person: Person) -> Table | None:
    table = grid("event", "when", "what", wide="what")
    for event in person.lessons[:_EVENTS]:
        ops = Counter(change.op for change in event.changes)
        first = event.changes[0].card
        what = ", ".join(f"{op} {count}" if count > 1 else op for op, count in ops.items())
        table.add_row(event.id, _when(event.at), f"{event.kind} ({what}): {line(first.text)}")
    return table if table.row_count else None


def _recalled(person: Person) -> Table | None:
    answers = {answer.recall_id: answer for answer in person.answers}
    table = grid("recall", "when", "shown", "came back", wide="came back")
    for offer in reversed(person.offers[-_RECALLS:]):
        answer = answers.get(offer.recall_id)
        back = f"{answer.label} {answer.reward:+.2f}" if answer else ""
        of = f"{int(offer.shown.sum())} of {len(offer.numbers)}"
        table.add_row(offer.recall_id, _when(offer.at), of, back)
    return table if table.row_count else None


def _mean(answers: Sequence[Observation]) -> float:
    return sum(answer.reward for answer in answers) / len(answers)


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
