"""`prefmem evaluate benchmark`: a benchmark's own files, run through the product as shipped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import typer

from prefmem.evaluate.benchmarks import (
    answer,
    longmemeval,
    perma,
    personalens,
    prefeval,
    profiles,
    score,
)
from prefmem.evaluate.benchmarks.case import User
from prefmem.evaluate.benchmarks.run import run
from prefmem.evaluate.chats import kept, named
from prefmem.evaluate.draws import order
from prefmem.evaluate.publish import (
    CACHE,
    CHATS,
    AnswersFolder,
    ApiKey,
    Cache,
    Json,
    Measured,
    ModelName,
    Plots,
    Seed,
    Tell,
    publish,
)

_WORDS = 4  # tokens of a letter or of a judge's answer
_Read: TypeAlias = Callable[[Path, int], tuple[User, ...]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """How a benchmark is read, and what is measured on it.

    Attributes:
        title: Its name.
        read: Reads its files.
        about: What is learned and asked, Markdown.
    """

    title: str
    read: _Read
    about: str


ADAPTERS: Mapping[str, Adapter] = {
    "prefeval": Adapter(
        "PrefEval", prefeval.users,
        "Each user says up to 20 preferences, one a session, and asks for each what is likely to "
        "go against it. A preference that dialogue implies counts as learned with any rule of it.",
    ),
    "personalens": Adapter(
        "PersonaLens", personalens.users,
        "Affinities of a profile are stored as rules; tasks are asked, and call for those that "
        "their types of affinity name.",
    ),
    "perma": Adapter(
        "PERMA", perma.users,
        "Dialogues are learned session by session, then the question of the checkpoint is asked. "
        "The names of its fields were not checked against the published files.",
    ),
    "longmemeval": Adapter(
        "LongMemEval", longmemeval.users,
        "Each question has a memory that learns its haystack by date. What is wanted is a rule "
        "from a turn that holds the evidence. prefmem keeps preferences and no facts: "
        "`single-session-preference` is what it is made for.",
    ),
    "profiles": Adapter(
        "MultiSessionCollab profiles", profiles.users,
        "Each user says three preferences on how to answer, one a session; all apply to every "
        "request, and the requests are our own.",
    ),
}  # fmt: skip


def benchmark(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(ADAPTERS)}.")],
    path: Annotated[Path, typer.Argument(exists=True, help="Its published file, or the folder.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Users at most, drawn by the seed; all unless given.")
    ] = None,
    chat: Annotated[
        str | None,
        typer.Option(help=f"Answers the benchmark's questions: {CHATS}"),
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="Judges free answers, as --chat; that one unless given.")
    ] = None,
    model: ModelName = None,
    api_key: ApiKey = None,
    tokens: Annotated[int, typer.Option(min=16, max=4096, help="Length of a free answer.")] = 256,
    cache: Cache = CACHE,
    seed: Seed = 0,
    out: AnswersFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Run a published benchmark's files, which you bring: what is learned, found, injected."""
    if name not in ADAPTERS:
        raise typer.BadParameter(f"one of {', '.join(ADAPTERS)}", param_hint="NAME")
    if chat is None and judge is not None:
        raise typer.BadParameter("give --chat too", param_hint="--judge")
    adapter = ADAPTERS[name]
    users = _some(adapter.read(path, seed), limit, seed)
    if chat is not None and not _answerable(users):
        raise typer.BadParameter(
            f"{adapter.title} has no questions that are answered rightly or wrongly in these "
            "files; leave it out",
            param_hint="--chat",
        )

    def work(tell: Tell) -> Measured:
        from tempfile import TemporaryDirectory

        outcomes = run(users, progress=tell)
        found = score.measured(outcomes, seed=seed)
        if chat is None:
            return found
        tell("questions", 0, 1)
        with TemporaryDirectory() as scratch:
            folder = out or Path(scratch)
            length = _WORDS if _chosen(users) else tokens
            opened = partial(kept, folder=folder, model=model, api_key=api_key, cache=cache)
            parts = answer.answered(
                outcomes, opened(chat, tokens=length), opened(judge or chat, tokens=_WORDS),
                seed=seed,
            )  # fmt: skip
        return replace(found, parts=(*found.parts, *parts))

    told = {"chat": named(chat, model)} if chat else {}
    if chat and not _chosen(users):
        told["judge"] = named(judge or chat, model)
    publish(
        ctx, f"{adapter.title}, {len(users)} users", work, seed=seed,
        settings={"benchmark": name, "limit": limit, **told}, data=[path],
        about=" ".join([adapter.about, *(f"The {part} is {who}." for part, who in told.items())]),
    )  # fmt: skip


def _some(users: tuple[User, ...], limit: int | None, seed: int) -> tuple[User, ...]:
    if limit is None or limit >= len(users):
        return users
    places = order(len(users), np.random.default_rng(seed))[:limit]
    return tuple(users[place] for place in sorted(places))


def _answerable(users: tuple[User, ...]) -> bool:
    return any(one.options or one.answer for user in users for one in user.requests)


def _chosen(users: tuple[User, ...]) -> bool:
    return any(one.options for user in users for one in user.requests)
