"""The page of this host: its snippets run, its tables are whole, its tests exist."""

import inspect
import re
from pathlib import Path

import pytest

from prefmem_langchain import PreferenceMiddleware

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "integrations" / "prefmem_langchain" / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.model
@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_each_snippet_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(SNIPPETS[number], f"snippet {number}", "exec"), {"__name__": "__main__"})  # noqa: S102  # our own text


def test_every_option_is_in_the_table() -> None:
    table = PAGE.split("## Options")[1].split("\n## ")[0]
    told = {
        name
        for row in re.findall(r"^\| (`.*?) \|", table, re.M)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert told == set(inspect.signature(PreferenceMiddleware.__init__).parameters) - {"self"}


def test_every_pitfall_has_a_line_and_a_test() -> None:
    lines = re.findall(r"^\| (\d+) \|", PAGE, re.M)
    assert lines == [str(number) for number in range(1, 18)]
    tests = "".join(
        p.read_text(encoding="utf-8")
        for p in (ROOT / "tests/integrations").glob("test_pitfalls_*.py")
    )
    found = {int(number) for number in re.findall(r"def test_pitfall_(\d\d)_", tests)}
    assert found == set(range(1, 18))
