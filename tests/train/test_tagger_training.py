from pathlib import Path

import pytest

from prefmem.models.tagger import PreferenceTagger
from prefmem.train.tagger import train

pytestmark = pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")


@pytest.mark.slow
def test_training_writes_weights_that_load_and_does_so_again_from_the_seed(tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    first = train(tmp_path / "a", seed=3, quick=True, progress=lambda *x: stages.append(x))
    second = train(tmp_path / "b", seed=3, quick=True)
    assert first["files"] == second["files"]
    assert stages[-1][0] == "training"
    assert stages[-1][1] == stages[-1][2]
    tagged = PreferenceTagger(folder=tmp_path / "a").tag("Always use type hints.")
    assert all(span.stop > span.start for span in tagged.spans)
