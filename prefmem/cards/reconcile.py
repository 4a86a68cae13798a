"""How a new rule meets the cards that are there.

new rule is ...   the card that is there
same              gains the evidence; there is no new card
supersede, widen  closes, with a link to the new card
exception         stays; the new card links to it and wins over it where both apply
distinct          stays
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, TypeAlias

from prefmem.types import LIVE, Card, Change, Evidence, Link, Preference, Relation

OnConflict: TypeAlias = Literal["latest", "keep_both", "ask"]
Look: TypeAlias = Callable[[str], Card | None]

CLOSING: frozenset[Relation] = frozenset({"supersede", "widen"})
_INFERRED = frozenset({"inferred", "distilled"})
_MOST_QUOTES = 20  # evidence kept on one card; the first and the newest stay
_WISH = r"(?:rule|wish|preference|ban|limit|restriction)s?"
_TAKES_BACK = re.compile(
    rf"""
    ^\W* (?:(?:you|there|it|this|that|i|we)(?:'s|\s+is|\s+are)?\s+)?
    (?: (?:is\s+)?no\s+need\s+(?:to|for)\b
      | (?:do\s+not|don't|needn't|no\s+longer)\s+need\b
      | (?:don't|do\s+not)\s+bother\b
      | no\s+longer\s+(?:avoid|necessary|needed)\b
      | (?:forget|ignore|drop|scrap|lift)\s+(?:about\s+)?
        (?: what\s+i(?:'ve)?\s+(?:said|told)\b
          | (?:that|the|my|this|these|those)\s+(?:[\w-]+\s+){{0,3}}?{_WISH}\b )
        (?!.*\band\b)
      | stop\s+(?:avoiding|leaving\s+out|skipping)\b )
    | ^\W* (?: it | that | this | (?:that|this|the|my)(?:\s+[\w-]+){{1,3}}? ) \s+
      (?: (?:does\s+not|doesn't)\s+(?:matter|apply) | no\s+longer\s+(?:matters|applies) )
      (?: \s+(?:to\s+me|any\s*more|any\s+longer|now) )* \W*$
    | \b{_WISH}\s+(?:is|are)\s+(?:off|over|lifted|gone)\b
    """,
    re.I | re.X,
)
_SAYS_MORE = re.compile(r"[;:]|\b(?:but|instead|rather)\b|,\s*(?:just|only|use)\b", re.I)


def takes_back(preference: Preference) -> bool:
    """Whether a rule only says that an earlier wish is over, and nothing by itself."""
    action = preference.action
    return _TAKES_BACK.search(action) is not None and _SAYS_MORE.search(action) is None


def merged(
    card: Card,
    preference: Preference,
    *,
    sure: bool,
    valid_to: datetime | None,
    now: datetime,
) -> Card:
    """Give a card as it is when its rule is said again.

    Saying a thing again makes it surer: the confidence of a merged card is that of two independent
    statements, 1 - (1 - a)(1 - b). A quarantined card stays quarantined. A rule without an end
    keeps none; another one has the end that was said last.

    Args:
        card: The card; left as it is.
        preference: What was said again.
        sure: Whether a candidate becomes active.
        valid_to: Until when it holds as said now; None for no end.
        now: The time to record, UTC.
    """
    old = card.preference
    preference = replace(
        old,
        confidence=1 - (1 - old.confidence) * (1 - preference.confidence),
        evidence=_joined(old.evidence, preference.evidence),
    )
    return replace(
        card,
        preference=preference,
        status="active" if sure and card.status == "candidate" else card.status,
        valid_to=None if card.valid_to is None else valid_to,
        recorded_at=now,
    )


def settle(
    new: Card, met: Sequence[tuple[Card, Link]], *, on_conflict: OnConflict
) -> tuple[Change, ...]:
    """Decide what becomes of a new card and of those that it meets.

    A candidate closes no active card, what was inferred none that was said, a rule with an end none
    that outlives it, a quarantined card none at all before it is confirmed.

    Args:
        new: The new card; left as it is.
        met: Live cards with what the new one is to them; left as they are.
        on_conflict: `latest` closes a card whose place is taken, `keep_both` leaves it, `ask` makes
            the new card a candidate that takes the place once it is confirmed.

    Returns:
        The new card first, then the cards that close. After words that only take back there is no
        new card, and the closed ones hold the words.
    """
    links = [replace(k, relation="exception") for old, k in met if _excepted(new, old, k)]
    taken = [(old, link) for old, link in met if link.relation in CLOSING and yields(new, old)]
    if on_conflict == "keep_both":
        taken = []
    held = on_conflict == "ask" or new.status == "quarantined"
    waits = [link for old, link in taken if held or _outranks(old, new)]
    if waits and new.status == "active":
        new = replace(new, status="candidate")
    closing = [(old, link) for old, link in taken if link not in waits]
    if closing and not waits and takes_back(new.preference):
        return tuple(closed(old, new, link, kept=False) for old, link in closing)
    new = replace(new, links=(*links, *waits))
    return (Change("add", new), *(closed(old, new, link) for old, link in closing))


def handed_on(changes: tuple[Change, ...], look: Look) -> tuple[Change, ...]:
    """Let a new card have the places that candidates which it closes waited for.

    Args:
        changes: What `settle` gave; left as they are.
        look: Gives a card by its id.
    """
    own, *rest = changes
    if own.op != "add" or takes_back(own.card.preference):
        return changes
    gone = {change.card.id for change in rest}
    links = (link for change in rest for link in waiting(change.card, look))
    card = linked(own.card, [link for link in links if link.card_id not in gone])
    return (*activated(replace(own, card=card), look), *rest)


def activated(change: Change, look: Look, fresh: Sequence[Link] = ()) -> tuple[Change, ...]:
    """Let a card that is active take the places that it waited for.

    Args:
        change: The card's own change; left as it is.
        look: Gives a card by its id.
        fresh: What it takes the place of besides, as found just now.

    Returns:
        The change, its card without the links that waited, then those of the cards that close;
        the change alone where the card is not active. Words that only take back are over
        themselves as soon as they have closed a card.
    """
    card = change.card
    if card.as_of(card.recorded_at).status != "active":
        return (change,)
    back = takes_back(card.preference)
    closing: dict[str, Change] = {}
    queue = [*waiting(card, look), *fresh]
    for link in queue:  # it grows by what a closed candidate waited for
        old = look(link.card_id)
        if old is None or old.id in {card.id, *closing} or not _open(old, card):
            continue
        closing[old.id] = closed(old, card, link, kept=not back)
        queue += () if back else waiting(old, look)
    card = replace(card, links=unwaiting(card.links))
    if back and closing:
        card = replace(card, status="superseded", valid_to=card.recorded_at)
    return (replace(change, card=card), *closing.values())


def waiting(card: Card, look: Look) -> tuple[Link, ...]:
    """Give the links by which a card waits for a place; not to a card that was edited since."""
    found = [(link, look(link.card_id)) for link in card.links if link.relation in CLOSING]
    return tuple(
        link
        for link, old in found
        if old and not (old.source == "edited" and old.recorded_at > card.valid_from)
    )


def unwaiting(links: Sequence[Link]) -> tuple[Link, ...]:
    """Leave out the links by which a card waits for a place."""
    return tuple(link for link in links if link.relation not in CLOSING)


def linked(card: Card, links: Sequence[Link]) -> Card:
    """Let a card wait for more places, each once."""
    known = {link.card_id for link in card.links if link.relation in CLOSING}
    more = {link.card_id: link for link in links if link.card_id not in known}
    return replace(card, links=(*card.links, *more.values()))


def inherited(
    cards: Iterable[Card], read: Callable[[Iterable[str]], Iterable[Card]]
) -> tuple[Card, ...]:
    """Give cards whose exceptions count against what took the place of the rules they name, too.

    Args:
        cards: Active cards; left as they are.
        read: Gives cards by their ids.
    """
    cards = tuple(cards)
    after: dict[str, str | None] = {card.id: None for card in cards}
    wanted = {k.card_id for c in cards for k in c.links if k.relation == "exception"} - {*after}
    while wanted:
        after |= dict.fromkeys(wanted)
        after |= {card.id: card.superseded_by for card in read(wanted)}
        wanted = {heir for heir in after.values() if heir is not None} - {*after}
    return tuple(
        replace(c, links=tuple(k for link in c.links for k in _heirs(link, after, c.id)))
        if c.links
        else c
        for c in cards
    )


def _heirs(link: Link, after: Mapping[str, str | None], own: str) -> tuple[Link, ...]:
    """Give an exception's link, and one to each other card that took the place in turn."""
    found = {link.card_id: link}
    heir = after.get(link.card_id) if link.relation == "exception" else None
    while heir is not None and heir not in {own, *found}:
        found[heir] = replace(link, card_id=heir)
        heir = after.get(heir)
    return tuple(found.values())


def closed(old: Card, new: Card, link: Link, *, kept: bool = True) -> Change:
    """Close a card whose place a new one takes; with `kept=False` there is no new card.

    The end is that of the recording of the new one.
    """
    by = new.id if kept else ""
    card = replace(
        old,
        status="superseded",
        valid_to=new.recorded_at,
        superseded_by=by or None,
        recorded_at=new.recorded_at,
    )
    if not kept:
        quotes = _joined(old.preference.evidence, new.preference.evidence)
        card = replace(card, preference=replace(old.preference, evidence=quotes))
    return Change("supersede", card, Link(link.relation, by, link.probability))


def _excepted(new: Card, old: Card, link: Link) -> bool:
    """Whether the new card is to win over the old one while both stay."""
    return link.relation == "exception" or (link.relation == "supersede" and _ends_first(new, old))


def yields(new: Card, old: Card) -> bool:
    """Whether the new card may ever take the old one's place."""
    said = old.source not in _INFERRED
    return not _ends_first(new, old) and not (said and new.source in _INFERRED)


def _open(old: Card, new: Card) -> bool:
    """Whether a card is live as the new one is recorded, and may close."""
    return old.as_of(new.recorded_at).status in LIVE and yields(new, old)


def _ends_first(new: Card, old: Card) -> bool:
    if new.valid_to is None:
        return False
    return old.valid_to is None or new.valid_to < old.valid_to


def _outranks(old: Card, new: Card) -> bool:
    return old.status == "active" and new.status == "candidate"


def _joined(old: tuple[Evidence, ...], new: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    every = old + tuple(e for e in new if e not in old)
    return every if len(every) <= _MOST_QUOTES else (every[0], *every[1 - _MOST_QUOTES :])
