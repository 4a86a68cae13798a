"""A chat model as the judge, with another judge behind it."""

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel

from prefmem.errors import ConfigError
from prefmem.feedback.chatjudge import ChatJudge
from prefmem.interaction import Followup, Judgement
from tests.feedback.followups import followup


class Fixed:
    """Says the same of every follow-up."""

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        nothing = np.zeros(2, dtype=np.float32)
        return tuple(Judgement("satisfied", 0.125, nothing, nothing) for _ in followups)


def judged(answer: str) -> Judgement:
    judge = ChatJudge(FakeListChatModel(responses=[answer]), Fixed())
    return judge.judge([followup("onions again")])[0]


def answer(kind: str, confidence: object, again: object = (), not_here: object = ()) -> str:
    said = {"kind": kind, "confidence": confidence, "says_again": again}
    return "Sure!\n" + json.dumps(said | {"should_not_apply": not_here})


def test_a_restatement_counts_in_full() -> None:
    found = judged(answer("restated", 0.9, [1, 2, 1]))
    assert found.label == "dissatisfied"
    assert found.confidence == pytest.approx(0.9)
    assert found.restates == pytest.approx([0.9, 0.45])


@pytest.mark.parametrize(
    ("kind", "label", "confidence"),
    [
        ("correction", "dissatisfied", 0.64), ("confusion", "dissatisfied", 0.48),
        ("praise", "satisfied", 0.64), ("progress", "satisfied", 0.08),
        ("neutral", "neutral", 0.8), ("topic_shift", "neutral", 0.8),
    ],
)  # fmt: skip
def test_kinds_are_worth_what_the_published_judge_gives_them(
    kind: str, label: str, confidence: float
) -> None:
    found = judged(answer(kind, 0.8))
    assert (found.label, found.confidence) == (label, pytest.approx(confidence))
    assert found.topic_shift == pytest.approx(0.8 if kind == "topic_shift" else 0)


def test_only_rules_that_were_used_can_be_rejected() -> None:
    assert judged(answer("correction", 1, [], [1, 2])).rejects.tolist() == [0, 0.5]


@pytest.mark.parametrize("confidence", [0.59, float("nan"), "high", None, True and -3])
def test_an_unsure_answer_teaches_nothing(confidence: object) -> None:
    found = judged(answer("restated", confidence, [1]))
    assert (found.label, found.confidence) == ("neutral", 0)
    assert not found.restates.any()


@pytest.mark.parametrize("text", ["I cannot say.", '{"kind": "angry"}', "{" * 500, "[]"])
def test_what_cannot_be_read_is_left_to_the_other_judge(text: str) -> None:
    assert judged(text).confidence == 0.125


def test_so_is_a_model_that_fails() -> None:
    assert ChatJudge(FakeListChatModel(responses=[]), Fixed()).judge([followup("hm")])[0].label


def test_numbers_of_rules_that_are_not_there_are_left_out() -> None:
    assert judged(answer("restated", 1, [0, 3, -1, "1", 2])).restates.tolist() == [0, 0.5 * 2]


def test_the_model_must_be_one() -> None:
    with pytest.raises(ConfigError, match="of type int"):
        ChatJudge(cast(Any, 3), Fixed())
