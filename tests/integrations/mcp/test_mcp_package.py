import json
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest

import prefmem_mcp
from prefmem import ConfigError, MissingExtraError, PreferenceMemory, UserRequiredError
from prefmem_mcp import KeyVerifier, preference_server
from prefmem_mcp.command import mcp

# of other commands
OTHERS = {"--env", "--header", "--tests", "--status", "--all"}
LIGHT = """
import sys, prefmem_mcp, prefmem_mcp.command
heavy = {"mcp", "starlette", "uvicorn", "jwt", "torch"} & set(sys.modules)
raise SystemExit(sorted(heavy) or 0)
"""


def test_import_is_light() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_public_names_are_there() -> None:
    assert dir(prefmem_mcp) == prefmem_mcp.__all__
    for name in prefmem_mcp.__all__:
        assert getattr(prefmem_mcp, name).__name__ == name
    unknown = "Nothing"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        getattr(prefmem_mcp, unknown)


@pytest.mark.parametrize("name", prefmem_mcp.__all__)
def test_missing_mcp_names_the_install_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.startswith(("mcp.", "mcp_types.", "prefmem_mcp.")):
            monkeypatch.delitem(sys.modules, module)
    for module in ("mcp", "mcp_types"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        getattr(prefmem_mcp, name)
    assert str(caught.value) == f'prefmem_mcp.{name} needs mcp: pip install "prefmem[mcp]"'


def test_another_missing_module_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.startswith(("prefmem_mcp.", "prefmem_keys.")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tomllib", None)
    with pytest.raises(ModuleNotFoundError, match="tomllib") as caught:
        prefmem_mcp.KeyVerifier  # noqa: B018
    assert not isinstance(caught.value, MissingExtraError)


def test_the_examples_of_the_page_can_be_used() -> None:
    page = (Path(prefmem_mcp.__file__).parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        (servers,) = json.loads(block).values()
        assert servers["prefmem"].get("args", ["mcp"])[0] == "mcp"
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    compile(code, "README.md", "exec")
    known = {f"--{name.replace('_', '-')}" for name in signature(mcp).parameters}
    assert set(re.findall(r"(?<=[\s`\"])--[a-z][a-z-]+", page)) <= known | OTHERS


def test_a_server_needs_to_know_whom_it_serves(memory: PreferenceMemory, keys: Path) -> None:
    with pytest.raises(ConfigError, match="there is no default user"):
        preference_server(memory)
    with pytest.raises(ConfigError, match="there is no default user"):
        preference_server(memory, user_id="ann", verifier=KeyVerifier(keys))
    with pytest.raises(UserRequiredError):
        preference_server(memory, user_id=" ")
    with pytest.raises(ConfigError, match="go together"):
        preference_server(memory, user_id="ann", issuer="https://id.example")
