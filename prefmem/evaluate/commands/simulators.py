"""Tables with simulated users: one who works through tasks, and a model in a user's place."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from prefmem.evaluate.publish import (
    CACHE,
    CHATS,
    AnswersFolder,
    ApiKey,
    Cache,
    ChatName,
    Json,
    Measured,
    ModelName,
    Plots,
    Seed,
    Split,
    Tell,
    known_split,
    publish,
)
from prefmem.evaluate.table import Cell, Part, part

if TYPE_CHECKING:
    from prefmem.evaluate.personas.pool import Persona

_VERDICT = 4  # tokens of a judge's answer


def collaboration(
    ctx: typer.Context,
    sessions: Annotated[int, typer.Option(min=2, max=200, help="Tasks of each user.")] = 10,
    split: Split = "test",
    profiles: Annotated[
        Path | None,
        typer.Option(exists=True, help="MultiSessionCollab's user_profiles.json; needs --judge."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Profiles at most.")] = 20,
    chat: ChatName = "smollm2",
    judge: Annotated[
        str | None, typer.Option(help=f"Says whether a profile's wishes are kept: {CHATS}")
    ] = None,
    model: ModelName = None,
    api_key: ApiKey = None,
    tokens: Annotated[int, typer.Option(min=16, max=4096, help="Length of an answer.")] = 56,
    cache: Cache = CACHE,
    seed: Seed = 0,
    out: AnswersFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Let users insist on their wishes over sessions of tasks: what does it cost them?"""
    from prefmem.evaluate.chats import kept, named
    from prefmem.evaluate.personas import pool
    from prefmem.evaluate.simulate import collab

    if (profiles is None) != (judge is None):
        raise typer.BadParameter("--profiles and --judge go together", param_hint="--profiles")
    users, requests = pool.read(known_split(split))
    if profiles is not None:
        users = _profiles(profiles, limit, seed)

    def work(tell: Tell) -> Measured:
        with TemporaryDirectory() as scratch:
            folder = out or Path(scratch)
            opened = partial(kept, folder=folder, model=model, api_key=api_key, cache=cache)
            asked = opened(chat, tokens=tokens)
            enforce: collab.Enforcer = collab.checked
            if judge is not None:
                enforce = collab.judged(opened(judge, tokens=_VERDICT))
            found = collab.collaborate(
                asked, users, requests, sessions=sessions, seed=seed, enforce=enforce, progress=tell
            )
        rows: dict[str, dict[str, Cell]] = {}
        for arm, mine in found.items():
            for name, figure in collab.effort(mine, seed=seed).items():
                rows.setdefault(name, {})[arm] = figure
        bare, *others = found
        saved = {arm: collab.saved(found[arm], found[bare], seed=seed) for arm in others}
        return Measured((
            Part(rows, "Effort of a session", unit="per session"),
            part(saved, title=f"Words a session less than with {bare}, paired", unit="words"),
        ))  # fmt: skip

    name = named(chat, model)
    publish(
        ctx, f"Collaboration, {len(users)} users x {sessions} sessions", work, seed=seed,
        settings={"sessions": sessions, "split": split, "chat": name, "tokens": tokens,
                  "profiles": profiles is not None, "limit": limit},
        data=[profiles or pool.POOL],
        about=f"A user's session is one task; an answer that breaks a wish is sent back with a "
        f"complaint, {collab.TURNS} answers at most. The chat model is {name}.",
    )  # fmt: skip


def mirror(
    ctx: typer.Context,
    scenes: Annotated[int, typer.Option(min=2, max=10_000, help="Scenes.")] = 40,
    options: Annotated[int, typer.Option(min=2, max=12, help="Options of a scene.")] = 5,
    times: Annotated[
        int, typer.Option(min=1, max=50, help="Decisions of a scene, in other orders.")
    ] = 3,
    chat: ChatName = "smollm2",
    model: ModelName = None,
    api_key: ApiKey = None,
    tokens: Annotated[int, typer.Option(min=16, max=4096, help="Length of a decision.")] = 200,
    cache: Cache = CACHE,
    seed: Seed = 0,
    out: AnswersFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Put a chat model in a user's place: does it decide as the user, and how sure is it?"""
    from prefmem.evaluate.chats import kept, named
    from prefmem.evaluate.simulate import lines, report_mirror
    from prefmem.evaluate.simulate.mirror import decide
    from prefmem.evaluate.simulate.scenes import scenes as draw

    def work(tell: Tell) -> Measured:
        drawn = draw(lines.read(), scenes, options=options, seed=seed)
        tell("decisions", 0, scenes * times)
        with TemporaryDirectory() as scratch:
            asked = kept(
                chat, out or Path(scratch), tokens=tokens, model=model, api_key=api_key, cache=cache
            )
            found = decide(asked, drawn, times=times, seed=seed)
        return Measured(report_mirror.parts(drawn, found, seed=seed))

    name = named(chat, model)
    publish(
        ctx, f"A model in a user's place, {scenes} scenes x {times}", work, seed=seed,
        settings={"scenes": scenes, "options": options, "times": times, "chat": name,
                  "tokens": tokens},
        data=[lines.POOLS / "topics"],
        about=f"A profile, a question, and {options} follow-ups, one of which is the user's own; "
        f"chance is {1 / options:.2f}. Scenes are easy or hard by the entropy of the choices over "
        f"orders of the options. The chat model is {name}.",
    )  # fmt: skip


def _profiles(path: Path, limit: int, seed: int) -> "tuple[Persona, ...]":
    """Read profiles as users who say each preference when an answer breaks it."""
    from prefmem.evaluate.benchmarks import profiles
    from prefmem.evaluate.personas.pool import Persona, Wish

    return tuple(
        Persona(
            user.name,
            tuple(Wish("style", text, (), profiles.said(text)) for text in user.gold),
        )
        for user in profiles.users(path, seed)[:limit]
    )
