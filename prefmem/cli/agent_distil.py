"""`prefmem agent distil`: lessons out of a user's documents, by a big model or by code alone."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from prefmem.agent.bigmodel import endpoint
from prefmem.agent.calls import CALLS, Spent
from prefmem.agent.cost import estimate, spent_text
from prefmem.agent.differ import lessons as measured_lessons
from prefmem.agent.distil import Distilled
from prefmem.agent.distil import distil as distilled
from prefmem.agent.files import read_documents
from prefmem.agent.intents import TEMPERATURES
from prefmem.agent.lesson import Document
from prefmem.agent.places import DOCUMENTS, folder_of
from prefmem.agent.questions import Strategy
from prefmem.agent.registry import LESSONS
from prefmem.agent.rows import write_lessons
from prefmem.agent.steady import to_cards
from prefmem.cli.agent_options import HOME, Home
from prefmem.cli.options import DB, Db, Json, Tenant, User, opened
from prefmem.cli.show import counted, emit, progress, say
from prefmem.errors import InputError
from prefmem.stores.filelock import FileLock
from prefmem.types import UserKey

_LOCK = "distil.lock"


def distil(
    ctx: typer.Context,
    user: User,
    tenant: Tenant = "",
    home: Home = HOME,
    chat: Annotated[
        str | None,
        typer.Option(metavar="URL", help="OpenAI-compatible endpoint; else code finds the rules."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the endpoint's model.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="PREFMEM_API_KEY", help="Of the endpoint.")
    ] = None,
    strategy: Annotated[
        Strategy,
        typer.Option(help="r1: ask; r2: ask and think; r3: let it write first, and compare."),
    ] = "r3",
    variants: Annotated[
        int, typer.Option(min=1, max=len(TEMPERATURES), help="Intents of a document.")
    ] = len(TEMPERATURES),
    own_temperature: Annotated[
        bool, typer.Option("--own-temperature", help="For models that take no temperature.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Documents that are read, the latest ones.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls in flight.")] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for an answer.")] = 120,
    price_in: Annotated[
        float | None, typer.Option(min=0, help="Of a million tokens that it reads.")
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(min=0, help="Of a million tokens that it writes.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would cost; nothing is sent.")
    ] = False,
    cards: Annotated[
        bool, typer.Option("--cards", help="Store the rules that recur as cards, too.")
    ] = False,
    db: Db = DB,
    as_json: Json = False,
) -> None:
    """Make lessons: what each document was to say, and the rules by which the user says it.

    With --chat a big model makes them; it reads the documents. Every answer is kept, so that a run
    that was ended goes on and nothing is paid twice. Without, code measures greeting, sign-off,
    length, lists and the like, and nothing leaves this machine.
    """
    if (price_in is None) != (price_out is None):
        raise typer.BadParameter("give both prices, or none", param_hint="--price-in")
    if dry_run and chat is None:
        raise typer.BadParameter("needs --chat; without it nothing costs", param_hint="--dry-run")
    folder = folder_of(home, UserKey(user, tenant))
    documents = _latest(read_documents(folder / DOCUMENTS), limit)
    prices = None if price_in is None or price_out is None else (price_in, price_out)
    temperatures = [None if own_temperature else t for t in TEMPERATURES[:variants]]
    if dry_run:
        guess = estimate(documents, strategy=strategy, temperatures=temperatures)
        _foretell(guess, len(documents), prices, as_json=as_json)
        return
    with _alone(folder):
        if chat is None:
            lessons = measured_lessons(documents)
            made = Distilled(lessons, {}, 0, Spent(), Spent())
        else:
            big = endpoint(
                chat, model=model, api_key=api_key, timeout=timeout, concurrency=concurrency
            )
            with progress() as tell:
                made = distilled(
                    documents, big, cache=folder / CALLS, strategy=strategy,
                    temperatures=temperatures, prices=prices, progress=tell,
                )  # fmt: skip
        write_lessons(folder / LESSONS, made.lessons)
    stored = 0
    if cards:
        with opened(ctx, db, tenant) as memory:
            stored = len(to_cards(memory, made.lessons, user_id=user))
    _report(made, len(documents), stored, folder, prices, as_json=as_json)


def _latest(documents: Sequence[Document], limit: int | None) -> Sequence[Document]:
    """Give the latest documents in their order; those without a time count as the oldest."""
    if limit is None or len(documents) <= limit:
        return documents
    times = [(d.at.timestamp() if d.at else float("-inf"), n) for n, d in enumerate(documents)]
    return [documents[n] for n in sorted(n for _, n in sorted(times)[-limit:])]


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep a second distillation of the user away: it would pay for the same answers."""
    lock = FileLock(str(folder / _LOCK))
    try:
        if not lock.acquire(0):
            raise InputError("another distillation of this user is running; wait until it ends")
        yield
    finally:
        lock.close()


def _foretell(
    guess: Spent, count: int, prices: tuple[float, float] | None, *, as_json: bool
) -> None:
    if as_json:
        emit({"documents": count, "about": _costs(guess, prices)})
        return
    say(
        f"{counted(count, 'document')}: about {guess.calls:,} calls, {guess.tokens_in:,} tokens "
        f"read and {guess.tokens_out:,} written"
        + (f", {spent_text(guess, prices)} in all." if prices else ".")
    )


def _report(
    made: Distilled, count: int, stored: int, folder: Path, prices: tuple[float, float] | None,
    *, as_json: bool,
) -> None:  # fmt: skip
    rules = sum(len(lesson.rules) for lesson in made.lessons)
    if as_json:
        emit(
            {
                "documents": count, "lessons": len(made.lessons), "rules": rules, "cards": stored,
                "failed": made.failed, "left_out": dict(made.left_out),
                "asked": _costs(made.fresh, prices), "kept": _costs(made.kept, prices),
                "folder": str(folder),
            }
        )  # fmt: skip
        return
    say(
        f"{counted(len(made.lessons), 'lesson')} with {counted(rules, 'rule')} from "
        f"{counted(count, 'document')} in {folder / LESSONS}."
    )
    if made.fresh.calls or made.kept.calls:
        say(
            f"Asked {counted(made.fresh.calls, 'time')}, {spent_text(made.fresh, prices)}; "
            f"{counted(made.kept.calls, 'answer')} came from the cache."
        )
    for reason, number in made.left_out.items():
        say(f"Left out: {number} {reason}.")
    if stored:
        say(f"Stored as cards: {counted(stored, 'rule')}.")
    if made.failed:
        say(f"No answer for {counted(made.failed, 'document')}; run it again to try them again.")


def _costs(spent: Spent, prices: tuple[float, float] | None) -> dict[str, Any]:
    price = {"price": round(spent.price(*prices), 4)} if prices else {}
    return {**asdict(spent), **price}
