"""Weights are checked against their manifest, load late, and run one text at a time."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from prefmem import WeightsError
from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import PackagedModel
from prefmem.models.tagger import PreferenceTagger, TaggedTurn
from prefmem.testing import check_embedder

WORDS = ["[UNK]", "east", "north", "when", "cooking", "use", "grams", "never", "today", "."]
TABLE = np.array([[0, 1e-6], [1, 0], [0, 1]], dtype=np.float32)


def tokenizer() -> bytes:
    made = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]  # as its documentation says
    return made.to_str().encode()


def model(nodes: list[Any], inputs: list[str], width: list[Any], **tables: Any) -> bytes:  # noqa: ANN401  # onnx ships few types
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(i, TensorProto.INT64, [1, "n"]) for i in inputs],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, *width])],
        [numpy_helper.from_array(np.asarray(t), name) for name, t in tables.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made)  # pyright: ignore[reportUnknownMemberType]  # onnx ships few types
    content: bytes = made.SerializeToString()
    return content


def embedder_model() -> bytes:
    """Look up each word's vector, take the mean, make it a unit vector."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["out"], axis=1),
    ]
    return model(nodes, ["ids"], [2], table=TABLE)


def write(folder: Path, name: str, content: bytes, **manifest: Any) -> Path:  # noqa: ANN401  # JSON
    files = {f"{name}.onnx": content, "tokenizer.json": tokenizer()}
    for file, data in files.items():
        (folder / file).write_bytes(data)
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
    (folder / f"{name}.json").write_text(
        json.dumps({"name": name, "files": hashes, **manifest}), encoding="utf-8"
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    platt = {"platt": [2.0, -1.0]}
    return write(tmp_path, "embedder", embedder_model(), width=2, relevance=platt)


def test_a_text_becomes_a_unit_vector(folder: Path) -> None:
    embedder = MiniLMEmbedder(folder=folder)
    half = 0.5**0.5
    rows = embedder.embed(["east", "north", "east north", "east east north"])
    assert rows == pytest.approx(
        np.array([[1, 0], [0, 1], [half, half], [0.8**0.5, 0.2**0.5]]), abs=1e-6
    )
    check_embedder(embedder, ["east", "north", "east north north"])


def test_the_basis_names_the_weights(folder: Path) -> None:
    embedder = MiniLMEmbedder(folder=folder)
    found = hashlib.sha256(embedder_model()).hexdigest()
    assert embedder.basis == f"embedder@{found[:12]}"
    assert embedder.width == 2


def test_relevance_is_a_logistic_curve(folder: Path) -> None:
    embedder = MiniLMEmbedder(folder=folder)
    found = embedder.relevance(np.array([0.5, 1, -1], dtype=np.float32))
    assert found == pytest.approx([0.5, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(3))])
    assert found.dtype == np.float32


def test_a_huge_text_is_cut(folder: Path) -> None:
    embedder = MiniLMEmbedder(folder=folder)
    long = "north " * 255 + "east " * 100_000  # 256 words are read: 255 north, 1 east
    (row,) = embedder.embed([long])
    assert row == pytest.approx(np.array([1, 255]) / np.hypot(1, 255), abs=1e-5)


def test_nothing_is_read_before_the_first_use(tmp_path: Path) -> None:
    PreferenceTagger(folder=tmp_path / "nowhere")
    embedder = MiniLMEmbedder(folder=tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"cannot read the manifest .*embedder\.json.*reinstall"):
        _ = embedder.basis


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00"])
def test_a_broken_manifest_is_named(folder: Path, content: bytes) -> None:
    (folder / "embedder.json").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot read the manifest"):
        MiniLMEmbedder(folder=folder).embed(["east"])


@pytest.mark.parametrize("file", ["embedder.onnx", "tokenizer.json"])
def test_damaged_weights_are_refused_with_both_hashes(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    wanted = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(WeightsError, match="damaged: sha256 is") as error:
        MiniLMEmbedder(folder=folder).embed(["east"])
    for part in (file, wanted, found, "reinstall prefmem"):
        assert part in str(error.value)


@pytest.mark.parametrize("file", ["embedder.onnx", "tokenizer.json"])
def test_missing_weights_are_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(WeightsError, match=f"cannot read weights .*{file}"):
        MiniLMEmbedder(folder=folder).embed(["east"])


def test_a_file_that_the_manifest_does_not_know_is_refused(folder: Path) -> None:
    (folder / "other.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match="the manifest says None"):
        PackagedModel("embedder", folder=folder).read("other.bin")


def tagger_folder(tmp_path: Path) -> Path:
    """Write a tagger that looks up each word's eight numbers.

    "when" begins a condition and "cooking" stays inside; "use" or "never" begins an action and
    "grams" stays inside. The gate is 2 on these words; "never" is to be avoided.
    """
    table = np.zeros((103, 8), dtype=np.float32)
    table[:, 0] = 1  # outside
    table[:, 6] = -1  # no evidence
    for word, tag, avoid in (
        ("when", 1, 0),
        ("cooking", 2, 0),
        ("use", 3, -4),
        ("never", 3, 4),
        ("grams", 4, 0),
    ):
        row = np.zeros(8, dtype=np.float32)
        row[[tag, 5, 6, 7]] = 5, avoid, 2, -3
        table[WORDS.index(word)] = row
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["kinds"], ["seen"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["seen", "last"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["rows", "nothing"], ["out"]),
    ]
    content = model(
        nodes,
        ["ids", "kinds"],
        ["n", 8],
        table=table,
        last=np.array([2]),
        zero=np.float32(0),
    )
    return write(tmp_path, "tagger", content, confidence={"platt": [0.5, 0.25]})


def test_the_tagger_finds_conditions_and_actions(tmp_path: Path) -> None:
    tagger = PreferenceTagger(folder=tagger_folder(tmp_path))
    assert tagger.calibration == (0.5, 0.25)
    text = "today when cooking use grams."
    found = tagger.tag(text, context="never use grams")
    assert [(s.label, text[s.start : s.stop]) for s in found.spans] == [
        ("condition", "when cooking"),
        ("action", "use grams"),
    ]
    _, action = found.spans
    assert (action.score, action.avoid, action.everywhere) == (2, -2, -3)
    assert [text[a:b] for a, b in found.evidence] == ["when cooking use grams"]


def test_a_long_turn_is_read_in_pieces(tmp_path: Path) -> None:
    tagger = PreferenceTagger(folder=tagger_folder(tmp_path))
    text = "today. " * 100 + "never grams. " + "today. " * 100 + "use grams."
    found = tagger.tag(text)
    assert [text[s.start : s.stop] for s in found.spans] == ["never grams", "use grams"]
    assert [s.avoid for s in found.spans] == [2, -2]
    assert [text[a:b] for a, b in found.evidence] == ["never grams", "use grams"]


def test_a_turn_without_words_gives_nothing(tmp_path: Path) -> None:
    tagger = PreferenceTagger(folder=tagger_folder(tmp_path))
    for text in ("", " \n ", "today."):
        assert tagger.tag(text) == TaggedTurn((), ())
