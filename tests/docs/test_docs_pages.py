"""The written pages: what they name exists, and they show what they include."""

import json
import re
from pathlib import Path

import pytest
from prefmem_docs import benchmarks, check, commands, reference, text

SOURCES = text.sources()
COMMANDS = dict(commands.commands())
PLACEHOLDERS = {"prefmem evaluate peers", "prefmem inspect"}  # of integrations and extras


@pytest.mark.parametrize("page", SOURCES)
def test_commands_and_their_options_exist(page: str) -> None:
    for block in text.blocks(SOURCES[page]):
        for line in re.findall(r"^\s*(?:[A-Z_]+=\S+ )?(prefmem .*)$", block.code, re.M):
            words = line.split()
            name = max((n for n in COMMANDS if f"{line} ".startswith(f"{n} ")), key=len, default="")
            assert name, f"{page}: {line}"
            known = commands.options(COMMANDS[name])
            given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
            assert given <= known, f"{page}: {line}"


def test_settings_that_pages_name_exist() -> None:
    known = reference.pages()["reference/options.md"]
    for page, written in SOURCES.items():
        for name in re.findall(r"`Config\.(\w+)`", written):
            assert f"`{name}`" in known, f"{page}: Config.{name}"


@pytest.mark.parametrize("page", SOURCES)
def test_python_on_a_page_can_be_read(page: str) -> None:
    for block in text.blocks(SOURCES[page]):
        if block.language == "python":
            compile(block.code, page, "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def test_an_included_file_loses_its_title_and_its_links_lead_here() -> None:
    shown = text.included("integrations/prefmem_mcp/README.md", "hosts/mcp.md")
    assert not shown.startswith("# ")
    assert "[the middleware](langchain.md)" in shown
    again = text.included("integrations/prefmem_imports/README.md", "migration.md")
    assert "(hosts/examples.md#15_import_mem0)" in again


def test_what_is_not_on_the_site_keeps_its_path() -> None:
    shown = text.included("integrations/prefmem_openwebui/README.md", "hosts/openwebui.md")
    assert "filter.py (`integrations/prefmem_openwebui/filter.py`)" in shown


def test_links_in_code_are_left_alone() -> None:
    assert text.outside_fences("a\n```\na\n```\na", str.upper) == "A\n```\na\n```\nA"


def test_blocks_are_found_with_language_title_and_indent() -> None:
    page = '```python title="a.py"\nx = 1\n```\n\n- so:\n  ```\n  y\n  ```\n'
    assert list(text.blocks(page)) == [
        text.Block("python", "a.py", "x = 1\n"),
        text.Block("", "", "y\n"),
    ]


def test_a_picture_is_drawn_into_the_page(tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    file.write_text("<svg viewBox='0 0 1 1'>\n  <!-- note -->\n  <g/>\n</svg>", encoding="utf-8")
    drawn = text.picture(file, 'a "b"')
    assert 'aria-label="a &quot;b&quot;"' in drawn
    assert "note" not in drawn


def test_every_picture_says_what_it_shows_and_loads_nothing() -> None:
    for file in sorted((text.PAGES / "images").glob("*.svg")):
        svg = file.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\"]+", svg)) == {"http://www.w3.org/2000/svg"}
    for page, written in SOURCES.items():
        assert 'aria-label=""' not in written, page


def test_benchmarks_are_listed_with_command_and_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path)
    assert benchmarks.names() == []
    (tmp_path / "recall.md").write_text("# Recall\n", encoding="utf-8")
    told = {"title": "Recall, test", "command": "prefmem evaluate recall", "at": "2026-11-22T07:00"}
    (tmp_path / "recall.json").write_text(json.dumps(told), encoding="utf-8")
    (tmp_path / "other.md").write_text("# Another one\n", encoding="utf-8")
    assert benchmarks.names() == ["other", "recall"]
    assert benchmarks.listed().splitlines()[2:] == [
        "| [Another one](other.md) |  |  |",
        "| [Recall, test](recall.md) | `prefmem evaluate recall` | 2026-11-22 |",
    ]


def test_the_check_finds_what_is_wrong_with_a_site(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="#no"></a><a href="b.html"></a>'
        '<a href="https://example.org"></a><img src="https://example.org/a.png"><img src="a.png">'
        '<script src="//cdn.example.org/x.js"></script><link rel="canonical" href="https://e.org">',
        encoding="utf-8",
    )
    (tmp_path / "s.css").write_text("a { b: url(https://example.org/f.woff) }", encoding="utf-8")
    assert check.faults(tmp_path) == [
        "a.html: loads https://example.org/a.png",
        "a.html: a.png is not there",
        "a.html: loads //cdn.example.org/x.js",
        "a.html: the link #no has no such place",
        "a.html: the link b.html leads nowhere",
        "s.css: loads https://example.org/f.woff",
    ]


def test_an_empty_site_is_a_fault(tmp_path: Path) -> None:
    assert check.faults(tmp_path) == [f"{tmp_path} holds no page"]
