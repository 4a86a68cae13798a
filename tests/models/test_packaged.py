"""The packaged weights as they ship."""

import numpy as np
import pytest

from prefmem import PreferenceMemory
from prefmem.extract.local import LocalExtractor
from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import PackagedModel
from prefmem.testing import check_embedder, check_extractor

pytestmark = pytest.mark.model
STATED = "When you write SQL for me, always put the keywords in capitals."


def test_the_embedder_keeps_its_contract() -> None:
    check_embedder(MiniLMEmbedder(), ["use CTEs", "a", "long " * 400, "ünïcode 🙂", "use CTEs"])


def test_the_embedder_lost_next_to_nothing_when_it_was_packed() -> None:
    manifest = PackagedModel("embedder").manifest
    assert manifest["metrics"]["cosine_to_float32_least"] >= 0.99


def test_the_extractor_keeps_its_contract() -> None:
    check_extractor(LocalExtractor(), STATED)


def test_a_plain_statement_is_learned_and_comes_back() -> None:
    with PreferenceMemory(":memory:") as memory:
        (card,) = memory.learn([("user", STATED)], user_id="ann").added
        assert card.preference.polarity == "do"
        assert card.preference.evidence[0].quote in STATED
        assert "capitals" in card.text
        recall = memory.recall("a SQL query for the sales of each month", user_id="ann")
        assert [rule.card_ids for rule in recall.rules] == [(card.id,)]
        assert memory.recall("who wrote Hamlet?", user_id="ann").rules == ()


def test_an_empty_and_a_very_long_text_are_embedded() -> None:
    embedder = MiniLMEmbedder()
    rows = embedder.embed(["", "x" * 100_000])
    assert np.isfinite(rows).all()
