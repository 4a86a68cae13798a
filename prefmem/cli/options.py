"""What the commands share: options, and how they open the memory."""

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import typer

from prefmem.cli.keys import opened_store
from prefmem.cli.show import say
from prefmem.defaults import is_dsn
from prefmem.errors import InputError, NotFoundError
from prefmem.memory import PreferenceMemory
from prefmem.types import Card

if TYPE_CHECKING:
    from prefmem.agent.generate import LocalAgent

Db = Annotated[
    str,
    typer.Option(
        "--db", envvar="PREFMEM_DB", metavar="FILE|DSN",
        help="The SQLite file, or postgresql://... for PostgreSQL.",
    ),
]  # fmt: skip
User = Annotated[str, typer.Option("--user", envvar="PREFMEM_USER", help="Whose preferences.")]
Who = Annotated[
    str, typer.Argument(metavar="USER", envvar="PREFMEM_USER", help="Whose preferences.")
]
Tenant = Annotated[str, typer.Option("--tenant", help="Stands before the user in every key.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for machines.")]
CardId = Annotated[str, typer.Argument(metavar="CARD", help="Id of a card, or its beginning.")]
ExistingFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)
]

Agents = Annotated[
    Path | None,
    typer.Option(
        "--agents", envvar="PREFMEM_AGENTS", file_okay=False,
        help="Folder of preference agents, as `prefmem agent` makes it.",
    ),
]  # fmt: skip

DB = "prefs.db"
_SHORTEST_ID = 4  # characters of a card id that are taken for its beginning

Opener: TypeAlias = Callable[[str, str], PreferenceMemory]


@contextmanager
def opened(
    ctx: typer.Context, db: str, tenant: str, *, made: bool = True, agents: Path | None = None
) -> Generator[PreferenceMemory]:
    """Open the memory, with the context's object where a caller put one: what opens it instead.

    Args:
        ctx: The command's context.
        db: The store.
        tenant: The tenant.
        made: Whether a missing file is made.
        agents: Folder of preference agents; None for no agent.

    Raises:
        InputError: The file is missing and is not to be made, or the folder is missing.
    """
    if agents is not None and not agents.is_dir():
        raise InputError(f"there is no folder {agents}; prefmem agent ingest makes it")
    if not made and missing(db):
        raise InputError(f"there is no store at {db}; learn or add something, or pass --db")
    opener = cast(Opener | None, ctx.obj)
    if opener is not None:
        with opener(db, tenant) as memory:
            yield memory
        return
    with (
        opened_store(db) as store,
        PreferenceMemory(store=store, tenant=tenant, agent=_agent(agents)) as memory,
    ):
        yield memory


def _agent(home: Path | None) -> "LocalAgent | None":
    """Open the agents in a folder; the models load when a user has an adapter there."""
    if home is None:
        return None
    from prefmem.agent.generate import LocalAgent
    from prefmem.agent.registry import Registry

    with suppress(ImportError):  # no bar of loading weights among the answers
        import_module("huggingface_hub.utils").disable_progress_bars()
    return LocalAgent(Registry(home))


def missing(db: str) -> bool:
    """Whether a file is named that is not there."""
    return not is_dsn(db) and not Path(db).exists()


def shown(db: str) -> str:
    """Name a store without a password that its address may hold."""
    return "the PostgreSQL database" if is_dsn(db) else db


def say_waiting(count: int) -> None:
    """Say that what somebody said may not be learned yet, and who learns it."""
    if count:
        waits = "1 window waits" if count == 1 else f"{count:,} windows wait"
        say(f"{waits} to be learned: `prefmem worker` learns what another process left.")


def found(memory: PreferenceMemory, user: str, card_id: str) -> Card:
    """Find a card by its id or the beginning of it.

    Raises:
        NotFoundError: No card begins so.
        InputError: Several do.
    """
    cards = memory.list(user_id=user)
    matching = [c for c in cards if c.id == card_id]
    if not matching and len(card_id) >= _SHORTEST_ID:
        matching = [c for c in cards if c.id.startswith(card_id)]
    if not matching:
        raise NotFoundError(f"user {user!r} has no card {card_id!r}; prefmem list shows the ids")
    if len(matching) > 1:
        raise InputError(f"{len(matching)} cards begin with {card_id!r}; give more of the id")
    return matching[0]
