"""The packaged judge, on plain cases in words of our own."""

import pytest

from prefmem.feedback.judge import PackagedJudge
from tests.feedback.followups import followup

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def judge() -> PackagedJudge:
    return PackagedJudge()


def test_labels_of_plain_turns(judge: PackagedJudge) -> None:
    turns = ("perfect, thank you!", "no. I told you, no onions", "how long does it keep?")
    found = judge.judge([followup(turn) for turn in turns])
    assert [j.label for j in found] == ["satisfied", "dissatisfied", "neutral"]
    assert all(0 < j.confidence <= 1 for j in found)


def test_a_rule_that_was_missed_is_restated(judge: PackagedJudge) -> None:
    found = judge.judge([followup("no. I told you, no onions")])[0]
    assert found.restates[0] > 0.5 > found.restates[1]
    assert found.rejects[0] == 0  # it was not shown


def test_a_rule_that_does_not_belong_is_rejected(judge: PackagedJudge) -> None:
    found = judge.judge(
        [
            followup(
                "why so stiff? this is for my sister, no need to be formal",
                query="a birthday card",
                reply="Dear Madam, on the occasion of your birthday ...",
                rules=("When writing to clients, be formal.", "When cooking, leave onions out."),
                shown=(True, False),
                cosines=(0.45, 0.05),
                to_query=(0.2, 0.0),
            )
        ]
    )[0]
    assert found.rejects[0] > found.rejects[1] == 0
    assert found.rejects[0] > 0.3


def test_each_is_judged_by_itself(judge: PackagedJudge) -> None:
    one, other = followup("thanks"), followup("no onions!")
    assert judge.judge([one, other])[1].confidence == judge.judge([other])[0].confidence
    assert judge.judge([]) == ()


def test_a_turn_about_no_rule(judge: PackagedJudge) -> None:
    found = judge.judge([followup("thanks", rules=(), shown=(), cosines=(), to_query=())])[0]
    assert found.restates.shape == found.rejects.shape == (0,)
