"""`prefmem agent`: a small model of one's own that writes rules from examples of one's writing."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from prefmem.agent.documents import FEW, Gathered, gather
from prefmem.agent.files import read_documents, replacing, write_documents
from prefmem.agent.places import DOCUMENTS, QUARANTINE, REPORT, folder_of
from prefmem.cli.agent_distil import distil
from prefmem.cli.agent_options import HOME, Home
from prefmem.cli.agent_train import list_, remove, rollback, train
from prefmem.cli.options import Json, Tenant, User
from prefmem.cli.show import counted, emit, progress, say
from prefmem.defence.privacy import PIIPolicy
from prefmem.errors import InputError
from prefmem.types import UserKey

app = typer.Typer(
    no_args_is_help=True, help="A small local model that learns how a user writes, from documents."
)


@app.command()
def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="JSONL, JSON, mbox, mails, texts, or folders of them."),
    ],
    user: User,
    tenant: Tenant = "",
    home: Home = HOME,
    kind: Annotated[
        str | None, typer.Option(help="What they are, such as mail or review; else by the file.")
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option(help="Name or address of the user in the files; may be given again."),
    ] = None,
    pii: Annotated[
        PIIPolicy, typer.Option(help="What happens to private data; a secret never passes.")
    ] = "quarantine",
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget the documents that were taken in before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take in what a user wrote, to learn from: mails, articles, reviews, chats.

    Quoted mail, empty texts, near-duplicates and other people's texts are left out. What is taken
    in joins what was there. Documents with private data wait in quarantine.jsonl and are not
    learned from; --pii allow takes them, but for secrets.
    """
    folder = folder_of(home, UserKey(user, tenant))
    kept = [folder / DOCUMENTS, folder / QUARANTINE]
    known = [] if replace else [d for path in kept if path.is_file() for d in read_documents(path)]
    with progress(unit="texts") as tell:
        found = gather(
            paths, kind=kind, author=author or (), pii=pii, known=known,
            tell=lambda count: tell("reading", count, 0),
        )  # fmt: skip
    report = _summary(found)
    try:
        write_documents(kept[0], found.documents)
        write_documents(kept[1], found.quarantined)
        with replacing(folder / REPORT) as file:
            json.dump(report, file, indent=2)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    if as_json:
        emit({**report, "folder": str(folder)})
        return
    _tell(found, report, folder)


def _summary(found: Gathered) -> dict[str, Any]:
    """Count what was gathered; no text and no name is in it."""
    times = [d.at for d in found.documents if d.at]
    return {
        "documents": len(found.documents),
        "kinds": dict(sorted(Counter(d.kind for d in found.documents).items())),
        "words": sum(len(d.text.split()) for d in found.documents),
        "first": min(times).isoformat() if times else None,
        "last": max(times).isoformat() if times else None,
        "quarantined": len(found.quarantined),
        "cut": found.cut,
        "left_out": dict(found.left_out),
    }


def _tell(found: Gathered, report: dict[str, Any], folder: Path) -> None:
    kinds = ", ".join(counted(count, kind) for kind, count in report["kinds"].items())
    say(f"{counted(len(found.documents), 'document')} ({kinds or 'none'}) in {folder}.")
    for reason, count in found.left_out.items():
        say(f"Left out: {count} {reason}.")
    if found.cut:
        say(f"Cut at 20,000 characters: {found.cut}.")
    if found.quarantined:
        say(f"Waiting in {QUARANTINE}, with private data: {len(found.quarantined)}.")
    if len(found.documents) < FEW:
        say(f"That is few: rules are told well from {FEW} documents on.")


app.command()(distil)
app.command()(train)
app.command("list")(list_)
app.command()(rollback)
app.command()(remove)
