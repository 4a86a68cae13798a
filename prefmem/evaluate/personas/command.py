"""`prefmem evaluate personas`: the rule-based persona experiment with a real chat model."""

from pathlib import Path
from typing import Annotated

import typer

from prefmem.evaluate.publish import (
    CACHE,
    AnswersFolder,
    ApiKey,
    Cache,
    ChatName,
    Json,
    Measured,
    ModelName,
    Plots,
    Split,
    Tell,
    known_split,
    publish,
)

_ABOUT = """\
Six personas with a wish each for length, layout and language say them in a first session (reveal),
ask in a second one (retain), and complain of what was broken in a third (mixed). The chat model is
{chat}, greedy, {tokens} tokens an answer; it reads the request and the exchange before it, and code
checks each answer. Of earlier sessions it is told nothing, or the rules that prefmem with every
default injects, or the wishes as they are (oracle). Rules and wishes follow the request as plain
sentences, the form that the development personas chose for SmolLM2; "default block" is the fenced
block in the system prompt, as the integrations place it. The published figures are those of VARS,
[arXiv 2603.20939](https://arxiv.org/abs/2603.20939), appendix C: other personas, another chat
model, English and Chinese."""


def personas(
    ctx: typer.Context,
    seeds: Annotated[list[int] | None, typer.Option(min=0, help="Scripts: 1 2 3.")] = None,
    split: Split = "test",
    chat: ChatName = "smollm2",
    model: ModelName = None,
    api_key: ApiKey = None,
    history: Annotated[
        bool, typer.Option("--history", help="Let the model read all earlier dialogues, too.")
    ] = False,
    tokens: Annotated[int, typer.Option(min=16, max=2048, help="Length of an answer.")] = 56,
    cache: Cache = CACHE,
    out: AnswersFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Let personas with checkable wishes talk to a chat model with and without memory (VARS, C)."""
    from tempfile import TemporaryDirectory

    from prefmem.evaluate.chats import kept, named
    from prefmem.evaluate.personas import pool, report, study
    from prefmem.evaluate.personas.arms import ARMS, HISTORY

    found, requests = pool.read(known_split(split))
    chosen = tuple(dict.fromkeys(seeds or (1, 2, 3)))

    arms = {**ARMS, **(HISTORY if history else {})}

    def work(tell: Tell) -> Measured:
        with TemporaryDirectory() as scratch:
            asked = kept(
                chat, out or Path(scratch), tokens=tokens, model=model, api_key=api_key, cache=cache
            )
            lives = study.live(asked, found, requests, arms=arms, seeds=chosen, progress=tell)
        return report.measured(lives)

    name = named(chat, model)
    publish(
        ctx, f"Personas, {split} split: {len(found)} personas x {len(chosen)} seeds", work,
        seed=chosen, settings={"split": split, "chat": name, "tokens": tokens, "arms": [*arms]},
        data=[pool.POOL],
        about=_ABOUT.format(chat=name, tokens=tokens),
    )  # fmt: skip
