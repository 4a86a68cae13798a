"""Which extractor a choice stands for."""

import pytest
from langchain_core.language_models import FakeListChatModel

from prefmem import Config, ConfigError, defaults
from prefmem.extract.chat import ChatExtractor
from prefmem.extract.local import LocalExtractor
from prefmem.extract.qwen3 import Qwen3Extractor
from prefmem.extract.verify import VerifiedExtractor
from prefmem.testing import PhraseExtractor


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
