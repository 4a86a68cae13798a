"""`prefmem agent`: a small model of one's own that writes rules from examples of one's writing."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="A small local model that learns how a user writes, from documents."
)

Home = Annotated[
    Path,
    typer.Option(
        "--home", envvar="PREFMEM_AGENTS", file_okay=False,
        help="Folder of the agents: documents, lessons and adapters, by user.",
    ),
]  # fmt: skip
HOME = Path("agents")
