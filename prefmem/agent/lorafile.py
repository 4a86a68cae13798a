"""A LoRA adapter's files as peft saves them: plain LoRA in safetensors, and nothing else."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefmem.agent.version import CONFIG, WEIGHTS
from prefmem.errors import AdapterError

if TYPE_CHECKING:
    import torch

MAX_RANK = 512
_START = "base_model.model."  # of every name in a file of peft
_MATRICES = ("lora_A", "lora_B")
# What a configuration of peft can ask for and plain LoRA does not have.
_VARIANTS = (
    "alora_invocation_tokens", "alpha_pattern", "arrow_config", "fan_in_fan_out", "kasa_config",
    "layer_replication", "lora_bias", "modules_to_save", "monteclora_config", "rank_pattern",
    "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora",
    "velora_config",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weights:
    """What an adapter adds to the output of linear layers: scale * B(A(x)).

    Attributes:
        rank: Width r between A and B.
        scale: Alpha over the rank, or over its root.
        layers: A, (r, in), and B, (out, r), by the name of the layer.
    """

    rank: int
    scale: float
    layers: Mapping[str, "tuple[torch.Tensor, torch.Tensor]"]

    @property
    def size(self) -> int:
        """Of all matrices, in bytes."""
        return sum(t.numel() * t.element_size() for pair in self.layers.values() for t in pair)


def read(folder: Path) -> Weights:
    """Read an adapter from a folder, on the CPU.

    Raises:
        AdapterError: A file is missing or damaged, or asks for more than plain LoRA.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = import_module("safetensors.torch").load_file(folder / WEIGHTS)
    except (OSError, ValueError, import_module("safetensors").SafetensorError) as error:
        raise AdapterError(
            f"an adapter cannot be read: {_reason(error)}; train it again, or roll back to an "
            "older version"
        ) from error
    try:
        rank, scale = _settings(config)
        return Weights(rank, scale, _by_layer(tensors))
    except ValueError as error:
        raise AdapterError(
            f"an adapter cannot be used: {error}; train it again with prefmem agent train"
        ) from error


def _settings(config: Any) -> tuple[int, float]:  # noqa: ANN401  # JSON from a file
    """Give rank and scale, of plain LoRA alone."""
    settings = cast(dict[str, Any], config) if isinstance(config, dict) else {}
    if settings.get("peft_type") != "LORA":
        raise ValueError(f"{CONFIG} is none of LoRA")
    others = [name for name in _VARIANTS if settings.get(name)]
    others += ["bias"] if settings.get("bias", "none") != "none" else []
    if others:
        raise ValueError(f"{CONFIG} asks for {others}, which plain LoRA has not")
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float):
        raise ValueError(f"{CONFIG} holds r={rank!r}, lora_alpha={alpha!r}")
    if not 0 < rank <= MAX_RANK or not math.isfinite(alpha):
        raise ValueError(f"{CONFIG} holds r={rank!r}, lora_alpha={alpha!r}")
    return rank, alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _by_layer(
    tensors: Mapping[str, "torch.Tensor"],
) -> dict[str, "tuple[torch.Tensor, torch.Tensor]"]:
    """Sort the weights of a file by layer and matrix."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        layer, _, matrix = key.removesuffix(".weight").rpartition(".")
        plain = key.startswith(_START) and key.endswith(".weight") and matrix in _MATRICES
        if not plain:
            raise ValueError(f"{WEIGHTS} holds {key[:80]!r}, which plain LoRA has not")
        found.setdefault(layer.removeprefix(_START), {})[matrix] = tensor
    if not found:
        raise ValueError(f"{WEIGHTS} is empty")
    for layer, pair in found.items():
        if len(pair) < len(_MATRICES):
            raise ValueError(f"{WEIGHTS} has only one matrix of {layer[:80]!r}")
        if not all(t.is_floating_point() and bool(t.isfinite().all()) for t in pair.values()):
            raise ValueError(f"{WEIGHTS} holds what is no number for {layer[:80]!r}")
    return {layer: (pair["lora_A"], pair["lora_B"]) for layer, pair in found.items()}


def _reason(error: Exception) -> str:
    """Say what is wrong with a file, without its path, which tells where users' data is."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
