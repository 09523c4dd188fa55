"""Where the keyboard goes on after a menu closed, or after something else came in a control's place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, composer, message
from tests.services.installations import RunningInstallation


def _row(page: Page, words: str) -> Locator:
    return page.locator("#convos > li", has_text=words)


def _open(page: Page, summary: Locator) -> None:
    summary.focus()
    page.keyboard.press("Enter")
    expect(summary.locator("xpath=following-sibling::*").get_by_role("button").first).to_be_visible()


@contextmanager
def _nothing_stays_scheduled(page: Page) -> Iterator[None]:
    """What is scheduled meanwhile is discarded at the end, however that is."""
    try:
        yield
    finally:
        page.goto("/scheduled/")
        while page.locator(".scheduled > li").count():
            page.locator(".scheduled > li").first.get_by_role("link", name="Discard").click()
            page.get_by_role("button", name="Discard").click()
            page.wait_for_url("**/scheduled/")


def test_a_menu_that_closes_gives_the_focus_back(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="Where was I?")
    account = page.get_by_label(re.compile("^Account menu"))
    for summary in (
        account,
        page.get_by_label("Conversation menu"),
        page.locator("summary", has_text="Send later"),
        message(page, "Where was I?").locator("summary"),
    ):
        _open(page, summary)
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        expect(summary).to_be_focused()

    # The one of the buttons that it leaves.
    _open(page, account)
    page.get_by_role("button", name="Dark", exact=True).press("Enter")
    expect(page.get_by_role("button", name="Light", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Dark", exact=True)).to_be_focused()
    page.get_by_role("button", name="Theme of the system").press("Enter")
    expect(page.get_by_role("button", name="Dark", exact=True)).to_be_focused()
    assert "theme" not in {cookie["name"] for cookie in page.context.cookies()}

    with _nothing_stays_scheduled(page):
        _discard_by_keys(page)


def _discard_by_keys(page: Page) -> None:
    """Has a message wait until tomorrow, and thinks better of it."""
    composer(page).fill("Tomorrow then")
    later = page.locator("summary", has_text="Send later")
    _open(page, later)
    page.get_by_role("button", name="Tomorrow morning").press("Enter")
    expect(later).to_be_focused()
    expect(page.get_by_role("button", name="Tomorrow morning")).to_be_hidden()
    pending = page.locator("#pending")
    pending.get_by_role("link", name="Discard").press("Enter")
    expect(pending.get_by_role("link", name="Keep it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(pending.get_by_text("Discard this message?")).to_have_count(0)
    expect(pending.locator(":focus")).to_have_count(1)
    pending.get_by_role("link", name="Discard").press("Enter")
    expect(pending.get_by_role("link", name="Keep it")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#pending .msg")).to_have_count(0)
    expect(composer(page)).to_be_focused()


def _note_focus_after_news(page: Page, control: Locator) -> str:
    """Focuses a link, and notes where the focus is each time that news were put in; gives its address."""
    control.focus()
    page.evaluate(
        """() => {
          window.noted = [];
          document.addEventListener("htmx:afterSettle", ({ detail }) => {
            if (!["news", "waiting"].includes(detail.requestConfig.elt.id)) return;
            window.noted.push(document.activeElement.getAttribute("href"));
          });
        }"""
    )
    return control.get_attribute("href") or ""


def test_news_leave_to_the_next_key_what_it_would_have_pressed(visit: Visit) -> None:
    bob, alice = visit("bob"), visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="Read this")
    bob.open_conversation(page.url)
    with _nothing_stays_scheduled(page):
        composer(page).fill("Not before tomorrow")
        _open(page, page.locator("summary", has_text="Send later"))
        page.get_by_role("button", name="Tomorrow morning").press("Enter")
        discard = page.locator("#pending").get_by_role("link", name="Discard")
        address = _note_focus_after_news(page, discard)
        page.evaluate("document.querySelector('#pending').dataset.old = 'yes'")
        page.evaluate("htmx.trigger(document.body, 'caught-up')")
        expect(page.locator("#pending[data-old]")).to_have_count(0)
        assert set(page.evaluate("noted")) == {address}

    page.goto(bob.page.url)
    address = _note_focus_after_news(page, message(page, "Read this").locator(".msg__meta a"))
    _open(bob.page, message(bob.page, "Read this").locator("summary"))
    bob.page.get_by_role("button", name="React with 👍").press("Enter")
    expect(message(page, "Read this").locator(".react")).to_be_visible()
    assert set(page.evaluate("noted")) == {address}


def test_a_control_that_is_replaced_gives_the_focus_to_its_heir(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    # The rows have to stand in the order of their messages.
    installation.sql("UPDATE webmail_conversation SET pinned = FALSE")
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="Older than the other")
    alice.write_to("carol.test", text="Newer than the other")

    # In the menu of a row, and in that of the open conversation.
    _open(page, page.get_by_label("Conversation menu"))
    head = page.locator(".pane--main .pane__head")
    head.get_by_role("button", name="Mute", exact=True).press("Enter")
    expect(head.get_by_role("button", name="Unmute")).to_be_focused(timeout=ARRIVAL)
    page.keyboard.press("Enter")
    expect(head.get_by_role("button", name="Mute", exact=True)).to_be_focused(timeout=ARRIVAL)
    page.goto("/")
    row = _row(page, "Older than the other")
    muted = row.locator(".row__name .sr", has_text="muted")
    for name, marks in (("Mute", 1), ("Unmute", 0)):
        _open(page, row.locator("summary"))
        row.get_by_role("button", name=name, exact=True).press("Enter")
        expect(muted).to_have_count(marks, timeout=ARRIVAL)
        expect(row.locator("summary")).to_be_focused()

    # News of the list leave it where it is; of a row that goes, the next one has it.
    _row(page, "Newer than the other").locator("summary").focus()
    page.evaluate("document.querySelector('#list').firstElementChild.dataset.old = 'yes'")
    # As if it had changed: one that is known is not sent again.
    page.evaluate("document.querySelector('#known').value = ''")
    page.evaluate("htmx.trigger(document.body, 'conversations')")
    expect(page.locator("#list > [data-old]")).to_have_count(0)
    expect(_row(page, "Newer than the other").locator("summary")).to_be_focused()
    _open(page, _row(page, "Newer than the other").locator("summary"))
    below = page.locator("#convos > li").nth(1).locator(".row")
    after = below.get_attribute("href")
    _row(page, "Newer than the other").get_by_role("button", name="Archive").press("Enter")
    expect(_row(page, "Newer than the other")).to_have_count(0, timeout=ARRIVAL)
    expect(page.locator(f'#convos .row[href="{after}"]')).to_be_focused()
