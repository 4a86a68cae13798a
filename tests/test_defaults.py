"""Which extractor and which reranker a choice stands for."""

from collections.abc import Sequence

import pytest
from langchain_core.language_models import FakeListChatModel

from prefmem import Config, ConfigError, defaults
from prefmem.extract.chat import ChatExtractor
from prefmem.extract.local import LocalExtractor
from prefmem.extract.qwen3 import Qwen3Extractor
from prefmem.extract.verify import VerifiedExtractor
from prefmem.models.compressor import CompressorReranker
from prefmem.models.rerank import Reranker
from prefmem.testing import PhraseExtractor
from prefmem.types import Vector


def test_the_default_is_the_embedded_one() -> None:
    assert isinstance(defaults.extractor(Config()), LocalExtractor)


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("qwen3", Qwen3Extractor),
        ("http://localhost:8000/v1", ChatExtractor),
        ("HTTPS://example.org/v1", ChatExtractor),
        (FakeListChatModel(responses=["{}"]), ChatExtractor),
    ],
)
def test_a_language_model_is_checked(choice: FakeListChatModel | str, kind: type) -> None:
    made = defaults.extractor(Config(), choice)
    assert isinstance(made, VerifiedExtractor)
    assert isinstance(made.extractor, kind)


def test_an_extractor_is_taken_as_it_is() -> None:
    given = PhraseExtractor()
    assert defaults.extractor(Config(), given) is given


@pytest.mark.parametrize("choice", ["gpt", "", "ftp://x", 7])
def test_anything_else_is_refused(choice: object) -> None:
    with pytest.raises(ConfigError, match=r"extractor=.*known is 'qwen3'"):
        defaults.extractor(Config(), choice)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


class Judge:
    def relevance(self, query: str, rules: Sequence[str], cosines: Vector) -> Vector:
        raise NotImplementedError(query, rules, cosines)


class Filter:
    def compress_documents(self, documents: object, query: str) -> object:
        raise NotImplementedError(documents, query)


def test_a_reranker_is_taken_as_it_is_and_a_compressor_is_asked() -> None:
    judge = Judge()
    assert defaults.reranker(Config(), judge) is judge
    assert isinstance(defaults.reranker(Config(), Filter()), CompressorReranker)
    assert defaults.reranker(Config(), "none") is None
    assert defaults.reranker(Config(rerank=False), judge) is None


def test_the_packaged_reranker_is_the_default() -> None:
    assert isinstance(defaults.reranker(Config()), Reranker)


@pytest.mark.parametrize("choice", ["bge", "", 7])
def test_any_other_reranker_is_refused(choice: object) -> None:
    with pytest.raises(ConfigError, match=r"reranker=.*known is 'none'"):
        defaults.reranker(Config(), choice)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point
