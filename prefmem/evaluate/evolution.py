"""Rules that change over time: what is in force on a day, and what a request then brings up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefmem.evaluate.changes import KINDS, Asked, Said, Scenario, load
from prefmem.evaluate.metrics import Figure, mean, ratio
from prefmem.evaluate.table import Cell, Part, part
from prefmem.memory import PreferenceMemory
from prefmem.train.progress import Progress
from prefmem.types import Card, Turn

_USER = "user"
_REPLY = "Noted."


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, and the state of the memory at that time; rules go by the turns they are from.

    Attributes:
        scenario: The life it is part of.
        asked: The request with its labels.
        learned: Rules that ever became a card.
        active: Rules with an active card.
        injected: Rules that were injected.
        cards: Active cards.
    """

    scenario: Scenario
    asked: Asked
    learned: frozenset[str]
    active: frozenset[str]
    injected: frozenset[str]
    cards: int

    @property
    def held(self) -> bool:
        """Whether exactly the rules that are in force are, and one that was said twice is one."""
        asked, single = self.asked, self.scenario.kind != "again" or self.cards == 1
        there = self.active.issuperset((*asked.applies, *asked.stays))
        return there and single and self.active.isdisjoint(asked.over)

    @property
    def ended(self) -> tuple[str, ...]:
        """Rules that are over and had been learned."""
        return tuple(rule for rule in self.asked.over if rule in self.learned)


@dataclass(frozen=True, slots=True)
class Lived:
    """What became of one life.

    Attributes:
        answers: To each request.
        undone: Whether undoing the last change brought back all cards bit for bit; None where the
            last turn changed nothing.
    """

    answers: tuple[Answered, ...]
    undone: bool | None


def measure(path: Path, *, seed: int, progress: Progress) -> tuple[Part, Part]:
    """Live through the scenarios of a file with the product's defaults.

    Args:
        path: The scenarios.
        seed: Of the resampling.
        progress: Told the stage, what is done and how much there is.

    Returns:
        The figures over all scenarios, and those of each kind. Intervals are over requests.
    """
    lives: list[Lived] = []
    scenarios = load(path)
    for done, scenario in enumerate(scenarios, start=1):
        lives.append(live(scenario))
        progress("lives", done, len(scenarios))
    return part(figures(lives, seed=seed)), kinds(lives, seed=seed)


def live(scenario: Scenario) -> Lived:
    """Go through one life, then undo its last change."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    learned = frozenset[str]()
    answers: list[Answered] = []
    told: list[Said] = []
    before: tuple[Card, ...] = ()
    events: tuple[str, ...] = ()
    with PreferenceMemory(":memory:", clock=lambda: now) as memory:
        for step in scenario.steps:
            now = step.at
            if isinstance(step, Said):
                before = memory.list(user_id=_USER)
                told.append(step)
                events = _learn(memory, [s for s in told if s.session == step.session])
                for card in memory.list(user_id=_USER):
                    learned |= _sources(card, told)
            else:
                answers.append(_answer(memory, scenario, step, told, learned))
        now = told[-1].at
        undone = _undone(memory, events, before) if events else None
    return Lived(tuple(answers), undone)


def figures(lives: Sequence[Lived], *, seed: int) -> dict[str, Figure]:
    """Sum up lives; the README of the pool says what the labels mean."""
    answers = [answer for life in lives for answer in life.answers]
    force = [((*a.asked.applies, *a.asked.stays), a) for a in answers]
    use = [(a.asked.applies, a) for a in answers]
    over = [(a.ended, a) for a in answers]
    idle = [(a.asked.stays, a) for a in answers]
    once = [(a.asked.over, a) for a in answers if a.scenario.kind == "once"]
    undone = [float(life.undone) for life in lives if life.undone is not None]
    return {
        "rules in force: ever learned": _share([(x, a.learned) for x, a in force], seed),
        "rules in force: active": _share([(x, a.active) for x, a in force], seed),
        "rules that are over: still active": _share([(x, a.active) for x, a in over], seed),
        "rules of use: injected": _share([(x, a.injected) for x, a in use], seed),
        "rules that are over: injected": _share([(x, a.injected) for x, a in over], seed),
        "rules of no use here: injected": _share([(x, a.injected) for x, a in idle], seed),
        "said for one answer only: stored": _share([(x, a.learned) for x, a in once], seed),
        "requests at which the right rules are active": mean(
            [float(a.held) for a in answers], seed=seed
        ),
        "last change undone: all as before": mean(undone, seed=seed),
    }


def kinds(lives: Sequence[Lived], *, seed: int) -> Part:
    """Sum up the lives of each kind."""
    rows: dict[str, dict[str, Cell]] = {}
    for kind in KINDS:
        answers = [a for life in lives for a in life.answers if a.scenario.kind == kind]
        if not answers:
            continue
        over = [(a.ended, a.active) for a in answers]
        use = [(a.asked.applies, a.injected) for a in answers]
        rows[kind] = {"right rules active": mean([float(a.held) for a in answers], seed=seed)}
        for name, found in (("over, still active", over), ("of use, injected", use)):
            if any(wanted for wanted, _ in found):
                rows[kind][name] = _share(found, seed)
    return Part(rows, "By kind of change")


def _share(found: Sequence[tuple[Sequence[str], frozenset[str]]], seed: int) -> Figure:
    """Give the share of labelled rules that are found, over requests."""
    hits = [float(len(there.intersection(wanted))) for wanted, there in found]
    return ratio(hits, [float(len(wanted)) for wanted, _ in found], seed=seed)


def _learn(memory: PreferenceMemory, said: Sequence[Said]) -> tuple[str, ...]:
    """Learn a conversation up to its newest turn; gives the events that changed cards."""
    turns: list[Turn] = []
    for one in said:
        turns += [Turn(one.id, "user", one.text, one.at)]
        turns += [Turn(f"{one.id} answered", "assistant", _REPLY, one.at)]
    session = said[0].session
    return memory.learn(turns[:-1], user_id=_USER, session_id=session).events


def _answer(
    memory: PreferenceMemory, scenario: Scenario, asked: Asked, told: Sequence[Said],
    learned: frozenset[str],
) -> Answered:  # fmt: skip
    active = memory.list(user_id=_USER, status="active")
    sources = {card.id: _sources(card, told) for card in active}
    found = memory.recall(asked.text, user_id=_USER, strict=True)
    injected = [sources.get(i, frozenset()) for rule in found.rules for i in rule.card_ids]
    every = frozenset[str]().union
    return Answered(
        scenario, asked, learned, every(*sources.values()), every(*injected), len(active)
    )


def _sources(card: Card, told: Sequence[Said]) -> frozenset[str]:
    """Name the turns that a card was learned from."""
    quotes = [evidence.quote for evidence in card.preference.evidence]
    return frozenset(one.id for one in told if any(quote in one.text for quote in quotes))


def _undone(memory: PreferenceMemory, events: Sequence[str], before: Sequence[Card]) -> bool:
    for event in reversed(events):
        memory.undo(event, user_id=_USER)
    return memory.list(user_id=_USER) == tuple(before)
