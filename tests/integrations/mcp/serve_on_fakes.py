"""The server that the tests start: `prefmem mcp` with a memory on fakes, or on the weights."""

import sys
from pathlib import Path

import typer

from prefmem import PreferenceMemory
from prefmem.testing import HashEmbedder, PhraseExtractor, TableRelater, WordJudge
from prefmem_mcp.command import mcp

PACKAGED = "--packaged"  # the real weights


def on_fakes(db: Path, tenant: str) -> PreferenceMemory:
    return PreferenceMemory(
        db, tenant=tenant, embedder=HashEmbedder(), extractor=PhraseExtractor(), reranker="none",
        relater=TableRelater(), judge=WordJudge(),
    )  # fmt: skip


def main() -> None:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(mcp)
    db, *options = sys.argv[1:]
    given = ["--db", db, *(option for option in options if option != PACKAGED)]
    app(given, obj=None if PACKAGED in options else on_fakes)


if __name__ == "__main__":
    main()
