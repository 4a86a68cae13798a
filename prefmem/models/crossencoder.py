"""Any cross-encoder of sentence-transformers as a reranker."""

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from prefmem.errors import MissingExtraError, WeightsError
from prefmem.models.onnx import sigmoid
from prefmem.types import Vector

QUERY_CHARS, RULE_CHARS = 2_000, 1_000  # the end of a request, the beginning of a rule


class CrossEncoderReranker:
    """Scores request and rule with a cross-encoder of one label, as `BAAI/bge-reranker-base`.

    Reads safetensors only and runs no code that comes with a model. Threads may share it.

    Args:
        model: Name on a hub, or a folder.
        platt: Slope and offset of the logistic map from the model's logit to the probability that a
            rule applies; the plain logistic curve unless given, which is seldom calibrated.
        device: Where it runs, as torch names it; sentence-transformers chooses unless given.
        revision: Commit, tag or branch on the hub.
        batch_size: Most pairs that are read at once.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        platt: tuple[float, float] = (1.0, 0.0),
        device: str | None = None,
        revision: str | None = None,
        batch_size: int = 32,
    ) -> None:
        """Remember the settings; the weights load with the first pair."""
        if find_spec("sentence_transformers") is None:
            raise MissingExtraError(
                f'{str(model)!r} runs on sentence-transformers: pip install "prefmem[local]"'
            )
        self._name, self._platt, self._batch_size = str(model), platt, batch_size
        self._given = {"device": device, "revision": revision, "trust_remote_code": False}
        self._loading = Lock()

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give the probability that each of k rules applies, (k,), in [0, 1].

        Raises:
            WeightsError: The model cannot be had, or has more than one label.
        """
        del cosines
        with self._loading:
            model = self._loaded
        pairs = [(query[-QUERY_CHARS:], rule[:RULE_CHARS]) for rule in rules]
        logits = model.predict(
            pairs,
            batch_size=self._batch_size,
            activation_fn=import_module("torch").nn.Identity(),
            show_progress_bar=False,
        )  # (k,)
        slope, offset = self._platt
        return sigmoid(slope * np.asarray(logits, dtype=np.float64) + offset)

    @cached_property
    def _loaded(self) -> Any:  # noqa: ANN401  # sentence-transformers' own types are half unknown
        make = import_module("sentence_transformers").CrossEncoder
        try:
            model = make(self._name, model_kwargs={"use_safetensors": True}, **self._given)
        except (OSError, ValueError, RuntimeError, LookupError, TypeError) as error:
            raise WeightsError(
                f"cannot load the cross-encoder {self._name!r}: {error}; pass a folder, or a name "
                "on a hub within reach, with safetensors weights"
            ) from error
        if model.num_labels != 1:
            raise WeightsError(f"{self._name!r} has {model.num_labels} labels; one is needed")
        return model
