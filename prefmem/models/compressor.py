"""Document compressors of LangChain as rerankers, told by their shape."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

import numpy as np

from prefmem.errors import EndpointError, MissingExtraError
from prefmem.models.runnable import Apart
from prefmem.types import Vector

_SCORES = ("relevance_score", "score")
_PLACE = "prefmem_place"


@runtime_checkable
class Compressor(Protocol):
    """What a document compressor of LangChain looks like from outside."""

    def compress_documents(self, documents: Any, query: str) -> Any:  # noqa: ANN401  # as in LangChain
        """Give the documents that matter for a query, best first."""
        ...


class CompressorReranker:
    """Asks a document compressor which rules matter for a request.

    A rule that it drops has relevance 0. One that it keeps has the `relevance_score` (or `score`)
    of its metadata, which must be a probability; where it gives none, 1.

    Args:
        compressor: The compressor.
        timeout: Seconds for an answer, above 0.

    Raises:
        MissingExtraError: langchain-core is not installed.
        ConfigError: The number is out of range.
    """

    def __init__(self, compressor: Compressor, *, timeout: float = 10) -> None:
        """Take the compressor as it is."""
        if find_spec("langchain_core") is None:
            raise MissingExtraError(
                'a compressor reads documents of LangChain: pip install "prefmem[langgraph]"'
            )
        self._compressor = compressor
        self._apart = Apart(type(compressor).__name__, timeout=timeout, concurrency=8)

    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        """Give the probability that each rule applies, (k,), in [0, 1].

        Raises:
            EndpointError: The compressor fails, takes too long, or gives other documents or scores
                than asked for.
        """
        documents = import_module("langchain_core.documents")
        given = [
            documents.Document(page_content=rule, metadata={_PLACE: place})
            for place, rule in enumerate(rules)
        ]
        kept: Any = self._apart(partial(self._compressor.compress_documents, given, query))
        relevance = np.zeros(len(cosines), dtype=np.float32)
        try:
            for document in kept:
                score = next((document.metadata[s] for s in _SCORES if s in document.metadata), 1.0)
                relevance[document.metadata[_PLACE]] = float(score)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise EndpointError(
                f"{type(self._compressor).__name__} gave no scored documents of those it was asked"
            ) from error
        return relevance
