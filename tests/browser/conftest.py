"""A server on a port, a browser in front of it, and what a page may not do while it is used."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from prefmem import PreferenceMemory
from prefmem_server import ServerSettings, create_app
from prefmem_server.inspector import add_inspector
from prefmem_server.me import MeSettings, add_me
from tests.integrations.server.conftest import serving, write_keys

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, Route

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 15_000  # ms that a page may take for a step


@dataclass
class Site:
    """A running server.

    Attributes:
        address: Where it listens.
        memory: What it serves.
        again: Opens another memory on the same file: what a test believes.
    """

    address: str
    memory: PreferenceMemory
    again: PreferenceMemory

    def link(self, user: str, *, key: str = "key-backend", **asked: Any) -> str:  # noqa: ANN401  # JSON
        """Get a link to the user's own page as a host's backend does."""
        headers = {"Authorization": f"Bearer {key}", "Prefmem-User": user}
        answer = httpx.post(f"{self.address}/v1/me/link", headers=headers, json=asked)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])


@dataclass
class Watch:
    """What a page did that it should not.

    Attributes:
        errors: Errors on the console, and those that nobody caught.
        foreign: Requests that left the site's origin.
        expected: Beginnings of errors that a test brings about.
    """

    errors: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])
    expected: tuple[str, ...] = ()

    def over(self, page: "Page", origin: str) -> None:
        """Watch a page."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._said)
        page.on("request", lambda asked: self._sent(asked.url, origin))
        page.on("dialog", self._opened)

    def _said(self, message: "ConsoleMessage") -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _opened(self, dialog: "Dialog") -> None:
        self.errors.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _sent(self, url: str, origin: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and not url.startswith(origin):
            self.foreign.append(url)


def held(page: "Page", path: str) -> "list[Route]":
    """Hold up the next request for a path; the list gets it, to be continued later."""
    waiting: list[Route] = []
    page.route(path, lambda route: waiting.append(route), times=1)
    return waiting


def pytest_report_header() -> str | None:
    return "browser: left out, pip install playwright" if collect_ignore_glob else None


@pytest.fixture(scope="session")
def playwright() -> Iterator["Playwright"]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: "Playwright") -> Iterator["Browser"]:
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield started
    started.close()


@pytest.fixture
def open_site(
    open_memory: Callable[..., PreferenceMemory], tmp_path: Path
) -> Iterator[Callable[..., Site]]:
    """Start servers with both pages, on memories on fakes; the arguments are of `MeSettings`."""
    with ExitStack() as stack:

        def make(**me: Any) -> Site:  # noqa: ANN401  # settings of several kinds
            memory = open_memory()
            keys = write_keys(tmp_path / "keys.json")
            app = create_app(memory, settings=ServerSettings(keys=keys))
            add_inspector(app)
            add_me(app, settings=MeSettings(**me))
            return Site(stack.enter_context(serving(app)), memory, open_memory())

        yield make


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    return open_site()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fail the test when a page reports an error or asks another origin for anything."""
    watching = Watch()
    yield watching
    assert [e for e in watching.errors if not e.startswith(watching.expected or "\0")] == []
    assert watching.foreign == []


@pytest.fixture
def open_page(browser: "Browser", site: Site, watch: Watch) -> Iterator[Callable[..., "Page"]]:
    """Open pages that are watched; the arguments are of a browser context."""
    with ExitStack() as stack:

        def make(**context: Any) -> "Page":  # noqa: ANN401  # as Playwright takes them
            usual: dict[str, Any] = {"locale": "en-GB", "timezone_id": "UTC"}
            opened = browser.new_context(**usual | context)
            stack.callback(opened.close)
            page = opened.new_page()
            page.set_default_timeout(PATIENCE)
            watch.over(page, site.address)
            return page

        yield make


@pytest.fixture
def page(open_page: Callable[..., "Page"]) -> "Page":
    return open_page()
