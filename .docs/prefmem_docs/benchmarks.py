"""The pages of benchmarks: what `prefmem evaluate ... --out .docs/pages/benchmarks` has written.

A table is three files: `NAME.md` is its page as it stands, with command, date, versions and seed;
`NAME.json` holds the same for programs, and `NAME.png` is the picture in the page.
"""

import json
from typing import Any

from prefmem_docs.text import PAGES

FOLDER = PAGES / "benchmarks"


def names() -> list[str]:
    """Name the tables that were written, in the order of the alphabet."""
    return sorted(file.stem for file in FOLDER.glob("*.md") if file.stem != "index")


def listed() -> str:
    """List the tables that were written, each with its command and date."""
    rows = [_row(name) for name in names()]
    if not rows:
        return "No table has been written for this site yet."
    return "\n".join(["| table | command | date |", "|---|---|---|", *rows])


def _row(name: str) -> str:
    file = FOLDER / f"{name}.json"
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    title = told.get("title") or _title(name)
    command, date = told.get("command", ""), str(told.get("at") or told.get("date") or "")[:10]
    return f"| [{title}]({name}.md) | {f'`{command}`' if command else ''} | {date} |"


def _title(name: str) -> str:
    first, _, _ = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition("\n")
    return first.removeprefix("# ").strip() or name
