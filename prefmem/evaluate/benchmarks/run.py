"""Runs the product as shipped over the users of a benchmark: learn, then recall."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from prefmem.evaluate.benchmarks.case import Held, Request, User
from prefmem.memory import PreferenceMemory
from prefmem.train.progress import Progress
from prefmem.train.risk import Apart
from prefmem.types import Card, Recall, ScopeKind, Turn

_START = datetime(2026, 1, 1, tzinfo=UTC)
_BREAK = timedelta(days=1)  # between sessions whose time a file does not say
_USER = "user"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what the memory made of it.

    Attributes:
        request: The request.
        ranked: For each candidate, best first, the preferences that it states.
        injected: The same for each injected rule, in order.
        block: The rules as a chat model reads them.
    """

    request: Request
    ranked: tuple[frozenset[int], ...]
    injected: tuple[frozenset[int], ...]
    block: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A user, and what became of what was learned.

    Attributes:
        user: The user.
        learned: Preferences that an active card states.
        said: Preferences that a turn reveals, or that were stored as they are.
        cards: Active cards.
        idle: Active cards from turns that reveal no preference.
        turns: User turns that were learned from.
        asked: What was asked.
    """

    user: User
    learned: frozenset[int]
    said: frozenset[int]
    cards: int
    idle: int
    turns: int
    asked: tuple[Asked, ...]


def run(users: Sequence[User], *, progress: Progress) -> tuple[Outcome, ...]:
    """Give each user a memory of its own, and ask it.

    Args:
        users: As an adapter reads them.
        progress: Told the stage, what is done and how much there is.
    """
    found: list[Outcome] = []
    for done, user in enumerate(users):
        progress("users", done, len(users))
        found.append(_lived(user))
    progress("users", len(users), len(users))
    return tuple(found)


def _lived(user: User) -> Outcome:
    now, names = [_START], count(1)
    held: dict[str, int] = {}

    def at(when: datetime | None) -> None:
        now[0] = when or now[0] + _BREAK

    with PreferenceMemory(
        ":memory:", clock=lambda: now[0], ids=lambda: f"{next(names):016x}",
        relater=Apart() if user.held else None,
    ) as memory:  # fmt: skip
        for n, one in enumerate(user.held):
            held[_stored(memory, one)] = n
        gold: dict[str, frozenset[int]] = {}
        for n, session in enumerate(user.sessions):
            at(session.at)
            turns = [
                Turn(f"{n}.{k}", turn.role, turn.text, session.at)
                for k, turn in enumerate(session.turns)
            ]
            gold |= {f"{n}.{k}": turn.gold for k, turn in enumerate(session.turns)}
            if turns:
                memory.learn(turns, user_id=_USER, session_id=f"{n}")

        def states(card: Card) -> frozenset[int]:
            if card.id in held:
                return frozenset({held[card.id]})
            quotes = (gold.get(one.turn_id) for one in card.preference.evidence)
            return frozenset[int]().union(*(found for found in quotes if found))

        cards = memory.list(user_id=_USER, status="active")
        asked: list[Asked] = []
        for request in user.requests:
            at(request.at)
            asked.append(_asked(memory, request, states))
    found = [states(card) for card in cards]
    return Outcome(
        user, frozenset[int]().union(*found), frozenset(held.values()).union(*gold.values()),
        len(cards), sum(not one for one in found),
        sum(turn.role == "user" for session in user.sessions for turn in session.turns),
        tuple(asked),
    )  # fmt: skip


def _stored(memory: PreferenceMemory, one: Held) -> str:
    scope: ScopeKind = "conditional" if one.condition else "global"
    return memory.add(one.condition, one.action, user_id=_USER, scope=scope).id


def _asked(
    memory: PreferenceMemory, request: Request, states: Callable[[Card], frozenset[int]]
) -> Asked:
    recall: Recall = memory.recall(request.text, user_id=_USER, strict=True)
    ranked = sorted(recall.candidates, key=lambda one: -one.total)
    return Asked(
        request,
        tuple(states(one.card) for one in ranked),
        tuple(states(recall.candidates[place].card) for place in recall.chosen),
        memory.render(recall),
    )
