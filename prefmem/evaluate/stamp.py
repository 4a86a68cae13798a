"""Where figures come from: command, seed, versions, weights, data, machine, and when."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from prefmem.models.onnx import WEIGHTS
from prefmem.selftest.report import machine, versions

_PACKAGES = ("onnxruntime", "tokenizers", "faiss-cpu")
_HASH_CHARS = 12


@dataclass(frozen=True, slots=True)
class Stamp:
    """What made a table.

    Attributes:
        command: What makes it again.
        seed: Fixed the draws; several where a command takes several.
        settings: Everything else that was asked for.
        at: When it ended, by the caller's clock.
        versions: Of what takes part, by name.
        weights: SHA-256 of each file of the packaged models.
        data: SHA-256 of the texts that are measured on; empty where there are none.
        machine: Cores, memory, system.
        seconds: How long it took.
        cpu_seconds: Processor time of this process and those that it started.
    """

    command: str
    seed: int | tuple[int, ...]
    settings: Mapping[str, object]
    at: datetime
    versions: Mapping[str, str]
    weights: Mapping[str, str]
    data: str
    machine: Mapping[str, str]
    seconds: float
    cpu_seconds: float

    def content(self) -> dict[str, Any]:
        """Give it as JSON data."""
        told = asdict(self) | {"at": self.at.isoformat()}
        found: dict[str, Any] = json.loads(json.dumps(told))
        return found

    def notes(self) -> list[str]:
        """Give it as lines of Markdown."""
        data = f"data {self.data[:_HASH_CHARS]}, " if self.data else ""
        weights = fingerprint("".join(self.weights.values()).encode())[:_HASH_CHARS]
        return [
            f"*{self.at:%Y-%m-%d}; {_listed(self.versions)}; weights {weights}; {data}"
            f"seed {_seeds(self.seed)}; {_listed(self.machine)}; {self.cpu_seconds:,.0f} s of "
            f"processor time.*"
        ]


def installed() -> dict[str, str]:
    """Give the versions of what takes part in a measurement."""
    found = versions()
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # built by hand, or another build of the same module
            found[name] = "unknown"
    return found


def weights(folder: Path = WEIGHTS) -> dict[str, str]:
    """Give the SHA-256 of each packaged file, as its manifest says; loading checks them."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(manifest.get("files"), dict):
            found |= manifest["files"]
    return dict(sorted(found.items()))


def made_by(told: Mapping[str, Any], command: str) -> bool:
    """Whether a table's JSON data came of a command with today's versions and weights."""
    now = {"command": command, "versions": installed(), "weights": weights()}
    return all(told.get(name) == value for name, value in now.items())


def texts(paths: Iterable[Path]) -> str:
    """Give one SHA-256 for files and for everything in folders; empty where there are none."""
    files = sorted(file for path in paths for file in _files(path))
    if not files:
        return ""
    lines = [f"{file.parent.name}/{file.name} {fingerprint(file.read_bytes())}" for file in files]
    return fingerprint("\n".join(lines).encode())


def fingerprint(data: bytes) -> str:
    """Give the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def here() -> dict[str, str]:
    """Describe the machine."""
    return {name: told for name, told in machine(Path()).items() if name != "files"}


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]


def _seeds(seed: int | tuple[int, ...]) -> str:
    return str(seed) if isinstance(seed, int) else " ".join(map(str, seed))


def _listed(named: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in named.items())
