"""Pictures of the pages for the docs: python -m tests.browser.screenshots FOLDER [NAME...].

On invented people and with the packaged models; takes about a minute. Each is a PNG below 300 kB.
"""

import sys
import tempfile
from collections.abc import Callable, Generator
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


def main(folder: Path, *names: str) -> None:
    """Take all pictures, or those that are named."""
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
                if not names or name in names:
                    take(browser, address, folder / f"{name}.png")
            browser.close()


@contextmanager
def _opened(browser: Browser, **context: Any) -> Generator[Page]:  # noqa: ANN401  # as Playwright takes them
    usual: dict[str, Any] = {
        "locale": "en-GB",
        "timezone_id": "UTC",
        "viewport": DESK,
        "color_scheme": "light",
    }
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


def _inspector(
    view: Callable[[Page], None],
    *,
    whole: bool = False,
    **context: Any,  # noqa: ANN401  # as above
) -> Callable[[Browser, str, Path], None]:
    def take(browser: Browser, address: str, path: Path) -> None:
        with _opened(browser, **context) as page:
            page.goto(f"{address}/inspect/")
            page.get_by_test_id("user").fill(MARA)
            page.get_by_test_id("look").click()
            page.get_by_test_id("rule").first.wait_for()
            view(page)
            _taken(page, path, whole=whole)

    return take


def _rules(page: Page) -> None:
    del page


def _rule(page: Page) -> None:
    page.locator("#order").select_option("oldest")
    _chosen(page, "mails to customers, keep them")


def _chosen(page: Page, text: str) -> None:
    page.get_by_test_id("rule").filter(has_text=text).first.get_by_role("link").click()
    page.get_by_test_id("rule-detail").wait_for()
    page.evaluate("scrollTo(0, 0)")


def _why(page: Page) -> None:
    page.get_by_test_id("to-recalls").click()
    page.get_by_test_id("recall").filter(has_text="complaint").first.get_by_role("link").click()
    page.get_by_test_id("why").wait_for()


def _what_if(page: Page) -> None:
    _chosen(page, "When I ask for SQL")
    page.get_by_test_id("try").click()
    page.get_by_label("The user asks").fill("A SQL query for the returns of each month")
    page.get_by_test_id("edit-action").fill("put each clause on a line of its own")
    page.get_by_role("button", name="Compare").click()
    page.get_by_test_id("outcome").wait_for()
    page.evaluate("scrollTo(0, 0)")


def _plots(page: Page) -> None:
    page.get_by_test_id("to-plots").click()
    page.locator("#plots figure svg[role=group]").first.wait_for()


PICTURES: dict[str, Callable[[Browser, str, Path], None]] = {
    "inspector-rules": _inspector(_rules),
    "inspector-rule": _inspector(_rule, viewport={"width": 1180, "height": 860}),
    "inspector-why": _inspector(_why),
    "inspector-whatif": _inspector(_what_if, viewport={"width": 1180, "height": 1350}),
    "inspector-plots": _inspector(_plots, whole=True),
    "inspector-phone": _inspector(_rules, viewport=PHONE, device_scale_factor=1.5, has_touch=True),
    "inspector-dark": _inspector(_rule, color_scheme="dark"),
    "me": _own_page(),
    "me-phone": _own_page(viewport=PHONE, device_scale_factor=1.5, has_touch=True),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
