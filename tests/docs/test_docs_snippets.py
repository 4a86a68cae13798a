"""What a page shows in Python or as a shell script runs: in order, page by page, offline.

The Python of a page shares one namespace, its shell scripts one folder. Blocks of another kind
(`text`, or none) are for reading: their commands are checked by name in test_docs_pages.
"""

import ast
import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from prefmem_docs import text

from prefmem_keys.file import make_key

SOURCES = text.sources()
SHOWN = {
    page: tuple(block for block in text.blocks(written) if not block.title)
    for page, written in SOURCES.items()
}
LANGUAGES = ("python", "sh")
RUN = [page for page, blocks in SHOWN.items() if any(b.language in LANGUAGES for b in blocks)]

# what a page takes for granted: its reader's own model, key and data
GIVEN = {
    "hosts/llamaindex.md": """
from llama_index.core.llms.mock import MockFunctionCallingLLM
llm = MockFunctionCallingLLM()
""",
    "hosts/openai_agents.md": """
from agents import set_default_openai_api, set_tracing_disabled
set_tracing_disabled(True)
set_default_openai_api("chat_completions")
""",
    "hosts/proxy.md": """
from langchain_openai import ChatOpenAI
from openai import OpenAI
KEY, messages = "pm_key", [{"role": "user", "content": "Hi"}]
""",
    "migration.md": """
from prefmem import PreferenceMemory
memory = PreferenceMemory(":memory:")
data = [{"id": "1", "memory": "User prefers short answers", "user_id": "user-17"}]
""",
}
STAND_INS = {"openai:gpt-5": "openai-chat:gpt-5"}  # the parrot knows the older of OpenAI's APIs

# a page need not close what it opens
LEFT_OPEN = "ignore::pytest.PytestUnraisableExceptionWarning"
HOSTS_OWN = "ignore::DeprecationWarning"  # LlamaIndex's agents read deprecated fields of their own
pytestmark = [
    pytest.mark.model,
    pytest.mark.long,
    pytest.mark.filterwarnings(LEFT_OPEN, HOSTS_OWN),
]


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """Give the address of a chat model on this machine that says the rules it was given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(text.ROOT / "examples"))  # pyright: ignore[reportUnknownMemberType]  # untyped in pytest
        patch.setattr(sys, "argv", ["pytest"])
        shared: Any = import_module("shared")
        with shared.endpoint(None) as given:
            yield str(given.url)


@pytest.mark.parametrize("page", RUN)
def test_what_a_page_shows_runs(
    page: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    code = [GIVEN.get(page, ""), *(b.code for b in SHOWN[page] if b.language == "python")]
    if missing := sorted(name for name in imported("\n".join(code)) if find_spec(name) is None):
        pytest.skip(f"{page} needs {', '.join(missing)}")
    prepare(tmp_path, model, monkeypatch)
    namespace: dict[str, object] = {"__name__": "__main__"}
    run(page, code[0], namespace)
    for block in SHOWN[page]:
        if block.language == "sh":
            shell(page, block.code)
        elif block.language == "python":
            snippet = block.code.replace("http://localhost:8765/v1", model)
            if "postgresql://localhost/app" in snippet:
                snippet = snippet.replace(
                    "postgresql://localhost/app", request.getfixturevalue("dsn")
                )
            for shown, stand_in in STAND_INS.items():
                snippet = snippet.replace(shown, stand_in)
            run(page, snippet, namespace)


def imported(code: str) -> set[str]:
    """Name the packages that a piece of code imports."""
    tree = ast.walk(
        compile(code, "page", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    )
    found: set[str] = set()
    for node in tree:
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def prepare(folder: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the folder that pages take for granted: a keys file, and a master key."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_BASE_URL", model)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    make_key(folder / "keys.json", "backend")
    make_key(folder / "keys.json", "laptop", user="ann")


def run(page: str, code: str, namespace: dict[str, object]) -> None:
    """Run Python as a page shows it; it may wait at the top level, as in a notebook."""
    made = compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if made.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(made, namespace))
    else:
        exec(made, namespace)  # noqa: S102  # our own text


def shell(page: str, code: str) -> None:
    """Run a shell script as a page shows it, with the `prefmem` of this interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251  # a child's
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": path}, timeout=300,  # noqa: TID251  # as above
    )  # fmt: skip
    assert done.returncode == 0, f"{page}\n{code}\n{done.stdout}{done.stderr}"
