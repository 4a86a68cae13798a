import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from prefmem.evaluate.run import app

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    ("arguments", "figure"),
    [
        (["extraction", "--split", "dev"], "stored, windows: F1"),
        (["retrieval", "--stores", "5"], "MRR"),
        (["relations", "--split", "dev"], "cards that stay and are closed"),
        (["cost", "--cards", "20", "--rounds", "5"], "recall / embedding"),
    ],
)
def test_each_table_is_printed_and_written(
    arguments: list[str], figure: str, tmp_path: Path
) -> None:
    path = tmp_path / "figures.json"
    done = CliRunner().invoke(app, [*arguments, "--seed", "1", "--json", str(path)])
    assert done.exit_code == 0, done.output
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["seed"] == 1
    found = content["figures"][figure]
    assert found["low"] <= found["value"] <= found["high"]
    assert figure in done.output


@pytest.mark.parametrize("table", ["extraction", "recall", "relations"])
def test_only_two_splits_are_known(table: str) -> None:
    done = CliRunner().invoke(app, [table, "--split", "train"])
    assert done.exit_code == 2
