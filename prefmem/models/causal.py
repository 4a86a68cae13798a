"""Causal language models run by transformers, in this process."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from prefmem.errors import InputError
from prefmem.models.loading import Loaded, Messages, load
from prefmem.types import Vector

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The tokens that prompts begin with, and the model's cache after them; it is only copied."""

    ids: list[int]
    cache: Any


class CausalLM:
    """Answers chat messages with a model from a hub or a folder, always the same for the same ones.

    Reads safetensors only, runs no code that comes with a model, and switches off a chat template's
    thinking. What stands before the last message is read once for all calls that share it. Threads
    may share the model.

    Args:
        model: Name on the hub, or a folder as `save_pretrained` writes it.
        device: Where it runs, as torch names it; the first GPU unless there is none, then the CPU.
        dtype: Of the weights; bfloat16 on a GPU and float32 on the CPU unless given.
        revision: Commit, tag or branch on the hub.
        load_in_4bit: Keeps the weights in 4 bits, with bitsandbytes, on a GPU.
        schema: JSON schema that every answer keeps to, and completes within its length; free text
            unless given.
        max_new_tokens: Length of an answer; of a schema's answer at least 100.
        batch_size: Most conversations that are answered at once.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str | None = None,
        dtype: "torch.dtype | None" = None,
        revision: str | None = None,
        load_in_4bit: bool = False,
        schema: Mapping[str, object] | None = None,
        max_new_tokens: int = 512,
        batch_size: int = 16,
    ) -> None:
        """Remember the settings; the weights load with the first answer."""
        self._name = model
        self._load = partial(
            load,
            model,
            device=device,
            dtype=dtype,
            revision=revision,
            load_in_4bit=load_in_4bit,
            schema=schema,
        )
        self._new, self._batch_size = max_new_tokens, batch_size
        self._loading = Lock()
        self._prefix: _Prefix | None = None

    def complete(self, messages: Messages) -> str:
        """Give the answer to chat messages, each with `role` and `content`.

        Raises:
            MissingExtraError: torch, transformers, or what a setting needs is not installed.
            WeightsError: The model cannot be had, is incomplete, or is no causal chat model.
            InputError: The messages are longer than what the model can read.
        """
        return self.complete_many([messages])[0]

    def complete_many(self, conversations: Sequence[Messages]) -> list[str]:
        """Give the answers to n conversations, each the one that `complete` gives.

        Conversations of like length are answered together. In bfloat16 rounding depends on what is
        answered together, so that a tie between two tokens can fall the other way.

        Raises:
            MissingExtraError, WeightsError, InputError: As `complete`; there is no answer then.
        """
        if not conversations:
            return []
        with self._loading:
            loaded = self._loaded
        rows = [self._encode(loaded, messages) for messages in conversations]
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
        answers = [""] * len(rows)
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            prefix = self._prefix_of(loaded, conversations[batch[0]])
            found = self._generate(loaded, [rows[n] for n in batch], prefix)
            for n, answer in zip(batch, found, strict=True):
                answers[n] = answer
        return answers

    def likelihoods(self, messages: Messages, answers: Sequence[str]) -> Vector:
        """Give how likely each of n answers to chat messages is, per token.

        Args:
            messages: Each with `role` and `content`.
            answers: Texts; marks of the model's own in them are taken out.

        Returns:
            Mean log-probability of an answer's tokens, (n,), at most 0; 0 for an empty answer.

        Raises:
            MissingExtraError, WeightsError, InputError: As `complete`.
        """
        with self._loading:
            loaded = self._loaded
        prompt = self._encode(loaded, messages)
        rows = [_tokens(loaded, answer)[: self._new] for answer in answers]
        found = np.zeros(len(rows), dtype=np.float32)
        order = [n for n in sorted(range(len(rows)), key=lambda n: len(rows[n])) if rows[n]]
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            found[batch] = self._score(loaded, prompt, [rows[n] for n in batch])
        return found

    def _score(self, loaded: Loaded, prompt: list[int], rows: list[list[int]]) -> Vector:
        """Give the mean log-probability of n encoded answers, padded at the end, (n,)."""
        import torch

        longest = max(map(len, rows))
        device = loaded.model.device
        ids = torch.tensor([prompt + r + [r[-1]] * (longest - len(r)) for r in rows], device=device)
        with torch.inference_mode():
            logits = loaded.model(ids, use_cache=False).logits[:, len(prompt) - 1 : -1]
            chances = torch.log_softmax(logits.float(), dim=-1)  # (n, longest, v)
            wanted = ids[:, len(prompt) :].unsqueeze(-1)
            told = chances.gather(-1, wanted).squeeze(-1).cpu().numpy()  # (n, longest)
        return np.array([told[n, : len(r)].mean() for n, r in enumerate(rows)], dtype=np.float32)

    def _encode(self, loaded: Loaded, messages: Messages) -> list[int]:
        ids = loaded.encode(messages)
        longest = getattr(loaded.model.config, "max_position_embeddings", None)
        if longest is not None and len(ids) + self._new > longest:
            raise InputError(
                f"{str(self._name)!r} reads {longest} tokens, the messages have {len(ids)} and the "
                f"answer may have {self._new}; shorten the messages"
            )
        return ids

    def _prefix_of(self, loaded: Loaded, messages: Messages) -> _Prefix:
        """Give the tokens before the last message's text with their cache, from the last call.

        They are what two prompts share that differ in the first letter of that text.
        """
        import torch

        one, other = (
            loaded.encode([*messages[:-1], {**messages[-1], "content": text}])
            for text in ("a", "1")
        )
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        ids = [token for token, _ in alike]
        kept = self._prefix
        if kept is None or kept.ids != ids:
            cache = None
            if ids:
                with torch.inference_mode():
                    read = torch.tensor([ids], device=loaded.model.device)
                    cache = loaded.model(read, use_cache=True).past_key_values
            self._prefix = kept = _Prefix(ids, cache)
        return kept

    def _generate(self, loaded: Loaded, rows: list[list[int]], prefix: _Prefix) -> list[str]:
        """Answer n encoded prompts together."""
        answers: list[str] = loaded.tokenizer.batch_decode(
            self._write(loaded, rows, prefix), skip_special_tokens=True
        )
        return answers

    def _write(
        self, loaded: Loaded, rows: list[list[int]], prefix: _Prefix | None = None
    ) -> list[list[int]]:
        """Give the answers' tokens, with what ends and pads them.

        The prompts are padded between the prefix and what follows it.
        """
        import torch

        begun = prefix.ids if prefix else []
        fixed = len(begun) if all(row[: len(begun)] == begun for row in rows) else 0
        longest = max(map(len, rows))
        gaps = [longest - len(row) for row in rows]
        pad = loaded.model.generation_config.pad_token_id
        ids = [row[:fixed] + [pad] * gap + row[fixed:] for row, gap in zip(rows, gaps, strict=True)]
        mask = [[1] * fixed + [0] * gap + [1] * (longest - fixed - gap) for gap in gaps]
        given: dict[str, Any] = {}
        if loaded.grammar is not None:
            given["logits_processor"] = [loaded.grammar.processor(len(rows), self._new)]
        with torch.inference_mode():
            if prefix and fixed:
                given["past_key_values"] = deepcopy(prefix.cache)
                given["past_key_values"].batch_repeat_interleave(len(rows))
            out = loaded.model.generate(
                torch.tensor(ids, device=loaded.model.device),
                attention_mask=torch.tensor(mask, device=loaded.model.device),
                max_new_tokens=self._new,
                **given,
            )  # (n, longest + new)
        written: list[list[int]] = out[:, longest:].tolist()
        return written

    @cached_property
    def _loaded(self) -> Loaded:
        return self._load()


def _tokens(loaded: Loaded, text: str) -> list[int]:
    """Give the tokens of a text by itself, without the model's own marks."""
    for mark in loaded.tokenizer.all_special_tokens:
        text = text.replace(mark, " ")
    ids: list[int] = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
