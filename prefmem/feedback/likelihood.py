"""How likely praise and complaint are after an answer, as a weak reward where nothing is said.

A turn that says nothing of the answer leaves the judge without a reward. A causal language model
that runs locally gives one: it compares how likely contented and discontented turns are after the
answer. Taken from "Aligning Language Models Using Follow-up Likelihood as Reward Signal", with one
change: what the same model finds likely after an answer that says nothing is taken off, for some
phrases are likelier than others whatever went before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from prefmem.errors import ConfigError
from prefmem.interaction import Followup, Judgement, Label
from prefmem.protocols import Judge
from prefmem.types import Vector

CONTENTED = (
    "Thanks, that is just what I was after.",
    "Great, this works for me.",
    "Lovely, I will use it as it is.",
    "Good, that answers my question.",
)
DISCONTENTED = (
    "No, that is not what I was after.",
    "This does not work for me.",
    "Please do it again, I wanted something else.",
    "That does not answer my question.",
)
_NOTHING_SAID = "..."
_PLAY = "Play the person who talks to an assistant, and say what that person says next."
_CHARS = 2_000  # of each text


class Likelihoods(Protocol):
    """What a local causal model offers, as `prefmem.models.causal.CausalLM` does."""

    def likelihoods(self, messages: Sequence[Mapping[str, str]], answers: Sequence[str]) -> Vector:
        """Give the mean log-probability of the tokens of n answers to chat messages, (n,)."""
        ...


class LikelihoodJudge:
    """Another judge, with a weak reward of a causal model where that one sees none.

    Args:
        model: The causal model.
        judge: Judges first; what it has an opinion on stays.
        most: Confidence that the weak reward reaches at most, in (0, 1].
        scale: Difference in log-probability per token at which it reaches three quarters of that.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(
        self, model: Likelihoods, judge: Judge, *, most: float = 0.2, scale: float = 1.0
    ) -> None:
        """Put both together."""
        if not (0 < most <= 1 and scale > 0):
            raise ConfigError(f"most={most!r}, scale={scale!r}: 0 < most <= 1, scale above 0")
        self._model, self._judge, self._most, self._scale = model, judge, most, scale

    def judge(self, followups: Sequence[Followup]) -> tuple[Judgement, ...]:
        """Judge n follow-ups."""
        found = self._judge.judge(followups)
        return tuple(
            self._rewarded(followup, judgement)
            if judgement.label == "neutral" and followup.reply.strip()
            else judgement
            for followup, judgement in zip(followups, found, strict=True)
        )

    def reward(self, query: str, reply: str) -> float:
        """Say how much likelier the answer makes praise than complaint, in (-1, 1)."""
        return float(np.tanh((self._lead(query, reply) - self._lead(query, "")) / self._scale))

    def _lead(self, query: str, reply: str) -> float:
        asked = f"{_PLAY}\n\nYou asked:\n{query[-_CHARS:]}"
        answered = f"You were answered:\n{reply[-_CHARS:] or _NOTHING_SAID}"
        messages = [{"role": "user", "content": f"{asked}\n\n{answered}"}]
        found = self._model.likelihoods(messages, (*CONTENTED, *DISCONTENTED))
        return float(found[: len(CONTENTED)].mean() - found[len(CONTENTED) :].mean())

    def _rewarded(self, followup: Followup, judgement: Judgement) -> Judgement:
        reward = self.reward(followup.query, followup.reply)
        label: Label = "satisfied" if reward > 0 else "dissatisfied"
        return replace(judgement, label=label, confidence=self._most * abs(reward))
