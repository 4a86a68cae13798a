"""Pages as they are read: with the files that they include, and links that lead within the site.

A page may hold these lines:

<!-- include FILE -->        a Markdown file of the repository, without its title
<!-- program FILE -->        a Python file, as a block of code with its path as title
<!-- picture FILE: words --> an SVG file of the page's folder tree, drawn into the page; the words
                             are for who does not see it
<!-- shot FILE: words -->    a screenshot, where it has been taken
<!-- benchmarks -->          the tables that lie in pages/benchmarks
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from os.path import normpath, relpath
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / ".docs" / "pages"

# files of the repository that have a page of their own here
HOMES = {
    "README.md": "index.md",
    "CHANGELOG.md": "reference/changelog.md",
    "examples": "hosts/examples.md",
    "examples/langgraph_server": "hosts/langgraph_server.md",
    "examples/langgraph_server/README.md": "hosts/langgraph_server.md",
    "integrations/README.md": "hosts/index.md",
    "integrations/prefmem_imports/README.md": "migration.md",
    "integrations/prefmem_langchain/README.md": "hosts/langchain.md",
    "integrations/prefmem_llamaindex/README.md": "hosts/llamaindex.md",
    "integrations/prefmem_mcp/README.md": "hosts/mcp.md",
    "integrations/prefmem_openai_agents/README.md": "hosts/openai_agents.md",
    "integrations/prefmem_openwebui/README.md": "hosts/openwebui.md",
    "integrations/prefmem_pydantic_ai/README.md": "hosts/pydantic_ai.md",
    "integrations/prefmem_server/README.md": "hosts/rest.md",
    "integrations/prefmem_server/PROXY.md": "hosts/proxy.md",
}
_DIRECTIVE = re.compile(r"^<!-- (include|program|picture|shot) ([^\s:]+)(?:: (.+?))? -->$", re.M)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: First word behind the opening fence; empty for plain text.
        title: Path of the file that it shows; empty for a block of the page's own.
        code: What is in it.
    """

    language: str
    title: str
    code: str


def expanded(page: str, text: str) -> str:
    """Put in what a page includes.

    Args:
        page: Path of the page below `pages`, with slashes.
        text: Its Markdown.

    Raises:
        FileNotFoundError: An included file is not there.
    """

    def put(found: re.Match[str]) -> str:
        kind, name, words = found.groups()
        if kind == "include":
            return included(name, page)
        if kind == "program":
            return program(name)
        file = (PAGES / page).parent / name
        if kind == "picture":
            return picture(file, words or "")
        return f"![{words}]({name}){{ loading=lazy }}" if file.exists() else ""

    return _DIRECTIVE.sub(put, text)


def included(name: str, page: str) -> str:
    """Give a Markdown file of the repository for a page: without title, its links led there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    body = re.sub(r"\A# [^\n]*\n+", "", text)
    return outside_fences(body, lambda part: _LINK.sub(lambda link: led(link, name, page), part))


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Change a text, but not its fenced blocks."""
    changed: list[str] = []
    start = 0
    for fence in _FENCE.finditer(text):
        changed += change(text[start : fence.start()]), fence[0]
        start = fence.end()
    return "".join((*changed, change(text[start:])))


def led(link: re.Match[str], name: str, page: str) -> str:
    """Lead a link of an included file to its page here; where there is none, keep its words."""
    words, target = link.groups()
    path, mark, anchor = target.partition("#")
    if "://" in target or not path:
        return link[0]
    home = home_of(normpath(str(Path(name).parent / path)))
    if home is None:
        return f"{words} (`{normpath(str(Path(name).parent / path))}`)"
    file, _, own = home.partition("#")
    to = relpath(file, str(Path(page).parent))
    ending = f"#{own or anchor}" if own or mark else ""
    return f"[{words}]({to}{ending})"


def home_of(file: str) -> str | None:
    """Give the page, with an anchor if need be, that shows a file of the repository."""
    if re.fullmatch(r"examples/\d\d_\w+\.py", file):
        return f"hosts/examples.md#{Path(file).stem}"
    return HOMES.get(file)


def program(name: str) -> str:
    """Show a Python file of the repository as a block of code."""
    code = (ROOT / name).read_text(encoding="utf-8").rstrip("\n")
    return f'```python title="{name}"\n{code}\n```'


def picture(file: Path, words: str) -> str:
    """Draw an SVG file into the page, so that it takes on the page's colours."""
    svg = re.sub(r"<!--.*?-->\s*", "", file.read_text(encoding="utf-8"), flags=re.S).strip()
    svg = re.sub(r"\n\s*", "\n", svg)
    label = escape(words, quote=True)
    opened = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f'<figure class="picture" markdown="0">\n{opened}\n</figure>'


def blocks(text: str) -> Iterator[Block]:
    """Give the fenced blocks of a page, in order."""
    for found in _FENCE.finditer(text):
        indent, opening, code = found.groups()
        title = re.search(r'title="([^"]+)"', opening)
        lines = (line.removeprefix(indent) for line in code.splitlines(keepends=True))
        language = (opening.split() or [""])[0]
        yield Block(language, title[1] if title else "", "".join(lines))


def sources() -> dict[str, str]:
    """Give all written pages, expanded, by their path below `pages`."""
    files = sorted(PAGES.rglob("*.md"))
    names = [file.relative_to(PAGES).as_posix() for file in files]
    return {
        name: expanded(name, file.read_text(encoding="utf-8"))
        for name, file in zip(names, files, strict=True)
    }
