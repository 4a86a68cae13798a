"""What a floor on the relevance costs, counted on written users with the memory as it runs."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from prefmem.memory import PreferenceMemory
from prefmem.protocols import Embedder, Reranker
from prefmem.train.calibrate import Floats
from prefmem.train.users import Request, WrittenUser
from prefmem.types import Preference, Recall, Relation

STEPS = 100  # floors from 0 to 1


class Apart:
    """A relater to which no rule is like another: what is stored stays as it was written."""

    def relations(
        self, new: Preference, old: Sequence[Preference]
    ) -> tuple[Mapping[Relation, float], ...]:
        """Call every pair distinct."""
        del new
        return tuple({"distinct": 1.0} for _ in old)


def counted(
    users: Iterable[WrittenUser], *, embedder: Embedder, reranker: Reranker | None
) -> dict[str, object]:
    """Count over all requests how often a conditional rule that does not apply reaches a floor.

    Returns:
        The manifest's entry `risk`: `cases`, and `losses` for floors 0, 1 / STEPS, ..., 1.
    """
    worst: list[float] = []
    for user in users:
        with PreferenceMemory(
            ":memory:",
            embedder=embedder,
            reranker="none" if reranker is None else reranker,
            relater=Apart(),
        ) as memory:
            names = stored(memory, user)
            worst += [
                _worst(ask(memory, user, request), names, request) for request in user.requests
            ]
    return {"cases": len(worst), "losses": losses(np.array(worst))}


def losses(worst: Floats) -> list[float]:
    """Give the share of requests whose worst relevance reaches each floor, (STEPS + 1,).

    Args:
        worst: Highest relevance of a rule that does not apply, (n,), n from 1.
    """
    return [round(float((worst >= step / STEPS).mean()), 6) for step in range(STEPS + 1)]


def stored(memory: PreferenceMemory, user: WrittenUser) -> dict[str, str]:
    """Store a user's rules, all in force; gives the rule's id for each card's."""
    names: dict[str, str] = {}
    for name, rule in user.rules.items():
        card = memory.add(
            rule.condition, rule.action, user_id=user.id, polarity=rule.polarity,
            scope=rule.scope.kind,
        )  # fmt: skip
        if card.status != "active":  # waits for the user's word
            card = memory.edit(card.id, user_id=user.id, status="active")
        names[card.id] = name
    return names


def ask(memory: PreferenceMemory, user: WrittenUser, request: Request) -> Recall:
    """Make a request; a follow-up comes with the request before it."""
    return memory.recall(request.text, user_id=user.id, context=request.before, strict=True)


def relevances(recall: Recall, names: dict[str, str]) -> dict[str, float]:
    """Give the relevance of the conditional candidates, by the rule's id."""
    return {
        names[c.card.id]: c.relevance
        for c in recall.candidates
        if c.card.preference.scope.kind == "conditional"
    }


def _worst(recall: Recall, names: dict[str, str], request: Request) -> float:
    found = relevances(recall, names)
    return max((r for name, r in found.items() if name not in request.applies), default=0.0)
