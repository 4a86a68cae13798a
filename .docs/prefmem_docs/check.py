"""What must hold of the built site: it loads nothing from elsewhere, and every link arrives."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {  # tag: attributes by which a browser fetches something without being asked
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "image": ("href", "xlink:href"),
    "img": ("src", "srcset"), "input": ("src",), "link": ("href",), "object": ("data",),
    "script": ("src",), "source": ("src", "srcset"), "track": ("src",), "use": ("href",),
    "video": ("src", "poster"),
}  # fmt: skip
_FROM_CSS = re.compile(
    r"url\(\s*['\"]?((?:https?:)?//[^'\")]+)|@import\s+['\"]?((?:https?:)?//\S+)"
)


@dataclass(slots=True)
class _Page(HTMLParser):
    """What a page names: its anchors, its links, what it loads."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev"):
            self.links.append(given["href"])
        else:
            self.loads += [given[name] for name in _LOADED.get(tag, ()) if name in given]


def faults(site: Path) -> list[str]:
    """Name what is wrong with a built site, one line each; none when all is well."""
    site = site.resolve()
    pages = {file: _read(file) for file in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site} holds no page"]
    ids = {file: page.ids for file, page in pages.items()}
    found: list[str] = []
    for file, page in pages.items():
        name = file.relative_to(site).as_posix()
        found += [f"{name}: {fault}" for fault in _loads(site, file, page)]
        found += [f"{name}: {fault}" for fault in _links(site, file, page, ids)]
    for file in sorted(site.rglob("*.css")):
        for first, second in _FROM_CSS.findall(file.read_text(encoding="utf-8")):
            found.append(f"{file.relative_to(site)}: loads {first or second}")
    return found


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def _place(site: Path, file: Path, path: str) -> Path:
    """Find the file that a path names, seen from a page; 404.html names all from the root."""
    start = site if path.startswith("/") else file.parent
    return (start / unquote(path).lstrip("/")).resolve()


def _loads(site: Path, file: Path, page: _Page) -> Iterator[str]:
    for target in page.loads:
        if target.startswith("data:"):
            continue
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            yield f"loads {target}"
        elif parts.path and not _place(site, file, parts.path).exists():
            yield f"{target} is not there"


def _links(site: Path, file: Path, page: _Page, ids: dict[Path, set[str]]) -> Iterator[str]:
    for target in page.links:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        to = _place(site, file, parts.path) if parts.path else file.resolve()
        if to.is_dir():
            to /= "index.html"
        if not to.exists():
            yield f"the link {target} leads nowhere"
        elif parts.fragment and unquote(parts.fragment) not in ids.get(to, {parts.fragment}):
            yield f"the link {target} has no such place"
