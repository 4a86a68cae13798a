"""Tables on which rules a request brings up: retrieval, recall, relations, questions."""

from typing import Annotated

import typer

from prefmem.config import Config
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
from prefmem.evaluate.table import Lines, part


def retrieval(
    ctx: typer.Context,
    stores: Annotated[int, typer.Option(min=2, max=200, help="Rules in a store.")] = 20,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Find a rule of a test user among those of others."""
    from prefmem.evaluate.retrieval import USERS, measure

    publish(
        ctx, f"Retrieval, users of the test split, {stores} rules in a store",
        lambda tell: Measured((part(measure(stores=stores, seed=seed, progress=tell)),)),
        seed=seed, data=[USERS],
        about="For each request of a written user: the rank of a rule that applies among rules of "
        "other users.",
    )  # fmt: skip


def recall(
    ctx: typer.Context,
    split: Split = "test",
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Decide for the requests of written users which of their rules to inject."""
    from prefmem.evaluate.recall import USERS, measure

    data = USERS / known_split(split)
    publish(
        ctx, f"Recall, users of the {split} split",
        lambda tell: Measured((part(measure(split, seed=seed, progress=tell)),)),
        seed=seed, data=[data], settings={"split": split, "floor": Config().min_score},
        about="Every pair of a request and a rule is labelled; half of the requests have no rule "
        "that applies. Conditional rules only.",
    )  # fmt: skip


def relations(
    ctx: typer.Context,
    split: Split = "test",
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Judge written pairs of rules: same, superseded, excepted, widened, distinct."""
    from prefmem.evaluate.relations import measure
    from prefmem.train.relations import DATA

    known_split(split)
    floor = Config().relation_floor
    publish(
        ctx, f"Relations, {split} split",
        lambda tell: Measured((part(measure(split, floor=floor, seed=seed, progress=tell)),)),
        seed=seed, data=[DATA / f"{split}.txt"], settings={"split": split, "floor": floor},
        about="Pairs of a stored rule and a later one, mostly hard: what is the later one to the "
        "other?",
    )  # fmt: skip


def elicitation(
    ctx: typer.Context,
    users: Annotated[int, typer.Option(min=10, max=5000, help="Profiles that are asked.")] = 500,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Ask synthetic users, and guess what was not asked: telling questions against random ones."""
    from prefmem.evaluate.elicitation import measure

    def work(tell: Tell) -> Measured:
        found = measure(users=users, seed=seed, progress=tell)
        counts = {name: f for name, f in found.items() if f.value > 1}
        curves = {
            way: [
                (float(name.rpartition(": ")[2]), f.value)
                for name, f in found.items()
                if name.startswith(f"{way} questions: ")
            ]
            for way in ("telling", "random")
        }
        shares = {name: f for name, f in found.items() if name not in counts}
        title = "Questions needed"
        return Measured(
            (part(counts, title=title, unit="questions"), part(shares, drawn=False)),
            (Lines("Guessed right of what was not asked", "questions asked", "share", curves),),
        )

    publish(
        ctx, f"Elicitation, {users} users", work, seed=seed,
        about="Synthetic profiles of 20 yes-or-no dimensions behind 4 traits, an assumption: how "
        "much of the rest do a few questions tell?",
    )  # fmt: skip


def evolution(
    ctx: typer.Context,
    split: Split = "test",
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Live through written changes of mind: what is in force, and what is injected, on a day."""
    from prefmem.evaluate.changes import POOL
    from prefmem.evaluate.evolution import measure

    path = POOL / f"{known_split(split)}.txt"
    publish(
        ctx, f"Rules that change, {split} split",
        lambda tell: Measured(measure(path, seed=seed, progress=tell)),
        seed=seed, data=[path],
        about="Written users say a rule and, weeks later, another value, the opposite, an end, an "
        "exception, the same again, or 'undo that'; then they ask. Everything is the product's "
        "own: extraction, comparison with what is stored, expiry, commands, ranking. *Over* counts "
        "rules that had been learned.",
    )  # fmt: skip


def over_personalisation(
    ctx: typer.Context,
    split: Split = "test",
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Ask for what no rule applies to, or before the wrong audience: is anything injected?"""
    from prefmem.evaluate.overuse import data, measure

    known_split(split)
    publish(
        ctx, f"Over-personalisation, {split} split",
        lambda tell: Measured(measure(split, seed=seed, progress=tell)),
        seed=seed, data=data(split), settings={"split": split, "floor": Config().min_score},
        about="Written users and requests; every pair of a request and a rule is labelled. Beside "
        "it what a plain vector memory gives: the three nearest rules, always. Conditional rules "
        "only. The last part says preferences that tell of health, faith, love life, politics or a "
        "secret, and others that only sound like it.",
    )  # fmt: skip
