"""No file or record can make the memory run code: nothing is unpickled, remote code stays off."""

import ast
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import prefmem
from prefmem import PreferenceMemory, PrefmemError
from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.stores.sqlite import SQLiteStore
from prefmem.usermodel.projection import PackagedProjection

FORBIDDEN = frozenset(
    {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
)
PACKAGES = [Path(prefmem.__file__).parent, Path(prefmem.__file__).parents[1] / "integrations"]


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in PACKAGES:
        for path in sorted(folder.rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def test_nothing_imports_a_pickle() -> None:
    for path, tree in sources():
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert FORBIDDEN.isdisjoint(name.split(".")[0] for name in names), path


def test_no_call_lets_code_in() -> None:
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code"):
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "eval", "exec", "yaml.load", "np.fromfile"), (
                    path
                )
                if called in ("np.load", "numpy.load"):
                    assert any(key.arg == "allow_pickle" for key in node.keywords), path


def bomb(trace: Path) -> bytes:
    """Give a pickle that makes a file when it is loaded, written by hand."""
    return f"cos\nmkdir\n(S'{trace}'\ntR.".encode()


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ran"
    yield path
    assert not path.exists()


def test_weights(tmp_path: Path, trace: Path) -> None:
    folder, names = tmp_path / "weights", ("embed.onnx", "tokenizer.json")
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(bomb(trace))
    (folder / "embed.json").write_text(json.dumps({"files": dict.fromkeys(names, "0" * 64)}))
    model = PackagedModel("embed", folder=folder)
    for name in names:
        with pytest.raises(PrefmemError, match="damaged"):
            model.read(name)
    for use in (lambda: model.tokenizer, lambda: model.session):
        with pytest.raises(PrefmemError):
            use()
    (folder / "embed.json").write_bytes(bomb(trace))
    with pytest.raises(PrefmemError):
        PackagedModel("embed", folder=folder).read("embed.onnx")


def test_every_packaged_file_has_its_hash() -> None:
    for manifest in WEIGHTS.glob("*.json"):
        held: dict[str, dict[str, str]] = json.loads(manifest.read_text("utf-8"))
        for name in held.get("files", {}):
            PackagedModel(manifest.stem).read(name)


def test_a_database(tmp_path: Path, trace: Path) -> None:
    path = tmp_path / "prefs.db"
    path.write_bytes(bomb(trace) * 200)
    with pytest.raises(PrefmemError):
        SQLiteStore(path)


def test_arrays(tmp_path: Path, trace: Path) -> None:
    for content in (bomb(trace), b"PK\x03\x04" + bomb(trace), b"\x93NUMPY\x01\x00" + bomb(trace)):
        (tmp_path / "projection.npz").write_bytes(content)
        named = {"projection.npz": sha256(content).hexdigest()}
        held = json.dumps({"files": named, "basis": "b"})
        (tmp_path / "projection.json").write_text(held)
        with pytest.raises(PrefmemError):
            _ = PackagedProjection(tmp_path).projection


def test_an_export(memory: PreferenceMemory, trace: Path) -> None:
    memory.add("", "be brief", user_id="ann")
    data = memory.export(user_id="ann")
    text = bomb(trace).decode()
    for field in sorted(data.keys() - {"user_id"}):
        with pytest.raises(PrefmemError):
            memory.load({**data, field: text}, user_id="bob")
    assert memory.list(user_id="bob") == ()
