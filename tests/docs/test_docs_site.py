"""The site builds strictly, offline, and loads nothing from elsewhere."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from prefmem_docs import check, text

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("mkdocs") is None or find_spec("material") is None,
        reason='the site\'s tools are not installed: pip install "prefmem[docs]"',
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as its own command does."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(text.ROOT / ".docs" / "build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return folder


def test_nothing_is_loaded_from_elsewhere_and_every_link_arrives(site: Path) -> None:
    assert check.faults(site) == []


def test_every_page_is_there(site: Path) -> None:
    for page in text.sources():
        assert (site / page).with_suffix(".html").exists(), page
    assert (site / "reference" / "options.html").exists()


def test_the_search_needs_no_server(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert index.startswith("var __index = ")
    assert "max_unwarranted" in index
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "assets/iframe-worker.js" in home
    assert "unpkg" not in home


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    page = (site / "method" / "ledger.html").read_text(encoding="utf-8")
    assert page.count("<math ") > 10
    assert "arithmatex" not in page
