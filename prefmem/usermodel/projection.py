"""Principal components of rule embeddings: the space in which the published policy learns."""

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prefmem.errors import BasisMismatchError, InputError, WeightsError
from prefmem.models.onnx import WEIGHTS, PackagedModel
from prefmem.types import Matrix, Vector

FILE = "projection.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Orthonormal directions in which embeddings differ most.

    Attributes:
        mean: Mean embedding, (e,).
        components: Directions, the one with the most variance first, (d, e).
        name: Name of the space that it leads to; vectors of two names never meet.
    """

    mean: Vector
    components: Matrix
    name: str = ""

    def apply(self, matrix: Matrix) -> Matrix:
        """Project embeddings, (n, e) -> (n, d), float32.

        Raises:
            BasisMismatchError: They are of another width.
        """
        if matrix.shape[1:] != self.mean.shape:
            raise BasisMismatchError(
                f"embeddings of width {matrix.shape[-1]}, the projection takes {self.mean.size}"
            )
        centred: Matrix = matrix - self.mean
        return (centred @ self.components.T).astype(np.float32)


class PackagedProjection:
    """The projection that ships, of the packaged embedder's vectors; it loads on first use.

    Args:
        folder: Where `projection.npz` and its manifest `projection.json` lie.
    """

    def __init__(self, folder: Path = WEIGHTS) -> None:
        """Remember where the files are; nothing is read yet."""
        self._files = PackagedModel("projection", folder=folder)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest: embedder, data, variance explained, and the hash of the file.

        Raises:
            WeightsError: It is missing, or is no manifest.
        """
        manifest = self._files.manifest
        if "basis" not in manifest or FILE not in manifest.get("files", {}):
            raise WeightsError("projection.json is no manifest of a projection; reinstall prefmem")
        return manifest

    @property
    def basis(self) -> str:
        """Vector space that it projects."""
        return str(self.manifest["basis"])

    @cached_property
    def projection(self) -> Projection:
        """The projection, in float32.

        Raises:
            WeightsError: The file is missing or damaged.
        """
        manifest = self.manifest
        content = self._files.read(FILE)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                mean, components = (
                    arrays[name].astype(np.float32) for name in ("mean", "components")
                )
        except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
            raise WeightsError(f"{FILE} holds no projection: {error}") from error
        return Projection(mean, components, f"pca{len(components)}@{manifest['files'][FILE][:12]}")


def fit(matrix: Matrix, d: int = 256, *, name: str = "") -> Projection:
    """Find the principal components of embeddings.

    Directions without variance are left out, so n rows give at most n - 1 components; a component
    points where its largest entry is positive, so that the same rows give the same vectors.

    Args:
        matrix: Embeddings, (n, e).
        d: Components at most.
        name: Name of the space that it leads to.

    Raises:
        InputError: There are no rows, one is not finite, or `d` is not above 0.
    """
    if matrix.ndim != 2 or not len(matrix) or not np.isfinite(matrix).all() or d < 1:
        raise InputError(
            f"cannot find {d!r} components of embeddings {matrix.shape}; give finite rows, and d "
            "of at least 1"
        )
    rows = matrix.astype(np.float64)
    mean = rows.mean(axis=0)
    _, spread, directions = np.linalg.svd(rows - mean, full_matrices=False)
    rounding = np.finfo(np.float64).eps * max(matrix.shape) * float(np.abs(rows).max())
    components = directions[:d][spread[:d] > rounding]  # (d, e)
    peak = np.abs(components).argmax(axis=1)
    components *= np.sign(np.take_along_axis(components, peak[:, None], axis=1))
    return Projection(mean.astype(np.float32), components.astype(np.float32), name)
