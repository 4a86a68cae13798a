"""A weak reward from how likely praise and complaint are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from prefmem.errors import ConfigError
from prefmem.feedback.likelihood import CONTENTED, LikelihoodJudge
from prefmem.interaction import Followup, Judgement, Label
from prefmem.models.causal import CausalLM
from prefmem.types import Vector
from tests.feedback.followups import followup


class Says:
    """Judges every follow-up the same."""

    def __init__(self, label: Label) -> None:
        self.label: Label = label

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        nothing = np.zeros(2, dtype=np.float32)
        return tuple(Judgement(self.label, 0.9, nothing, nothing) for _ in followups)


class Likes:
    """Finds praise likelier by `lead` after an answer with a word in it; prefers it by 1 anyway."""

    def __init__(self, word: str, lead: float) -> None:
        self.word, self.lead = word, lead

    def likelihoods(self, messages: Sequence[Mapping[str, str]], answers: Sequence[str]) -> Vector:
        said = self.lead if self.word in messages[-1]["content"] else 0.0
        return np.array([1 + said if a in CONTENTED else 0 for a in answers], dtype=np.float32)


@pytest.mark.parametrize(("lead", "label"), [(2.0, "satisfied"), (-2.0, "dissatisfied")])
def test_silence_becomes_a_weak_reward(lead: float, label: str) -> None:
    judge = LikelihoodJudge(Likes("leek", lead), Says("neutral"), most=0.25, scale=2.0)
    found = judge.judge([followup("and for saturday?")])[0]
    assert found.label == label
    assert found.confidence == pytest.approx(0.25 * np.tanh(1))


def test_what_was_said_stays() -> None:
    judge = LikelihoodJudge(Likes("leek", 5.0), Says("dissatisfied"))
    assert judge.judge([followup("no onions")])[0].confidence == 0.9


def test_without_an_answer_there_is_no_reward() -> None:
    judge = LikelihoodJudge(Likes("leek", 5.0), Says("neutral"))
    assert judge.judge([followup("hm", reply=" ")])[0].label == "neutral"


def test_a_causal_model_gives_it(tiny_qwen3_folder: Path) -> None:
    judge = LikelihoodJudge(CausalLM(tiny_qwen3_folder), Says("neutral"))
    reward = judge.reward("soup", "Chop two onions.")
    assert -1 < reward < 1
    assert reward == judge.reward("soup", "Chop two onions.")


@pytest.mark.parametrize(("most", "scale"), [(0, 1), (1.5, 1), (0.2, 0)])
def test_numbers_are_checked(most: float, scale: float) -> None:
    with pytest.raises(ConfigError, match="scale"):
        LikelihoodJudge(Likes("x", 0), Says("neutral"), most=most, scale=scale)
