"""What the inspector draws about a user, as plain figures: no picture is made here.

The map shows the active rules by what they mean; evidence shows how often each was said and what
its use taught; trend and volume count recalls, follow-ups and learning by day, week or month.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from prefmem import Card, PreferenceMemory
from prefmem.interaction import Observation, Offer, Timeline
from prefmem.types import Matrix

__all__ = ["PlotsOut", "plots_of", "projected"]

Unit: TypeAlias = Literal["day", "week", "month"]

_NEAR = 0.5  # cosine from which a rule belongs to a group's first one
_GROUPS = 5  # named on the map, the largest
_LINES = 5  # rules whose evidence is drawn
_SEEN = 0.05  # evidence that shows as a change
_DAYS, _WEEKS = 45, 520  # days that are counted one by one, and by week
_OPS = {"add": "new", "merge": "again", "supersede": "closed"}


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class PointOut(_Figures):
    """A rule on the map."""

    card_id: str
    text: str
    x: float
    y: float
    group: int | None = Field(description="Place in `groups`; None outside the largest.")


class MapOut(_Figures):
    """The active rules in two dimensions: what lies near means the like."""

    points: list[PointOut]
    groups: list[str] = Field(description="Names of the largest groups, the largest first.")
    share: float = Field(description="Share of the differences that two dimensions show, [0, 1].")


class StepOut(_Figures):
    """A figure from a time on."""

    at: datetime
    value: float


class RuleCourseOut(_Figures):
    """How a rule came to be believed."""

    card_id: str
    text: str
    said: list[StepOut] = Field(description="Quotes that it rests on.")
    evidence: list[StepOut] = Field(
        description="Log-odds that it is right, relative to its prior, by its use, [-5, 5]."
    )


class UseOut(_Figures):
    """What came back in a period."""

    start: date
    recalls: int
    with_rules: int = Field(description="Recalls that injected a rule.")
    followups: int = Field(description="Follow-ups and buttons that were about an answer.")
    complaints: int
    praise: int
    reward: float | None = Field(description="Mean reward, [-1, 1]; None without follow-ups.")


class LearnedInOut(_Figures):
    """What was learned in a period; what the user forgot since counts no more."""

    start: date
    new: int
    again: int = Field(description="Rules that were said again.")
    closed: int = Field(description="Rules that others took the place of, or that ended.")


class PlotsOut(_Figures):
    """All plots of a user."""

    map: MapOut
    evidence: list[RuleCourseOut] = Field(description="Rules with the most evidence by their use.")
    repeated: list[RuleCourseOut] = Field(description="Rules that were said most often.")
    unit: Unit = Field(description="Length of a period in `use` and `learned`.")
    use: list[UseOut]
    learned: list[LearnedInOut]


def plots_of(memory: PreferenceMemory, user_id: str) -> PlotsOut:
    """Give everything that is drawn about a user; empty lists for a stranger."""
    timeline = memory.timeline(user_id=user_id)
    cards = memory.list(user_id=user_id)
    told = _courses(timeline, cards)
    unit, starts = _periods(timeline)
    return PlotsOut(
        map=_map(memory, user_id, cards),
        evidence=_leading(told, _moved, least=_SEEN),
        repeated=_leading(told, _quotes, least=2),
        unit=unit,
        use=_use(timeline, unit, starts),
        learned=_learned(timeline, unit, starts),
    )


# The map


def projected(matrix: Matrix) -> tuple[npt.NDArray[np.float64], float]:
    """Project rows on their two main directions, always the same way round.

    Args:
        matrix: Vectors, (n, e).

    Returns:
        Coordinates, (n, 2), with the mean at 0, and the share of the variance that they show. The
        largest part of each direction is positive, so that the map does not flip.
    """
    rows = matrix.astype(np.float64)
    if len(rows) < 2:
        return np.zeros((len(rows), 2)), 1.0
    centred = rows - rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)  # (r,), (r, e)
    main = directions[:2]
    largest = np.abs(main).argmax(axis=1)
    main = main * np.sign(main[np.arange(len(main)), largest])[:, None]
    found = np.zeros((len(rows), 2))
    found[:, : len(main)] = centred @ main.T
    total = float((sizes**2).sum())
    return found, float((sizes[:2] ** 2).sum()) / total if total > 0 else 1.0


def _map(memory: PreferenceMemory, user_id: str, cards: Iterable[Card]) -> MapOut:
    shelf, held = memory.shelf(user_id=user_id), {card.id: card for card in cards}
    rows = [row for row, card_id in enumerate(shelf.ids) if card_id in held]
    matrix, shown = shelf.matrix[rows], [held[shelf.ids[row]] for row in rows]
    places, share = projected(matrix)
    groups = _grouped(matrix)
    names = [_name([shown[row] for row in group]) for group in groups]
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    points = [
        PointOut(
            card_id=card.id, text=card.text, group=group_of.get(row),
            x=round(float(places[row, 0]), 4), y=round(float(places[row, 1]), 4),
        )
        for row, card in enumerate(shown)
    ]  # fmt: skip
    return MapOut(points=points, groups=names, share=round(share, 4))


def _grouped(matrix: Matrix) -> list[list[int]]:
    """Put each row to the nearest earlier one that leads a group, or let it lead one of its own."""
    groups: list[list[int]] = []
    for row, vector in enumerate(matrix):
        leaders = matrix[[group[0] for group in groups]]
        cosines = leaders @ vector
        if len(groups) and cosines.max() >= _NEAR:
            groups[int(cosines.argmax())].append(row)
        else:
            groups.append([row])
    several = [group for group in groups if len(group) > 1]
    return sorted(several, key=lambda group: (-len(group), group[0]))[:_GROUPS]


def _name(cards: Sequence[Card]) -> str:
    """Name a group by the situation that most of its rules share, else by its first rule."""
    said = (card.preference for card in cards if card.preference.condition)
    situations = Counter(replace(rule, action="-").text.removesuffix(", -.") for rule in said)
    return situations.most_common(1)[0][0] if situations else cards[0].text


# Evidence


def _courses(timeline: Timeline, cards: Iterable[Card]) -> list[RuleCourseOut]:
    """Give how each rule came to be believed."""
    numbers = {number: card_id for card_id, number in timeline.numbers.items()}
    evidence: dict[str, list[StepOut]] = {}
    for standing in timeline.standings:
        card_id = numbers.get(standing.number, "")
        steps = evidence.setdefault(card_id, [])
        if abs(standing.evidence - (steps[-1].value if steps else 0)) >= _SEEN:
            steps.append(StepOut(at=standing.at, value=round(standing.evidence, 3)))
    said: dict[str, list[StepOut]] = {}
    for event in timeline.events:
        for change in event.changes:
            steps = said.setdefault(change.card.id, [])
            quotes = len(change.card.preference.evidence)
            if not steps or steps[-1].value != quotes:
                steps.append(StepOut(at=event.at, value=quotes))
    return [
        RuleCourseOut(
            card_id=card.id, text=card.text, said=said.get(card.id, []),
            evidence=[StepOut(at=card.valid_from, value=0), *evidence.get(card.id, [])],
        )
        for card in cards
    ]  # fmt: skip


def _moved(course: RuleCourseOut) -> float:
    """Say how far the evidence of a rule went, for or against."""
    return max(abs(step.value) for step in course.evidence)


def _quotes(course: RuleCourseOut) -> float:
    """Say how many quotes a rule rests on."""
    return course.said[-1].value if course.said else 0


def _leading(
    courses: Iterable[RuleCourseOut], size: Callable[[RuleCourseOut], float], *, least: float
) -> list[RuleCourseOut]:
    """Give the largest by a size, those that reach `least`."""
    found = [course for course in courses if size(course) >= least]
    return sorted(found, key=lambda course: (-size(course), course.text))[:_LINES]


# Periods


def _use(timeline: Timeline, unit: Unit, starts: Sequence[date]) -> list[UseOut]:
    recalls, with_rules = Counter[date](), Counter[date]()
    labels: Mapping[date, Counter[str]] = {start: Counter() for start in starts}
    rewards: Mapping[date, list[float]] = {start: [] for start in starts}
    for entry in timeline.interactions:
        start, told = _start(entry.at, unit), entry.payload
        if isinstance(told, Offer):
            recalls[start] += 1
            with_rules[start] += bool(told.shown.any())
        elif _about_an_answer(told):
            labels[start][told.label] += 1
            rewards[start].append(told.reward)
    return [
        UseOut(
            start=start, recalls=recalls[start], with_rules=with_rules[start],
            followups=len(rewards[start]), complaints=labels[start]["dissatisfied"],
            praise=labels[start]["satisfied"],
            reward=round(float(np.mean(rewards[start])), 3) if rewards[start] else None,
        )
        for start in starts
    ]  # fmt: skip


def _learned(timeline: Timeline, unit: Unit, starts: Sequence[date]) -> list[LearnedInOut]:
    counted: Mapping[date, Counter[str]] = {start: Counter() for start in starts}
    for event in timeline.events:
        for change in event.changes:
            kind = _OPS.get(change.op)
            if kind is not None and event.kind != "undo":
                counted[_start(event.at, unit)][kind] += 1
    return [
        LearnedInOut(start=start, new=by["new"], again=by["again"], closed=by["closed"])
        for start, by in counted.items()
    ]


def _about_an_answer(told: Observation) -> bool:
    return bool(told.recall_id) and (told.heard or told.label != "neutral")


def _periods(timeline: Timeline) -> tuple[Unit, list[date]]:
    """Choose how time is cut, and give every period from the first to the last thing that was."""
    times = [event.at for event in timeline.events]
    times += [entry.at for entry in timeline.interactions]
    if not times:
        return "day", []
    first, last = min(times), max(times)
    days = (last - first).days
    unit: Unit = "day" if days <= _DAYS else "week" if days <= _WEEKS else "month"
    starts, end = [_start(first, unit)], _start(last, unit)
    while starts[-1] < end:
        starts.append(_after[unit](starts[-1]))
    return unit, starts


def _start(at: datetime, unit: Unit) -> date:
    """Give the day that a time's period begins with; weeks begin on Mondays, all in UTC."""
    day = at.astimezone(UTC).date()
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


_after: Mapping[Unit, Callable[[date], date]] = {
    "day": lambda start: start + timedelta(days=1),
    "week": lambda start: start + timedelta(days=7),
    "month": lambda start: (start + timedelta(days=32)).replace(day=1),
}
