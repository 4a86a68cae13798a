"""A memory on fakes for the hosts' tests; nothing here needs LangChain, which a host may lack."""

from collections.abc import Callable, Iterator

import pytest

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge


@pytest.fixture
def memory() -> Iterator[PreferenceMemory]:
    with PreferenceMemory(
        ":memory:",
        embedder=HashEmbedder(),
        extractor=PhraseExtractor(),
        reranker="none",
        judge=WordJudge(),
        relater=TableRelater(),
    ) as memory:
        yield memory


@pytest.fixture
def learned(memory: PreferenceMemory) -> Callable[[str], list[str]]:
    """Give what a user's rules say, once all that waits is learned."""

    def rules(user_id: str) -> list[str]:
        assert memory.flush(30)
        return [card.text for card in memory.list(user_id=user_id)]

    return rules


@pytest.fixture
def taught(memory: PreferenceMemory) -> Callable[[str], int]:
    """Count the turns of a user that were read."""

    def events(user_id: str) -> int:
        assert memory.flush(30)
        return len(memory.export(user_id=user_id)["events"])

    return events
