"""Which cards a new rule is compared with, and what it is to each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from prefmem.cards.record import Draft
from prefmem.ids import rule_hash
from prefmem.protocols import Relater
from prefmem.types import Card, Link, Preference, Relation, Shelf

_NEAREST = 6  # cards that a new rule is compared with
_SURE = 0.85  # probability from which a rule counts as said again
_NEAR = 0.3  # least cosine: further away two rules have nothing to do with each other


class Unrelated:
    """Compares nothing: rules that say the same in other words live side by side."""

    def relations(
        self, new: Preference, old: Sequence[Preference]
    ) -> tuple[Mapping[Relation, float], ...]:
        """Say of n rules that they have nothing to do with the new one."""
        del new
        return tuple({"distinct": 1.0} for _ in old)


def nearby(draft: Draft, shelves: Sequence[Shelf], now: datetime) -> tuple[str, ...]:
    """Name the living cards nearest to a draft, at most six, the nearest first."""
    found: list[tuple[float, str]] = []
    for shelf in shelves:
        cosines = shelf.matrix @ draft.vector  # (n, e) @ (e,) -> (n,)
        near = np.flatnonzero((cosines >= _NEAR) & shelf.living(now))
        found += [(-float(cosines[i]), shelf.ids[i]) for i in near]
    return tuple(card_id for _, card_id in sorted(found)[:_NEAREST])


def compared(
    drafts: Sequence[Draft],
    near: Sequence[Sequence[str]],
    cards: Mapping[str, Card],
    relater: Relater,
    *,
    floor: float,
) -> list[Draft]:
    """Give drafts with what they are to the cards near them, and to earlier drafts.

    Args:
        drafts: In the order of saying; left as they are.
        near: Ids of the cards near each draft.
        cards: Those cards, by id.
        relater: Judges pairs of rules.
        floor: Probability from which a rule counts as replaced, in [0, 1].
    """
    done: list[Draft] = []
    for draft, ids in zip(drafts, near, strict=True):
        old = {i: cards[i].preference for i in ids if i in cards}
        old |= {d.id: d.preference for d in done if _met(draft, d)}
        said = rule_hash(draft.preference)  # its twin is found by that
        old = {i: rule for i, rule in old.items() if rule_hash(rule) != said}
        links = _links(draft.preference, old, relater, floor=floor) if old else ()
        done.append(replace(draft, links=links))
    return done


def _met(draft: Draft, earlier: Draft) -> bool:
    """Whether an earlier draft is compared: it is near, and not read off the same words."""
    quotes = {(e.turn_id, e.quote) for e in earlier.preference.evidence}
    apart = quotes.isdisjoint((e.turn_id, e.quote) for e in draft.preference.evidence)
    return apart and float(draft.vector @ earlier.vector) >= _NEAR


def verdict(chances: Mapping[Relation, float], *, floor: float) -> tuple[Relation, float]:
    """Decide on a relation, and give its probability.

    To close a rule takes `floor`; the chances that a rule takes the other's place count together.
    To merge two takes more, as the new one's words are lost in it. An exception must only be
    likelier than nothing in common.
    """
    places = chances.get("supersede", 0.0) + chances.get("widen", 0.0)
    if chances.get("same", 0.0) >= max(floor, places, _SURE):
        return "same", chances["same"]
    if places >= floor:
        wider = chances.get("widen", 0.0) > chances.get("supersede", 0.0)
        return ("widen" if wider else "supersede"), places
    stay: tuple[Relation, ...] = ("distinct", "exception")
    best = max(stay, key=lambda relation: chances.get(relation, 0.0))
    return best, chances.get(best, 0.0)


def _links(
    new: Preference, old: Mapping[str, Preference], relater: Relater, *, floor: float
) -> tuple[Link, ...]:
    found = relater.relations(new, list(old.values()))
    pairs = zip(old, (verdict(chances, floor=floor) for chances in found), strict=True)
    links = (
        Link(_within(relation, new, old[card_id]), card_id, min(1.0, chance))
        for card_id, (relation, chance) in pairs
    )
    return _one_place([link for link in links if link.relation != "distinct"])


def _one_place(links: Sequence[Link]) -> tuple[Link, ...]:
    """Let a rule replace one other, the likeliest: words for a change are about one thing."""
    replaced = [link for link in links if link.relation == "supersede"]
    likeliest = max(replaced, key=lambda link: link.probability, default=None)
    return tuple(k for k in links if k.relation != "supersede" or k is likeliest)


def _within(relation: Relation, new: Preference, old: Preference) -> Relation:
    """Keep audiences and languages apart: what is said for one changes nothing for another.

    Nor does what is said for everyone change what holds for one.
    """
    pairs = (
        (new.scope.audience, old.scope.audience),
        (new.scope.language, old.scope.language),
    )
    if any(other is not None and mine != other for mine, other in pairs):
        return "distinct"
    narrower = any(mine != other for mine, other in pairs)
    if narrower and relation != "exception":
        return "exception" if relation == "supersede" else "distinct"
    return relation
