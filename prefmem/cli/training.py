"""`prefmem train`: makes the packaged weights anew, and extractors from causal models."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from prefmem.cli.options import Json
from prefmem.cli.show import console, counted, emit, grid, progress, say
from prefmem.errors import MissingExtraError
from prefmem.evaluate.metrics import Figure
from prefmem.extract.prompts import PromptName
from prefmem.train.chatdata import own_examples
from prefmem.train.chatformat import DataFormat, read_examples, write_examples

app = typer.Typer(help="Train models (needs the extra local).", no_args_is_help=True)


Out = Annotated[Path, typer.Option(file_okay=False, help="Folder for the result.")]
Seed = Annotated[int, typer.Option(help="Fixes data, order and weights.")]
Prompt = Annotated[PromptName, typer.Option(help="What the model is asked, and shown.")]
Data = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Examples, instead of our own windows."),
]
_OUT = Path("trained")
_BASE = "Qwen/Qwen3-0.6B"
_QUICK = 64  # examples of a trial


@app.command()
def tagger(
    out: Out = _OUT,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small part, to try it.")] = False,
    as_json: Json = False,
) -> None:
    """Train the gate and tagger, and write it as ONNX with its manifest."""
    _check_extra()
    from prefmem.train.tagger import train

    with progress() as tell:
        manifest = train(out, seed=seed, quick=quick, progress=tell)
    _report(manifest, out, as_json=as_json)


@app.command()
def embedder(
    out: Out = _OUT,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small part, to try it.")] = False,
    as_json: Json = False,
) -> None:
    """Train the embedder, fit its relevance map, and write it as ONNX with its manifest."""
    _check_extra()
    from prefmem.train.embedder import train

    with progress() as tell:
        manifest = train(out, seed=seed, quick=quick, progress=tell)
    _report(manifest, out, as_json=as_json)


@app.command()
def ranker(
    out: Out = _OUT,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small part, to try it.")] = False,
    as_json: Json = False,
) -> None:
    """Train the cross-encoder: which rule applies, and what a new rule is to an old one."""
    _check_extra()
    from prefmem.train.ranker import train

    with progress() as tell:
        manifest = train(out, seed=seed, quick=quick, progress=tell)
    _report(manifest, out, as_json=as_json)


@app.command()
def followup(
    out: Out = _OUT,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small part, to try it.")] = False,
    as_json: Json = False,
) -> None:
    """Train the judge of follow-ups: satisfied or not, and which rule was missed or misplaced."""
    _check_extra()
    from prefmem.train.followup import train

    with progress() as tell:
        manifest = train(out, seed=seed, quick=quick, progress=tell)
    _report(manifest, out, as_json=as_json)


@app.command()
def projection(
    out: Out = _OUT,
    quick: Annotated[bool, typer.Option("--quick", help="A small part, to try it.")] = False,
    as_json: Json = False,
) -> None:
    """Fit the projection in which the published user model `vars` learns."""
    _check_extra()
    from prefmem.train.projection import train

    with progress() as tell:
        manifest = train(out, quick=quick, progress=tell)
    _report(manifest, out, as_json=as_json)


@app.command()
def extractor(
    base: Annotated[str, typer.Option(help="Causal chat model: hub name or folder.")] = _BASE,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of it.")] = None,
    out: Out = _OUT,
    data: Data = None,
    eval_data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Examples for the table, likewise."),
    ] = None,
    prompt: Prompt = "training",
    lora: Annotated[int | None, typer.Option(min=1, help="Rank; all weights without it.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Examples on a device at once.")] = 8,
    rate: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = 2e-5,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run.")] = False,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A small part, to try it.")] = False,
    as_json: Json = False,
) -> None:
    """Train a Qwen3 extractor, or another base, and evaluate it on held-out examples."""
    _check_extra()
    from prefmem.evaluate.extractor import measure
    from prefmem.train.causal import hush
    from prefmem.train.export import write_manifest
    from prefmem.train.extractor import MANIFEST, Recipe, train

    hush()
    few = _QUICK if quick else None
    examples = (read_examples(data, prompt=prompt) if data else own_examples("train", prompt))[:few]
    held_out = (
        read_examples(eval_data, prompt=prompt) if eval_data else own_examples("dev", prompt)
    )[:few]
    recipe = Recipe(rate=rate, epochs=epochs, batch=batch, lora=lora)
    with progress() as tell:
        manifest = train(
            base, out, examples, held_out, recipe=recipe, seed=seed, revision=revision,
            resume=resume, progress=tell,
        )  # fmt: skip
        figures = measure(out, held_out, seed=seed, progress=tell)
    manifest["table"] = {name: _plain(figure) for name, figure in figures.items()}
    write_manifest(out / MANIFEST, manifest)
    if not as_json:
        console().print(_table(figures, manifest["metrics"]["eval_loss"]))
    _report(manifest, out, as_json=as_json)


@app.command()
def extractor_data(
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the files.")],
    form: Annotated[
        DataFormat,
        typer.Option(
            "--format", help="llama-factory is its alpaca format, sharegpt its other one."
        ),
    ] = "chat",
    data: Data = None,
    prompt: Prompt = "training",
) -> None:
    """Write the extractor's training data, or turn a file of it into another format."""
    splits = (
        {data.stem: read_examples(data, prompt=prompt)}
        if data
        else {"train": own_examples("train", prompt), "dev": own_examples("dev", prompt)}
    )
    write_examples(out, splits, form=form)
    written = (f"{counted(len(part), 'example')} to {name}.jsonl" for name, part in splits.items())
    say(f"Wrote {', '.join(written)} in {out}.")


def _check_extra() -> None:
    if any(find_spec(name) is None for name in ("torch", "transformers", "onnx")):
        raise MissingExtraError('training needs torch: pip install "prefmem[local]"')


def _report(manifest: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    if as_json:
        emit(manifest)
        return
    metrics = ", ".join(f"{name} {value}" for name, value in manifest.get("metrics", {}).items())
    say(f"Wrote {', '.join(manifest['files'])} and the manifest to {out} ({metrics}).")


def _table(figures: Mapping[str, Figure], loss: float) -> Table:
    table = grid("figure", "value", "95% interval", "cases", wide="figure")
    for name, figure in figures.items():
        low, high = f"{figure.low:.3f}", f"{figure.high:.3f}"
        table.add_row(name, f"{figure.value:.3f}", f"{low} to {high}", str(figure.cases))
    table.add_row("loss of the wanted answers", f"{loss:.3f}", "", "")
    return table


def _plain(figure: Figure) -> dict[str, Any]:
    """Give a figure as JSON data; what cannot be measured is null."""
    return {k: None if math.isnan(v) else v for k, v in asdict(figure).items()}
