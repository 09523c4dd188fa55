"""Conversations that open from the list in the pane of the open page."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import problems_of
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer, message

#: Milliseconds after which a page gives up what it waits for.
TOO_LONG = 16_000


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_another_conversation_opens_without_another_page(
    visit: Visit, first_visit_of: FirstVisitOf, viewport: dict[str, int]
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
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


def test_what_is_written_goes_where_it_was_written(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    """Drafts stay with their conversation, messages go to the one that is open, and news come to it alone."""
    bob = visit("bob")
    first_visit_of("carol")
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


def test_nothing_that_was_written_is_left_before_it_is_kept_or_sent(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    bob = visit("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the mast up?", "Who has the lamp?")
    bob.open_conversation(with_bob)
    page = alice.page
    page.goto(with_bob)

    # Kept before it is left; where that fails it stays, and says so.
    page.route("**/draft/keep/", lambda route: route.abort())
    composer(page).fill("It must not get lost")
    _row(page, with_carol).click()
    expect(page.locator(".composer [data-line=unkept]")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="Carol does not open: what you wrote")).to_be_visible()
    expect(composer(page)).to_have_value("It must not get lost")
    expect(composer(page)).to_be_editable()
    _expect_open(page, with_bob, "Bob")
    page.unroute("**/draft/keep/")
    expect(page.get_by_role("alert").filter(has_text="does not open")).to_have_count(0)
    _row(page, with_carol).click()
    expect(bubble(page, "Who has the lamp?")).to_be_visible()
    _row(page, with_bob).click()
    expect(composer(page)).to_have_value("It must not get lost")

    # Who asks once more lets it go.
    page.route("**/draft/keep/", lambda route: route.abort())
    composer(page).press_sequentially(", or must it?")
    _row(page, with_carol).click()
    page.get_by_role("link", name="Open it all the same").click()
    _expect_open(page, with_carol, "Carol")
    expect(page.get_by_role("alert").filter(has_text="does not open")).to_have_count(0)
    page.unroute("**/draft/keep/")
    alice.excuse("Failed to load resource", "htmx:")
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


def _leave_unsent(alice: Visitor, with_bob: str, first: str, *others: str) -> None:
    """In the conversation with Bob the first does not get through, and the others wait behind it."""
    page = alice.page
    page.route("**/send/", lambda route: None, times=1)
    page.goto(with_bob)
    with page.expect_request("**/send/"):
        alice.write(first)
    for text in others:
        alice.write(text)


def test_what_waits_for_its_turn_goes_where_it_was_written_though_another_is_opened_all_the_same(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the sluice shut?", "Who has the winch?")
    page = alice.page
    _leave_unsent(alice, with_bob, "For Bob: the sluice", "For Bob alone: it leaks")
    page.evaluate("window.samePage = true")
    page.clock.install()
    _row(page, with_carol).click()
    page.clock.fast_forward(TOO_LONG)
    expect(page.get_by_role("alert").filter(has_text="Carol does not open")).to_be_visible()
    page.get_by_role("link", name="Try again").click()
    page.clock.fast_forward(TOO_LONG)
    _expect_open(page, with_carol, "Carol")
    # As a page: what waited, and what was begun since, goes out or is kept as this one goes.
    page.wait_for_load_state()
    assert not page.evaluate("window.samePage")
    alice.write("I want the winch")
    expect(bubble(page, "I want the winch")).to_have_count(1, timeout=ARRIVAL)
    expect(bubble(page, "For Bob")).to_have_count(0)
    page.goto(with_bob)
    expect(bubble(page, "For Bob: the sluice")).to_have_count(1)
    expect(bubble(page, "For Bob alone: it leaks")).to_have_count(1)
    expect(bubble(page, "I want the winch")).to_have_count(0)
    alice.excuse("htmx:", "Failed to load resource")


def test_what_waits_for_its_turn_goes_where_it_was_written_whatever_the_pane_shows(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the lock shut?", "Who has the crank?")
    page = alice.page
    _leave_unsent(alice, with_bob, "For Bob: the lock", "For Bob alone: it leaks too")
    # Nothing that somebody can press does this.
    page.evaluate(
        "(address) => htmx.ajax('GET', address, { source: '#opener', target: '#pane', swap: 'outerHTML' })",
        urlsplit(with_carol).path,
    )
    _expect_open(page, with_carol, "Carol")
    for text in ("I want the crank", "For Bob alone: it leaks too"):
        alice.write(text)
    for text in ("I want the crank", "For Bob alone: it leaks too"):
        expect(bubble(page, text)).to_have_count(1, timeout=ARRIVAL)
    expect(bubble(page, "For Bob: the lock")).to_have_count(0)
    page.goto(with_bob)
    for text in ("For Bob: the lock", "For Bob alone: it leaks too"):
        expect(bubble(page, text)).to_have_count(1)
    expect(bubble(page, "I want the crank")).to_have_count(0)
    alice.excuse("htmx:", "Failed to load resource")


def test_what_cannot_open_in_the_pane_opens_as_a_page(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
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

    alice.hear_no_news()
    page.context.clear_cookies()
    _row(page, with_bob).click()
    page.wait_for_url(re.compile("/sign-in/.next=%2Fc%2F"))
    alice.excuse("401", "htmx:")


def test_a_page_says_the_same_of_itself_whichever_way_it_came(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    """The pane's page and the one at its address have the same title and the same headings."""
    first_visit_of("bob")
    alice = visit("alice")
    alice.write_to("bob.test", text="Is the fog gone?")
    with_bob = alice.page.url
    page = alice.page
    for viewport in (WIDE, PHONE):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        page.goto("/")
        expect(page.locator("h1")).to_have_count(1)
        _row(page, with_bob).click()
        _expect_open(page, with_bob, "Bob")
        headings, title = _headings(page), page.title()
        assert [heading for heading in headings if heading.startswith("H1")] == ["H1 Bob"]
        page.reload()
        _expect_open(page, with_bob, "Bob")
        assert (_headings(page), page.title()) == (headings, title)


