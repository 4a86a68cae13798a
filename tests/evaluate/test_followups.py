"""Figures of the judge of follow-ups."""

import numpy as np
import pytest

from prefmem.evaluate.followups import judge, labels, measure, rules
from prefmem.interaction import Judgement, Label
from prefmem.train.followups import Written
from prefmem.train.progress import silent
from tests.feedback.followups import followup

pytestmark = pytest.mark.model


def written(label: Label, restated: bool, text: str = "hm", command: str = "") -> Written:
    flags = np.array([restated, False])
    return Written(
        "u", followup(text), ("a", "b"), label, flags, np.zeros(2, dtype=np.bool_), False, command
    )


def said(label: Label, chance: float, other: float = 0.0) -> Judgement:
    chances = np.array([chance, other], dtype=np.float32)
    return Judgement(label, 0.9, chances, np.zeros(2, dtype=np.float32))


def test_figures_are_counted_as_they_are_named() -> None:
    truth = [
        written("satisfied", False), written("dissatisfied", True),
        written("neutral", False, "forget that rule", "forget"), written("neutral", False),
    ]  # fmt: skip
    found = [
        said("satisfied", 0), said("dissatisfied", 0.99), said("dissatisfied", 0),
        said("neutral", 0, 0.99),
    ]  # fmt: skip
    about = labels(found, truth, seed=0)
    assert about["F1 of satisfied"].value == 1
    assert about["F1 of dissatisfied"].value == pytest.approx(2 / 3)
    assert about["satisfaction, macro F1"].value == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert about["neutral turns taken for complaints"].value == 0.5
    assert about["command intent"].value == 1
    assert about["false commands"].value == 0
    named = rules(found, truth, seed=0)
    assert named["restates, F1"].value == pytest.approx(2 / 3)
    assert named["restates, right rule first"].value == 1


def test_rows_of_the_benchmark_are_answered_in_its_words() -> None:
    row = {
        "query": "soup for friday", "reply": "Chop two onions.", "followup": "I said no onions",
        "rules": [
            {"id": "r1", "text": "When writing mails, be brief.", "injected": True},
            {"id": "r2", "text": "When cooking, leave onions out.", "injected": False},
        ],
    }  # fmt: skip
    (answer,) = judge([row])
    assert answer["satisfaction"] == "neg"
    assert answer["restates"] == ["r2"]
    assert answer["ranking"] == ["r2", "r1"]
    assert answer["rejects"] == []
    assert answer["command"] is None
    assert answer["topic_shift"] is False


@pytest.mark.slow
def test_the_written_turns_are_measured() -> None:
    found = measure("dev", seed=0, progress=silent)
    assert found["satisfaction, macro F1"].value > 0.6
