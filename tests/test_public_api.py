"""What the package offers, what importing it costs, and that all of it is documented."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import prefmem

HEAVY = (
    "torch", "transformers", "langchain", "langchain_core", "langgraph", "onnxruntime", "faiss",
    "tokenizers", "sentence_transformers",
)  # fmt: skip
CORE = [
    name
    for _, name, _ in pkgutil.walk_packages(prefmem.__path__, "prefmem.")
    if not name.endswith("__main__") and name.split(".")[1] not in ("train", "evaluate", "cli")
]


def loaded_after(statement: str) -> set[str]:
    """Give the top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}; import sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    loaded = loaded_after("import prefmem; prefmem.__all__; dir(prefmem)")
    assert "prefmem" in loaded
    assert loaded.isdisjoint({*HEAVY, "numpy", "pydantic"})


def test_the_memory_loads_no_host_and_no_framework() -> None:
    light = {"onnxruntime", "faiss", "tokenizers"}
    loaded = loaded_after("from prefmem import *")
    assert "faiss" in loaded
    assert loaded.isdisjoint({*HEAVY} - light)
    loaded = loaded_after(
        "import prefmem; memory = prefmem.PreferenceMemory(':memory:'); memory.close()"
    )
    assert loaded.isdisjoint({*HEAVY} - light)


def test_all_is_what_the_package_offers() -> None:
    offered = {name for name in dir(prefmem) if not name.startswith("__")}
    assert offered == set(prefmem.__all__)
    assert len(prefmem.__all__) == len(set(prefmem.__all__)) <= 25
    for name in prefmem.__all__:
        assert getattr(prefmem, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = prefmem.nothing  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  # the point


def test_the_typed_names_are_the_lazy_ones() -> None:
    tree = ast.parse(Path(prefmem.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prefmem.")
        for alias in node.names
    }
    assert typed == set(prefmem.__all__)
    assert (Path(prefmem.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("name", CORE)
def test_every_public_name_is_documented(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except prefmem.MissingExtraError:
        pytest.skip("an extra is missing")
    assert module.__doc__
    for thing in undocumented(module):
        pytest.fail(f"{name}: {thing} has no docstring")


def undocumented(module: ModuleType) -> list[str]:
    missing: list[str] = []
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
            continue
        if inspect.isclass(thing):
            members = [
                f"{name}.{key}"
                for key, member in vars(thing).items()
                if not key.startswith("_") and inspect.isfunction(member) and not member.__doc__
            ]
            missing += members
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and not thing.__doc__:
            missing.append(name)
    return missing
