"""Which candidates are injected."""

from collections.abc import Sequence

from prefmem.types import Candidate


def select(
    candidates: Sequence[Candidate], *, limit: int, max_global: int, min_score: float
) -> tuple[int, ...]:
    """Choose the rules that apply.

    Global rules hold for every answer; they come first, the surest and newest of them when there
    are too many. A conditional rule must reach `min_score`; with none there, nothing is injected.

    Args:
        candidates: Everything considered.
        limit: Conditional rules at most.
        max_global: Global rules at most.
        min_score: Relevance that a conditional rule needs, in [0, 1].

    Returns:
        Positions of the chosen, global ones first, then by relevance.
    """
    everywhere = [i for i, c in enumerate(candidates) if c.card.preference.scope.kind == "global"]
    everywhere.sort(
        key=lambda i: (
            -candidates[i].card.preference.confidence,
            -candidates[i].card.recorded_at.timestamp(),
            candidates[i].card.id,
        )
    )
    fitting = [
        i
        for i, c in enumerate(candidates)
        if c.card.preference.scope.kind == "conditional" and c.relevance >= min_score
    ]
    fitting.sort(key=lambda i: (-candidates[i].relevance, candidates[i].card.id))
    return (*everywhere[:max_global], *fitting[:limit])
