"""The plugs give what the memory gives."""

from typing import Any

import numpy as np
import pytest

from prefmem import PreferenceMemory
from prefmem.evaluate import plugs

pytestmark = pytest.mark.model

RULES = [
    {"id": "r1", "condition": "writing SQL", "action": "use CTEs", "polarity": "do",
     "scope": "conditional", "audience": None, "topic": "code"},
    {"id": "r2", "condition": "cooking dinner", "action": "no nuts", "polarity": "avoid",
     "scope": "conditional", "audience": None, "topic": "food"},
    {"id": "r3", "condition": "general", "action": "use metric units", "polarity": "do",
     "scope": "global", "audience": None, "topic": "style"},
]  # fmt: skip
USER: dict[str, Any] = {"user": "u", "rules": RULES}
QUERY = "help me with writing an SQL query over the orders table"


def test_select_gives_what_a_recall_injects() -> None:
    picked = plugs.select(USER, {"q": QUERY})
    assert set(picked) >= {"r1", "r3"}
    assert "r2" not in picked
    assert plugs.select(USER, {"q": ""}) == ["r3"]
    assert "r1" in plugs.select(USER, {"q": "and shorter", "context": QUERY})


def test_score_is_the_relevance_of_a_recall() -> None:
    with PreferenceMemory(":memory:") as memory:
        for rule in RULES[:2]:
            memory.add(str(rule["condition"]), str(rule["action"]), user_id="u")
        candidates = memory.recall(QUERY, user_id="u").candidates
    table = plugs.score([c.card.text for c in candidates], [QUERY, "zebra"])
    assert table.shape == (2, 2)
    assert np.allclose(table[0], [c.relevance for c in candidates], atol=1e-3)
