import subprocess
import sys
from importlib import import_module

import pytest

import prefmem_langchain
from prefmem import MissingExtraError

LIGHT = """
import sys, prefmem_langchain
heavy = {"langchain", "langchain_core", "langgraph", "torch"} & set(sys.modules)
raise SystemExit(sorted(heavy) or 0)
"""


def block(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make a package look as if it was not installed."""
    for name in list(sys.modules):
        if name.startswith((f"{package}.", "prefmem_langchain.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def test_import_is_light() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_public_names_are_there() -> None:
    assert dir(prefmem_langchain) == prefmem_langchain.__all__
    for name in prefmem_langchain.__all__:
        assert getattr(prefmem_langchain, name).__name__ == name
    unknown = "Nothing"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        getattr(prefmem_langchain, unknown)


def test_missing_langchain_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    block(monkeypatch, "langchain")
    with pytest.raises(MissingExtraError) as caught:
        prefmem_langchain.PreferenceMiddleware  # noqa: B018
    assert str(caught.value) == (
        'prefmem_langchain.PreferenceMiddleware needs langchain: pip install "prefmem[langchain]"'
    )
    assert isinstance(prefmem_langchain.RecallNode, type)  # the nodes do without it


@pytest.mark.parametrize("name", sorted(set(prefmem_langchain.__all__) - {"PreferenceMiddleware"}))
def test_missing_langgraph_names_the_install_line(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    block(monkeypatch, "langgraph")
    with pytest.raises(MissingExtraError) as caught:
        getattr(prefmem_langchain, name)
    assert str(caught.value) == (
        f'prefmem_langchain.{name} needs langgraph: pip install "prefmem[langgraph]"'
    )


def test_another_missing_module_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    block(monkeypatch, "asyncio")
    with pytest.raises(ModuleNotFoundError, match="asyncio") as caught:
        prefmem_langchain.RecallNode  # noqa: B018
    assert not isinstance(caught.value, MissingExtraError)


def test_submodules_import_by_name() -> None:
    assert import_module("prefmem_langchain.nodes").LearnNode is prefmem_langchain.LearnNode
