from pathlib import Path

import numpy as np
import pytest

from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.rerank import Reranker
from prefmem.train.reranker import of_families, of_users, train
from prefmem.train.users import Request, WrittenUser
from prefmem.types import Preference, Scope

RULES = {
    "a": Preference("writing SQL", "use CTEs", scope=Scope("conditional")),
    "b": Preference("", "be brief", scope=Scope("global")),
    "c": Preference("planning trips", "take trains", scope=Scope("conditional")),
}


@pytest.mark.model
def test_a_request_is_paired_with_every_conditional_rule_of_its_user() -> None:
    request = Request("follow-up", "and for May?", "a week in Spain", ("c",), ())
    user = WrittenUser("u", "somebody", RULES, (request,))
    (asked,) = of_users([user], MiniLMEmbedder())
    assert asked.query == "a week in Spain\nand for May?"
    assert asked.rules == ("When writing SQL, use CTEs.", "When planning trips, take trains.")
    assert asked.applies == (False, True)
    assert asked.cosines.shape == (2,)


@pytest.mark.model
def test_baits_of_a_family_have_no_rule_that_applies() -> None:
    asked = of_families(MiniLMEmbedder(), seed=0, far=3)
    assert any(not any(a.applies) for a in asked)
    assert all(len(a.rules) == len(a.applies) == len(a.cosines) for a in asked)


@pytest.mark.slow
@pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)
def test_training_writes_a_reranker_that_loads(tmp_path: Path) -> None:
    manifest = train(tmp_path, seed=1, quick=True)
    assert set(manifest["files"]) == {"reranker.onnx", "tokenizer.json"}
    rules = ["When writing SQL, use CTEs.", "When planning trips, take trains."]
    cosines = np.array([0.1, 0.5], dtype=np.float32)
    found = Reranker(folder=tmp_path).relevance("a week in Spain", rules, cosines)
    assert found.shape == (2,)
    assert bool(((found > 0) & (found < 1)).all())
