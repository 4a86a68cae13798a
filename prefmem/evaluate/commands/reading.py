"""Tables on what is read in dialogues: extraction, follow-ups, edits."""

from typing import Annotated

import typer

from prefmem.evaluate.publish import (
    Json,
    Measured,
    OutFolder,
    Plots,
    Seed,
    Split,
    Tell,
    known_split,
    publish,
)
from prefmem.evaluate.table import part, spread

Seeds = Annotated[list[int] | None, typer.Option(help="Documents and orders: 1 2 3.")]


def extraction(
    ctx: typer.Context,
    split: Split = "test",
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Read our written windows with the default extractor."""
    from prefmem.evaluate.extraction import WINDOWS, measure

    data = WINDOWS / known_split(split)

    def work(tell: Tell) -> Measured:
        found = measure(split, seed=seed, progress=tell)
        both = spread(found, ("stored", "active"))
        rest = {name: f for name, f in found.items() if not name.startswith(("stored", "active"))}
        sure = {name: f for name, f in rest.items() if name.startswith("confidence")}
        kinds = {name: f for name, f in rest.items() if name not in sure}
        return Measured(
            (both, part(sure, title="Confidence"), part(kinds, title="By kind of window"))
        )

    publish(
        ctx, f"Extraction, {split} split", work, seed=seed, data=[data],
        about="Our own written windows. An action is right when it says the same by meaning or by "
        "words, a condition when it names the same situation; *active* are the rules that are "
        "injected at once, *stored* also those that wait until they are said again.",
    )  # fmt: skip


def followups(
    ctx: typer.Context,
    split: Split = "test",
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Judge our written follow-up turns: satisfaction, restatement, rejection."""
    from prefmem.evaluate.followups import measure
    from prefmem.train.followups import DATA

    known_split(split)
    publish(
        ctx, f"Follow-ups, {split} split",
        lambda tell: Measured((part(measure(split, seed=seed, progress=tell)),)),
        seed=seed, data=sorted(DATA.glob(f"{split}*.jsonl")),
        about="Written turns that follow an answer: is the user content, is a rule said again or "
        "rejected, is it an instruction to the memory?",
    )  # fmt: skip


def edits(
    ctx: typer.Context,
    seeds: Seeds = None,
    each: Annotated[int, typer.Option(min=4, max=1000, help="Documents of each kind.")] = 50,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Learn four planted styles from edits: what is left to edit, and which rules were found."""
    from prefmem.evaluate.edits import POOL, measure

    chosen = seeds or [1, 2, 3]

    def work(tell: Tell) -> Measured:
        found = measure(seeds=chosen, each=each, progress=tell)
        cost = {name: f for name, f in found.items() if name.startswith("tokens: ")}
        shares = {name: f for name, f in found.items() if name not in cost}
        return Measured((part(cost, title="Edited", unit="tokens a document"), part(shares)))

    publish(
        ctx, f"Learning from edits, 4 styles x {each} documents, {len(chosen)} seeds", work,
        seed=chosen, data=[POOL],
        about="A user turns each draft into the text it should be; what has to be edited when the "
        "writer of the drafts knows rules learned from earlier edits, against other ways.",
    )  # fmt: skip
