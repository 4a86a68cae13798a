"""Exports a trained torch module as ONNX with int8 weights, and writes the manifest beside it.

Only weights are quantised (symmetric int8, one scale per output channel; one per row for embedding
tables); the arithmetic stays float32. Against dynamic int8 this costs about twice the time per
text, but a vector does not depend on the batch it is in nor on the processor's int8 instructions,
and it stays closer to the original.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper

_SMALLEST = 4096  # initialisers with fewer elements stay float32


def export(
    module: torch.nn.Module,
    example: Sequence[torch.Tensor],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Write `module` as ONNX with int8 weights.

    Args:
        module: Takes `(1, seq)` integer tensors, one for each name in `inputs`.
        example: One tensor for each input, seq at least 2.
        path: File to write.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
    """
    length = torch.export.Dim("seq", min=2, max=512)
    program = torch.onnx.export(  # pyright: ignore[reportUnknownMemberType]  # partly untyped
        module.eval(),
        tuple(example),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple({1: length} for _ in inputs),
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    model = program.model_proto
    del model.graph.value_info[:]
    quantise_weights(model)
    without_traces(model)
    onnx.checker.check_model(model)  # pyright: ignore[reportUnknownMemberType]  # partly untyped
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def without_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of our source files, in place: same weights, same bytes."""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def quantise_weights(model: onnx.ModelProto) -> None:
    """Replace the float32 weights of `MatMul` and `Gather` nodes by int8 ones, in place."""
    graph = model.graph
    floats = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    nodes: list[onnx.NodeProto] = []
    used: dict[str, list[onnx.TensorProto]] = {}
    for node in graph.node:
        position = {"MatMul": 1, "Gather": 0}.get(node.op_type)
        name = node.input[position] if position is not None else ""
        weight = floats.get(name)
        if weight is None or weight.ndim != 2 or weight.size < _SMALLEST:
            nodes.append(node)
        elif node.op_type == "MatMul":
            used.setdefault(name, _tensors(name, weight, axis=0))
            node.input[1] = f"{name}.f32.{node.name}"
            nodes += [
                helper.make_node(
                    "DequantizeLinear", [f"{name}.i8", f"{name}.scale"], [node.input[1]], axis=1
                ),
                node,
            ]
        else:
            used.setdefault(name, _tensors(name, weight, axis=1))
            nodes += _gathered(node, name)
    kept = [tensor for tensor in graph.initializer if tensor.name not in used]
    del graph.initializer[:]
    graph.initializer.extend(kept + [t for pair in used.values() for t in pair])
    del graph.node[:]
    graph.node.extend(nodes)


def _tensors(name: str, weight: npt.NDArray[np.float32], *, axis: int) -> list[onnx.TensorProto]:
    peak = np.maximum(np.abs(weight).max(axis=axis, keepdims=True), 1e-12)
    scale = (peak / 127).astype(np.float32)
    rounded = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    kept = scale if axis == 1 else scale.ravel()
    return [
        numpy_helper.from_array(rounded, f"{name}.i8"),
        numpy_helper.from_array(kept, f"{name}.scale"),
    ]


def _gathered(node: onnx.NodeProto, name: str) -> list[onnx.NodeProto]:
    ids, out = node.input[1], node.output[0]
    return [
        helper.make_node("Gather", [f"{name}.i8", ids], [f"{out}.i8"], axis=0),
        helper.make_node("Gather", [f"{name}.scale", ids], [f"{out}.scale"], axis=0),
        helper.make_node("Cast", [f"{out}.i8"], [f"{out}.f32"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}.f32", f"{out}.scale"], [out]),
    ]


def sha256(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest as JSON, keys in the order given, with the hash of each file it names."""
    files = {name: sha256(path.parent / name) for name in content["files"]}
    text = json.dumps({**content, "files": files}, indent=2, ensure_ascii=True)
    path.write_text(text + "\n", encoding="utf-8")


def data_hash(folder: Path) -> str:
    """Hash all files of a folder, names included."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder)} {sha256(path)}\n".encode())
    return digest.hexdigest()
