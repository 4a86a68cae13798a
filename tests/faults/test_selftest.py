"""`prefmem selftest` as people call it, and the report that many runs make together."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prefmem import PrefmemError
from prefmem.cli import app
from prefmem.selftest import run as runner
from prefmem.selftest.faults import FAULTS
from prefmem.selftest.ground import Fault, Finding, Ground
from prefmem.selftest.report import Report, Row

CLOCK = next(fault for fault in FAULTS if fault.name == "clock")


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


def call(*args: object) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    return CliRunner().invoke(
        app, ["selftest", *map(str, args)], env={"COLUMNS": "100", "NO_COLOR": "1"}
    )


def row(fault: str, **given: object) -> Row:
    held: dict[str, Any] = {
        "title": "what goes wrong", "bound": "0 lost", "backend": "sqlite", "size": 1_000,
        "unit": "kills", "passed": True, "told": "0 of 3,000 lost", "figures": {"lost": 0},
        "seconds": 12.4, "command": f"prefmem selftest --only {fault}", "seed": 0,
        "at": datetime(2026, 1, 2, tzinfo=UTC), "versions": {"python": "3.11.7"},
        "machine": {"cores": "2"},
    }  # fmt: skip
    return Row.model_validate({"fault": fault, **held, **given})


def test_names_are_unique_and_every_fault_can_be_loaded() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        assert fault.small <= fault.full
        assert callable(fault.load())


def test_a_report_is_merged_row_by_row(tmp_path: Path) -> None:
    order = [fault.name for fault in FAULTS]
    Report().merged([row("soak"), row("kill")], order).write(tmp_path)
    later = datetime(2026, 1, 3, tzinfo=UTC)
    failed = row("kill", passed=False, told="2 | 3,000 lost", at=later)
    Report.read(tmp_path).merged([failed], order).write(tmp_path)
    held = Report.read(tmp_path)
    assert [(r.fault, r.passed) for r in held.rows] == [("kill", False), ("soak", True)]

    told = call("report", "--out", tmp_path)
    assert told.exit_code == 0
    assert told.stdout == (tmp_path / "report.md").read_text("utf-8")
    assert told.stdout.splitlines()[2] == (
        "| what goes wrong | 0 lost | 2 / 3,000 lost | 1,000 kills | NO | 12 "
        "| `prefmem selftest --only kill` | 2026-01-03 |"
    )
    assert "1. 2026-01-03: python 3.11.7; cores 2\n2. 2026-01-02: python" in told.stdout


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    empty = call("report", "--out", tmp_path)
    assert (empty.exit_code, "there is no report in" in empty.stderr) == (1, True)
    (tmp_path / "report.json").write_text('{"format": "other"}', encoding="utf-8")
    with pytest.raises(PrefmemError, match=r"report\.json is no report"):
        Report.read(tmp_path)


def test_an_unknown_fault_and_a_missing_database_are_named() -> None:
    unknown = call("--only", "kill,meteor")
    assert unknown.exit_code == 1
    assert "no fault is called 'meteor'; known are kill, crowd" in unknown.stderr


def test_a_run_tells_passes_and_merges(tmp_path: Path) -> None:
    out = tmp_path / "report"
    told = call(
        "--only", "clock", "--size", 1, "--seed", 7, "--dir", tmp_path, "--out", out, "--json"
    )
    assert told.exit_code == 0, told.output
    assert "ok clock (sqlite," in told.stderr
    (found,) = json.loads(told.stdout)["rows"]
    assert (found["passed"], found["size"], found["seed"]) == (True, 1, 7)
    assert found["figures"]["differences"] == 0
    assert found["command"] == "prefmem selftest --only clock --size 1 --seed 7"
    assert [r.fault for r in Report.read(out).rows] == ["clock"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]  # nothing is left behind


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (Finding("clock", False, 3, {"lost": 1}, "1 lost"), "1 lost"),
        (KeyError("what a user said"), "broke off: KeyError at test_selftest.py:"),
    ],
)
def test_a_bound_that_is_missed_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, result: object, told: str
) -> None:
    def run(ground: Ground, size: int) -> Finding:
        assert (ground.folder.parent, size) == (tmp_path, 12)
        if isinstance(result, Finding):
            return result
        raise result  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # an error

    monkeypatch.setattr(Fault, "load", lambda fault: run)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    found = runner.run(runner.Plan(folder=tmp_path), CLOCK, "sqlite", silent)
    assert not found.passed
    assert found.told.startswith(told)
    assert "what a user said" not in found.model_dump_json()
    assert call("--only", "clock", "--dir", tmp_path).exit_code == 1


Sizes = Callable[[str], int]


@pytest.mark.parametrize(("name", "size"), [("kill", 8), ("full", 6), ("damage", 9)])
def test_faults_hold_in_small(tmp_path: Path, name: str, size: int) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    plan = runner.Plan(only=(name,), size=size, folder=tmp_path, seed=3)
    found = runner.run(plan, fault, "sqlite", silent)
    assert found.passed, found.told
    assert found.size == size
