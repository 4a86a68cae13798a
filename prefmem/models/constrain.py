"""Holds a model's answer to a JSON schema, token by token, with llguidance."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from prefmem.errors import MissingExtraError

if TYPE_CHECKING:
    import torch

# White space as `json.dumps` writes it, which is what models are trained on; where it is free, a
# small model writes white space until its tokens are used up.
_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_CLOSING = 64  # tokens; the end of a list of preferences takes fewer even at one byte a token
_CLOSERS = '"]}0'


class JsonGrammar:
    """A JSON schema, compiled for the tokens of a model. Threads may share it.

    Args:
        schema: The JSON schema.
        tokenizer: A fast tokenizer of transformers.
        vocab: Number of tokens that the model scores.
        ends: Tokens that end an answer.

    Raises:
        MissingExtraError: llguidance is not installed.
        ValueError: llguidance cannot use the schema or the tokenizer.
    """

    def __init__(
        self,
        schema: Mapping[str, object],
        tokenizer: Any,  # noqa: ANN401  # transformers' own types are half unknown
        *,
        vocab: int,
        ends: Sequence[int],
    ) -> None:
        """Compile the schema: seconds with a vocabulary of 150,000 tokens."""
        if find_spec("llguidance") is None:
            raise MissingExtraError('answers are bound by llguidance: pip install "prefmem[local]"')
        guidance: Any = import_module("llguidance")
        tokens = import_module("llguidance.hf").from_tokenizer(
            tokenizer, n_vocab=vocab, eos_token=list(ends)
        )
        grammar = guidance.LLMatcher.grammar_from_json_schema(dict(schema), overrides=_STYLE)
        self._start = guidance.LLMatcher(tokens, grammar, log_level=0)
        if self._start.is_error():
            raise ValueError(f"the schema cannot be used: {self._start.get_error()}")
        self._ends = list(ends)
        closers = [tokens.tokenize_str(text) for text in _CLOSERS]
        self._closers = [ids[0] for ids in closers if len(ids) == 1]

    def processor(self, rows: int, max_new_tokens: int) -> "JsonProcessor":
        """Give what binds one batch of answers."""
        matchers = [self._start.deep_copy() for _ in range(rows)]
        return JsonProcessor(matchers, self._ends, self._closers, max_new_tokens)


class JsonProcessor:
    """A logits processor for one call of `generate`: scores what the schema forbids at -inf.

    The last 64 tokens are kept for closing what is open, so that a document is always complete: a
    string ends at once, a list takes no more items, and a number that is not begun is 0.
    """

    def __init__(
        self,
        matchers: Sequence[Any],
        ends: Sequence[int],
        closers: Sequence[int],
        max_new_tokens: int,
    ) -> None:
        """Begin n documents, one matcher for each."""
        self._matchers = matchers
        self._ends, self._closers = list(ends), closers
        self._left, self._begun = max_new_tokens, False

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        """Give the scores, (n, vocab), of the tokens that may follow `input_ids`, (n, seq)."""
        torch: Any = import_module("torch")
        last: list[int] = cast(Any, input_ids)[:, -1].tolist()
        allowed = np.zeros(scores.shape, dtype=np.bool_)  # (n, vocab)
        for row, matcher in enumerate(self._matchers):
            if self._begun and not matcher.is_stopped():
                matcher.consume_token(last[row])
            self._allow(matcher, allowed[row])
        self._left, self._begun = self._left - 1, True
        mask = torch.from_numpy(allowed).to(scores.device)
        return scores.masked_fill(~mask, float("-inf"))

    def _allow(self, matcher: Any, row: npt.NDArray[np.bool_]) -> None:  # noqa: ANN401  # has no type
        if matcher.is_stopped():
            row[self._ends] = True
            return
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        row[:] = np.unpackbits(bits, bitorder="little", count=len(row))
        if self._left <= _CLOSING:
            closing = next((token for token in self._closers if row[token]), None)
            if closing is not None:
                row[:] = False
                row[closing] = True
