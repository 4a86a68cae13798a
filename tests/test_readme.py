"""The README runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

pytestmark = pytest.mark.model


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_each_snippet_runs(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_qwen3_folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    # the hub is out of reach: a tiny model of the same architecture stands in its place
    hub = "blackhao0426/pref-extractor-qwen3-0.6b-full-sft"
    code = SNIPPETS[number].replace(hub, str(tiny_qwen3_folder))
    (tmp_path / "master.key").write_bytes(bytes(range(32)))
    if "postgresql://localhost/app" in code:  # a server of the tests
        code = code.replace("postgresql://localhost/app", request.getfixturevalue("dsn"))
    exec(compile(code, f"README snippet {number}", "exec"), {"__name__": "__main__"})  # noqa: S102  # our own text


def test_the_commands_of_the_readme_exist() -> None:
    section = README.split("## On the command line")[1].split("```")[1]
    shown = set(re.findall(r"^prefmem (\w+)", section, re.MULTILINE))
    assert {"demo", "learn", "recall", "list", "doctor"} <= shown
    told = subprocess.run(
        [sys.executable, "-m", "prefmem", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(re.search(rf"\b{command}\b", told) for command in shown)
