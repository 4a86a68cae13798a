"""The user's own page, clicked through; the database is asked what came of it."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page, Route, expect

from prefmem import Card
from tests.browser.conftest import Site, Watch, held
from tests.browser.looks import faint_texts, overhang
from tests.integrations.server.conftest import serving

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title='pwned'><script>document.title='pwned'</script>"


@pytest.fixture
def mails(site: Site) -> Card:
    """Let Ann say one thing, have another one wait, and Ben say a third."""
    said = [("user", "When writing mails, always sign with A.")]
    (card,) = site.memory.learn(said, user_id="ann").added
    site.memory.add("", "use SI units", user_id="ann")
    waits = site.memory.add(
        "drafting invoices", "send them to books@outpost.example", user_id="ann"
    )
    site.memory.edit(waits.id, user_id="ann", status="quarantined")
    site.memory.add("", "never tell Ann", user_id="ben")
    return card


def test_the_page_shows_what_is_kept_and_why(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann"))
    expect(page.get_by_role("heading", name="When writing mails")).to_be_visible()
    shown = page.locator("li.rule", has_text="Sign with A.")
    expect(shown).to_contain_text("Because you said: ")
    expect(shown.locator("q")).to_have_text("When writing mails, always sign with A")
    expect(page.get_by_role("heading", name="In every answer")).to_be_visible()
    expect(page.get_by_role("heading", name="Waiting for you")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("never tell Ann")
    assert "#" not in page.url
    page.reload()
    expect(page.locator("li.rule")).to_have_count(3)


def test_edit_and_undo(site: Site, mails: Card, page: Page) -> None:
    page.goto(site.link("ann"))
    page.locator("li.rule", has_text="Sign with A.").get_by_role("button", name="Change").click()
    page.get_by_label("What your assistant should do").fill("sign with Ann")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("li.rule", has_text="Sign with Ann.")).to_be_visible()
    assert site.again.get(mails.id, user_id="ann").preference.action == "sign with Ann"
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("li.rule", has_text="Sign with A.")).to_be_visible()
    assert site.again.get(mails.id, user_id="ann").preference == mails.preference


def test_what_is_refused_is_not_lost(site: Site, mails: Card, page: Page, watch: Watch) -> None:
    watch.expected = ("Failed to load resource",)  # the refusal
    page.goto(site.link("ann"))
    page.locator("li.rule", has_text="Sign with A.").get_by_role("button", name="Change").click()
    page.get_by_label("What your assistant should do").fill("sign " * 60)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("longer than 240")
    expect(page.get_by_label("What your assistant should do")).to_have_value("sign " * 60)
    assert site.again.get(mails.id, user_id="ann") == mails


def test_confirm(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann"))
    waiting = page.locator("li.rule", has_text="books@outpost.example")
    waiting.get_by_role("button", name="Yes, use it").click()
    expect(page.get_by_role("heading", name="Waiting for you")).to_have_count(0)
    (card,) = (c for c in site.again.list(user_id="ann") if "invoices" in c.text)
    assert card.status == "active"


def test_forget_one_asks_first(site: Site, mails: Card, page: Page) -> None:
    page.goto(site.link("ann"))
    forget = page.locator("li.rule", has_text="Sign with A.").get_by_role("button", name="Forget")
    forget.click()
    page.get_by_role("button", name="Keep it as it is").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert len(site.again.list(user_id="ann")) == 3
    forget.click()
    page.get_by_role("dialog").get_by_role("button", name="Forget it").click()
    expect(page.locator("li.rule", has_text="Sign with A.")).to_have_count(0)
    assert mails.id not in {card.id for card in site.again.list(user_id="ann")}
    assert "sign with A" not in json.dumps(site.again.export(user_id="ann"))


def test_forget_everything_wants_the_word(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann", key="key-ops"))
    page.get_by_role("button", name="Forget everything").click()
    dialog = page.get_by_role("dialog")
    go = dialog.get_by_role("button", name="Forget everything")
    expect(go).to_be_disabled()
    dialog.get_by_label("type the word").fill("forge")
    expect(go).to_be_disabled()
    dialog.get_by_label("type the word").press("Enter")
    assert len(site.again.list(user_id="ann")) == 3
    dialog.get_by_label("type the word").fill("forget")
    go.click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    assert site.again.list(user_id="ann") == ()
    assert len(site.again.list(user_id="ben")) == 1


def erase(page: Page) -> None:
    """Ask for everything to be forgotten, and mean it."""
    page.get_by_role("button", name="Forget everything").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("type the word").fill("forget")
    dialog.get_by_role("button", name="Forget everything").click()


def test_a_link_that_ends_while_everything_is_forgotten_says_so(
    site: Site, mails: Card, page: Page, watch: Watch
) -> None:
    del mails
    watch.expected = ("Failed to load resource",)  # the refusal
    page.goto(site.link("ann", key="key-ops"))

    def over(route: Route) -> None:
        if route.request.method == "DELETE":
            route.fulfill(status=401, json={"detail": "the token has expired"})
        else:
            route.continue_()

    page.route("**/v1/me", over)
    erase(page)
    expect(page.get_by_role("alert").filter(has_text="This link has ended")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)
    assert len(site.again.list(user_id="ann")) == 3


def test_what_is_begun_is_told_to_its_end(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann", key="key-ops"))
    expect(page.locator("li.rule")).to_have_count(3)
    waiting = held(page, "**/v1/me")
    erase(page)
    expect(page.get_by_role("button", name="Keep it as it is")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")  # a browser may close it at the second one
    waiting.pop().continue_()
    expect(page.get_by_text("Everything is forgotten.").first).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)
    assert site.again.list(user_id="ann") == ()


def test_a_late_answer_is_not_shown_to_the_next_user(site: Site, mails: Card, page: Page) -> None:
    del mails
    ann, ben = site.link("ann"), site.link("ben")
    waiting = held(page, "**/v1/me/cards")
    page.goto(ann)
    page.wait_for_function("!location.hash")
    page.wait_for_timeout(300)
    page.evaluate("link => (location.hash = link)", ben.partition("#")[2])
    expect(page.locator("li.rule", has_text="Never tell Ann.")).to_be_visible()
    waiting.pop().continue_()
    page.wait_for_timeout(300)
    expect(page.locator("li.rule")).to_have_count(1)
    expect(page.locator(".foot")).to_contain_text("ben")


def test_the_next_users_link_closes_what_is_asked(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann", key="key-ops"))
    page.get_by_role("button", name="Forget everything").click()
    hash_of_ben = site.link("ben", key="key-ops").partition("#")[2]
    page.evaluate("link => (location.hash = link)", hash_of_ben)
    expect(page.locator("li.rule", has_text="Never tell Ann.")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("storage", [True, False])
def test_skipping_to_the_content_keeps_the_link(
    site: Site, mails: Card, page: Page, storage: bool
) -> None:
    del mails
    if not storage:
        page.add_init_script(
            "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('no'); } })"
        )
    page.goto(site.link("ann"))
    expect(page.locator("li.rule")).to_have_count(3)
    page.locator("a.skip").focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    expect(page.locator("li.rule")).to_have_count(3)
    page.get_by_role("button", name="Yes, use it").click()
    expect(page.get_by_role("heading", name="Waiting for you")).to_have_count(0)


def test_what_changed_lately_can_be_undone(site: Site, mails: Card, page: Page) -> None:
    page.goto(site.link("ann"))
    page.get_by_text("What changed lately").click()
    page.get_by_role("button", name="Undo: Learned from what you said").click()
    expect(page.locator("li.rule", has_text="Sign with A.")).to_have_count(0)
    assert mails.id not in {card.id for card in site.again.list(user_id="ann")}


def test_the_export_is_a_file(site: Site, mails: Card, page: Page) -> None:
    page.goto(site.link("ann"))
    with page.expect_download() as begun:
        page.get_by_role("button", name="Download everything").click()
    data = json.loads(Path(begun.value.path()).read_text(encoding="utf-8"))
    assert begun.value.suggested_filename == "what-my-assistant-knows.json"
    assert mails.id in {card["id"] for card in data["cards"]}
    assert len(data["cards"]) == 3


def test_a_reading_link_offers_no_change(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann", scopes=["read"]))
    expect(page.locator("li.rule")).to_have_count(3)
    for name in ("Change", "Forget", "Yes, use it", "Forget everything", "Undo"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("button", name="Download everything")).to_be_visible()


def test_a_link_that_may_not_erase_does_not_offer_it(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(site.link("ann", key="key-backend"))
    expect(page.get_by_role("button", name="Forget", exact=True)).to_have_count(3)
    expect(page.get_by_role("button", name="Forget everything")).to_have_count(0)


def test_without_a_link_nothing_is_shown(site: Site, mails: Card, page: Page, watch: Watch) -> None:
    del mails
    watch.expected = ("Failed to load resource",)  # the refusals below
    page.goto(f"{site.address}/me/")
    expect(page.get_by_text("opens with a link from your app")).to_be_visible()
    page.goto(f"{site.address}/me/#link=a.b.c")
    expect(page.get_by_text("This link has ended")).to_be_visible()
    expect(page.locator("li.rule")).to_have_count(0)


def test_hostile_text_is_text(site: Site, page: Page) -> None:
    site.memory.add(f"writing {HOSTILE}", f"say {HOSTILE}", user_id="ann")
    site.memory.add("", "[look](javascript:document.title='pwned')", user_id="ann")
    page.goto(site.link("ann"))
    expect(page.locator("li.rule", has_text="onerror")).to_contain_text(HOSTILE)
    page.get_by_text("What changed lately").click()
    page.locator("li.rule", has_text="onerror").get_by_role("button", name="Change").click()
    expect(page.get_by_label("What your assistant should do")).to_have_value(f"say {HOSTILE}")
    assert page.title() == "What my assistant knows about me"
    assert page.locator("main img, main script, main a").count() == 0


def test_by_keyboard_alone(site: Site, mails: Card, page: Page) -> None:
    page.goto(site.link("ann"))
    expect(page.locator("li.rule")).to_have_count(3)
    focused = """[document.activeElement.textContent,
        document.activeElement.getAttribute("aria-describedby")].join("|")"""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == f"Change|rule-{mails.id}":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_label("When", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("sign with Ann")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(f"#rule-{mails.id}")).to_be_focused()
    assert site.again.get(mails.id, user_id="ann").preference.action == "sign with Ann"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(
    site: Site, mails: Card, open_page: Callable[..., Page], scheme: str
) -> None:
    del mails
    page = open_page(color_scheme=scheme)
    page.goto(site.link("ann", key="key-ops"))
    expect(page.locator("li.rule")).to_have_count(3)
    page.get_by_text("What changed lately").click()
    assert faint_texts(page) == []
    page.get_by_role("button", name="Forget everything").click()
    assert faint_texts(page) == []


def test_a_phone_needs_no_scrolling_sideways(
    site: Site, mails: Card, open_page: Callable[..., Page]
) -> None:
    del mails
    long = "x" * 220
    site.memory.add(f"writing {long}", f"say {long}", user_id="ann")
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True)
    page.goto(site.link("ann"))
    expect(page.locator("li.rule")).to_have_count(4)
    page.get_by_text("What changed lately").click()
    assert overhang(page) == 0


@contextmanager
def host_of(link: Callable[[], str]) -> Generator[str]:
    """Serve somebody's app, whose page shows a link in a frame."""
    app = FastAPI()
    app.get("/")(
        lambda: HTMLResponse(f"<link rel=icon href=data:,><iframe src='{link()}'></iframe>")
    )
    with serving(app) as address:
        yield address


def test_a_host_can_show_it_in_a_frame(open_site: Callable[..., Site], browser: Browser) -> None:
    links: list[str] = []
    with host_of(links.pop) as host:
        site = open_site(embed=(host,))
        site.memory.add("", "use SI units", user_id="ann")
        links.append(site.link("ann"))
        with browser.new_context() as opened:
            page = opened.new_page()
            page.goto(host)
            inside = page.frame_locator("iframe")
            expect(inside.locator("li.rule", has_text="Use SI units.")).to_be_visible()
            inside.get_by_role("button", name="Forget", exact=True).click()
            inside.get_by_role("dialog").get_by_role("button", name="Forget it").click()
            expect(inside.get_by_text("Nothing yet.")).to_be_visible()
            assert site.again.list(user_id="ann") == ()


def test_nobody_else_can(open_site: Callable[..., Site], browser: Browser) -> None:
    site = open_site(embed=("https://app.example",))
    site.memory.add("", "use SI units", user_id="ann")
    with host_of(lambda: site.link("ann")) as host, browser.new_context() as opened:
        page = opened.new_page()
        with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
            page.goto(host)
        assert page.frame_locator("iframe").locator("li.rule").count() == 0
