"""What mkdocs calls while it builds the site: generated pages, included files, formulas."""

import re
from html import unescape

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from prefmem_docs import benchmarks, reference, text

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the benchmarks that were run to the navigation."""
    for section in config.nav or ():
        if "Benchmarks" in section:
            section["Benchmarks"] += [f"benchmarks/{name}.md" for name in benchmarks.names()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated: the reference and the examples."""
    for name, page in reference.pages().items():
        if (old := files.get_file_from_path(name)) is not None:
            files.remove(old)
        files.append(File.generated(config, name, content=page))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Put in what a page includes."""
    markdown = markdown.replace("<!-- benchmarks -->", benchmarks.listed())
    return text.expanded(page.file.src_uri, markdown)


def on_page_content(html: str, **_: object) -> str:
    """Write formulas as MathML, which browsers draw by themselves."""
    return _FORMULA.sub(_drawn, html)


def _drawn(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    return convert(unescape(found[2]).strip(), display=display)
