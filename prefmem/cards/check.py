"""Cards and rules that come by hand or from an export: checked before they are taken in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from prefmem.cards.authority import must_wait
from prefmem.cards.reconcile import unwaiting
from prefmem.cards.validity import dated
from prefmem.defence.privacy import PIIPolicy, private_of, secrets_of
from prefmem.errors import InputError
from prefmem.messages import slot
from prefmem.types import Card, Change, Event, Polarity, Preference, ScopeKind, Status


def checked(preference: Preference, *, longest: int) -> Preference:
    """Clean the slots of a rule that did not come from an extractor, and refuse what is none.

    Args:
        preference: The rule; left as it is.
        longest: Length of a condition or an action, in characters.

    Raises:
        InputError: A slot is too long, the action is empty, or a choice is unknown.
    """
    for name, value, known in (
        ("polarity", preference.polarity, get_args(Polarity)),
        ("scope", preference.scope.kind, get_args(ScopeKind)),
    ):
        if value not in known:
            raise InputError(f"{name}={value!r} is none of {', '.join(known)}")
    condition = _fitting("condition", preference.condition, longest)
    action = _fitting("action", preference.action, longest)
    if not action:
        raise InputError("the action is empty; say what to do, as in 'use type hints'")
    return replace(preference, condition=condition, action=action)


def stored(preference: Preference, *, pii: PIIPolicy) -> Preference:
    """Give a rule back, unless nothing private may be stored.

    Raises:
        InputError: It holds a secret, or tells a special category of personal data; the message
            says which kind, never the words.
    """
    if pii == "drop" and (kinds := private_of(preference)):
        raise InputError(
            f"the rule holds what is not stored with pii='drop': {', '.join(sorted(kinds))}; "
            "leave it out"
        )
    return preference


def edited(
    old: Card,
    given: Mapping[str, Any],
    *,
    status: str | None,
    longest: int,
    now: datetime,
    pii: PIIPolicy = "quarantine",
) -> Card:
    """Give a card as an edit leaves it.

    A card that comes to claim authority, or to hold a secret or a special category of personal
    data, is quarantined, unless `status` confirms it; a secret cannot be confirmed. With another
    text it waits for no other card's place any more; an end in it ("until Friday") becomes the
    card's.

    Args:
        old: The card; left as it is.
        given: The fields of its preference that change.
        status: `active`, `quarantined`, or None for no wish.
        longest: Length of a condition or an action, in characters.
        now: The time to record, UTC.
        pii: What happens to secrets and special categories; see `Config.pii`.

    Raises:
        InputError: The result is no rule, holds what may not be stored or confirmed, or the status
            is unknown.
    """
    preference = stored(checked(replace(old.preference, **given), longest=longest), pii=pii)
    end: datetime | None = None
    if given.keys() & {"condition", "action"}:
        preference, end = _timed(preference, now)
    wished: dict[str, Status] = {"active": "active", "quarantined": "quarantined"}
    if status is not None and status not in wished:
        raise InputError(f"status={status!r} is none of {', '.join(wished)}")
    after = old.status if status is None else wished[status]
    if given and after == "candidate":  # the user's own hand is sure
        after = "active"
    if status is None and after == "active" and preference.text != old.text:
        after = "quarantined" if must_wait(preference, pii) else after
    if after == "active" and status is not None and (kinds := secrets_of(preference)):
        raise InputError(
            f"card {old.id!r} holds a secret ({', '.join(sorted(kinds))}), which no prompt may; "
            "forget it, or add the rule anew without it"
        )
    source = "edited" if given else old.source
    card = replace(old, preference=preference, status=after, source=source, recorded_at=now)
    over = old.status == "superseded" or old.as_of(now).status == "expired"
    if status == "active" and over:  # it holds again
        card = replace(card, valid_to=None, superseded_by=None)
    if end is not None and card.status != "superseded":
        card = replace(card, valid_to=end)
    if card.text != old.text:
        card = replace(card, links=unwaiting(card.links))
    return card


def admitted(event: Event, *, longest: int, pii: PIIPolicy = "quarantine") -> Event:
    """Check the rules of an imported event; what must not be or become active is quarantined.

    With `pii="drop"` the changes of a card that holds a secret or a special category are left out.

    Raises:
        InputError: One of them is no rule.
    """
    changes: list[Change] = []
    for change in event.changes:
        card = replace(change.card, preference=checked(change.card.preference, longest=longest))
        if pii == "drop" and private_of(card.preference):
            continue
        if card.status in ("active", "candidate") and must_wait(card.preference, pii):
            card = replace(card, status="quarantined")
        changes.append(replace(change, card=card))
    return replace(event, changes=tuple(changes))


def _timed(preference: Preference, now: datetime) -> tuple[Preference, datetime | None]:
    """Find the end that a rule's own words give; the quotes belong to an earlier text."""
    rule, end = dated(replace(preference, evidence=()), "", now)
    return replace(rule, evidence=preference.evidence), end


def _fitting(name: str, text: str, longest: int) -> str:
    found = slot(text, longest=longest)
    if found is None:
        raise InputError(f"the {name} is longer than {longest} characters; shorten it")
    return found
