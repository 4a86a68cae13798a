"""The fakes give the same for the same input."""

from datetime import UTC, datetime

import numpy as np

from prefmem import Evidence, Preference, Scope, Turn, Window
from prefmem.testing import Clock, Counter, HashEmbedder, PhraseExtractor


def test_shared_words_bring_texts_together() -> None:
    embedder = HashEmbedder()
    near, far, query = embedder.embed(["use CTEs in SQL", "window seats", "a SQL query with CTEs"])
    assert near @ query > far @ query
    assert np.array_equal(embedder.embed(["Use CTEs, in sql!"])[0], near)
    assert embedder.embed(["", "?!"]).tolist() == np.zeros((2, 64)).tolist()
    assert embedder.embed([]).shape == (0, 64)
    assert embedder.basis != HashEmbedder(8).basis


def test_relevance_is_the_positive_cosine() -> None:
    found = HashEmbedder().relevance(np.array([-1, 0, 0.5, 1], dtype=np.float32))
    assert found.tolist() == [0, 0, 0.5, 1]


def test_phrases() -> None:
    text = "Always be brief. When writing SQL, never use views. I sometimes eat."
    window = Window("ann", "s", (Turn("0", "user", text), Turn("1", "assistant", text)))
    assert PhraseExtractor(0.7).extract(window, ["0", "1"]) == (
        Preference("", "be brief", "do", 0.7, Scope("global"), (Evidence("0", "Always be brief"),)),
        Preference(
            "writing SQL",
            "never use views",
            "avoid",
            0.7,
            Scope("conditional"),
            (Evidence("0", "When writing SQL, never use views"),),
        ),
    )
    assert PhraseExtractor().extract(window, []) == ()


def test_the_clock_and_the_counter_go_on() -> None:
    clock, counter = Clock(), Counter("c")
    assert [clock(), clock()] == [
        datetime(2026, 1, 1, 12, 0, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 1, tzinfo=UTC),
    ]
    assert [counter(), counter()] == ["c0001", "c0002"]
