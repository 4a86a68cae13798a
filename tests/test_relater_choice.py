"""Which relater a memory has: the packaged one, another one, or none."""

import pytest

from prefmem import ConfigError, PreferenceMemory
from prefmem.testing import HashEmbedder


def test_without_a_relater_only_the_same_words_are_the_same_rule() -> None:
    with PreferenceMemory(
        ":memory:", embedder=HashEmbedder(), relater="none", reranker="none"
    ) as memory:
        first = memory.add("writing mails", "sign with A", user_id="ann")
        again = memory.add("Writing  mails", "sign with a", user_id="ann")
        other = memory.add("writing mails", "never sign with A", user_id="ann")
        assert again.id == first.id
        assert [card.id for card in memory.list(user_id="ann", status="active")] == [
            first.id,
            other.id,
        ]


def test_an_unknown_relater_is_refused() -> None:
    with pytest.raises(ConfigError, match="relater='nobody'; known is 'none'"):
        PreferenceMemory(":memory:", embedder=HashEmbedder(), relater="nobody")
