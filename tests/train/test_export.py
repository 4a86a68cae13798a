import json
from pathlib import Path

import numpy as np
import pytest
import torch

from prefmem.models.onnx import PackagedModel
from prefmem.train.export import export, sha256, write_manifest

pytestmark = pytest.mark.filterwarnings(  # the exporter's own
    "ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning", "ignore:.*axis name:UserWarning"
)


class Net(torch.nn.Module):
    """An embedding table and a linear layer, both large enough to be quantised."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(100, 64)
        self.layer = torch.nn.Linear(64, 96)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(self.table(ids))
        return out


def test_weights_become_int8_and_answers_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]  # torch leaves it untyped
    net = Net()
    path = tmp_path / "net.onnx"
    export(net, (torch.tensor([[1, 2, 3]]),), path, inputs=("ids",), outputs=("out",))
    write_manifest(tmp_path / "net.json", {"files": ("net.onnx",)})
    ids = [5, 17, 99, 0, 42]
    wanted = net(torch.tensor([ids])).detach().numpy()[0]
    found = PackagedModel("net", folder=tmp_path).run(ids=ids)[0]
    assert found.shape == (5, 96)
    assert np.abs(found - wanted).max() < 0.05
    assert path.stat().st_size < 4 * (100 * 64 + 64 * 96) / 2  # under half of float32


def test_a_manifest_names_the_hash_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    write_manifest(tmp_path / "a.json", {"name": "a", "files": ("a.bin",)})
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert content == {"name": "a", "files": {"a.bin": sha256(tmp_path / "a.bin")}}
    assert content["files"]["a.bin"].startswith("ba7816bf")  # sha256 of "abc"
