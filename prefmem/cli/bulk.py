"""`prefmem extract`: the rules of millions of windows, from logs into a folder."""

import os
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from prefmem.bulk.run import Engine, Summary, extract_logs
from prefmem.bulk.shards import Format, Options
from prefmem.bulk.windows import FIELDS
from prefmem.cli.extractors import ExtractorName, has_gpu
from prefmem.cli.options import Json
from prefmem.cli.show import counted, emit, progress, say
from prefmem.extract.prompts import PromptName
from prefmem.extract.windows import reader


def extract(
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOGS", help="JSONL or Parquet files, or folders.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the rules.")],
    extractor: Annotated[
        str, typer.Option(help="local, qwen3, a model's folder, or an endpoint's http address.")
    ] = "local",
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: on Ray Data (extra ray).")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a CPU for local, else 1.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="With ray: one worker for each GPU.")] = 0,
    ray_address: Annotated[
        str | None, typer.Option(envvar="RAY_ADDRESS", help="A running Ray cluster.")
    ] = None,
    shard_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Rows of a log that are saved together.")
    ] = 10_000,
    fmt: Annotated[Format, typer.Option("--format", help="Of the rules.")] = "jsonl",
    everything: Annotated[
        bool, typer.Option("--all", help="Write windows without rules too.")
    ] = False,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help=f"What a field is called: {', '.join(FIELDS)}."),
    ] = None,
    max_bad: Annotated[
        int | None, typer.Option(min=0, help="Stop at more unreadable rows than this.")
    ] = None,
    prompt: Annotated[
        PromptName | None, typer.Option(help="For models: what they are asked.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="For endpoints: name of the model.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="PREFMEM_API_KEY", help="For endpoints.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="For qwen3: commit, tag or branch.")] = None,
    as_json: Json = False,
) -> None:
    """Extract the rules from logs of dialogue windows.

    A row is a window: {"user_id", "messages": [{"role", "content"}, ...]}, and maybe "session_id"
    and "id". What learn would store from it goes to OUT/rules. A run that was stopped or killed
    goes on when the same command is given again, and its result is the same, byte by byte. Rows
    that cannot be read are named in OUT/errors.jsonl.
    """
    if gpus and engine != "ray":
        raise typer.BadParameter("needs --engine ray", param_hint="--gpus")
    chosen = ExtractorName(extractor, prompt, model, api_key, revision)
    if chosen.causal:  # Ray hides the GPUs that are not asked for
        chosen = replace(
            chosen, device="cuda" if gpus or (engine == "local" and has_gpu()) else "cpu"
        )
    count = workers or ((os.cpu_count() or 1) if chosen.packaged else 1)
    options = Options(
        shard_rows=shard_rows, format=fmt, everything=everything, fields=_fields(field or [])
    )
    started = time.monotonic()
    with progress(unit="rows") as tell:
        summary = extract_logs(
            logs, out, partial(reader, chosen), identity=chosen.identity(), options=options,
            engine=_engine(engine, count, gpus, ray_address), max_bad=max_bad, tell=tell,
        )  # fmt: skip
    _report(summary, time.monotonic() - started, out, as_json=as_json)


def _fields(given: list[str]) -> dict[str, str]:
    """Read NAME=COLUMN pairs over the default names."""
    named = dict(FIELDS)
    for pair in given:
        name, _, column = pair.partition("=")
        if name not in FIELDS or not column:
            raise typer.BadParameter(
                f"{pair!r} is not NAME=COLUMN; names are {', '.join(FIELDS)}", param_hint="--field"
            )
        named[name] = column
    return named


def _engine(name: str, workers: int, gpus: int, address: str | None) -> Engine:
    if name == "ray":
        from prefmem.bulk.ray import RayEngine

        return RayEngine(workers, gpus=gpus, address=address)
    from prefmem.bulk.pool import Pool

    return Pool(workers)


def _report(summary: Summary, seconds: float, out: Path, *, as_json: bool) -> None:
    rate = summary.fresh / seconds
    if as_json:
        timed = {"seconds": round(seconds, 3), "windows_per_second": round(rate, 2)}
        emit({**asdict(summary), **timed, "out": str(out)})
        return
    say(
        f"{counted(summary.windows, 'window')} in {counted(summary.shards, 'shard')} read, "
        f"{summary.with_rules} with {counted(summary.rules, 'rule')}; {rate:.1f} windows/s"
        + (f"; {counted(summary.resumed, 'shard')} finished before" if summary.resumed else "")
        + "."
    )
    if summary.bad:
        say(f"{counted(summary.bad, 'row')} could not be read: {out / 'errors.jsonl'} names them.")
