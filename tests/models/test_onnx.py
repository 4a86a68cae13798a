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
from prefmem.models.tagger import Context, PreferenceTagger
from prefmem.testing import check_embedder

WORDS = ["[UNK]", "east", "north", "when", "cooking", "use", "grams", "never", "today", "."]
TABLE = np.array([[0, 1e-6], [1, 0], [0, 1]], dtype=np.float32)


def tokenizer() -> bytes:
    made = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]  # as its documentation says
    return made.to_str().encode()


def model(
    nodes: list[Any],
    inputs: list[str],
    outputs: dict[str, list[Any]],
    **tables: Any,  # noqa: ANN401  # onnx ships few types
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(i, TensorProto.INT64, [1, "n"]) for i in inputs],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *width])
            for name, width in outputs.items()
        ],
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
    return model(nodes, ["ids"], {"out": [2]}, table=TABLE)


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
    """Write a tagger that looks up each word's nine numbers and its scores of two conditions.

    "when" begins a condition and "cooking" stays inside; "use" or "never" begins an action and
    "grams" stays inside. The gate is 2 on these words; "never" is to be avoided. "use grams" is
    nearest to the first condition, "never grams" to the second.
    """
    topics = np.zeros((103, 2), dtype=np.float32)
    for word, row in (("use", [0, 1]), ("never", [0, 5]), ("grams", [3, 1])):
        topics[WORDS.index(word)] = row
    table = np.zeros((103, 9), dtype=np.float32)
    table[:, 0] = 3  # outside
    table[:, 6] = -1  # no evidence
    for word, tag, avoid in (
        ("when", 1, 0),
        ("cooking", 2, 0),
        ("use", 3, -4),
        ("never", 3, 4),
        ("grams", 4, 0),
    ):
        table[WORDS.index(word), [tag, 5, 6, 7, 8]] = 5, avoid, 2, -3, -7
        table[WORDS.index(word), 0] = 0
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["kinds"], ["seen"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["seen", "last"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["rows", "nothing"], ["out"]),
        helper.make_node("Gather", ["topics", "ids"], ["likely"]),
    ]
    content = model(
        nodes,
        ["ids", "kinds"],
        {"out": ["n", 9], "likely": ["n", 2]},
        table=table,
        topics=topics,
        last=np.array([2]),
        zero=np.float32(0),
    )
    return write(
        tmp_path, "tagger", content,
        confidence={"platt": [0.5, 0.25]}, conditions=["cooking", "writing"],
    )  # fmt: skip


def test_the_tagger_finds_conditions_and_actions(tmp_path: Path) -> None:
    tagger = PreferenceTagger(folder=tagger_folder(tmp_path))
    assert tagger.calibration == (0.5, 0.25)
    assert tagger.topics == ("cooking", "writing")
    text = "today when cooking use grams."
    found = tagger.tag(text, Context("never", "never use grams"))
    assert [(s.label, text[s.start : s.stop]) for s in found.spans] == [
        ("condition", "when cooking"),
        ("action", "use grams"),
    ]
    _, action = found.spans
    assert (action.score, action.avoid, action.everywhere, action.refers) == (2, -2, -3, -7)
    assert action.topic == "cooking"  # 1.5 against 1
    assert [text[a:b] for a, b in found.evidence] == ["when cooking use grams"]
    assert [(text[a:b], gate) for a, b, gate in found.words] == [
        ("today", -1), ("when", 2), ("cooking", 2), ("use", 2), ("grams", 2), (".", -1),
    ]  # fmt: skip


def test_a_long_turn_is_read_in_pieces(tmp_path: Path) -> None:
    tagger = PreferenceTagger(folder=tagger_folder(tmp_path))
    text = "today. " * 100 + "never grams. " + "today. " * 100 + "use grams."
    found = tagger.tag(text)
    assert [text[s.start : s.stop] for s in found.spans] == ["never grams", "use grams"]
    assert [(s.avoid, s.topic) for s in found.spans] == [(2, "writing"), (-2, "cooking")]
    assert [text[a:b] for a, b in found.evidence] == ["never grams", "use grams"]
    sure = [text[a:b] for a, b, gate in found.words if gate > 0]
    assert sure == ["never", "grams", "use", "grams"]
    assert len(found.words) == 406  # 200 times "today" and ".", and the two orders


def test_a_turn_that_says_nothing_gives_nothing(tmp_path: Path) -> None:
    tagger = PreferenceTagger(folder=tagger_folder(tmp_path))
    for text, words in (("", 0), (" \n ", 0), ("today.", 2)):
        found = tagger.tag(text)
        assert (found.spans, found.evidence, len(found.words)) == ((), (), words)
