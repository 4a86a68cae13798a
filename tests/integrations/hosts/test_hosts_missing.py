"""The hosts' packages without the hosts."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from prefmem import MissingExtraError

HOSTS = [
    ("prefmem_pydantic_ai", "PreferenceCapability", "pydantic_ai", "pydantic-ai"),
    ("prefmem_openai_agents", "PreferenceHooks", "agents", "openai-agents"),
    ("prefmem_llamaindex", "PreferenceBlock", "llama_index", "llama-index"),
]


@pytest.mark.parametrize(("package", "name", "needed", "extra"), HOSTS)
def test_a_missing_host_is_told_with_the_line_that_installs_it(
    package: str, name: str, needed: str, extra: str
) -> None:
    module = import_module(package)
    assert dir(module) == [name]
    with pytest.raises(AttributeError, match="has no attribute 'x'"):
        _ = module.x
    if find_spec(needed):
        pytest.skip(f"{needed} is installed")
    with pytest.raises(MissingExtraError) as told:
        getattr(module, name)
    line = f'pip install "prefmem[{extra}]"'
    assert str(told.value) == f"{package}.{name} needs {extra}: {line}"


def test_the_packages_load_nothing_heavy() -> None:
    names = ", ".join(["prefmem_hosts", *(package for package, *_ in HOSTS)])
    code = (
        f"import sys, {names}; print({{'torch', 'faiss', 'langchain_core'}} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
