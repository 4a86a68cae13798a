"""The space of the published policy."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from prefmem.errors import BasisMismatchError, InputError, WeightsError
from prefmem.models.embed import MiniLMEmbedder
from prefmem.testing import HashEmbedder
from prefmem.train.projection import rules, train
from prefmem.types import Matrix
from prefmem.usermodel.projection import FILE, PackagedProjection, fit


def rows(*values: list[float]) -> Matrix:
    return np.array(values, dtype=np.float32)


def test_components_by_hand() -> None:
    # Around (1, 1): two apart along the first diagonal, one along the second.
    points = rows([3, 3], [-1, -1], [2, 0], [0, 2])
    found = fit(points, name="two")
    root = 0.5**0.5
    assert found.mean == pytest.approx([1, 1])
    assert np.abs(found.components) == pytest.approx(np.full((2, 2), root))
    assert found.components[0] == pytest.approx([root, root])
    assert found.components[1].prod() == pytest.approx(-0.5)
    assert found.name == "two"
    assert found.apply(points)[:, 0] == pytest.approx([8**0.5, -(8**0.5), 0, 0], abs=1e-6)
    assert found.apply(points).dtype == np.float32
    assert fit(points, 1).components.shape == (1, 2)


def test_there_are_no_components_without_variance() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(5, 16)).astype(np.float32)
    assert fit(few).components.shape == (4, 16)
    assert fit(few[:1]).components.shape == (0, 16)
    assert fit(few[:1]).apply(few).shape == (5, 0)
    flat = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 16))
    assert fit(flat.astype(np.float64).round(3).astype(np.float32), 256).components.shape[0] <= 16


def test_the_largest_entry_of_a_component_is_positive() -> None:
    rng = np.random.default_rng(1)
    found = fit(rng.normal(size=(40, 8)).astype(np.float32))
    assert all(row[np.abs(row).argmax()] > 0 for row in found.components)
    assert found.components @ found.components.T == pytest.approx(np.eye(8), abs=1e-6)


def test_what_cannot_be_projected() -> None:
    with pytest.raises(InputError, match="components of embeddings"):
        fit(np.zeros((0, 4), dtype=np.float32))
    with pytest.raises(InputError, match="cannot find 0 components"):
        fit(np.eye(4, dtype=np.float32), 0)
    with pytest.raises(InputError, match="finite"):
        fit(rows([1, np.nan]))
    with pytest.raises(BasisMismatchError, match="width 3"):
        fit(rows([1, 2], [2, 1])).apply(rows([1, 2, 3]))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on a part of the rules with a small embedder."""
    folder = tmp_path_factory.mktemp("projection")
    train(folder, embedder=HashEmbedder(16), quick=True)
    return folder


def test_training_writes_what_loads_and_does_so_again(packed: Path, tmp_path: Path) -> None:
    manifest = PackagedProjection(packed).manifest
    assert manifest["basis"] == PackagedProjection(packed).basis == "hash-16"
    assert manifest["command"].endswith("--quick")
    assert manifest["metrics"]["variance_explained"] == pytest.approx(1, abs=1e-3)
    found = PackagedProjection(packed).projection
    assert found.components.shape == (16, 16)
    assert found.components.dtype == found.mean.dtype == np.float32
    assert found.name == f"pca16@{manifest['files'][FILE][:12]}"
    stages: list[tuple[str, int, int]] = []
    again = train(
        tmp_path,
        embedder=HashEmbedder(16),
        quick=True,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    assert (tmp_path / FILE).read_bytes() == (packed / FILE).read_bytes()
    rows_read = again["data"]["rules"]
    assert stages[-1] == ("embedding", rows_read, rows_read)


def test_the_rules_are_ours_and_each_is_there_once() -> None:
    found = rules()
    assert len(found) > 5000
    assert list(found) == sorted(set(found))


def test_damaged_weights_are_refused(packed: Path, tmp_path: Path) -> None:
    manifest = json.loads((packed / "projection.json").read_text(encoding="utf-8"))

    def refused(match: str) -> None:
        with pytest.raises(WeightsError, match=match):
            _ = PackagedProjection(tmp_path).projection

    refused("cannot read the manifest")
    (tmp_path / "projection.json").write_text("{", encoding="utf-8")
    refused("cannot read the manifest")
    (tmp_path / "projection.json").write_text("{}", encoding="utf-8")
    refused("no manifest of a projection")
    (tmp_path / "projection.json").write_text(json.dumps(manifest), encoding="utf-8")
    refused("cannot read weights")
    (tmp_path / FILE).write_bytes((packed / FILE).read_bytes()[:-1])
    refused("damaged: sha256")
    for content in (b"no archive", b"PK\x03\x04 cut short"):
        (tmp_path / FILE).write_bytes(content)
        manifest["files"][FILE] = hashlib.sha256(content).hexdigest()
        (tmp_path / "projection.json").write_text(json.dumps(manifest), encoding="utf-8")
        refused("holds no projection")
    np.savez(tmp_path / FILE, mean=np.zeros(3))
    manifest["files"][FILE] = hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest()
    (tmp_path / "projection.json").write_text(json.dumps(manifest), encoding="utf-8")
    refused("holds no projection")


def test_the_packaged_one_belongs_to_the_packaged_embedder() -> None:
    packaged = PackagedProjection()
    assert packaged.basis == MiniLMEmbedder().basis
    found = packaged.projection
    assert found.components.shape == (256, 384)
    assert found.components @ found.components.T == pytest.approx(np.eye(256), abs=2e-3)
    assert packaged.manifest["metrics"]["variance_explained"] > 0.95
