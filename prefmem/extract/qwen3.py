"""The published Qwen3-0.6B preference extractor, or another causal model with the same answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from prefmem.errors import ConfigError
from prefmem.extract.normalise import condition_text
from prefmem.extract.parse import AnswerItem, parse
from prefmem.extract.prompts import PromptName, messages
from prefmem.extract.support import Sentence, polarity_of, scope_of, sentences, support
from prefmem.models.causal import CausalLM
from prefmem.types import Preference, Scope, Window

PUBLISHED = "blackhao0426/pref-extractor-qwen3-0.6b-full-sft"


class Qwen3Extractor:
    """Finds preferences with one answer of a causal language model for each user turn.

    What the model says counts only where a sentence of the user supports it, and that sentence is
    the evidence; so neither an assistant's words nor a model's inventions become a rule.

    Args:
        model: Name on the hub, or a local folder; the published extractor unless given.
        prompt: `training` shows the model one user turn, `card` the window up to it.
        device: Where it runs, as torch names it; a GPU where there is one.
        revision: Commit, tag or branch on the hub.

    Raises:
        ConfigError: The prompt is unknown.
    """

    def __init__(
        self,
        model: str | Path = PUBLISHED,
        *,
        prompt: PromptName = "training",
        device: str | None = None,
        revision: str | None = None,
    ) -> None:
        """Choose the model; it loads with the first turn."""
        if prompt not in get_args(PromptName):
            raise ConfigError(f"prompt={prompt!r}; known are {', '.join(get_args(PromptName))}")
        self._prompt: PromptName = prompt
        self._model = CausalLM(model, device=device, revision=revision)

    def extract(self, window: Window, turn_ids: Sequence[str]) -> tuple[Preference, ...]:
        """Extract what the user said in the named turns.

        With the prompt `card` a rule belongs to the turn that supports it best, and is left out
        when that turn is not a named one.

        Raises:
            MissingExtraError: torch or transformers is not installed.
            WeightsError: The model cannot be had, is incomplete, or is no causal chat model.
        """
        turns = [t for t in window.turns if t.role in ("user", "assistant") and t.text.strip()]
        found: dict[tuple[str, str, str], Preference] = {}
        for n, turn in enumerate(turns):
            if turn.role != "user" or turn.id not in turn_ids:
                continue
            shown = [turn] if self._prompt == "training" else turns[: n + 1]
            said = sentences(shown)
            for item in parse(self._model.complete(messages(self._prompt, shown))):
                preference = _preference(item, said)
                if preference is not None and preference.evidence[0].turn_id in turn_ids:
                    # With `card` a turn is read again with every later one.
                    key = (preference.evidence[0].turn_id, preference.condition, preference.action)
                    found.setdefault(key, preference)
        return tuple(found.values())


def _preference(item: AnswerItem, said: Sequence[Sentence]) -> Preference | None:
    """Make a preference of an item that the user's words support."""
    kind = scope_of(item.condition)
    condition = "" if kind == "global" else condition_text(item.condition)
    evidence = support(condition, item.action, said)
    if evidence is None:
        return None
    return Preference(
        condition, item.action, polarity_of(item.action), item.confidence, Scope(kind), (evidence,)
    )
