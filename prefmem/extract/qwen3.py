"""The published Qwen3-0.6B preference extractor, or another causal model with the same answers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from prefmem.errors import ConfigError
from prefmem.extract.answers import Tally, questions, read_answers
from prefmem.extract.parse import SCHEMA
from prefmem.extract.prompts import PromptName
from prefmem.models.causal import CausalLM
from prefmem.types import Preference, Window

PUBLISHED = "blackhao0426/pref-extractor-qwen3-0.6b-full-sft"


class Qwen3Extractor:
    """Finds preferences with one answer of a causal language model for each user turn.

    The model can write nothing but a list of preferences. What it says counts only where a sentence
    of the user supports it, and that sentence is the evidence; so neither an assistant's words nor
    a model's inventions become a rule.

    Args:
        model: Name on the hub, or a local folder; the published extractor unless given.
        prompt: `training` shows the model one user turn, `card` the window up to it.
        device: Where it runs, as torch names it; a GPU where there is one.
        revision: Commit, tag or branch on the hub.
        load_in_4bit: Keeps the weights in 4 bits; needs bitsandbytes and a GPU.
        batch_size: Most turns that the model answers at once.

    Raises:
        ConfigError: The prompt is unknown, or the batch size is not 1 or more.
    """

    def __init__(
        self,
        model: str | Path = PUBLISHED,
        *,
        prompt: PromptName = "training",
        device: str | None = None,
        revision: str | None = None,
        load_in_4bit: bool = False,
        batch_size: int = 16,
    ) -> None:
        """Choose the model; it loads with the first turn."""
        if prompt not in get_args(PromptName):
            raise ConfigError(f"prompt={prompt!r}; known are {', '.join(get_args(PromptName))}")
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size!r}; pass 1 or more")
        self._prompt: PromptName = prompt
        self._model = CausalLM(
            model,
            device=device,
            revision=revision,
            load_in_4bit=load_in_4bit,
            schema=SCHEMA,
            batch_size=batch_size,
        )
        self._rejected = Tally()

    @property
    def rejected(self) -> Counter[str]:
        """How much of the answers was left out so far, by reason; holds no text."""
        return self._rejected.counts()

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract what the user said in the named turns.

        With the prompt `card` a rule belongs to the turn that supports it best, and is left out
        when that turn is not a named one.

        Raises:
            MissingExtraError: torch, transformers, llguidance or bitsandbytes is not installed.
            WeightsError: The model cannot be had, is incomplete, or is no causal chat model.
            InputError: A turn is longer than what the model can read.
        """
        return self.extract_many([(window, turn_ids)])[0]

    def extract_many(
        self, items: Sequence[tuple[Window, Sequence[str]]]
    ) -> list[tuple[Preference, ...]]:
        """Extract from n windows what `extract` gives for each, in batches over all their turns.

        Raises:
            MissingExtraError, WeightsError, InputError: As `extract`; nothing is extracted then.
        """
        asked = [questions(window, turn_ids, self._prompt) for window, turn_ids in items]
        answers = iter(self._model.complete_many([q.messages for one in asked for q in one]))
        return [
            read_answers([next(answers) for _ in one], one, turn_ids, self._rejected)
            for one, (_, turn_ids) in zip(asked, items, strict=True)
        ]
