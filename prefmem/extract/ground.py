"""The one rule that no extractor may break: no card without the user's own words."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from prefmem.defence.origin import OwnWords
from prefmem.messages import plain, slot
from prefmem.types import Preference, Scope, Turn

_SCOPE_CHARS = 80  # of a task, an audience or a language


def grounded(
    preferences: Iterable[Preference],
    turns: Mapping[str, Turn],
    *,
    min_confidence: float,
    max_chars: int,
) -> tuple[Preference, ...]:
    """Keep the preferences that stand on a user's own words, quoted verbatim, with clean slots.

    What the user only quotes, forwards, pastes or links to supports nothing.

    Args:
        preferences: What an extractor gave.
        turns: The turns that are being learned, by id.
        min_confidence: What is below is dropped, in [0, 1]; so is what is above 1.
        max_chars: A rule with a longer condition or action is dropped: nobody signs it.

    Returns:
        The preferences that stay, each with the evidence that was found.
    """
    read: dict[str, OwnWords] = {}

    def own(turn: Turn) -> OwnWords:
        if turn.id not in read:
            read[turn.id] = OwnWords(turn.text)
        return read[turn.id]

    kept: list[Preference] = []
    for preference in preferences:
        evidence = tuple(
            e
            for e in preference.evidence
            if e.quote.strip()
            and (turn := turns.get(e.turn_id)) is not None
            and turn.role == "user"
            and own(turn).bear(preference, e.quote)
        )
        condition = slot(preference.condition, longest=max_chars)
        action = slot(preference.action, longest=max_chars)
        sure = min_confidence <= preference.confidence <= 1  # no number at all is not sure
        if evidence and action and condition is not None and sure:
            kept.append(
                replace(
                    preference,
                    condition=condition,
                    action=action,
                    scope=_plain_scope(preference.scope),
                    evidence=evidence,
                )
            )
    return tuple(kept)


def _plain_scope(scope: Scope) -> Scope:
    task, audience, language = (
        plain(name, limit=_SCOPE_CHARS) or None if name else None
        for name in (scope.task, scope.audience, scope.language)
    )
    return Scope(scope.kind, task, audience, language)
