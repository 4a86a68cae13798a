"""`prefmem`: the memory from the command line.

Data goes to stdout, messages to stderr. Exit codes: 0 fine, 1 prefmem refused, 2 wrong usage.
"""

from typing import Annotated

import typer

import prefmem
from prefmem.cli import (
    agent,
    bulk,
    cards,
    dialogue,
    health,
    keys,
    migrate,
    pairs,
    person,
    selftest,
    shard,
    top,
    training,
    upkeep,
    usage,
    why,
    worker,
)
from prefmem.cli.group import Commands

__all__ = ["app", "main"]

app = typer.Typer(
    name="prefmem",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(dialogue.learn)
app.command()(dialogue.recall)
app.command()(why.why)
app.command()(person.show)
app.command("list")(cards.list_)
app.command()(cards.add)
app.command()(cards.edit)
app.command()(cards.forget)
app.command()(cards.history)
app.command()(cards.undo)
app.add_typer(pairs.app, name="export")
app.command()(usage.tell)
app.command(context_settings={"ignore_unknown_options": True})(usage.feedback)  # -1 is a score
app.command()(usage.replay)
app.command()(bulk.extract)
app.add_typer(training.app, name="train")
app.add_typer(agent.app, name="agent")
app.command()(worker.worker)
app.command()(top.top)
app.command()(health.doctor)
app.command()(migrate.migrate)
app.add_typer(shard.app, name="shard")
app.command()(keys.encrypt)
app.add_typer(keys.app, name="keys")
app.command()(upkeep.backup)
app.command()(upkeep.restore)
app.command()(upkeep.verify)
app.command()(upkeep.rebuild)
app.command()(upkeep.sweep)
app.command()(upkeep.audit)
app.add_typer(upkeep.erasures, name="erasures")
app.add_typer(selftest.app, name="selftest")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"prefmem {prefmem.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A preference memory for chat agents: learn, look, correct, forget."""
    del version


def main() -> None:
    """Run the command line."""
    app()
