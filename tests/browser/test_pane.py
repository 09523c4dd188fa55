"""Conversations that open from the list in the pane of the open page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer, message


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_another_conversation_opens_without_another_page(visit: Visit, viewport: dict[str, int]) -> None:
    visit("bob"), visit("carol")
    alice = visit("alice", viewport=viewport)
    nets, key = (f"{words} On {viewport['width']}?" for words in ("Are the nets dry?", "Who has the key?"))
    with_bob, with_carol = _two_conversations(alice, nets, key)
    page = alice.page
    page.goto("/")
    page.evaluate("window.samePage = true")
    _row(page, with_bob).click()
    expect(bubble(page, nets)).to_be_visible()
    _expect_open(page, with_bob, "Bob")
    if viewport is PHONE:
        page.get_by_role("link", name="Back to inbox").click()
        expect(_row(page, with_carol)).to_be_visible()
        page.evaluate("window.samePage = true")
    _row(page, with_carol).click()
    expect(bubble(page, key)).to_be_visible()
    expect(bubble(page, nets)).to_have_count(0)
    _expect_open(page, with_carol, "Carol")
    assert page.evaluate("window.samePage")
    page.go_back()
    if viewport is WIDE:
        expect(bubble(page, nets)).to_be_visible()
        _expect_open(page, with_bob, "Bob")


def test_what_is_written_goes_where_it_was_written(visit: Visit) -> None:
    """Drafts stay with their conversation, messages go to the one that is open, and news come to it alone."""
    bob = visit("bob")
    visit("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Are the sails dry?", "Who has the anchor?")
    bob.open_conversation(with_bob)
    bob.write("They are, since noon")
    page = alice.page
    page.goto("/")
    page.evaluate("window.samePage = true")
    _row(page, with_bob).click()
    expect(bubble(page, "They are, since noon")).to_be_visible(timeout=ARRIVAL)
    # Typed, and left at once.
    composer(page).fill("Then we can")
    _row(page, with_carol).click()
    expect(composer(page)).to_have_value("")
    expect(_row(page, with_bob)).to_contain_text("Then we can", timeout=ARRIVAL)
    alice.write("I have it")
    expect(message(page, "I have it").locator(".msg__meta")).to_contain_text(
        re.compile("Sealed|Handed over|Their server has it"), timeout=ARRIVAL
    )
    bob.write("Shall we sail on Friday?")
    expect(_row(page, with_bob)).to_contain_text("unread: 1", timeout=ARRIVAL)
    expect(bubble(page, "Shall we sail on Friday?")).to_have_count(0)

    _row(page, with_bob).click()
    expect(composer(page)).to_have_value("Then we can")
    expect(bubble(page, "Shall we sail on Friday?")).to_be_visible()
    expect(_row(page, with_bob)).not_to_contain_text("unread", timeout=ARRIVAL)
    expect(bubble(page, "I have it")).to_have_count(0)
    bob.write("Or on Saturday")
    expect(bubble(page, "Or on Saturday")).to_be_visible(timeout=ARRIVAL)
    alice.write("Then we can sail on Friday")
    expect(bubble(bob.page, "Then we can sail on Friday")).to_have_count(1, timeout=ARRIVAL)
    expect(composer(page)).to_have_value("")
    assert page.evaluate("window.samePage")


def test_nothing_that_was_written_is_left_before_it_is_kept_or_sent(visit: Visit) -> None:
    bob = visit("bob")
    visit("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the mast up?", "Who has the lamp?")
    bob.open_conversation(with_bob)
    page = alice.page
    page.goto(with_bob)

    # Kept before it is left; where that fails it stays, and says so.
    page.route("**/draft/keep/", lambda route: route.abort())
    composer(page).fill("It must not get lost")
    _row(page, with_carol).click()
    expect(page.locator("#draft-unkept")).to_be_visible()
    expect(composer(page)).to_have_value("It must not get lost")
    expect(composer(page)).to_be_editable()
    _expect_open(page, with_bob, "Bob")
    page.unroute("**/draft/keep/")
    alice.excuse("Failed to load resource", "htmx:")
    _row(page, with_carol).click()
    expect(bubble(page, "Who has the lamp?")).to_be_visible()
    _row(page, with_bob).click()
    expect(composer(page)).to_have_value("It must not get lost")

    # Sent, and left in the same moment.
    composer(page).press("Control+Enter")
    _row(page, with_carol).click()
    _expect_open(page, with_carol, "Carol")
    expect(composer(page)).to_have_value("")
    expect(bubble(bob.page, "It must not get lost")).to_have_count(1, timeout=ARRIVAL)
    expect(_row(page, with_bob)).not_to_contain_text("Draft")

    # Whole pages come back, whichever way they were opened.
    page.go_back()
    _expect_open(page, with_bob, "Bob")
    page.go_forward()
    _expect_open(page, with_carol, "Carol")
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()


def test_what_cannot_open_in_the_pane_opens_as_a_page(visit: Visit) -> None:
    visit("bob"), visit("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Are the ropes dry?", "Who has the oars?")
    page = alice.page
    page.goto(with_bob)
    page.evaluate("window.samePage = true")

    page.route(with_carol, lambda route: route.abort(), times=1)
    _row(page, with_carol).click()
    _expect_open(page, with_carol, "Carol")
    assert not page.evaluate("window.samePage")
    alice.excuse("Failed to load resource", "htmx:")

    with page.context.expect_page() as opened:
        _row(page, with_bob).click(modifiers=["Control"])
    expect(bubble(opened.value, "Are the ropes dry?")).to_be_visible()
    _expect_open(page, with_carol, "Carol")

    page.context.clear_cookies()
    _row(page, with_bob).click()
    page.wait_for_url(re.compile("/sign-in/.next=%2Fc%2F"))
    alice.excuse("401", "htmx:")


def _two_conversations(alice: Visitor, to_bob: str, to_carol: str) -> tuple[str, str]:
    """Their addresses: with Bob, and with Carol, whose newest messages are these."""
    alice.start_conversation("bob.test", text=to_bob)
    with_bob = alice.page.url
    alice.start_conversation("carol.test", text=to_carol)
    return with_bob, alice.page.url


def _row(page: Page, conversation: str) -> Locator:
    return page.locator(f'#convos .row[href="{urlsplit(conversation).path}"]')


def _expect_open(page: Page, conversation: str, name: str) -> None:
    """All that a page says about which conversation it shows."""
    path = urlsplit(conversation).path
    expect(page).to_have_url(re.compile(re.escape(path) + "$"))
    expect(page).to_have_title(re.compile(name))
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    expect(page.locator('#convos [aria-current="page"]')).to_have_count(1)
    expect(_row(page, conversation)).to_have_attribute("aria-current", "page")
    expect(page.locator('#pane .skip[href="#text"]')).to_have_count(1)
