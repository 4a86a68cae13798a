"""`prefmem evaluate agent`: trains agents of planted authors, and measures what they learned."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from prefmem.evaluate.agent import plot, report
from prefmem.evaluate.agent.authors import AUTHORS
from prefmem.evaluate.chats import open_chat
from prefmem.evaluate.publish import ApiKey, ModelName

if TYPE_CHECKING:
    from prefmem.evaluate.agent.study import Models

_WIDE = 160  # characters of a line where nobody looks at a terminal
_VERDICT = 4  # tokens of a judge's answer


def agent(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for agents, stages, report and pictures.")
    ] = Path("agent-evaluation"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes, to see that all parts work, not how well.")
    ] = False,
    base: Annotated[
        str | None, typer.Option(help="smollm2, a folder, or a name on the hub.")
    ] = None,
    authors: Annotated[
        int | None, typer.Option(min=2, max=len(AUTHORS), help="How many authors.")
    ] = None,
    texts: Annotated[
        int | None, typer.Option(min=1, max=50, help="Texts of each of 33 topics to learn from.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps of an agent.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of the adapters: 8, 16, 32 or 64.")] = None,
    layers: Annotated[
        int | None, typer.Option(min=0, help="Blocks with an adapter, from the last; 0 for all.")
    ] = None,
    naive: Annotated[
        int | None, typer.Option(min=0, help="Authors that naive fine-tuning is shown for.")
    ] = None,
    intents: Annotated[
        int | None, typer.Option(min=1, max=50, help="Held-out intents of each of 15 topics.")
    ] = None,
    shown: Annotated[
        int | None, typer.Option(min=0, help="Intents that few-shot prompting is asked.")
    ] = None,
    prompts: Annotated[
        int | None, typer.Option(min=1, help="Texts asked of a chat model in each arm.")
    ] = None,
    answer: Annotated[int | None, typer.Option(min=8, help="Tokens of such a text.")] = None,
    judged: Annotated[int | None, typer.Option(min=1, help="Pairs shown to the judge.")] = None,
    ranks: Annotated[
        list[int] | None, typer.Option(help="Sweep over ranks; may be given again.")
    ] = None,
    adapters: Annotated[
        int | None, typer.Option(min=0, help="Adapters that are served at once; 0 for none.")
    ] = None,
    follower: Annotated[
        list[str] | None,
        typer.Option(
            help="Chat model that gets the rules: smollm2, a folder, a name on the hub, or the URL "
            "of an OpenAI-compatible endpoint; may be given again."
        ),
    ] = None,
    judge: Annotated[
        str, typer.Option(help="Judge of the win rate, as --follower; none for no judge.")
    ] = "smollm2",
    model: ModelName = None,
    api_key: ApiKey = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for SmolLM2's weights.")] = None,
    seed: Annotated[int, typer.Option(help="Of every draw and of the resampling.")] = 0,
) -> None:
    """Train agents of planted authors: do their rules tell users apart, and help a chat model?

    A run that was ended goes on where it was; with other sizes only what they change is done anew.
    """
    from prefmem.evaluate.agent.plan import Plan
    from prefmem.evaluate.agent.plan import quick as quickly
    from prefmem.evaluate.agent.study import Studies
    from prefmem.train.causal import hush

    plot.check()
    hush()
    plan = quickly(Plan(seed=seed)) if quick else Plan(seed=seed)
    recipe: dict[str, Any] = {"steps": steps, "rank": rank, "layers": layers}
    sizes: dict[str, Any] = {
        "base": base, "texts": texts, "naive": naive, "intents": intents, "shown": shown,
        "prompts": prompts, "answer": answer, "judged": judged, "adapters": adapters,
        "authors": tuple(AUTHORS)[:authors] if authors else None,
        "ranks": tuple(ranks) if ranks else None,
    }  # fmt: skip
    given = {name: value for name, value in recipe.items() if value is not None}
    if layers == 0:
        given["layers"] = None
    plan = replace(
        plan, recipe=replace(plan.recipe, **given),
        **{name: value for name, value in sizes.items() if value is not None},
    )  # fmt: skip
    models = _models(follower or [plan.base], judge, model, api_key, cache, plan.answer)
    with _progress() as bar:
        task = bar.add_task("starting", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        study = Studies(plan, out, cache=cache, progress=tell).run(models)
    _write(study, out)
    _print(study, out)


def _models(
    followers: list[str], judge: str, model: str | None, key: str | None, cache: Path | None,
    tokens: int,
) -> "Models":  # fmt: skip
    from prefmem.evaluate.agent.study import Models

    opened = partial(open_chat, model=model, api_key=key, cache=cache)
    found = {name: opened(name, tokens=tokens) for name in followers}
    named = {judge: opened(judge, tokens=_VERDICT)} if judge != "none" else {}
    return Models(found, named.get(judge), judge if named else "none")


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _write(study: report.Study, out: Path) -> None:
    """Write report.md, figures.json and the pictures."""
    plot.heat_map(study.matrix, out / "permutation.png")
    plot.loss_curves(study.curves, out / "loss.png", title="Loss while agents are trained")
    (out / "report.md").write_text(report.markdown(study), encoding="utf-8")
    content = {
        "table": "Preference agents",
        "settings": study.settings,
        "figures": {name: asdict(figure) for name, figure in study.figures.items()},
        "permutation": asdict(study.matrix),
        "acceptance": [asdict(check) for check in report.checks(study)],
        "seconds": study.seconds,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (out / "figures.json").write_text(text, encoding="utf-8")


def _print(study: report.Study, out: Path) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    rows = [
        (name, f"{f.value:.3f}", f"{f.low:.3f} to {f.high:.3f}", str(f.cases))
        for name, f in study.figures.items()
    ]
    _table(console, "Preference agents", ("figure", "value", "95% interval", "cases"), rows)
    matrix = zip(study.matrix.names, study.matrix.matrix, strict=True)
    _table(
        console, "Marker score: rules of the agent (row) against the markers of the user (column)",
        ("agent", *study.matrix.names),
        [(name, *(f"{score:.2f}" for score in row)) for name, row in matrix],
    )  # fmt: skip
    checks = [
        (c.name, str(c.found), c.wanted, "yes" if c.passed else "no") for c in report.checks(study)
    ]
    _table(console, "To be reached", ("figure", "found", "wanted", "reached"), checks)
    console.print(f"report, figures and pictures: {out}")


def _table(
    console: Console, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    table = Table(title=title, title_justify="left")
    for n, head in enumerate(heads):
        table.add_column(head, justify="right" if n else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
