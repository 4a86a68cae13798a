"""The relater: probabilities, and plain cases."""

import pytest

from prefmem import Evidence, Preference
from prefmem.cards.relate import PairRelater, told
from prefmem.models.pairs import packaged
from prefmem.types import Polarity, Relation

pytestmark = pytest.mark.model


def rule(condition: str, action: str, polarity: Polarity = "do") -> Preference:
    return Preference(condition, action, polarity, evidence=(Evidence("0", action),))


@pytest.fixture(scope="module")
def relater() -> PairRelater:
    return PairRelater(packaged())


@pytest.mark.parametrize(
    ("old", "new", "relation"),
    [
        (
            rule("writing texts", "use emojis", "avoid"),
            rule("writing", "use emoji", "avoid"),
            "same",
        ),
        (
            rule("answering", "answer in English"),
            rule("answering", "from now on answer in German instead"),
            "supersede",
        ),
        (
            rule("cooking", "use metric units"),
            rule("gardening", "recommend plants for shade"),
            "distinct",
        ),
    ],
)  # fmt: skip
def test_plain_cases(
    relater: PairRelater, old: Preference, new: Preference, relation: Relation
) -> None:
    (chances,) = relater.relations(new, [old])
    assert sum(chances.values()) == pytest.approx(1)
    assert all(0 <= chance <= 1 for chance in chances.values())
    assert max(chances, key=lambda r: chances[r]) == relation


def test_a_pair_is_judged_the_same_in_any_company(relater: PairRelater) -> None:
    new, old = rule("", "be brief"), [rule("", "be long"), rule("cooking", "use grams")]
    together = relater.relations(new, old)
    for chances, one in zip(together, old, strict=True):
        (alone,) = relater.relations(new, [one])
        assert chances == pytest.approx(alone)
    assert relater.relations(new, []) == ()


@pytest.mark.parametrize(
    ("told_rule", "text"),
    [
        (rule("", "be brief"), "always: be brief"),
        (rule("any", "do not use emojis", "avoid"), "always: avoid emojis"),
        (rule("cooking", "nuts", "avoid"), "cooking: avoid nuts"),
        (rule("cooking", "never", "avoid"), "cooking: avoid never"),
        (rule("writing", "no more than 50 words"), "writing: no more than 50 words"),
    ],
)
def test_how_a_rule_is_read(told_rule: Preference, text: str) -> None:
    assert told(told_rule) == text
