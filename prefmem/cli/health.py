"""`prefmem doctor`: versions, weights, and the store."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol, runtime_checkable

import typer

import prefmem
from prefmem.cli.keys import opened_store
from prefmem.cli.options import DB, Db, Json, missing, shown
from prefmem.cli.show import console, emit, grid, say
from prefmem.errors import PrefmemError
from prefmem.models.embed import MiniLMEmbedder
from prefmem.models.onnx import WEIGHTS, PackagedModel

_NEEDED = ("onnxruntime", "faiss-cpu", "numpy", "tokenizers", "pydantic")
_EXTRAS = ("langgraph", "langchain", "torch", "transformers", "gguf", "peft")
_MODELS = ("embedder", "tagger")  # what the default memory runs on


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        ok: Whether it is as it should be.
        detail: What was found.
    """

    what: str
    ok: bool
    detail: str


@runtime_checkable
class _Checked(Protocol):
    """A store that reports its health."""

    def check(self) -> Mapping[str, str | int]: ...


def doctor(db: Db = DB, as_json: Json = False) -> None:
    """Check the installation, the weights and the store."""
    versions, findings = installed(), [*check_weights(), *check_store(db)]
    healthy = all(finding.ok for finding in findings)
    if as_json:
        found = [asdict(finding) for finding in findings]
        emit({"ok": healthy, "versions": versions, "findings": found})
    else:
        _print(versions, findings)
    if not healthy:
        say("Something is wrong: see the lines marked with !!")
        raise typer.Exit(1)


def installed() -> dict[str, str]:
    """Give the versions of what matters; extras only where they are installed."""
    versions = {"python": platform.python_version(), "prefmem": prefmem.__version__}
    for package in (*_NEEDED, *_EXTRAS):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            if package in _NEEDED:
                versions[package] = "missing"
    return versions


def check_weights(folder: Path = WEIGHTS) -> list[Finding]:
    """Compare every file of every manifest in the folder with its hash."""
    findings: list[Finding] = []
    names = {*_MODELS, *(path.stem for path in folder.glob("*.json") if _is_manifest(path))}
    for name in sorted(names):
        model = PackagedModel(name, folder=folder)
        try:
            files = sorted(model.manifest.get("files", {}))
        except PrefmemError as error:
            findings.append(Finding(f"weights {name}", False, str(error)))
            continue
        for file in files:
            findings.append(_weight(model, name, file))
    return findings


def check_store(db: str) -> list[Finding]:
    """Ask the store for its health, and whether the packaged embedder fits it."""
    if missing(db):
        return [Finding("store", True, f"none at {db} yet")]
    try:
        with opened_store(db) as store:
            report: Mapping[str, str | int] = store.check() if isinstance(store, _Checked) else {}
    except PrefmemError as error:
        return [Finding("store", False, str(error))]
    detail = ", ".join(f"{name} {value}" for name, value in report.items())
    sound = report.get("integrity", "ok") == "ok"
    return [Finding("store", sound, f"{shown(db)}: {detail}"), *_basis(report)]


def _basis(report: Mapping[str, object]) -> list[Finding]:
    held = report.get("basis")
    try:
        packaged = MiniLMEmbedder().basis
    except PrefmemError:  # said by check_weights
        return []
    if held in (None, packaged):
        return []
    detail = f"the vectors are of {held}, the packaged embedder is {packaged}"
    return [Finding("store basis", False, f"{detail}; export the users and import them anew")]


def _is_manifest(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8"))["files"], dict)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _weight(model: PackagedModel, name: str, file: str) -> Finding:
    try:
        size = len(model.read(file))
    except PrefmemError as error:
        return Finding(f"weights {name}", False, str(error))
    return Finding(f"weights {name}", True, f"{file}, {size / 1e6:.1f} MB, hash as in the manifest")


def _print(versions: Mapping[str, str], findings: list[Finding]) -> None:
    screen = console()
    screen.print(", ".join(f"{name} {number}" for name, number in versions.items()))
    table = grid("", "checked", "found", wide="found")
    for finding in findings:
        table.add_row("ok" if finding.ok else "!!", finding.what, finding.detail)
    screen.print(table)
