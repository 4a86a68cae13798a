# ruff: noqa: T201  # a script that reports
"""Builds the documentation site into `.docs/build`, strictly, and checks what came out.

`python .docs/build.py`; `pip install -c constraints.txt -e ".[docs]"` before. Open
`.docs/build/index.html` in a browser, with or without a server: nothing is loaded from elsewhere.
`python -m mkdocs serve -f .docs/mkdocs.yml` shows pages while they are written.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from prefmem_docs import check

HERE = Path(__file__).resolve().parent


def main(site: Path) -> int:
    """Build into a folder; gives how many faults were found."""
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    run = subprocess.run(
        [*command, "-f", str(HERE / "mkdocs.yml"), "-d", str(site.absolute())], check=False
    )
    if run.returncode:
        return run.returncode
    faults = check.faults(site)
    print("\n".join(faults) or f"{len(list(site.rglob('*.html')))} pages in {site}")
    return len(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "build"))
