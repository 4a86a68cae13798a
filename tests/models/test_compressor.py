"""Document compressors of LangChain as rerankers."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from prefmem.errors import ConfigError, EndpointError
from prefmem.models.compressor import CompressorReranker
from prefmem.testing import check_reranker

documents = pytest.importorskip("langchain_core.documents")
RULES = ["use CTEs", "sign as A", "be brief"]
COSINES = np.array([0.9, 0.5, 0.1], dtype=np.float32)


class Compressor(documents.BaseDocumentCompressor):  # type: ignore[name-defined,misc]
    """Scores documents by a table; drops those that are not in it."""

    scores: dict[str, Any]

    def compress_documents(
        self, documents: Sequence[Any], query: str, callbacks: object = None
    ) -> Sequence[Any]:
        kept = [d for d in documents if d.page_content in self.scores]
        for document in kept:
            if self.scores[document.page_content] is not None:
                document.metadata["relevance_score"] = self.scores[document.page_content]
        return kept[::-1]


def test_scores_find_their_rules_and_dropped_ones_have_none() -> None:
    compressor = Compressor(scores={"use CTEs": 0.7, "be brief": None})
    found = CompressorReranker(compressor).relevance("q", RULES, COSINES)
    assert found.tolist() == pytest.approx([0.7, 0.0, 1.0])
    check_reranker(CompressorReranker(compressor), "q", RULES)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(EndpointError, match="Compressor gave no scored documents"):
        CompressorReranker(Compressor(scores={"use CTEs": "high"})).relevance("q", RULES, COSINES)


class Own:
    def __init__(self, answer: object) -> None:
        self._answer = answer

    def compress_documents(self, documents: object, query: str) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        if isinstance(self._answer, threading.Event):
            self._answer.wait(20)
        return self._answer


@pytest.mark.parametrize("answer", [None, ["a"], [documents.Document("other")]])
def test_documents_that_were_not_asked_about_are_refused(answer: object) -> None:
    with pytest.raises(EndpointError, match="Own gave no scored documents"):
        CompressorReranker(Own(answer)).relevance("q", RULES, COSINES)


def test_a_failure_is_named_without_its_words() -> None:
    with pytest.raises(EndpointError, match=r"^Own failed with KeyError$"):
        CompressorReranker(Own(KeyError("secret"))).relevance("q", RULES, COSINES)


def test_one_that_hangs_is_given_up() -> None:
    end = threading.Event()
    with pytest.raises(EndpointError, match=r"no answer within 0\.1 s"):
        CompressorReranker(Own(end), timeout=0.1).relevance("q", RULES, COSINES)
    end.set()
    with pytest.raises(ConfigError, match="timeout is above 0"):
        CompressorReranker(Own(end), timeout=0)
