"""Traits of a follow-up."""

import numpy as np
import pytest

from prefmem.feedback.cues import cues
from prefmem.feedback.sentences import sentences
from prefmem.feedback.traits import RULE, TURN, WORDS, bag, rule_traits, turn_traits
from tests.feedback.followups import followup


def test_a_turn_is_described_by_what_it_says_and_how() -> None:
    said = followup("No onions!\nwhy 2 of them?")
    found = turn_traits(said, cues(said.text), 0.25)
    assert found.shape == (TURN,)
    similarity, to_reply, shown, other, any_shown = found[5:10]
    assert (similarity, to_reply, shown, other, any_shown) == pytest.approx(
        (0.2, 0.25, 0.1, 0.5, 1)
    )
    question, ends_so, exclaims, asked = found[11:15]
    assert (question, ends_so, exclaims, asked) == (1, 1, 1, 0)


def test_a_rule_is_described_beside_the_others() -> None:
    said = followup("I leave onions out")
    found = rule_traits(said, cues(said.text))
    assert found.shape == (2, RULE)
    assert found[:, 0] == pytest.approx((0.5, 0.1))
    assert found[:, 1] == pytest.approx((0.4, -0.4))  # how far it leads
    assert found[:, 2].tolist() == [1, 0]  # nearest
    assert found[0, 4] == pytest.approx(3 / 6**0.5)  # leave, onion, out of five
    assert found[:, 5].tolist() == [0, 1]  # shown


def test_no_rules_no_rows() -> None:
    said = followup("hm", rules=(), shown=(), cosines=(), to_query=())
    assert rule_traits(said, cues("hm")).shape == (0, RULE)
    assert turn_traits(said, cues("hm"), 0.0)[7:10].tolist() == [0, 0, 0]


def test_the_bag_holds_words_and_pairs_of_unit_length() -> None:
    found = bag("No onions, no onions")
    assert found.shape == (WORDS,)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert (found == bag("no ONIONS no onions")).all()
    assert np.count_nonzero(found) == 4  # no, onions, "no onions", "onions no"
    assert not bag("").any()
    assert np.count_nonzero(bag("不要香菜")) == 7  # signs and pairs of them


def test_sentences_of_a_turn() -> None:
    assert sentences("One. Two!\nthree") == ("One.", "Two!", "three")
    assert sentences("不要香菜。谢谢！") == ("不要香菜。", "谢谢！")
    assert sentences("v1.2 is out") == ("v1.2 is out",)
    assert sentences(" \n ") == ()
    assert len(sentences("a. " * 20)) == 8
