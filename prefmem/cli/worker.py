"""`prefmem worker`: learns what other processes put in the store, in a process of its own."""

import signal
import threading
from typing import Annotated

import typer

from prefmem.cli.options import DB, Db, Tenant, opened, shown
from prefmem.cli.show import counted, say
from prefmem.job import Backlog

_LOOK = 1.0  # seconds between looks at a queue that is to become empty


def worker(
    ctx: typer.Context,
    db: Db = DB,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when nothing waits any more.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds that what has begun may take at the end.")
    ] = 10.0,
    revive: Annotated[
        str | None, typer.Option(metavar="USER", help="Try this user's dead jobs again.")
    ] = None,
    tenant: Tenant = "",
) -> None:
    """Learn what waits in the store, until SIGTERM or Ctrl-C; several may run side by side."""
    stop = threading.Event()
    with opened(ctx, db, tenant) as memory:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, frame: stop.set())
        if revive is not None:
            say(f"{counted(memory.revive(user_id=revive), 'dead job')} of {revive!r} revived.")
        memory.wake()
        say(f"Learning from {shown(db)}: {_told(memory.backlog())}.")
        while not stop.wait(_LOOK if until_empty else None):
            if memory.flush(_LOOK):
                break
        stopped = stop.is_set()
        memory.close(timeout if stopped else 0)
    say("Stopped." if stopped else "Nothing waits any more.")


def _told(backlog: Backlog) -> str:
    return f"{backlog.waiting} waiting, {backlog.running} running, {backlog.dead} dead"