def test_what_does_not_come_is_given_up_and_asked_for_once_more(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the tide in?", "Who has the chart?")
    page = alice.page
    page.clock.install()
    held: list[Route] = []
    alert = page.get_by_role("alert").filter(has_text="Carol does not open")
    page.route(with_carol, lambda route: held.append(route), times=3)
    # From the list alone, as a phone has it, and from another conversation.
    for viewport, begun_at in ((PHONE, "/"), (WIDE, with_bob)):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        page.goto(begun_at)
        page.evaluate("window.samePage = true")
        with page.expect_request(with_carol):
            _row(page, with_carol).click()
        _expect_given_up(page, alert)
        assert problems_of(page, viewport) == []
    with page.expect_request(with_carol):
        page.get_by_role("link", name="Try again").press("Enter")
    _expect_given_up(page, alert)
    expect(_row(page, with_bob)).to_have_attribute("aria-current", "page")
    composer(page).fill("I am still here")
    expect(bubble(page, "Is the tide in?")).to_be_visible()
    page.get_by_role("link", name="Try again").click()
    _expect_open(page, with_carol, "Carol")
    expect(bubble(page, "Who has the chart?")).to_be_visible()
    expect(alert).to_be_hidden()
    assert page.evaluate("window.samePage")
    alice.excuse("htmx:", "Failed to load resource")


def _expect_given_up(page: Page, alert: Locator) -> None:
    """What was asked for, once it took too long."""
    expect(page.locator("#pane")).to_have_attribute("inert", "")
    expect(page.get_by_role("alert").filter(has_text="does not open")).to_have_count(0)
    page.clock.fast_forward(TOO_LONG)
    expect(alert).to_be_visible()
    expect(page.locator("#pane")).not_to_have_attribute("inert", "")


def test_a_draft_whose_keeping_hangs_holds_nobody(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the hull dry?", "Who has the pump?")
    page = alice.page
    page.clock.install()
    page.goto(with_bob)
    held: list[Route] = []
    page.route("**/draft/keep/", lambda route: held.append(route))
    composer(page).fill("Half of a sentence")
    with page.expect_request("**/draft/keep/"):
        _row(page, with_carol).click()
    page.clock.fast_forward(TOO_LONG)
    expect(page.get_by_role("alert").filter(has_text="Carol does not open")).to_be_visible()
    _expect_open(page, with_bob, "Bob")
    expect(composer(page)).to_have_value("Half of a sentence")
    expect(composer(page)).to_be_editable()
    page.unroute("**/draft/keep/")
    page.get_by_role("link", name="Try again").click()
    _expect_open(page, with_carol, "Carol")
    expect(_row(page, with_bob)).to_contain_text("Half of a sentence", timeout=ARRIVAL)
    alice.excuse("htmx:", "Failed to load resource")


def test_back_within_a_conversation_stays_on_the_page(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the deck dry?", "Who has the rope?")
    page = alice.page
    page.goto("/")
    _row(page, with_carol).click()
    _expect_open(page, with_carol, "Carol")
    page.evaluate("window.samePage = true")
    skip = page.locator('#pane .skip[href="#text"]')
    skip.press("Enter")
    expect(page).to_have_url(re.compile("#text$"))
    page.go_back()
    _expect_open(page, with_carol, "Carol")
    assert page.evaluate("window.samePage")
    page.go_forward()
    expect(page).to_have_url(re.compile("#text$"))
    assert page.evaluate("window.samePage")

    # Over conversations each step shows what its address names, parts of them too.
    _row(page, with_bob).click()
    _expect_open(page, with_bob, "Bob")
    page.go_back()
    expect(page).to_have_url(re.compile("#text$"))
    expect(bubble(page, "Who has the rope?")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page).to_have_title(re.compile("Inbox"))
    page.go_forward()
    _expect_open(page, with_carol, "Carol")
    page.go_forward()
    expect(page).to_have_url(re.compile("#text$"))
    expect(bubble(page, "Who has the rope?")).to_be_visible()
    page.go_forward()
    _expect_open(page, with_bob, "Bob")
    expect(bubble(page, "Is the deck dry?")).to_be_visible()


def test_a_drawer_of_another_conversation_says_nothing_of_this_one(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    """What is closed, or opened, beside a conversation that is about to go changes no address later."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the keel dry?", "Who has the bell?")
    page = alice.page
    late: list[Route] = []
    for do in ("close", "open"):
        page.goto(with_bob)
        about = message(page, "Is the keel dry?").locator('.msg__meta a[hx-target="#side"]').first
        if do == "close":
            about.click()
            expect(page.locator("#info-title")).to_be_focused()
        page.route(
            re.compile(with_bob if do == "close" else "/m/"), lambda route: late.append(route), times=1
        )
        page.get_by_role("link", name="Close", exact=True).click() if do == "close" else about.click()
        _row(page, with_carol).click()
        _expect_open(page, with_carol, "Carol")
        late.pop().continue_()
        page.wait_for_timeout(1000)
        _expect_open(page, with_carol, "Carol")
        expect(page.locator("#side")).to_be_hidden()
    alice.excuse("htmx:")


def test_back_from_a_drawer_leads_to_its_message_on_the_same_page(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice = visit("alice")
    alice.write_to("bob.test", text="Is the mast dry?")
    page, with_bob = alice.page, alice.page.url
    page.goto(with_bob)
    page.evaluate("window.samePage = true")
    about = message(page, "Is the mast dry?").locator('.msg__meta a[hx-target="#side"]').first
    about.press("Enter")
    expect(page.locator("#info-title")).to_be_focused()
    page.go_back()
    expect(page.locator("#side")).to_be_hidden()
    expect(page).to_have_url(with_bob)
    expect(about).to_be_focused()
    assert page.evaluate("window.samePage")
    # The address names the drawer again, and its page has it.
    page.go_forward()
    expect(page.locator("#info-title")).to_be_visible()


def test_half_of_a_file_is_left_to_the_browser(
    visit: Visit, first_visit_of: FirstVisitOf, tmp_path: Path
) -> None:
    """While a file is on its way, another conversation is another page, as by its address."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    with_bob, with_carol = _two_conversations(alice, "Is the sail dry?", "Who has the tar?")
    page = alice.page
    page.goto(with_bob)
    page.evaluate("window.samePage = true")
    held: list[Route] = []
    page.route("**/files/", lambda route: held.append(route), times=1)
    page.locator("[data-upload]").set_input_files(_small_file(tmp_path))
    expect(page.locator("#files .upload[data-busy]")).to_have_count(1)
    _row(page, with_carol).click()
    _expect_open(page, with_carol, "Carol")
    assert not page.evaluate("window.samePage")

    # Once it is whole, it stays with its draft.
    _row(page, with_bob).click()
    _expect_open(page, with_bob, "Bob")
    page.evaluate("window.samePage = true")
    page.locator("[data-upload]").set_input_files(_small_file(tmp_path))
    expect(page.locator("#files .upload:not([data-busy])")).to_have_count(1, timeout=ARRIVAL)
    _row(page, with_carol).click()
    _expect_open(page, with_carol, "Carol")
    assert page.evaluate("window.samePage")
    _row(page, with_bob).click()
    expect(page.locator("#files .upload")).to_have_count(1)
    page.locator("#files").get_by_role("checkbox").uncheck()
    alice.excuse("Failed to load resource")


def _small_file(folder: Path) -> Path:
    path = folder / "tides.txt"
    path.write_text("High at noon")
    return path


def _headings(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('h1, h2')].filter((one) => one.closest('.pane'))"
        ".map((one) => `${one.tagName} ${one.textContent.trim()}`)"
    )
    return found


def _two_conversations(alice: Visitor, to_bob: str, to_carol: str) -> tuple[str, str]:
    """Their addresses: with Bob, and with Carol, whose newest messages are these."""
    alice.write_to("bob.test", text=to_bob)
    with_bob = alice.page.url
    alice.write_to("carol.test", text=to_carol)
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
