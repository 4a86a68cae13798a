"""All tables in one folder; the faults as a table; what a memory takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prefmem.evaluate.commands.every import TABLES, index
from prefmem.evaluate.performance import by_cards, weight
from prefmem.evaluate.run import app
from prefmem.evaluate.table import VALUE, Cell
from prefmem.train.progress import silent


def run(*arguments: str) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    return CliRunner().invoke(app, list(arguments))


def value(cell: Cell) -> float:
    assert not isinstance(cell, str)
    return cell.value


@pytest.mark.slow
def test_a_table_that_is_there_is_kept(tmp_path: Path) -> None:
    words = ("all", "--only", "elicitation", "--quick", "--no-plots", "--out", str(tmp_path))
    first = run(*words)
    assert first.exit_code == 0, first.output
    path = tmp_path / "elicitation.json"
    made = path.read_bytes()
    told = json.loads(made)
    assert told["command"] == "prefmem evaluate elicitation --users 100"
    row = (
        "| [Elicitation, 100 users](elicitation.md) | `prefmem evaluate elicitation --users 100` |"
    )
    assert row in (tmp_path / "index.md").read_text(encoding="utf-8")
    again = run(*words)
    assert "elicitation: is there" in again.stderr
    assert path.read_bytes() == made
    path.write_text(json.dumps(told | {"versions": {}}), encoding="utf-8")
    assert "is there" not in run(*words).stderr


def test_every_table_is_a_command_with_known_options() -> None:
    for entry in TABLES:
        for options in (entry.full, entry.quick):
            assert run(entry.name, *options, "--help").exit_code == 0, entry.name


def test_an_unknown_table_is_refused(tmp_path: Path) -> None:
    assert run("all", "--only", "weather", "--out", str(tmp_path)).exit_code == 2


def test_the_index_lists_what_is_there_and_what_failed(tmp_path: Path) -> None:
    told = {"format": "prefmem.evaluate", "command": "c", "at": "2026-05-01T12:00:00+00:00"}
    for name, seconds in (("recall", 5.0), ("extraction", 1234.4), ("peers", 2.0)):
        content = told | {"title": name.title(), "cpu_seconds": seconds}
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    lines = index(tmp_path, {"talk": "too quiet"}).splitlines()
    assert [line for line in lines if line.startswith("| [")] == [
        "| [Extraction](extraction.md) | `c` | 2026-05-01 | 1,234 s |",
        "| [Recall](recall.md) | `c` | 2026-05-01 | 5 s |",
        "| [Peers](peers.md) | `c` | 2026-05-01 | 2 s |",
    ]
    assert lines[-1] == "- `talk`: too quiet"


def test_a_fault_that_was_run_is_not_run_again(tmp_path: Path) -> None:
    words = ("faults", "--only", "clock", "--size", "1", "--no-plots", "--out", str(tmp_path))
    first = run(*words)
    assert first.exit_code == 0, first.output
    content = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    (row,) = content["parts"][0]["rows"].values()
    assert (row["held"], row["command"]) == ("yes", "prefmem selftest --only clock --size 1")
    assert content["parts"][1]["rows"]["clock (sqlite), dialogues"]["held"]["value"] == 1
    stage = tmp_path / ".stages" / "faults" / "clock-sqlite.json"
    kept = json.loads(stage.read_text(encoding="utf-8"))
    kept["result"]["passed"] = False  # were it run again, it would pass
    stage.write_text(json.dumps(kept), encoding="utf-8")
    assert run(*words).exit_code == 1


def test_an_install_weighs_what_its_parts_weigh() -> None:
    rows = weight().rows
    own, others, whole = (
        value(rows[name][VALUE]) for name in ("prefmem itself", "what it depends on", "all")
    )
    assert own > value(rows["of that the embedded models"][VALUE]) > 50  # MB
    assert whole == pytest.approx(own + others)


@pytest.mark.model
def test_calls_are_timed_at_each_number_of_cards() -> None:
    (times, taken), curves = by_cards([1, 3], rounds=5, seed=0, progress=silent)
    assert [*times.rows] == ["1 cards", "3 cards"]
    assert {*taken.rows} == {"in memory", "on disk"}
    assert [x for x, _ in curves.series["recall"]] == [1, 3]
    row = times.rows["3 cards"]
    assert value(row["recall"]) > value(row["recall without the cross-encoder"]) > 0
