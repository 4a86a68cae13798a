"""`prefmem train`: makes the packaged weights anew."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from prefmem.cli.options import Json
from prefmem.cli.show import emit, progress, say
from prefmem.errors import MissingExtraError

app = typer.Typer(help="Train the packaged models (needs the extra local).", no_args_is_help=True)


Out = Annotated[Path, typer.Option(file_okay=False, help="Folder for the result.")]
Seed = Annotated[int, typer.Option(help="Fixes data, order and weights.")]
_OUT = Path("trained")


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
def embedder(out: Out = _OUT, seed: Seed = 0, as_json: Json = False) -> None:
    """Export the embedder as ONNX, fit its relevance map, and write the manifest."""
    _check_extra()
    from prefmem.train.embedder import build

    with progress() as tell:
        manifest = build(out, seed=seed, progress=tell)
    _report(manifest, out, as_json=as_json)


def _check_extra() -> None:
    if any(find_spec(name) is None for name in ("torch", "transformers", "onnx")):
        raise MissingExtraError('training needs torch: pip install "prefmem[local]"')


def _report(manifest: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    if as_json:
        emit(manifest)
        return
    metrics = ", ".join(f"{name} {value}" for name, value in manifest.get("metrics", {}).items())
    say(f"Wrote {', '.join(manifest['files'])} and the manifest to {out} ({metrics}).")
