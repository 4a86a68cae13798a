"""`prefmem evaluate agent` on a tiny model, from training to the report, and once more."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prefmem.agent.prompts import rules_asked, written
from prefmem.evaluate.agent.authors import lessons_of
from prefmem.evaluate.run import app

Dialogue = tuple[list[dict[str, str]], str]


@pytest.fixture(scope="module")
def base(
    tmp_path_factory: pytest.TempPathFactory,
    train_qwen3: Callable[[Path, Sequence[Dialogue]], None],
) -> Path:
    """Give a two-layer Qwen3 that has seen how rules are asked for."""
    folder = tmp_path_factory.mktemp("base")
    learned = lessons_of("edda", "dev", each=1, seed=0)
    train_qwen3(folder, [(rules_asked(x.task), written(x.rules)) for x in learned])
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks for it
def test_agents_are_trained_asked_and_reported(base: Path, tmp_path: Path) -> None:
    sizes = (
        "--authors", "2", "--texts", "1", "--steps", "60", "--layers", "0", "--intents", "1",
        "--shown", "3", "--prompts", "6", "--answer", "16", "--judged", "2", "--ranks", "8",
        "--adapters", "3", "--base", str(base), "--judge", str(base), "--out", str(tmp_path),
    )  # fmt: skip
    run = CliRunner().invoke(app, ["agent", "--quick", *sizes])
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    figures: dict[str, dict[str, Any]] = found["figures"]
    assert figures["rule loss: end"]["value"] < figures["rule loss: start"]["value"]
    assert {"naive loss: fall", "agent: recovered", "few-shot: recovered", "judge: win rate"} <= {
        *figures
    }
    assert figures["obedient: own agent above no rules"]["cases"] == 6
    assert f"{base}: own agent above another agent" in figures
    assert figures["rank 8, alma: loss: end"]["value"] > 0
    assert len(found["permutation"]["matrix"]) == 2
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "### bertram" in report
    assert (tmp_path / "permutation.png").read_bytes().startswith(b"\x89PNG")

    stages = {path: path.read_bytes() for path in (tmp_path / "stages").iterdir()}
    again = CliRunner().invoke(app, ["agent", "--quick", *sizes])
    assert again.exit_code == 0, again.output
    assert {path: path.read_bytes() for path in stages} == stages  # nothing was done anew
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8")) == found


@pytest.mark.parametrize(
    ("options", "said"), [(["--rank", "7"], "rank=7"), (["--authors", "1"], "--authors")]
)
def test_sizes_that_cannot_be_are_refused(options: list[str], said: str, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["agent", "--out", str(tmp_path), *options])
    assert run.exit_code != 0
    assert said in run.output + str(run.exception)
