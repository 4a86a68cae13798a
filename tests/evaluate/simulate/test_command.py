import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from prefmem.errors import ConfigError
from prefmem.evaluate.publish import ManyValues
from prefmem.evaluate.simulate import runs
from prefmem.evaluate.simulate.command import user_model
from prefmem.evaluate.simulate.curves import lines
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
    arguments = [
        "user-model", "--seeds", "1", "2", "--users", "2", "--sessions", "3", "--policies", "vars",
        "ledger", "--embedder", "hash", "--workers", "1", "--cache", str(cache), "--sweep",
        "limit-1", "no-text", "--out", str(tmp_path), "--no-plots",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "user-model.json").read_text(encoding="utf-8"))
    assert content["seed"] == [1, 2]
    parts = {part["title"]: part["rows"] for part in content["parts"]}
    assert list(parts["Policies"]) == ["vars", "ledger"]
    found = parts["Policies"]["ledger"]["complaints"]
    assert found["cases"] == 4  # 2 seeds x 2 users
    assert found["low"] <= found["value"] <= found["high"]
    assert {"World `limit-1`", "World `no-text`"} <= {*parts}
    assert parts["Further figures"]["vars"]["injected a turn"]["value"] > 0
    assert parts["Against `vars`, a share of its figure"]["vars"]["regret"]["value"] == 0
    sizes = [name for name in parts["Processor time and size of a state"] if "ledger" in name]
    assert sizes == [f"ledger, {cards} cards" for cards in CARDS]
    regret = content["lines"][1]
    assert regret["title"] == "Regret, summed"
    assert [x for x, _ in regret["series"]["vars"]] == [0, 1, 2]
    assert {"harm turns", "bytes at 100 cards"} <= {*parts["To be reached"]}
    for word in ("complaints", "World `limit-1`", "recall@3", "select, microseconds"):
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


def test_curves_are_smooth_and_break_at_the_drift() -> None:
    steps = np.linspace(0, 1, 60)
    rates = {"complaint rate": [0.4] * 60, "regret": steps.tolist()}
    complaints, regret, adaptation = lines({"ledger": rates})
    assert complaints.series["ledger"][0] == pytest.approx((2.0, 0.4))  # the middle of five
    assert regret.series["ledger"][-1] == pytest.approx((59.0, 30.0))  # 60 x 0.5
    assert regret.marks == (36.0,)
    gap = [x for x, _ in adaptation.series["ledger"] if x != x]
    assert len(gap) == 1
    short = {key: row[:3] for key, row in rates.items()}
    assert [one.marks for one in lines({"ledger": short})] == [(), ()]
