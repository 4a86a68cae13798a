"""Qwen3-Reranker: a causal model that says whether a rule applies by "yes" or "no"."""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from prefmem.errors import WeightsError
from prefmem.models.crossencoder import QUERY_CHARS, RULE_CHARS
from prefmem.models.loading import Loaded, load
from prefmem.models.onnx import sigmoid
from prefmem.types import Vector

if TYPE_CHECKING:
    import torch

# The string that the published model was trained on (huggingface.co/Qwen/Qwen3-Reranker-0.6B).
PROMPT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {rule}<|im_end|>\n"
    "<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
INSTRUCTION = (
    "The document is a standing preference of the user. Judge whether a good assistant that knows "
    "it would answer the query differently because of it"
)


class Qwen3Reranker:
    """Takes the odds of "yes" against "no" for the odds that a rule applies; threads may share it.

    Args:
        model: Name on a hub, or a folder: a Qwen3-Reranker, or a causal model tuned alike.
        instruction: What is to be judged.
        platt: Slope and offset of the logistic map from the log-odds to the probability that a rule
            applies; the log-odds as they are unless given, which is seldom calibrated.
        device: Where it runs, as torch names it; the first GPU unless there is none, then the CPU.
        dtype: Of the weights; bfloat16 on a GPU and float32 on the CPU unless given.
        revision: Commit, tag or branch on the hub.
        batch_size: Most pairs that are read at once.
    """

    def __init__(
        self,
        model: str | Path = "Qwen/Qwen3-Reranker-0.6B",
        *,
        instruction: str = INSTRUCTION,
        platt: tuple[float, float] = (1.0, 0.0),
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
        revision: str | None = None,
        batch_size: int = 16,
    ) -> None:
        """Remember the settings; the weights load with the first pair."""
        self._name, self._instruction, self._platt = str(model), instruction, platt
        self._load = partial(load, model, device=device, dtype=dtype, revision=revision)
        self._batch_size = batch_size
        self._loading = Lock()

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give the probability that each of k rules applies, (k,), in [0, 1].

        Raises:
            MissingExtraError: torch or transformers is not installed.
            WeightsError: The model cannot be had, or has no token for an answer.
        """
        del cosines
        slope, offset = self._platt
        return sigmoid(slope * self.log_odds(query, rules) + offset)

    def log_odds(self, query: str, rules: Sequence[str]) -> Vector:
        """Give log p("yes") - log p("no") for each of k rules, (k,); a batch changes none."""
        with self._loading:
            loaded, yes, no = self._ready
        rows = [self._encode(loaded, query, rule) for rule in rules]
        found = np.zeros(len(rows), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            found[batch] = _read(loaded, [rows[n] for n in batch], yes, no)
        return found

    def _encode(self, loaded: Loaded, query: str, rule: str) -> list[int]:
        """Give the tokens of a prompt; the template's own marks in a text count as plain text."""
        texts = {"query": query[-QUERY_CHARS:], "rule": rule[:RULE_CHARS]}
        for mark in loaded.tokenizer.all_special_tokens:
            texts = {name: text.replace(mark, " ") for name, text in texts.items()}
        prompt = PROMPT.format(instruction=self._instruction, **texts)
        ids: list[int] = loaded.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return ids

    @cached_property
    def _ready(self) -> tuple[Loaded, int, int]:
        """The model, and the tokens of "yes" and "no"."""
        loaded = self._load()
        answers: list[int] = []
        for word in ("yes", "no"):
            ids = loaded.tokenizer(word, add_special_tokens=False)["input_ids"]
            if len(ids) != 1:
                raise WeightsError(f"{self._name!r} has no token {word!r}; pass a Qwen3-Reranker")
            answers += ids
        return loaded, answers[0], answers[1]


def _read(loaded: Loaded, rows: list[list[int]], yes: int, no: int) -> Vector:
    """Read n prompts at once, padded on the left so that all end at the answer: (n,)."""
    import torch

    longest = max(map(len, rows))
    pad = loaded.model.generation_config.pad_token_id
    gaps = [longest - len(row) for row in rows]
    ids = torch.tensor([[pad] * gap + row for gap, row in zip(gaps, rows, strict=True)])
    mask = torch.tensor([[0] * gap + [1] * (longest - gap) for gap in gaps])
    device = loaded.model.device
    with torch.inference_mode():
        logits = loaded.model(
            ids.to(device), attention_mask=mask.to(device), logits_to_keep=1
        ).logits[:, -1]  # (n, vocabulary)
    odds: Vector = (logits[:, yes] - logits[:, no]).float().cpu().numpy()
    return odds
