"""Packaged weights: found beside the code, checked against their manifest, run on the CPU."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort  # pyright: ignore[reportMissingTypeStubs]  # it ships none
from tokenizers import Tokenizer

from prefmem.errors import WeightsError
from prefmem.types import Risk, Vector

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
TOKENIZER = "tokenizer.json"


class PackagedModel:
    """One ONNX file with its manifest and tokenizer; everything loads on first use.

    Args:
        name: File name without ending: `name.onnx`, `name.json`.
        folder: Where the files lie.
        threads: CPU threads for one call; servers want 1 and many calls at once.
        max_tokens: Longer inputs are cut.
    """

    def __init__(
        self, name: str, *, folder: Path = WEIGHTS, threads: int = 1, max_tokens: int = 256
    ) -> None:
        """Remember where the files are; nothing is read yet."""
        self.name = name
        self._folder = folder
        self._threads = threads
        self._max_tokens = max_tokens

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest: base model, data, seed, metrics, and the hash of each file.

        Raises:
            WeightsError: It is missing or is not JSON.
        """
        path = self._folder / f"{self.name}.json"
        try:
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"cannot read the manifest {path}: {error}; reinstall prefmem"
            ) from error
        return manifest

    @property
    def risk(self) -> Risk | None:
        """What a floor on the relevance costs, from the manifest; None where it does not say."""
        found = self.manifest.get("risk")
        return Risk(found["cases"], tuple(found["losses"])) if found else None

    def read(self, file: str) -> bytes:
        """Read a file of the manifest, refusing one whose hash differs.

        Raises:
            WeightsError: The file is missing, unknown to the manifest, or damaged.
        """
        path = self._folder / file
        wanted = self.manifest.get("files", {}).get(file)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"cannot read weights {path}: {error}; reinstall prefmem") from error
        found = hashlib.sha256(content).hexdigest()
        if found != wanted:
            raise WeightsError(
                f"weights {path} are damaged: sha256 is {found}, the manifest says {wanted}; "
                "reinstall prefmem"
            )
        return content

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, cutting at `max_tokens` and padding nothing."""
        tokenizer: Any = Tokenizer.from_buffer(self.read(TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._max_tokens)
        checked: Tokenizer = tokenizer
        return checked

    @cached_property
    def session(self) -> Any:  # noqa: ANN401  # onnxruntime has no types
        """The runtime session; safe to call from several threads."""
        runtime: Any = ort
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return runtime.InferenceSession(
            self.read(f"{self.name}.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def run(self, **inputs: list[int]) -> list[npt.NDArray[np.float32]]:
        """Run one sequence: each input is `(seq,)`; outputs come without the batch axis."""
        feeds = {name: np.asarray([ids], dtype=np.int64) for name, ids in inputs.items()}
        return [np.asarray(out, dtype=np.float32)[0] for out in self.session.run(None, feeds)]


def sigmoid(scores: npt.NDArray[np.floating[Any]]) -> Vector:
    """Map log-odds to probabilities, float32, without overflow at either end."""
    clipped = np.clip(np.asarray(scores, dtype=np.float64), -60, 60)
    relevance: Vector = (1 / (1 + np.exp(-clipped))).astype(np.float32)
    return relevance
