"""A new rule is compared with the cards near it, and with what was said just before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from prefmem import Card, Preference, Scope
from prefmem.cards.compare import compared, nearby, verdict
from prefmem.cards.record import Draft
from prefmem.testing import TableRelater
from prefmem.types import Link, Relation, Shelf

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVERYONE = Scope()
BOSS, SISTER = Scope(audience="boss"), Scope(audience="sister")
GERMAN_BOSS = Scope(audience="boss", language="de")
GERMAN, FRENCH = Scope(language="de"), Scope(language="fr")


def draft(name: str, action: str, angle: float = 0, scope: Scope = EVERYONE) -> Draft:
    vector = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
    return Draft(name, Preference("", action, scope=scope), vector)


def shelf(**angles: float) -> Shelf:
    rows = [[np.cos(a), np.sin(a)] for a in angles.values()]
    n = len(angles)
    return Shelf(
        1, tuple(angles), np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.float32),
        np.array(rows, dtype=np.float32).reshape(n, 2),
    )  # fmt: skip


def card(name: str, action: str, scope: Scope = EVERYONE) -> Card:
    rule = Preference("", action, scope=scope)
    return Card(name, "ann", rule, "active", "said", "", AT, AT)


def test_the_nearest_of_all_shelves() -> None:
    both = (shelf(a=0.4, b=0.1, far=1.4), shelf(c=0.2))  # cos 1.4 = 0.17
    assert nearby(draft("n", "x"), both, AT) == ("b", "c", "a")
    assert nearby(draft("n", "x"), (shelf(), shelf()), AT) == ()
    crowd = shelf(**{f"c{n}": n / 100 for n in range(12)})
    assert nearby(draft("n", "x"), (crowd,), AT) == tuple(f"c{n}" for n in range(6))
    ends = np.array([AT.timestamp() + n - 8 for n in range(12)])
    ended = replace(crowd, ends=ends)
    assert nearby(draft("n", "x"), (ended,), AT) == ("c9", "c10", "c11")


def test_the_same_words_are_not_compared() -> None:
    relater = TableRelater({("Be brief.", "Be brief."): "supersede"})
    drafts = [draft("a", "be brief"), draft("b", "Be  brief.")]
    done = compared(drafts, [("old",), ()], {"old": card("old", "be brief")}, relater, floor=0.5)
    assert [d.links for d in done] == [(), ()]


def test_earlier_drafts_are_compared_too() -> None:
    relater = TableRelater({("Be brief.", "Be long."): "supersede"})
    drafts = [draft("a", "be brief"), draft("b", "be long"), draft("c", "be long", angle=1.5)]
    first, second, third = compared(drafts, [(), (), ()], {}, relater, floor=0.5)
    assert (first.links, second.links) == ((), (Link("supersede", "a", 1),))
    assert third.links == ()  # too far away


def test_a_rule_replaces_the_likeliest_of_several() -> None:
    class Ranks(TableRelater):
        def relations(
            self, new: Preference, old: Sequence[Preference]
        ) -> tuple[Mapping[Relation, float], ...]:
            del new
            sure = {"a": 0.7, "b": 0.9}
            return tuple({"supersede": sure.get(rule.action, 0.0), "widen": 0.1} for rule in old)

    cards = {name: card(name, name) for name in ("a", "b", "c")}
    (done,) = compared([draft("n", "x")], [("a", "b", "c")], cards, Ranks(), floor=0.5)
    assert done.links == (Link("supersede", "b", 1.0),)


@pytest.mark.parametrize(
    ("old", "new", "relation", "found"),
    [
        (BOSS, SISTER, "supersede", None),
        (BOSS, SISTER, "same", None),
        (BOSS, BOSS, "supersede", "supersede"),
        (BOSS, EVERYONE, "widen", None),
        (BOSS, EVERYONE, "same", None),
        (GERMAN, EVERYONE, "supersede", None),
        (EVERYONE, GERMAN, "supersede", "exception"),
        (GERMAN, GERMAN_BOSS, "supersede", "exception"),
        (FRENCH, GERMAN_BOSS, "supersede", None),
        (EVERYONE, BOSS, "supersede", "exception"),
        (EVERYONE, BOSS, "same", None),
        (EVERYONE, BOSS, "exception", "exception"),
        (GERMAN, FRENCH, "supersede", None),
    ],
)
def test_audiences_are_kept_apart(
    old: Scope, new: Scope, relation: Relation, found: Relation | None
) -> None:
    relater = TableRelater({("Be brief.", "Be long."): relation})
    cards = {"old": card("old", "be brief", old)}
    (done,) = compared([draft("n", "be long", scope=new)], [("old",)], cards, relater, floor=0.5)
    assert [link.relation for link in done.links] == ([found] if found else [])


@pytest.mark.parametrize(
    ("chances", "relation", "chance"),
    [
        ({"same": 0.9, "distinct": 0.1}, "same", 0.9),
        ({"same": 0.8, "distinct": 0.2}, "distinct", 0.2),
        ({"same": 0.5, "distinct": 0.3, "exception": 0.2}, "distinct", 0.3),
        ({"supersede": 0.3, "widen": 0.35, "distinct": 0.35}, "widen", 0.65),
        ({"supersede": 0.35, "widen": 0.3, "distinct": 0.35}, "supersede", 0.65),
        ({"supersede": 0.3, "exception": 0.4, "distinct": 0.3}, "exception", 0.4),
    ],
)
def test_a_verdict(chances: Mapping[Relation, float], relation: Relation, chance: float) -> None:
    found, sure = verdict(chances, floor=0.6)
    assert (found, sure) == (relation, pytest.approx(chance))
