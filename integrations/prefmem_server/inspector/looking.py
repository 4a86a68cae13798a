"""What the inspector shows, as plain functions over a memory: nothing here is written."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from prefmem import Card, PreferenceMemory
from prefmem.types import Event, Evidence, Status
from prefmem_server.answers import CardOut, EventOut
from prefmem_server.inspector.answers import (
    AddIn,
    BesideOut,
    ChangeIn,
    EditIn,
    QuoteOut,
    RuleOut,
    RulesOut,
    SupposedOut,
    UsersOut,
    WhatIfIn,
    WhatIfOut,
    WhyOut,
    linked,
)

Order: TypeAlias = Literal["newest", "oldest", "surest", "doubtful"]


def users_of(memory: PreferenceMemory, *, holding: str, most: int) -> UsersOut:
    """Find users by a part of their id, letter case aside; those that begin with it come first."""
    part = holding.casefold()
    found = [user for user in memory.users() if part in user.casefold()]
    found.sort(key=lambda user: not user.casefold().startswith(part))
    return UsersOut(users=found[:most], total=len(found))


def rules_of(
    memory: PreferenceMemory,
    user_id: str,
    *,
    status: Status | None,
    words: str,
    order: Order,
    skip: int,
    most: int,
) -> RulesOut:
    """Give a page of a user's rules, and how many there are of each status.

    Args:
        memory: The memory.
        user_id: The user.
        status: Only these.
        words: Only rules that hold all of these words, in the rule or its quotes.
        order: Which come first.
        skip: Rules before the page.
        most: Rules of a page.
    """
    asked = words.casefold().split()
    found = [card for card in memory.list(user_id=user_id) if _holds(card, asked)]
    counts: Counter[Status] = Counter(card.status for card in found)
    if status is not None:
        found = [card for card in found if card.status == status]
    if order == "newest":
        found.reverse()
    elif order != "oldest":
        sign = -1 if order == "surest" else 1
        found.sort(key=lambda card: sign * card.preference.confidence)
    page = found[skip : skip + most]
    return RulesOut(
        rules=[CardOut.of(card) for card in page], total=len(found), counts=dict(counts)
    )


def rule_of(memory: PreferenceMemory, user_id: str, card_id: str) -> RuleOut:
    """Give a rule with its quotes in their context, its links and its history.

    Raises:
        NotFoundError: The user has no such rule.
    """
    card = memory.get(card_id, user_id=user_id)
    texts = {other.id: other.text for other in memory.list(user_id=user_id)}
    events = memory.timeline(user_id=user_id).events
    return RuleOut(
        card=CardOut.of(card),
        quotes=[_quoted(card, evidence, events) for evidence in card.preference.evidence],
        links=linked(card.links, texts),
        replaced_by=texts.get(card.superseded_by or ""),
        history=[EventOut.of(e) for e in memory.history(card_id, user_id=user_id)],
    )


def why_of(memory: PreferenceMemory, user_id: str, recall_id: str) -> WhyOut:
    """Give a logged recall with every candidate.

    Raises:
        NotFoundError: The user has no such recall in the log.
    """
    (past,) = memory.recalls(user_id=user_id, recall_id=recall_id)
    cards = {card.id: card for card in memory.list(user_id=user_id)}
    return WhyOut.told(past, cards)


def what_if(memory: PreferenceMemory, user_id: str, asked: WhatIfIn) -> WhatIfOut:
    """Say what a query brings up, now and after a change; neither is made, logged or learned from.

    Raises:
        NotFoundError: The user has no such rule.
        InputError: The change would be refused.
    """
    before = _supposed(memory.supposing(), user_id, asked)
    if asked.change is None:
        return WhatIfOut(before=before, after=None, changed=None)
    there = memory.supposing()
    card = _changed(there, user_id, asked.change)
    return WhatIfOut(
        before=before,
        after=_supposed(there, user_id, asked),
        changed=None if card is None else CardOut.of(card),
    )


def _supposed(memory: PreferenceMemory, user_id: str, asked: WhatIfIn) -> SupposedOut:
    recall = memory.recall(
        asked.query, user_id=user_id, context=asked.context, why=True, strict=True
    )
    return SupposedOut.of(recall, memory.render(recall, strict=True))


def _changed(memory: PreferenceMemory, user_id: str, change: ChangeIn) -> Card | None:
    """Make a change in a supposing memory; gives the rule, None where it is gone."""
    if isinstance(change, EditIn):
        patch = change.patch
        return memory.edit(
            change.card_id, user_id=user_id, condition=patch.condition, action=patch.action,
            polarity=patch.polarity, scope=patch.scope, status=patch.status,
        )  # fmt: skip
    if isinstance(change, AddIn):
        card = change.card
        return memory.add(
            card.condition, card.action, user_id=user_id, polarity=card.polarity, scope=card.scope
        )
    memory.forget(change.card_id, user_id=user_id)
    return None


def _holds(card: Card, words: Sequence[str]) -> bool:
    if not words:
        return True
    said = [card.id, card.text, *(evidence.quote for evidence in card.preference.evidence)]
    text = "\n".join(said).casefold()
    return all(word in text for word in words)


def _quoted(card: Card, evidence: Evidence, events: Sequence[Event]) -> QuoteOut:
    """Find the event that brought a quote, and what else its turn taught."""
    told = next(
        (
            event
            for event in events
            for change in event.changes
            if change.card.id == card.id and evidence in change.card.preference.evidence
        ),
        None,
    )
    first = evidence == card.preference.evidence[0]
    beside = [
        BesideOut(card_id=change.card.id, text=change.card.text, quote=other.quote)
        for change in (told.changes if told else ())
        if change.card.id != card.id
        for other in change.card.preference.evidence
        if other.turn_id == evidence.turn_id
    ]
    return QuoteOut(
        turn_id=evidence.turn_id, quote=evidence.quote, at=told.at if told else None,
        event_id=told.id if told else None,
        session_id=card.session_id or None if first else None, beside=beside,
    )  # fmt: skip
