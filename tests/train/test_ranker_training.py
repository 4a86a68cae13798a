from pathlib import Path

import numpy as np
import pytest

from prefmem.models.pairs import PairReader
from prefmem.models.rerank import Reranker
from prefmem.train.ranker import train


@pytest.mark.long
@pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)
def test_training_writes_a_cross_encoder_that_loads(tmp_path: Path) -> None:
    manifest = train(tmp_path, seed=1, quick=True)
    assert set(manifest["files"]) == {"ranker.onnx", "tokenizer.json"}
    rules = ["When writing SQL, use CTEs.", "When planning trips, take trains."]
    cosines = np.array([0.1, 0.5], dtype=np.float32)
    found = Reranker(PairReader(folder=tmp_path)).relevance("a week in Spain", rules, cosines)
    assert found.shape == (2,)
    assert bool(((found > 0) & (found < 1)).all())
