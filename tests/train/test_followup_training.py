from pathlib import Path

import numpy as np
import pytest

from prefmem.feedback.judge import PackagedJudge
from prefmem.models.embed import MiniLMEmbedder
from prefmem.testing import HashEmbedder
from prefmem.train.followup import train
from prefmem.train.followups import load
from prefmem.train.stated import stated
from tests.feedback.followups import followup


@pytest.mark.long
@pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)
def test_training_writes_a_judge_that_loads(tmp_path: Path) -> None:
    manifest = train(tmp_path, seed=1, quick=True)
    assert set(manifest["files"]) == {"followup.onnx", "followup.npz", "tokenizer.json"}
    judge = PackagedJudge(folder=tmp_path)
    found = judge.judge([followup("no onions, I said")])[0]
    assert found.restates.shape == (2,)
    assert bool(((found.restates >= 0) & (found.restates <= 1)).all())
    assert 0 < judge.joined.dissatisfied_from < 1


def test_written_turns_keep_their_format() -> None:
    for split in ("train", "dev", "test"):
        written = load(split, HashEmbedder())
        for one in written:
            assert one.followup.text.strip()
            assert len(set(one.ids)) == len(one.ids) == len(one.followup.rules)
            assert not (one.rejects & ~one.followup.shown).any(), one.followup.text
            assert one.label == "dissatisfied" or not one.restates.any(), one.followup.text


@pytest.mark.model
def test_windows_teach_which_rule_is_stated() -> None:
    found = stated(MiniLMEmbedder(), quick=True)
    assert len(found) > 20
    for one in found:
        assert one.restates.any()
        assert not one.rejects.any()
        assert len(one.followup.rules) > int(one.restates.sum())
        assert np.isfinite(one.followup.cosines).all()
