"""What the commands of `prefmem agent` share."""

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path,
    typer.Option(
        "--home", envvar="PREFMEM_AGENTS", file_okay=False,
        help="Folder of the agents: documents, lessons and adapters, by user.",
    ),
]  # fmt: skip
HOME = Path("agents")
