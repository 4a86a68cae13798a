import json
from pathlib import Path

import pytest

from prefmem.models.onnx import WEIGHTS
from prefmem.models.tagger import PreferenceTagger
from prefmem.train.embedder import build
from prefmem.train.tagger import train

pytestmark = pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)


@pytest.mark.slow
def test_training_writes_weights_that_load_and_does_so_again_from_the_seed(tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []

    def tell(stage: str, done: int, total: int) -> None:
        stages.append((stage, done, total))

    first = train(tmp_path / "a", seed=3, quick=True, progress=tell)
    second = train(tmp_path / "b", seed=3, quick=True)
    assert first["files"] == second["files"]
    assert stages[-1][0] == "training"
    assert stages[-1][1] == stages[-1][2]
    tagged = PreferenceTagger(folder=tmp_path / "a").tag("Always use type hints.")
    assert all(span.stop > span.start for span in tagged.spans)


@pytest.mark.slow
def test_the_embedder_is_built_again_to_the_byte(tmp_path: Path) -> None:
    manifest = build(tmp_path)
    packaged = json.loads((WEIGHTS / "embedder.json").read_text(encoding="utf-8"))
    assert manifest["relevance"] == packaged["relevance"]
    assert json.loads((tmp_path / "embedder.json").read_text(encoding="utf-8")) == packaged
