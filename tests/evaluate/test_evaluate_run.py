import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prefmem.evaluate.run import app

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    ("arguments", "row"),
    [
        (["extraction", "--split", "dev"], "windows: F1"),
        (["retrieval", "--stores", "5"], "MRR"),
        (["relations", "--split", "dev"], "cards that stay and are closed"),
        (
            ["performance", "--cards", "20", "--rounds", "5", "--sizes", "1", "--calls", "5"],
            "recall / embedding",
        ),
        (["elicitation", "--users", "10"], "traits known"),
    ],
)
def test_each_table_is_printed_and_written(arguments: list[str], row: str, tmp_path: Path) -> None:
    given = [*arguments, "--seed", "1"]
    done = CliRunner().invoke(app, [*given, "--out", str(tmp_path), "--no-plots"])
    assert done.exit_code == 0, done.output
    assert row in done.output
    name = arguments[0]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.json", f"{name}.md"}
    content = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert content["seed"] == 1
    assert content["command"] == f"prefmem evaluate {' '.join(given)}"
    found = [cell for part in content["parts"] for cell in part["rows"].get(row, {}).values()]
    assert found
    assert all(cell["low"] <= cell["value"] <= cell["high"] for cell in found)
    assert f"| {row} |" in (tmp_path / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", ["extraction", "recall", "relations", "followups"])
def test_only_two_splits_are_known(table: str) -> None:
    done = CliRunner().invoke(app, [table, "--split", "train"])
    assert done.exit_code == 2
