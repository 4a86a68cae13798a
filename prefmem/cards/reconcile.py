"""How a new preference meets the cards that are there."""

from dataclasses import replace
from datetime import datetime

from prefmem.types import Card, Change, Evidence, Preference, Source, Status, UserKey

_MOST_QUOTES = 20  # evidence kept on one card; the first and the newest stay


def reconcile(
    preference: Preference,
    twin: Card | None,
    *,
    user: UserKey,
    card_id: str,
    status: Status,
    source: Source,
    session_id: str,
    again: bool,
    now: datetime,
) -> Change:
    """Decide what becomes of a preference: a new card, or more evidence for its twin.

    Saying a thing again makes it surer: the confidence of a merged card is that of two independent
    statements, 1 - (1 - a)(1 - b). A candidate that is said again becomes active; a quarantined
    twin stays quarantined.

    Args:
        preference: What was extracted or added.
        twin: The live card that says the same, if any; left as it is.
        user: Whose card it is.
        card_id: Name for a new card.
        status: Status of a new card.
        source: How the preference came to be known.
        session_id: Conversation that it comes from.
        again: Whether the twin was said on another occasion.
        now: The time to record, UTC.

    Returns:
        The card as it should be written.
    """
    if twin is None:
        card = Card(card_id, user.user_id, preference, status, source, session_id, now, now)
        return Change("add", card)
    old = twin.preference
    merged = replace(
        old,
        confidence=1 - (1 - old.confidence) * (1 - preference.confidence),
        evidence=_joined(old.evidence, preference.evidence),
    )
    sure = twin.status == "candidate" and (again or status == "active")
    after: Status = "active" if sure else twin.status
    return Change("merge", replace(twin, preference=merged, status=after, recorded_at=now))


def _joined(old: tuple[Evidence, ...], new: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    every = old + tuple(e for e in new if e not in old)
    return every if len(every) <= _MOST_QUOTES else (every[0], *every[1 - _MOST_QUOTES :])
