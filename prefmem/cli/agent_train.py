"""`prefmem agent train`, `list`, `rollback` and `remove`: the adapters of a user."""

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from prefmem.agent.base import DEFAULT, SMOLLM2
from prefmem.agent.files import read_documents
from prefmem.agent.places import DOCUMENTS
from prefmem.agent.recipe import Recipe, Target, parted
from prefmem.agent.registry import LESSONS, Registry
from prefmem.agent.rows import read_lessons
from prefmem.agent.version import Version
from prefmem.cli.agent_options import HOME, Home
from prefmem.cli.options import Json, Tenant, User
from prefmem.cli.show import console, counted, emit, grid, progress, say
from prefmem.errors import AdapterError, MissingExtraError, NotFoundError
from prefmem.types import UserKey

_RECIPE = Recipe()


def train(
    user: User,
    tenant: Tenant = "",
    home: Home = HOME,
    base: Annotated[
        str, typer.Option(help=f"Causal chat model: hub name, folder, or {SMOLLM2} of its package.")
    ] = DEFAULT,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of it.")] = None,
    lessons: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Lessons, instead of the user's own file."),
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the documents not trained on.")
    ] = 0.2,
    target: Annotated[
        Target, typer.Option(help="text trains the baseline: to write the text itself.")
    ] = "rules",
    rank: Annotated[int, typer.Option(help="Of the adapter: 8, 16, 32 or 64.")] = _RECIPE.rank,
    layers: Annotated[
        int | None, typer.Option(min=1, help="Blocks with an adapter, from the last; else all.")
    ] = _RECIPE.layers,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = _RECIPE.rate,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Else three passes, and at least 60 steps.")
    ] = _RECIPE.steps,
    batch: Annotated[int, typer.Option(min=1, help="Lessons in a step.")] = _RECIPE.batch,
    at_once: Annotated[
        int, typer.Option(min=1, help="Lessons on the device at once; fewer need less memory.")
    ] = _RECIPE.at_once,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Less memory, and a third more time.")
    ] = False,
    four_bit: Annotated[
        bool, typer.Option("--four-bit", help="QLoRA: needs a GPU and bitsandbytes.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, where the same run was killed before.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Fixes order and weights.")] = 0,
    as_json: Json = False,
) -> None:
    """Train an adapter on the user's lessons; it becomes the one that writes rules.

    A run that was killed goes on when it is started again with the same options.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers", "peft", "accelerate")):
        raise MissingExtraError('training needs torch and peft: pip install "prefmem[local]"')
    from prefmem.agent.train import train as trained
    from prefmem.train.causal import hush

    hush()
    recipe = Recipe(
        rank=rank, layers=layers, rate=rate, steps=steps, batch=batch, at_once=at_once,
        checkpointing=checkpointing, four_bit=four_bit,
    )  # fmt: skip
    registry, key = Registry(home), UserKey(user, tenant)
    folder = registry.folder(key)
    documents = read_documents(folder / DOCUMENTS) if (folder / DOCUMENTS).is_file() else ()
    known = read_lessons(lessons or folder / LESSONS)
    learned, kept = parted(known, documents, held_out=held_out)
    with progress() as tell:
        version = trained(
            base, learned, kept, registry=registry, user=key, recipe=recipe, seed=seed,
            target=target, revision=revision, resume=not fresh, progress=tell,
        )  # fmt: skip
    if as_json:
        emit(version.manifest)
        return
    used = version.manifest["used"]
    say(
        f"Version {version.number}: {version.manifest['steps']} steps on "
        f"{counted(used['train'], 'lesson')}, {_told(version)}. It is in {version.folder}."
    )


def list_(user: User, tenant: Tenant = "", home: Home = HOME, as_json: Json = False) -> None:
    """List the versions of a user's adapter; a star marks the one that writes rules."""
    registry, key = Registry(home), UserKey(user, tenant)
    now = registry.current_number(key)
    rows = [_row(registry, key, number, now) for number in registry.numbers(key)]
    if as_json:
        emit(rows)
        return
    if not rows:
        say("No adapter yet; prefmem agent train makes one.")
        return
    table = grid("", "version", "writes", "base", "rank", "lessons", "held-out loss", wide="base")
    for row in rows:
        losses = f"{_number(row['held_out_before'])} to {_number(row['held_out'])}"
        table.add_row(
            "*" if row["current"] else "", str(row["version"]), row["target"], row["base"],
            str(row["rank"] or ""), str(row["lessons"] or ""),
            losses if row["held_out"] is not None else "",
        )  # fmt: skip
    console().print(table)


def rollback(
    user: User,
    tenant: Tenant = "",
    home: Home = HOME,
    to: Annotated[
        int | None, typer.Option(min=1, help="Number of a version; else the one before.")
    ] = None,
) -> None:
    """Let an older version of a user's adapter write rules; the newer ones stay."""
    version = Registry(home).rollback(UserKey(user, tenant), to=to)
    say(f"Version {version.number} writes the rules now.")


def remove(
    user: User,
    tenant: Tenant = "",
    home: Home = HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a user's adapters and all they were made of: documents, lessons, cached answers."""
    registry, key = Registry(home), UserKey(user, tenant)
    if not yes:
        typer.confirm("Delete this user's adapters, documents and lessons?", abort=True, err=True)
    gone = registry.remove(key)
    if as_json:
        emit(asdict(gone))
        return
    if not gone.files:
        raise NotFoundError(f"nothing of this user is in {home}")
    say(
        f"Deleted {counted(gone.adapters, 'adapter')}, {counted(gone.documents, 'document')}, "
        f"{counted(gone.lessons, 'lesson')}: {counted(gone.files, 'file')} in all."
    )


def _told(version: Version) -> str:
    metrics = version.manifest["metrics"]
    if metrics["held_out"] is None:
        return f"loss {metrics['loss_before']:.2f} to {metrics['loss']:.2f}, none held out"
    return f"held-out loss {metrics['held_out_before']:.2f} to {metrics['held_out']:.2f}"


def _row(registry: Registry, user: UserKey, number: int, now: int | None) -> dict[str, Any]:
    """Describe a version; of a damaged one only its number is known."""
    row: dict[str, Any] = {
        "version": number, "current": number == now, "target": "damaged", "base": "",
        "rank": None, "lessons": None, "held_out_before": None, "held_out": None, "hash": "",
    }  # fmt: skip
    try:
        version = registry.version(user, number)
        told = version.manifest
        return row | {
            "target": version.target, "base": version.base, "rank": told["recipe"]["rank"],
            "lessons": told["used"]["train"], "hash": version.hash,
            "held_out_before": told["metrics"]["held_out_before"],
            "held_out": told["metrics"]["held_out"],
        }  # fmt: skip
    except (AdapterError, LookupError):
        return row


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
