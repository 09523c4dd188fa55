"""What the first page fetches once it is wanted: on a slow network, on none, and where it does not come."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import problems_of
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer

#: Some of the styles and scripts of a conversation, by their names with the mark of what is in them.
A_SCRIPT = re.compile(r"/static/thread\.[0-9a-f]+\.js$")
STYLES = re.compile(r"/static/thread\.[0-9a-f]+\.css$")
MENU = "**/menu/"
#: Milliseconds after which a page gives up what it waits for.
TOO_LONG = 16_000
#: What a browser writes on the console where a request fails.
FAILED = ("Failed to load resource", "htmx:")

#: What of the page looks otherwise, or is elsewhere, without the styles of a conversation than with them.
DIFFERENCES = """() => {
  const looks = () => [...document.querySelectorAll("body *")].map((one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    const said = [...style].map((name) => `${name}: ${style[name]}`);
    return [`${one.tagName}.${one.className}`, x, y, width, height, ...said];
  });
  const styles = [...document.querySelectorAll("link")].filter((one) => /thread|people/.test(one.href));
  const complete = looks();
  for (const one of styles) one.disabled = true;
  const found = looks().flatMap((look, at) => {
    const other = look.filter((each, place) => each !== complete[at][place]);
    return other.length ? [[look[0], ...other].join(" ")] : [];
  });
  return { styles: styles.length, found };
}"""


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_row_may_be_clicked_before_a_conversation_has_its_scripts(
    visit: Visit, first_visit_of: FirstVisitOf, viewport: dict[str, int]
) -> None:
    alice, with_bob, with_carol = _at_the_list(visit, first_visit_of, f"ferry {viewport['width']}", viewport)
    page = alice.page
    held = _hold(page, A_SCRIPT)
    _row(page, with_bob).click()
    expect(page.locator("#pane")).to_have_attribute("aria-busy", "true")
    # Somebody thinks better of it.
    _row(page, with_carol).click()
    expect(_row(page, with_carol)).to_have_attribute("aria-current", "page")
    page.wait_for_timeout(300)
    assert urlsplit(page.url).path == "/"
    for route in held:
        route.continue_()
    expect(page).to_have_url(with_carol)
    expect(bubble(page, f"Is the ferry {viewport['width']}")).to_be_visible()
    assert page.evaluate("window.samePage")
    # All that belongs to it is there.
    alice.write(f"It is, on {viewport['width']}")
    expect(composer(page)).to_have_value("")
    expect(bubble(page, f"It is, on {viewport['width']}")).to_be_visible()
    # Back at the list, none is open.
    page.go_back()
    expect(page).to_have_title(re.compile("Inbox"))
    expect(page.locator("#convos [aria-current]")).to_have_count(0)
    page.wait_for_function("() => window.htmx")
    with page.expect_response(re.compile("/list/")):
        page.evaluate(
            "document.querySelector('#known').value = ''; htmx.trigger(document.body, 'conversations')"
        )
    expect(page.locator("#known")).not_to_have_value("")
    expect(page.locator("#convos [aria-current]")).to_have_count(0)


@pytest.mark.parametrize("what", [A_SCRIPT, STYLES], ids=["script", "styles"])
def test_a_conversation_whose_parts_are_gone_comes_as_a_page(
    visit: Visit, first_visit_of: FirstVisitOf, what: re.Pattern[str]
) -> None:
    """As after a new release, which has them under other names."""
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "jetty")
    page = alice.page
    page.route(what, lambda route: route.fulfill(status=404), times=1)
    _row(page, with_bob).click()
    expect(page).to_have_url(with_bob)
    expect(bubble(page, "Who has the jetty").last).to_be_visible()
    assert not page.evaluate("window.samePage")
    alice.write("Nobody")
    expect(bubble(page, "Nobody").last).to_be_visible()
    page.go_back()
    expect(page).to_have_title(re.compile("Inbox"))
    expect(page.locator("#pane")).not_to_have_attribute("inert", "")
    alice.excuse(*FAILED)


def test_what_was_given_up_leads_nowhere_when_it_fails_later(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "bridge", clock=True)
    page = alice.page
    held = _hold(page, A_SCRIPT)
    _row(page, with_bob).click()
    expect(page.locator("#pane")).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(TOO_LONG)
    expect(page.get_by_role("alert").filter(has_text="Bob does not open")).to_be_visible()
    for route in held:
        route.abort()
    page.wait_for_timeout(1000)
    assert urlsplit(page.url).path == "/"
    assert page.evaluate("window.samePage")
    expect(page.get_by_role("alert").filter(has_text="Bob does not open")).to_be_visible()
    # Who asks for it once more has it, as a page of its own.
    page.get_by_role("link", name="Try again").click()
    expect(bubble(page, "Who has the bridge")).to_be_visible()
    alice.excuse(*FAILED)


@pytest.mark.parametrize("read_before", [False, True], ids=["the list alone", "a conversation"])
def test_without_a_network_what_is_open_stays(
    visit: Visit, first_visit_of: FirstVisitOf, read_before: bool
) -> None:
    alice, with_bob, with_carol = _at_the_list(visit, first_visit_of, f"pier {read_before}")
    page = alice.page
    if read_before:
        _row(page, with_bob).click()
        expect(bubble(page, "Who has the pier True?")).to_be_visible()
    page.context.set_offline(True)
    _row(page, with_carol).click()
    expect(page.get_by_role("alert").filter(has_text="Carol does not open: there is no")).to_be_visible()
    expect(page.locator("#pane")).not_to_have_attribute("inert", "")
    if read_before:
        expect(bubble(page, "Who has the pier True?")).to_be_visible()
        expect(_row(page, with_bob)).to_have_attribute("aria-current", "page")
    assert problems_of(page, WIDE) == []
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page).to_have_url(with_carol)
    expect(bubble(page, f"Is the pier {read_before} in?")).to_be_visible()
    alice.excuse("ERR_INTERNET_DISCONNECTED", *FAILED)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_styles_of_a_conversation_change_nothing_of_the_list(
    visit: Visit, first_visit_of: FirstVisitOf, viewport: dict[str, int]
) -> None:
    """With all that the page may show by itself."""
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "harbour", viewport)
    page = alice.page
    menu = _row(page, with_bob).locator("xpath=..")
    menu.locator("summary").press("Enter")
    expect(menu.get_by_role("button", name="Archive")).to_be_visible()
    for query in ("has:image", "harbour"):
        page.get_by_label("Search messages").fill(query)
        page.locator("#found .found").wait_for()
    page.evaluate(
        """() => {
          for (const one of document.querySelectorAll("[hidden]")) one.hidden = false;
          for (const one of document.querySelectorAll("details")) one.open = true;
        }"""
    )
    page.wait_for_function("() => window.followThread && window.takeReply")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(DIFFERENCES) == {"styles": 2, "found": []}


def test_a_key_whose_menu_did_not_come_does_nothing_later(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "anchor")
    page = alice.page
    row = _row(page, with_bob).locator("xpath=..")
    page.route(MENU, lambda route: route.abort(), times=1)
    _row(page, with_bob).focus()
    with page.expect_event("requestfailed"):
        page.keyboard.press("e")
    row.locator("summary").press("Enter")
    expect(row.get_by_role("button", name="Archive")).to_be_visible()
    page.wait_for_timeout(1000)
    expect(row.get_by_role("button", name="Archive")).to_be_visible()
    page.reload()
    expect(_row(page, with_bob)).to_be_visible()
    # The key itself is heard again.
    _row(page, with_bob).focus()
    page.keyboard.press("p")
    expect(row).to_contain_text("pinned", timeout=ARRIVAL)
    page.keyboard.press("p")
    expect(row).not_to_contain_text("pinned", timeout=ARRIVAL)
    alice.excuse(*FAILED)


def test_a_menu_that_comes_late_has_the_keyboard_where_it_was(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "beacon")
    page = alice.page
    row = _row(page, with_bob).locator("xpath=..")
    held = _hold(page, MENU)
    with page.expect_request(MENU):
        row.locator("summary").press("Enter")
    page.keyboard.press("Tab")
    expect(row.get_by_role("link", name="What can be done with it")).to_be_focused()
    for route in held:
        route.continue_()
    expect(row.get_by_role("button", name="Archive")).to_be_visible()
    expect(row.locator(".menu__list button").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(row.locator("summary")).to_be_focused()
    expect(row.get_by_role("button", name="Archive")).to_be_hidden()


def test_an_open_menu_stays_while_the_list_changes(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    bob = visit("bob")
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "lantern")
    page = alice.page
    row = _row(page, with_bob).locator("xpath=..")
    held = _hold(page, MENU)
    with page.expect_request(MENU):
        row.locator("summary").press("Enter")
    bob.open_conversation(with_bob)
    with page.expect_response(re.compile("/list/")):
        bob.write("I have the lantern")
    for route in held:
        route.continue_()
    expect(row.get_by_role("button", name="Archive")).to_be_visible()
    page.wait_for_timeout(500)
    expect(row.get_by_role("button", name="Archive")).to_be_visible()
    page.keyboard.press("Escape")
    expect(_row(page, with_bob)).to_contain_text("I have the lantern", timeout=ARRIVAL)
    expect(row.locator("summary")).to_be_focused()


def test_a_menu_that_was_closed_holds_no_news_back(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    bob = visit("bob")
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "buoy")
    page = alice.page
    row = _row(page, with_bob).locator("xpath=..")
    held = _hold(page, MENU)
    with page.expect_request(MENU):
        row.locator("summary").press("Enter")
    bob.open_conversation(with_bob)
    with page.expect_response(re.compile("/list/")):
        bob.write("I have the buoy")
    page.keyboard.press("Escape")
    expect(_row(page, with_bob)).to_contain_text("I have the buoy", timeout=ARRIVAL)
    # Who opens it once more has it asked for once more.
    page.unroute(MENU)
    row.locator("summary").press("Enter")
    expect(row.get_by_role("button", name="Archive")).to_be_visible()
    assert len(held) == 1
    alice.excuse(*FAILED)


def test_a_menu_that_cannot_come_leads_to_its_page(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "compass")
    page = alice.page
    row = _row(page, with_bob).locator("xpath=..")
    page.route(MENU, lambda route: route.abort(), times=1)
    row.locator("summary").press("Enter")
    row.get_by_role("link", name="What can be done with it").click()
    expect(page.get_by_role("heading", name="Conversation menu")).to_be_visible()
    # Without a sign-in it leads to where there is one.
    page.goto("/")
    alice.hear_no_news()
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies()
    row.locator("summary").press("Enter")
    page.wait_for_url(re.compile("/sign-in/"))
    alice.excuse("401", *FAILED)


def _at_the_list(
    visit: Visit,
    first_visit_of: FirstVisitOf,
    what: str,
    viewport: dict[str, int] | None = None,
    *,
    clock: bool = False,
) -> tuple[Visitor, str, str]:
    """Alice at her list, where she wrote to both of something, and the addresses of these conversations."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice", viewport=viewport or WIDE, service_worker=False)
    alice.write_to("bob.test", text=f"Who has the {what}?")
    with_bob = alice.page.url
    alice.write_to("carol.test", text=f"Is the {what} in?")
    with_carol = alice.page.url
    if clock:
        alice.page.clock.install()
    alice.page.mouse.move(0, 0)
    alice.page.goto("/")
    alice.page.evaluate("window.samePage = true")
    return alice, with_bob, with_carol


def _hold(page: Page, what: str | re.Pattern[str]) -> list[Route]:
    """The requests for it, which get no answer until the test gives them one."""
    held: list[Route] = []
    page.route(what, lambda route: held.append(route))
    return held


def _row(page: Page, conversation: str) -> Locator:
    return page.locator(f'#convos .row[href="{urlsplit(conversation).path}"]')


def test_a_key_is_heard_though_its_row_comes_anew(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    alice, with_bob, _with_carol = _at_the_list(visit, first_visit_of, "capstan")
    row = _row(alice.page, with_bob).locator("xpath=..")

    def come_anew(route: Route) -> None:
        row.evaluate("(row) => row.replaceWith(row.cloneNode(true))")
        route.continue_()

    alice.page.route(MENU, come_anew, times=1)
    _row(alice.page, with_bob).focus()
    alice.page.keyboard.press("p")
    expect(row).to_contain_text("pinned", timeout=ARRIVAL)
