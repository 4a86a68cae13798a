"""Each example runs as it stands, offline; one process runs them all, as imports take longest."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FINE = "assistant: Fine."
KEPT = "I keep to: "
SHOWN = {  # example: how lines of its output begin, in order
    "01_plain_loop": (
        "learned: When you write SQL, use CTEs. | from: whenever you write SQL, use CTEs",
        f"assistant: {KEPT}Avoid emojis in answers. When you write SQL, use CTEs.",
        "global ",
        "relevant ",
        "another user gets: ()",
    ),
    "02_langchain_agent": (
        FINE,
        f"assistant: {KEPT}When giving recipes, avoid coriander.",
        "bob@example.org: A quick dinner recipe?",
        FINE,
    ),
    "03_langgraph_nodes": (
        "monday: Fine.",
        f"tuesday: {KEPT}When you write mails for me, sign with just T.",
        "in the checkpoint: ['",
    ),
    "04_background_learning": (
        "left to learn: 1",
        "all learned: True",
        "rules: ['When you write Python for me, add type hints.']",
        "the first turn, handed over again, is new: False",
        f"assistant: {KEPT}When you write Python for me, add type hints.",
    ),
    "05_basestore": (
        f"assistant: {KEPT}When you plan trips for me, go by train.",
        "in the store: When you plan trips for me, go by train.",
        "forgotten: 1 card",
    ),
    "06_tools_and_retriever": (
        "tool: {",
        "tool: The arguments cannot be used: user_id",
        "bob has: ()",
        "retrieved: When writing mails, sign with just A.",
    ),
    "07_mcp_client": (
        "tools: add_preference, edit_preference, forget_preference, list_preferences",
        "add_preference: ",
        "recall_preferences: <user-preferences-",
        "list_preferences: ",
        "resource: prefmem://preferences",
    ),
    "08_rest_client": (
        "learned: ['When you write mails for me, be very formal.']",
        f"assistant: {KEPT}When you write mails for me, be very formal.",
        "without a key: 401",
    ),
    "09_openai_proxy": (FINE, "learned: ['When you write mails for me, be very formal.']"),
    "10_feedback_and_edits": (
        "belief ",
        "  edited; no rule yet",
        "  edited; ['When writing a mail",
    ),
    "11_commands": (
        "assistant: I'll remember: Prefer metric units.",
        "assistant: I went by what I remember about how you like things done: Keep your answers",
        "assistant: I've forgotten: Prefer metric units.",
    ),
    "12_pydantic_ai": (f"ann gets: {KEPT}", "bob gets: Fine.", "a rule in the history: False"),
    "13_openai_agents": ("ann gets: Fine.", f"ann gets: {KEPT}", "bob gets: Fine."),
    "14_llamaindex": ("ann gets: Fine.", f"ann gets: {KEPT}", "bob gets: Fine."),
    "15_import_mem0": (
        "Prefer concise answers without preamble.  <- 'User prefers concise answers",
        "left out: 'User has a dog named Poppy': no standing preference",
        "again: 0 added",
        "from langmem: ['In mails, avoid emojis.']",
    ),
}
SERVERS = ("07_mcp_client", "08_rest_client", "09_openai_proxy")
NEEDS = {
    "01_plain_loop": "openai",
    "02_langchain_agent": "langchain_openai",
    "03_langgraph_nodes": "langchain_openai",
    "04_background_learning": "openai",
    "05_basestore": "langchain_openai",
    "06_tools_and_retriever": "langchain_openai",
    "07_mcp_client": "mcp_types",  # of mcp 2
    "08_rest_client": "fastapi",
    "09_openai_proxy": "fastapi",
    "12_pydantic_ai": "pydantic_ai",
    "13_openai_agents": "agents",
    "14_llamaindex": "llama_index",
}

MARK = "\x1f"
RUNNER = f"""
import runpy, sys, traceback
paths = sys.argv[1:]
sys.path.insert(0, paths[0].rpartition("/")[0])
for path in paths:
    print({MARK!r}, end="", flush=True)
    sys.argv = [path]
    try:
        runpy.run_path(path, run_name="__main__")
    except Exception:
        traceback.print_exc(file=sys.stdout)
"""

pytestmark = pytest.mark.model


def test_every_example_is_here_and_short() -> None:
    found = {path.stem: path for path in EXAMPLES.glob("[0-9]*.py")}
    assert found.keys() == SHOWN.keys()
    for path in found.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path.name


def runs_here(name: str) -> bool:
    return find_spec(NEEDS.get(name, "prefmem")) is not None


def outputs(names: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """Run examples one after the other in one process; gives the lines that each printed."""
    run = subprocess.run(
        [sys.executable, "-c", RUNNER, *(str(EXAMPLES / f"{name}.py") for name in names)],
        cwd=folder,  # not the repository: what is installed counts
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"},  # noqa: TID251  # a child's
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    parts = run.stdout.split(MARK)[1:]
    return {name: part.splitlines() for name, part in zip(names, parts, strict=True)}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Give what the quick examples print."""
    quick = [name for name in SHOWN if runs_here(name) and name not in SERVERS]
    return outputs(quick, tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize("name", [name for name in SHOWN if name not in SERVERS])
def test_an_example_shows_what_prefmem_does(name: str, shown: dict[str, list[str]]) -> None:
    if name not in shown:
        pytest.skip(f"{name} needs {NEEDS[name]}, which is not installed")
    in_order(SHOWN[name], shown[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_an_example_with_a_server_shows_it_too(name: str, tmp_path: Path) -> None:
    if not runs_here(name):
        pytest.skip(f"{name} needs {NEEDS[name]}, which is not installed")
    in_order(SHOWN[name], outputs([name], tmp_path)[name])


def in_order(wanted: Sequence[str], told: Sequence[str]) -> None:
    """Find the beginnings of lines, one after the other."""
    lines = iter(told)
    for beginning in wanted:
        found = any(line.startswith(beginning) for line in lines)
        assert found, f"no {beginning!r} in order in:\n" + "\n".join(told)
