"""The operator's inspector, clicked through; the database is asked what came of it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from prefmem import Card
from tests.browser.conftest import Site, Watch, held
from tests.browser.looks import faint_texts, overhang

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title='pwned'><script>document.title='pwned'</script>"
VIEWS = ("rules", "recalls", "whatif", "plots")


@pytest.fixture
def mails(site: Site) -> Card:
    """Let Ann say a few things, ask for one, and say what she thinks of it."""
    memory = site.memory
    (card,) = memory.learn(
        [("user", "When writing mails, always sign with A.")], user_id="ann"
    ).added
    memory.add("writing sql", "use capital keywords", user_id="ann")
    waits = memory.add("drafting invoices", "send them to books@outpost.example", user_id="ann")
    memory.edit(waits.id, user_id="ann", status="quarantined")
    recall = memory.recall("writing mails", user_id="ann", session_id="monday")
    memory.feedback(recall, 1.0, user_id="ann", card_id=card.id)
    return card


@pytest.fixture
def inspector(site: Site, mails: Card, page: Page) -> Page:
    """Open the inspector on Ann's rules with the operator's key."""
    del mails
    return look(page, site)


def look(page: Page, site: Site) -> Page:
    page.goto(f"{site.address}/inspect/#key=key-ops")
    page.get_by_test_id("user").fill("ann")
    page.get_by_test_id("look").click()
    expect(page.get_by_test_id("rule").first).to_be_visible()
    return page


def detail_of(page: Page, text: str) -> Locator:
    """Open a rule, and give its page."""
    page.get_by_test_id("rule").filter(has_text=text).get_by_role("link").click()
    found = page.get_by_test_id("rule-detail")
    expect(found.get_by_role("heading", name=text)).to_be_visible()
    return found


def test_a_rule_shows_where_it_comes_from(inspector: Page) -> None:
    detail = detail_of(inspector, "When writing mails, sign with A.")
    expect(detail.get_by_test_id("quote").locator("blockquote")).to_have_text(
        "When writing mails, always sign with A"
    )
    expect(detail.get_by_test_id("event")).to_have_count(1)
    assert "key-ops" not in inspector.url


def test_edit_and_undo(site: Site, mails: Card, inspector: Page) -> None:
    detail = detail_of(inspector, "When writing mails, sign with A.")
    detail.get_by_test_id("edit").click()
    detail.get_by_test_id("edit-action").fill("sign with Ann")
    detail.get_by_role("button", name="Save").click()
    expect(detail.get_by_role("heading", name="When writing mails, sign with Ann.")).to_be_visible()
    assert site.again.get(mails.id, user_id="ann").preference.action == "sign with Ann"
    inspector.get_by_test_id("undo-last").click()
    expect(detail.get_by_role("heading", name="When writing mails, sign with A.")).to_be_visible()
    assert site.again.get(mails.id, user_id="ann").preference == mails.preference


def test_confirm(site: Site, inspector: Page) -> None:
    inspector.get_by_test_id("filter-quarantined").click()
    expect(inspector.get_by_test_id("rule")).to_have_count(1)
    detail = detail_of(inspector, "send them to books@outpost.example")
    detail.get_by_test_id("confirm").click()
    expect(detail.get_by_test_id("confirm")).to_have_count(0)
    (card,) = (c for c in site.again.list(user_id="ann") if "invoices" in c.text)
    assert card.status == "active"


def test_forget_asks_first(site: Site, mails: Card, inspector: Page) -> None:
    detail = detail_of(inspector, "When writing mails, sign with A.")
    detail.get_by_test_id("forget").click()
    inspector.get_by_test_id("cancel").click()
    assert len(site.again.list(user_id="ann")) == 3
    detail.get_by_test_id("forget").click()
    inspector.get_by_test_id("confirm-yes").click()
    expect(inspector.get_by_test_id("rule")).to_have_count(2)
    assert mails.id not in {card.id for card in site.again.list(user_id="ann")}


def test_why_a_recall_gave_what_it_gave(mails: Card, inspector: Page) -> None:
    inspector.get_by_test_id("to-recalls").click()
    inspector.get_by_test_id("recall").first.get_by_role("link").click()
    expect(inspector.get_by_test_id("why")).to_be_visible()
    row = inspector.locator(f"[data-testid=candidate][data-card='{mails.id}']")
    expect(row).to_contain_text("injected")
    expect(row).to_contain_text("When writing mails, sign with A.")


def test_what_if_changes_nothing(site: Site, mails: Card, inspector: Page) -> None:
    before = site.again.timeline(user_id="ann")
    detail_of(inspector, "When writing mails, sign with A.").get_by_test_id("try").click()
    inspector.get_by_label("The user asks").fill("writing mails")
    inspector.get_by_test_id("edit-action").fill("sign with Ann Lind")
    inspector.get_by_role("button", name="Compare").click()
    expect(inspector.get_by_test_id("before").get_by_test_id("block")).to_contain_text(
        "sign with A"
    )
    expect(inspector.get_by_test_id("after").get_by_test_id("block")).to_contain_text("Ann Lind")
    after = site.again.timeline(user_id="ann")
    assert site.again.get(mails.id, user_id="ann") == mails
    assert after.events == before.events
    assert len(after.interactions) == len(before.interactions)


def test_the_plots_can_be_read_by_keyboard_and_as_tables(inspector: Page) -> None:
    inspector.get_by_test_id("to-plots").click()
    plots = inspector.locator("#plots")
    expect(plots.locator("figure svg[role=group]").first).to_be_visible()
    bars = plots.locator("figure", has_text="What was learned")
    bars.locator(".mark").first.focus()
    expect(bars.locator(".reading")).to_contain_text("new 3")
    chart = plots.locator("figure", has_text="Map of the active rules")
    chart.locator(".mark").first.focus()
    first = chart.locator(".reading").text_content()
    inspector.keyboard.press("ArrowRight")
    expect(chart.locator(".reading")).not_to_have_text(first or "")
    chart.get_by_text("The same as a table").click()
    expect(chart.locator("tbody tr")).to_have_count(2)
    inspector.keyboard.press("Shift+Tab")
    chart.locator(".mark").first.focus()
    inspector.keyboard.press("Enter")
    expect(inspector.get_by_test_id("rule-detail")).to_be_visible()


LATE = {
    "recalls": ("**/api/recalls?*", "No recall was logged for this user."),
    "plots": ("**/api/plots", "Nothing to draw yet"),
}


@pytest.mark.parametrize("view", LATE)
def test_a_late_answer_is_not_shown_for_another_user(inspector: Page, view: str) -> None:
    path, nothing = LATE[view]
    waiting = held(inspector, path)
    inspector.get_by_test_id(f"to-{view}").click()
    expect(inspector.locator(f"#{view}[aria-busy]")).to_have_count(1)
    choose(inspector, "zoe")
    inspector.get_by_test_id(f"to-{view}").click()
    expect(inspector.locator(f"#{view}")).to_contain_text(nothing)
    waiting.pop().continue_()
    inspector.wait_for_timeout(300)
    expect(inspector.locator(f"#{view}")).to_contain_text(nothing)


def test_a_late_rule_is_not_shown_for_another_user(mails: Card, inspector: Page) -> None:
    path = f"**/api/rules/{mails.id}"
    waiting = held(inspector, path)
    rule = inspector.get_by_test_id("rule").filter(has_text="sign with A")
    rule.get_by_role("link").click()
    inspector.wait_for_timeout(300)
    inspector.get_by_test_id("rule").filter(has_text="sql").get_by_role("link").click()
    detail = inspector.get_by_test_id("rule-detail")
    expect(detail.get_by_role("heading", name="use capital keywords")).to_be_visible()
    waiting.pop().continue_()
    inspector.wait_for_timeout(300)
    expect(detail.get_by_role("heading", name="use capital keywords")).to_be_visible()
    waiting = held(inspector, path)
    rule.get_by_role("link").click()
    inspector.wait_for_timeout(300)
    choose(inspector, "zoe")
    expect(inspector.get_by_text("Nothing is known of this user.")).to_be_visible()
    waiting.pop().continue_()
    inspector.wait_for_timeout(300)
    expect(inspector.get_by_text("Choose a rule to see")).to_be_visible()


def test_nothing_of_the_last_user_stays_while_the_next_is_asked_for(inspector: Page) -> None:
    plots = inspector.locator("#plots")
    inspector.get_by_test_id("to-plots").click()
    expect(plots.locator("figure").first).to_be_visible()
    choose(inspector, "zoe")
    waiting = held(inspector, "**/api/plots")
    inspector.get_by_test_id("to-plots").click()
    expect(inspector.locator("#plots[aria-busy]")).to_have_count(1)
    expect(plots.locator("figure")).to_have_count(0)
    waiting.pop().continue_()
    expect(plots).to_contain_text("Nothing to draw yet")


def choose(page: Page, user: str) -> None:
    """Look at another user."""
    page.get_by_test_id("user").fill(user)
    page.get_by_test_id("look").click()
    expect(page.get_by_text("Nothing is known of this user.")).to_be_visible()


def test_skipping_to_the_content_keeps_the_view(inspector: Page) -> None:
    inspector.get_by_test_id("to-recalls").click()
    expect(inspector.get_by_test_id("recall")).to_have_count(1)
    inspector.locator("a.skip").focus()
    inspector.keyboard.press("Enter")
    expect(inspector.locator("#main")).to_be_focused()
    inspector.wait_for_timeout(300)
    expect(inspector.get_by_test_id("recall")).to_be_visible()
    assert inspector.url.endswith("#recalls")


def test_hostile_text_is_text(site: Site, page: Page) -> None:
    card = site.memory.add(f"writing {HOSTILE}", f"say {HOSTILE}", user_id="ann")
    site.memory.edit(card.id, user_id="ann", status="active")
    site.memory.recall("writing say", user_id="ann")
    look(page, site)
    detail_of(page, HOSTILE).get_by_test_id("edit").click()
    for view in VIEWS:
        page.get_by_test_id(f"to-{view}").click()
        expect(page.locator(f"#{view} h1, #{view} h3").first).to_be_visible()
    page.get_by_test_id("to-recalls").click()
    page.get_by_test_id("recall").first.get_by_role("link").click()
    expect(page.get_by_test_id("candidates")).to_contain_text("onerror")
    assert "pwned" not in page.title()
    assert page.locator("main img, main script").count() == 0


def test_by_keyboard_alone(site: Site, mails: Card, inspector: Page) -> None:
    inspector.locator(f"[data-card='{mails.id}'] a").focus()
    inspector.keyboard.press("Enter")
    expect(inspector.get_by_test_id("rule-detail")).to_be_visible()
    reach(inspector, "edit")
    inspector.keyboard.press("Enter")
    reach(inspector, "edit-action")
    inspector.keyboard.press("ControlOrMeta+a")
    inspector.keyboard.type("sign with Ann")
    for _ in range(8):
        inspector.keyboard.press("Tab")
        if inspector.evaluate("document.activeElement.textContent") == "Save":
            break
    inspector.keyboard.press("Enter")
    heading = inspector.get_by_role("heading", name="When writing mails, sign with Ann.")
    expect(heading).to_be_visible()
    assert site.again.get(mails.id, user_id="ann").preference.action == "sign with Ann"


def reach(page: Page, test_id: str) -> None:
    for _ in range(60):
        if page.evaluate("document.activeElement.dataset.testid") == test_id:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {test_id}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(
    site: Site, mails: Card, open_page: Callable[..., Page], scheme: str
) -> None:
    del mails
    page = look(open_page(color_scheme=scheme), site)
    detail_of(page, "When writing mails, sign with A.").get_by_test_id("edit").click()
    assert faint_texts(page) == []
    through_the_views(page, lambda: faint_texts(page) == [])


def test_a_phone_needs_no_scrolling_sideways(
    site: Site, mails: Card, open_page: Callable[..., Page]
) -> None:
    del mails
    site.memory.add(f"writing {'x' * 220}", f"say {'y' * 220}", user_id="ann")
    page = look(open_page(viewport={"width": 360, "height": 740}, has_touch=True), site)
    assert overhang(page) == 0
    detail_of(page, "say yyy")
    assert overhang(page) == 0
    through_the_views(page, lambda: overhang(page) == 0)


def through_the_views(page: Page, fits: Callable[[], bool]) -> None:
    page.get_by_test_id("to-recalls").click()
    page.get_by_test_id("recall").first.get_by_role("link").click()
    expect(page.locator("#recalls").get_by_test_id("candidates")).to_be_visible()
    assert fits(), "recall"
    page.get_by_test_id("to-whatif").click()
    page.get_by_label("The user asks").fill("writing mails")
    page.get_by_test_id("run").click()
    expect(page.locator("#whatif").get_by_test_id("candidates")).to_be_visible()
    assert fits(), "what if"
    page.get_by_test_id("to-plots").click()
    expect(page.locator("#plots figure svg[role=group]").first).to_be_visible()
    assert fits(), "plots"


def test_without_a_key_nothing_is_shown(site: Site, mails: Card, page: Page, watch: Watch) -> None:
    del mails
    watch.expected = ("Failed to load resource",)  # the refusals below
    page.goto(f"{site.address}/inspect/")
    expect(page.get_by_test_id("key")).to_be_visible()
    page.get_by_test_id("key").fill(site.link("ann").partition("#link=")[2])
    page.get_by_test_id("enter").click()
    expect(page.get_by_role("alert").filter(has_text="not known")).to_be_visible()
    assert page.get_by_test_id("rule").count() == 0


def test_the_key_of_one_user_shows_that_user(site: Site, mails: Card, page: Page) -> None:
    del mails
    page.goto(f"{site.address}/inspect/#key=key-ann")
    expect(page.get_by_test_id("rule")).to_have_count(3)
    expect(page.get_by_test_id("user")).to_have_count(0)
