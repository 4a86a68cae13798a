"""Pictures of the pages for the documentation, on invented people: python -m tests.browser.screenshots FOLDER.

With the packaged models; takes about a minute. Every picture is a PNG below 300 kB.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from prefmem import PreferenceMemory
from prefmem_server import ServerSettings, create_app
from prefmem_server.inspector import add_inspector
from prefmem_server.me import add_me
from tests.browser.conftest import CHROMIUM
from tests.browser.people import MARA, Days, tell
from tests.integrations.server.conftest import serving

DESK = {"width": 1180, "height": 780}
PHONE = {"width": 390, "height": 780}
MOST = 300_000  # bytes of a picture


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        clock = Days()
        memory = PreferenceMemory(Path(place) / "prefs.db", clock=clock)
        tell(memory, clock)
        app = create_app(memory, settings=ServerSettings(no_auth=True))
        add_inspector(app)
        add_me(app)
        with serving(app) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name, take in PICTURES.items():
                take(browser, address, folder / f"{name}.png")
            browser.close()


@contextmanager
def _opened(browser: Browser, **context: Any) -> Iterator[Page]:  # noqa: ANN401  # as Playwright takes them
    usual = {"locale": "en-GB", "timezone_id": "UTC", "viewport": DESK, "color_scheme": "light"}
    with browser.new_context(**usual | context) as opened:
        yield opened.new_page()


def _taken(page: Page, path: Path, *, whole: bool = False) -> None:
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(300)
    page.screenshot(path=path, full_page=whole)
    size = path.stat().st_size
    if size > MOST:
        raise SystemExit(f"{path} has {size:,} bytes, {MOST:,} are allowed")
    print(f"{path} {size // 1000} kB")  # noqa: T201  # a script


def _own_page(**context: Any) -> Callable[[Browser, str, Path], None]:  # noqa: ANN401  # as above
    def take(browser: Browser, address: str, path: Path) -> None:
        answer = httpx.post(f"{address}/v1/me/link", headers={"Prefmem-User": MARA})
        with _opened(browser, **context) as page:
            page.goto(answer.json()["url"])
            page.locator("li.rule").first.wait_for()
            _taken(page, path)

    return take


PICTURES: dict[str, Callable[[Browser, str, Path], None]] = {
    "me": _own_page(),
    "me-phone": _own_page(viewport=PHONE, device_scale_factor=1.5, has_touch=True),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
