"""Which candidates are injected, and why the others are not."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from prefmem.retrieve.audience import audience_fits
from prefmem.types import Candidate, Card, Reason, Verdict

# Distinct rules of one user reach 0.79 (written users); the same rule in other words reaches more.
ALIKE = 0.96
_TELLING = re.compile(r"\d+|\b(?:no|not|never|without|avoid|only|except|unless)\b|n't\b")

_Order: TypeAlias = tuple[float | str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is injected.

    Attributes:
        chosen: Positions of the injected, global ones first.
        verdicts: What was decided about each candidate, in their order.
    """

    chosen: tuple[int, ...]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What the prompt has room for.

    Attributes:
        limit: Conditional rules at most.
        max_global: Global rules at most.
        size: Size of all rules at most, in the unit of `cost`.
        cost: Size of a rule.
    """

    limit: int
    max_global: int
    size: float = math.inf
    cost: Callable[[Card], float] = lambda _card: 0.0


def select(
    candidates: Sequence[Candidate],
    room: Room,
    *,
    query: str,
    context: str,
    floor: float,
    now: datetime,
    withheld: Mapping[str, Reason] | None = None,
) -> Selection:
    """Choose the rules that apply.

    Only active rules that still hold are injected. Global rules hold for every answer and come
    first; when there are too many, the more relevant, then the surer, then the newer ones stay. A
    conditional rule must reach the floor; with none there, nothing is injected. A rule for somebody
    else stays out, and so does one to which another rule that applies, at least half as relevant,
    is an exception; an exception that finds no place leaves out nothing. Of rules that say the same
    the best placed one is injected, and one that is too long leaves its place to the next.

    Args:
        candidates: Everything considered.
        room: What the prompt has room for.
        query: What is asked for; whom it names decides between audiences.
        context: What was asked for before; it decides where the query names nobody.
        floor: What a conditional rule's relevance, weighed with belief, must reach, in [0, 1].
        now: The time, UTC.
        withheld: Why cards are not to be injected whatever is asked, by card id.
    """
    held = withheld or {}
    standing = [
        Verdict(held[c.card.id])
        if c.card.id in held and c.card.status == "active"
        else _standing(c, query, context, floor, now)
        for c in candidates
    ]
    homeless: frozenset[str] = frozenset()  # exceptions that found no place
    while True:
        verdicts = _overruled(candidates, standing, homeless)
        picked = _placed(candidates, verdicts, room)
        by = {verdict.by for verdict in picked.verdicts if verdict.reason == "overruled"}
        more = {
            c.card.id
            for c, verdict in zip(candidates, picked.verdicts, strict=True)
            if c.card.id in by and verdict.reason.startswith("over ")
        }
        if not more:
            return picked
        homeless |= more


def _placed(candidates: Sequence[Candidate], standing: Sequence[Verdict], room: Room) -> Selection:
    """Fill the room with what may be injected."""
    verdicts = list(standing)
    taken: list[int] = []
    left = room.size

    def place(kind: Reason, order: Callable[[Candidate], _Order], most: int, full: Reason) -> None:
        nonlocal left
        fitting = [i for i, verdict in enumerate(verdicts) if verdict.reason == kind]
        for i in sorted(fitting, key=lambda i: order(candidates[i])):
            if most == 0:
                verdicts[i] = Verdict(full)
                continue
            cost = room.cost(candidates[i].card)
            twin = next((j for j in taken if alike(candidates[i], candidates[j])), None)
            if twin is not None:
                verdicts[i] = Verdict("duplicate", candidates[twin].card.id)
            elif cost > left:
                verdicts[i] = Verdict("over budget")
            else:
                taken.append(i)
                most, left = most - 1, left - cost

    place("global", _global_worth, room.max_global, "over global limit")
    first = sorted(taken, key=lambda i: _global_order(candidates[i]))
    place("relevant", _worth, room.limit, "over limit")
    return Selection((*first, *taken[len(first) :]), tuple(verdicts))


def alike(one: Candidate, other: Candidate) -> bool:
    """Whether two rules say the same: vectors that nearly meet, and no other number or negation."""
    a, b = one.card.preference, other.card.preference
    if (a.polarity, a.scope.audience) != (b.polarity, b.scope.audience):
        return False
    if float(one.embedding @ other.embedding) < ALIKE:
        return False
    said, again = (sorted(_TELLING.findall(c.card.text.lower())) for c in (one, other))
    return said == again


def _overruled(
    candidates: Sequence[Candidate], verdicts: Sequence[Verdict], homeless: frozenset[str]
) -> list[Verdict]:
    """Leave out what an applying rule is an exception to, unless that one found no place."""
    applying = {
        c.card.id: c for c, verdict in zip(candidates, verdicts, strict=True) if verdict.injected
    }
    pairs = (
        (candidate, applying[link.card_id])
        for candidate in applying.values()
        for link in candidate.card.links
        if link.relation == "exception" and link.card_id in applying
    )
    by: dict[str, str] = {}
    for exception, general in pairs:
        here, there = exception.card.id, general.card.id
        mutual = by.get(here) == there  # the first of two that name each other wins
        if here not in homeless and not mutual and _outweighs(exception, general):
            by[there] = here
    return [
        Verdict("overruled", by[c.card.id]) if c.card.id in by else verdict
        for c, verdict in zip(candidates, verdicts, strict=True)
    ]


def _outweighs(exception: Candidate, general: Candidate) -> bool:
    """Whether an exception is relevant enough; a global rule's relevance says nothing."""
    if "global" in (c.card.preference.scope.kind for c in (exception, general)):
        return True
    return exception.relevance >= general.relevance / 2


def _standing(
    candidate: Candidate, query: str, context: str, floor: float, now: datetime
) -> Verdict:
    """Judge a candidate by itself."""
    card = candidate.card
    if card.status != "active":
        return Verdict(card.status)
    if card.valid_to is not None and card.valid_to <= now:
        return Verdict("expired")
    if not audience_fits(card.preference.scope, query, context):
        return Verdict("other audience")
    if card.preference.scope.kind == "global":
        return Verdict("global")
    if candidate.total >= floor:
        return Verdict("relevant")
    return Verdict("doubted" if candidate.relevance >= floor else "irrelevant")


def _worth(candidate: Candidate) -> _Order:
    return (-candidate.total, candidate.card.id)


def _global_worth(candidate: Candidate) -> _Order:
    return (-round(candidate.relevance, 1), *_global_order(candidate))


def _global_order(candidate: Candidate) -> _Order:
    """Surest and newest first, whatever is asked: prompts that share them begin alike."""
    card = candidate.card
    return (-card.preference.confidence, -card.recorded_at.timestamp(), card.id)
