"""How figures are written: JSON, Markdown, picture, and what made them."""

import json
import math
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from prefmem.errors import MissingExtraError
from prefmem.evaluate import picture, stamp
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.publish import (
    Json,
    ManyValues,
    Measured,
    OutFolder,
    Plots,
    Seed,
    publish,
    write,
)
from prefmem.evaluate.table import Lines, Part, Table, figure_text, markdown, part, spread, text

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HALF = Figure(0.5, 0.25, 0.75, 8)
MADE = stamp.Stamp(
    "prefmem evaluate toy", 3, {"users": 8}, NOON, {"prefmem": "1"}, {"a.onnx": "ff"}, "ab" * 32,
    {"cores": "2"}, 1.5, 2.0,
)  # fmt: skip


def table(*parts: Part, lines: tuple[Lines, ...] = ()) -> Table:
    return Table("toy", "Toys", parts, MADE, "What toys do.", lines)


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (HALF, "0.500 [0.250, 0.750]"),
        (Figure(1, 1, 1, 4), "1.000"),
        (Figure(17.456, 16.891, 18.084, 4), "17.46 [16.89, 18.08]"),
        (Figure(12345.6, 12000, 12700, 4), "12,346 [12,000, 12,700]"),
        (Figure(-0.1, -0.2, 0.05, 4), "-0.100 [-0.200, 0.050]"),
    ],
)
def test_a_figure_has_as_many_places_as_it_needs(figure: Figure, said: str) -> None:
    assert figure_text(figure) == said


def test_a_page_shows_figures_words_and_what_made_them() -> None:
    both = spread({"old, kept": HALF, "new, kept": HALF, "other": HALF}, ("old", "new"))
    words = Part({"disk | full": {"held": "yes"}}, title="Faults")
    page = markdown(table(both, words), picture="toy.png").splitlines()
    assert page[0] == "# Toys"
    assert "`prefmem evaluate toy`" in page
    assert "| kept | 0.500 [0.250, 0.750] | 0.500 [0.250, 0.750] | 8 |" in page
    assert "## Faults" in page
    assert "| disk \\| full | yes |" in page
    assert "![Toys](toy.png)" in page
    assert page[-1].startswith("*2026-05-01; prefmem 1; weights ")
    assert "data abababababab, seed 3; cores 2; 2 s of processor time.*" in page[-1]


def test_what_is_no_number_is_null() -> None:
    empty = Figure(math.nan, math.nan, math.nan, 0)
    curve = Lines("Curve", "x", "y", {"a": [(0.0, math.nan)]})
    found = json.loads(text(table(part({"none": empty}), lines=(curve,))))
    row = found["parts"][0]["rows"]["none"]["value"]
    assert row == {"value": None, "low": None, "high": None, "cases": 0}
    assert found["lines"][0]["series"]["a"] == [[0.0, None]]
    assert (found["seed"], found["at"], found["data"]) == (
        3,
        "2026-05-01T12:00:00+00:00",
        "ab" * 32,
    )


def test_the_hash_is_that_of_the_texts(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x", encoding="utf-8")
    first = stamp.texts([tmp_path])
    assert first == stamp.texts([tmp_path / "a"])
    (tmp_path / "a").write_text("y", encoding="utf-8")
    assert stamp.texts([tmp_path]) != first
    assert stamp.texts([]) == ""


def test_every_packaged_model_is_named_with_its_hash() -> None:
    found = stamp.weights()
    assert {"embedder.onnx", "ranker.onnx", "tagger.onnx", "followup.onnx"} <= {*found}
    assert all(len(code) == 64 for code in found.values())


def test_a_table_of_other_code_is_another() -> None:
    told = {"command": "x", "versions": stamp.installed(), "weights": stamp.weights()}
    assert stamp.made_by(told, "x")
    assert not stamp.made_by(told, "x --quick")
    assert not stamp.made_by(told | {"versions": {"prefmem": "0"}}, "x")


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
def test_intervals_and_curves_are_drawn(tmp_path: Path) -> None:
    curve = Lines("Curve", "cards", "ms", {"a": [(1, 1.0), (10, 2.0)]}, True, (5.0,))
    rows: dict[str, dict[str, Any]] = {"kept": {"old": HALF, "new": HALF}, "told": {"old": "yes"}}
    write(table(Part(rows), lines=(curve,)), tmp_path, plots=True)
    assert {path.name for path in tmp_path.iterdir()} == {"toy.json", "toy.md", "toy.png"}
    assert (tmp_path / "toy.png").read_bytes().startswith(b"\x89PNG")


def test_words_alone_have_no_picture(tmp_path: Path) -> None:
    write(table(Part({"told": {"old": "yes"}})), tmp_path, plots=True)
    assert {path.name for path in tmp_path.iterdir()} == {"toy.json", "toy.md"}
    assert "![" not in (tmp_path / "toy.md").read_text(encoding="utf-8")


app = typer.Typer()
done_work: list[int] = []


@app.command(cls=ManyValues)
def toy(
    ctx: typer.Context,
    seeds: Annotated[list[int] | None, typer.Option()] = None,
    chat: str = "",
    quick: bool = False,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    def work(tell: object) -> Measured:
        del tell
        done_work.append(1)
        return Measured((part({"half": HALF}),))

    publish(ctx, "Toys", work, seed=seeds or [seed])


@app.command()
def other() -> None:
    """Stand beside the command, so that it needs its name."""


def run(*arguments: str) -> Any:  # noqa: ANN401  # click's Result; typer carries its own click or not
    return CliRunner().invoke(app, ["toy", *arguments])


def test_the_command_is_told_without_addresses() -> None:
    done = run("--seeds", "1", "2", "--chat", "http://me:secret@host/v1", "--quick", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["command"] == "prefmem evaluate toy --seeds 1 2 --chat URL --quick"
    assert told["seed"] == [1, 2]
    assert told["settings"] == {"chat": "URL", "quick": True}
    assert "secret" not in done.stdout


def test_without_matplotlib_nothing_is_measured_in_vain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent(name: str) -> None:
        assert name == "matplotlib"

    monkeypatch.setattr(picture, "find_spec", absent)
    done_work.clear()
    done = run("--out", str(tmp_path))
    assert isinstance(done.exception, MissingExtraError)
    assert 'pip install "prefmem[plots]"' in str(done.exception)
    assert not done_work
    assert run("--out", str(tmp_path), "--no-plots").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"toy.json", "toy.md"}
