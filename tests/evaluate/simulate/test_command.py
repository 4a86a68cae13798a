import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from prefmem.errors import ConfigError, MissingExtraError
from prefmem.evaluate.publish import ManyValues
from prefmem.evaluate.simulate import plots, runs
from prefmem.evaluate.simulate.command import user_model
from prefmem.evaluate.simulate.embedders import make
from prefmem.evaluate.simulate.setting import Setting
from prefmem.evaluate.simulate.speed import CARDS, measure
from prefmem.evaluate.simulate.sweeps import SWEEPS, chosen
from prefmem.train.progress import silent
from prefmem.usermodel.ledger import Ledger

app = typer.Typer()
app.command("user-model", cls=ManyValues)(user_model)


@app.command()
def other() -> None:
    """Stand beside the command, so that it needs its name."""


def plan(cache: Path, sessions: int = 2) -> runs.Plan:
    return runs.Plan(Setting(sessions=sessions), (1, 2), 3, "hash", cache)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_command_prints_and_writes_all(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    arguments = [
        "user-model", "--seeds", "1", "2", "--users", "2", "--sessions", "3", "--policies", "vars",
        "ledger", "--embedder", "hash", "--workers", "1", "--cache", str(cache), "--sweep",
        "limit-1", "no-text", "--json", str(path),
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["seeds"] == [1, 2]
    assert list(content["figures"]) == ["vars", "ledger"]
    assert list(content["swept"]) == ["limit-1", "no-text"]
    found = content["figures"]["ledger"]["complaint rate"]
    assert found["cases"] == 4  # 2 seeds x 2 users
    assert found["low"] <= found["value"] <= found["high"]
    assert content["swept"]["limit-1"]["vars"]["injected a turn"]["value"] == 1
    assert content["against"]["vars"]["regret against vars"]["value"] == 0
    assert [cost["cards"] for cost in content["costs"]["ledger"]] == list(CARDS)
    assert len(content["curves"]["vars"]["regret"]) == 3
    assert {"harm turns", "bytes at 100 cards"} <= {check["name"] for check in content["checks"]}
    for word in ("complaint %", "| limit-1", "recall@3", "select us"):
        assert word in done.output


@pytest.mark.parametrize(
    "arguments",
    [["--policies", "lodger"], ["--sweep", "weather"], ["--embedder", "large"]],
)
def test_what_is_unknown_is_refused(arguments: list[str], cache: Path) -> None:
    base = ["user-model", "--users", "1", "--sessions", "1", "--cache", str(cache)]
    done = CliRunner().invoke(app, [*base, *arguments])
    assert isinstance(done.exception, ConfigError)
    assert "known are" in str(done.exception)


def test_a_seed_below_zero_is_refused(cache: Path) -> None:
    done = CliRunner().invoke(app, ["user-model", "--seeds", "-1", "--cache", str(cache)])
    assert done.exit_code == 2


@pytest.mark.slow
def test_processes_change_nothing(cache: Path) -> None:
    alone = runs.run(plan(cache), ["ledger"], workers=1, progress=silent)["ledger"]
    shared = runs.run(plan(cache), ["ledger"], workers=2, progress=silent)["ledger"]
    assert [(o.seed, o.index) for o in alone] == [(s, i) for s in (1, 2) for i in range(3)]
    for one, other_ in zip(alone, shared, strict=True):
        assert (one.counts == other_.counts).all()
        assert (one.vector == other_.vector).all()


def test_progress_reaches_its_end(cache: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def tell(stage: str, done: int, count: int) -> None:
        told.append((stage, done, count))

    runs.run(plan(cache), ["no-memory"], workers=1, world="hash", progress=tell)
    assert told[-1] == ("hash no-memory", 2, 2)  # two seeds, their users at once


def test_sweeps_change_a_plan(cache: Path) -> None:
    assert set(chosen(["all"])) == set(SWEEPS)
    large = SWEEPS["cards-5000"].of(runs.Plan(Setting(), (1,), 60, "packaged", cache))
    assert (large.users, large.setting.sessions, large.setting.extra) == (10, 30, 5000)
    assert large.embedder == "packaged"
    small = SWEEPS["hash"].of(plan(cache, sessions=5))
    assert (small.users, small.setting.sessions, small.embedder) == (3, 5, "hash")


def test_state_is_below_a_kilobyte_at_100_cards() -> None:
    costs = measure(Ledger(), "grams-384", seed=0, progress=silent, rounds=5)
    assert [cost.cards for cost in costs] == list(CARDS)
    assert costs[1].size <= 1024
    assert all(cost.both.value > 0 for cost in costs)


def test_the_base_has_its_own_space() -> None:
    assert make("base").basis.startswith("all-MiniLM-L6-v2@")
    assert make("base").width == 384


def test_plots_are_drawn_or_say_what_to_install(tmp_path: Path) -> None:
    steps = np.linspace(0, 1, 60)
    curves = {
        name: {"complaint rate": (0.4 - rate * steps).tolist(), "regret": steps.tolist()}
        for name, rate in (("vars", 0.0), ("ledger", 0.2))
    }
    if find_spec("matplotlib") is None:
        with pytest.raises(MissingExtraError, match=r'pip install "prefmem\[plots\]"'):
            plots.draw(curves, tmp_path)
        return
    paths = plots.draw(curves, tmp_path / "new")
    assert [path.name for path in paths] == ["complaints.png", "regret.png", "adaptation.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    short = {name: {key: row[:3] for key, row in curve.items()} for name, curve in curves.items()}
    assert len(plots.draw(short, tmp_path)) == 2
