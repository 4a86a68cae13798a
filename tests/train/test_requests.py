import random

import numpy as np
import pytest

from prefmem.testing import HashEmbedder
from prefmem.train.ranking import load_families, load_several, load_situations
from prefmem.train.requests import RANKING, Asked, drawn, of_families, of_users
from prefmem.train.users import Request, WrittenUser
from prefmem.types import Preference, Scope

RULES = {
    "a": Preference("writing SQL", "use CTEs", scope=Scope("conditional")),
    "b": Preference("", "be brief", scope=Scope("global")),
    "c": Preference("planning trips", "take trains", scope=Scope("conditional")),
}


def test_a_request_is_paired_with_every_conditional_rule_of_its_user() -> None:
    request = Request("follow-up", "and for May?", "a week in Spain", ("c",), ())
    user = WrittenUser("u", "somebody", RULES, (request,))
    (asked,) = of_users([user], HashEmbedder(8))
    assert asked.query == "a week in Spain\nand for May?"
    assert asked.rules == ("When writing SQL, use CTEs.", "When planning trips, take trains.")
    assert asked.applies == (False, True)
    assert asked.cosines.shape == (2,)


def test_requests_of_families_have_rules_of_far_ones() -> None:
    found = of_families(HashEmbedder(64), seed=0, far=3, situations=True)
    assert any(not any(asked.applies) for asked in found)  # baits
    for asked in found:
        assert len(asked.rules) == len(asked.applies) == len(asked.cosines)
        on = {rule for rule, applies in zip(asked.rules, asked.applies, strict=True) if applies}
        assert on <= asked.unknown


def test_every_family_of_a_request_that_spans_some_is_there() -> None:
    names = {family.name for family in load_families(RANKING)}
    assert all(set(some) <= names for some, _ in load_several(RANKING))
    assert all(len(family.rules) == 1 and family.queries for family in load_situations(RANKING))


def test_of_what_does_not_apply_the_nearest_is_kept_and_others_are_drawn() -> None:
    rules = ("r0", "r1", "r2", "r3")
    cosines = np.array([0.1, 0.2, 0.9, 0.3], dtype=np.float32)
    asked = Asked("q", rules, (True, False, False, False), cosines)
    assert drawn(asked, 0, random.Random(0)).rules == ("r0",)
    some = drawn(asked, 2, random.Random(0))
    assert some.rules[:2] == ("r0", "r2")
    assert some.rules[2] in ("r1", "r3")
    assert some.applies == (True, False, False)
    assert some.cosines[:2].tolist() == pytest.approx([0.1, 0.9])
    assert set(drawn(asked, 9, random.Random(0)).rules) == set(rules)
