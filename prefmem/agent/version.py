"""One version of a user's adapter: its files, its manifest, and whether they belong together."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from prefmem.errors import AdapterError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"
FILES = (WEIGHTS, CONFIG)


@dataclass(frozen=True, slots=True)
class Version:
    """One adapter of a user.

    Attributes:
        number: 1 for the first; numbers are not used again.
        folder: Where its files are.
        manifest: What it was made of and how: `base`, `target`, `seed`, `recipe`, `data`,
            `metrics`, and `files`, the SHA-256 of each by name.
    """

    number: int
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """The SHA-256 of its weights."""
        return str(self.manifest["files"][WEIGHTS])

    @property
    def base(self) -> str:
        """The name of the model that it was trained on."""
        return str(self.manifest["base"]["name"])

    @property
    def target(self) -> str:
        """What it writes: `rules`, or `text` after naive fine-tuning."""
        return str(self.manifest["target"])


def check(version: Version, *, weights: str | None = None) -> None:
    """Compare the files of a version with its manifest, and its base with the one at hand.

    Args:
        version: The version.
        weights: SHA-256 of the base's weights, as `base.weights_of` gives; not compared with None.

    Raises:
        AdapterError: A file is missing or changed, or the base is another.
    """
    place = f"version {version.number} of the adapter in {version.folder.parent.parent.name}"
    for name in FILES:
        try:
            found = sha256(version.folder / name)
        except OSError as error:
            raise AdapterError(
                f"{place}: {name} cannot be read ({error.strerror}); roll back, or train again"
            ) from error
        if found != version.manifest["files"].get(name):
            raise AdapterError(
                f"{place}: {name} is not the one that was trained; roll back, or train again"
            )
    wanted = version.manifest["base"]["weights"]
    if weights is not None and weights != wanted:
        raise AdapterError(
            f"{place} was trained on {version.base!r} with weights {wanted[:12]}, the base at hand "
            f"has {weights[:12]}; open that base, or train again on this one"
        )


def opened(folder: Path, number: int) -> Version:
    """Read a version's manifest; its files are not looked at.

    Raises:
        AdapterError: It is missing or damaged.
    """
    try:
        told: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version = Version(number, folder, cast(dict[str, Any], told))
        whole = version.hash and version.base and version.target and told["base"]["weights"]
    except (OSError, ValueError, LookupError, TypeError):
        whole = ""
        version = None
    if version is None or not whole:
        raise AdapterError(
            f"version {number} of the adapter in {folder.parent.parent.name} has no whole "
            "manifest; roll back, or train again"
        )
    return version


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, text: str) -> None:
    """Write a small file that only its owner reads, and wait until it is on the disk."""
    with open(
        os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="ascii"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def to_disk(path: Path) -> None:
    """See to it that a file, or the names in a folder, outlast a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
