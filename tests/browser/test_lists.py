"""An orderly list, groups with a name, and a search that leads to its message, in open windows."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, Visitor, bubble


def _row(page: Page, words: str) -> Locator:
    return page.locator("#convos > li", has_text=words)


def _choose(page: Page, row: str, what: str) -> None:
    """In the menu of a row, as a hand with a pointer does."""
    _row(page, row).hover()
    _row(page, row).locator(".row-menu > summary").click()
    _row(page, row).get_by_role("button", name=what, exact=True).click()


def _tap(page: Page, row: str, what: str) -> None:
    """The same with a finger, which sees the menu's button without being there."""
    button = _row(page, row).locator(".row-menu > summary")
    expect(button).to_have_css("opacity", "1")
    button.tap()
    _row(page, row).get_by_role("button", name=what, exact=True).tap()


def _search(visitor: Visitor, words: str) -> Locator:
    """The results, as soon as the workers have taken the messages into the index."""
    page = visitor.page
    for _ in range(ARRIVAL // 500):
        page.get_by_label("Search messages").fill("")
        page.get_by_label("Search messages").fill(words)
        page.locator("#found .found").wait_for()
        if page.locator("#found mark").count():
            break
        page.wait_for_timeout(500)
    return page.locator("#found .row")


def test_conversations_are_put_in_order_named_and_found(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    """Alice has a window and a telephone open, Bob a telephone."""
    first_visit_of("carol")
    bob, alice = visit("bob", viewport=PHONE, touch=True), visit("alice")
    alice.write_to("bob.test", text="The periwinkle is in flower")
    with_bob = alice.page.url
    for number in range(3):
        alice.write(f"Nothing of it in number {number}")
        expect(bubble(alice.page, f"number {number}")).to_be_visible()
    alice.write_to("bob.test", "carol.test", text="Whither on Sunday?")
    other = visit("alice", viewport=PHONE, touch=True).page

    # Pinned here by its key, it is first on the telephone as well; muted, it says so.
    first = other.locator("#convos > li").first
    _row(alice.page, "Nothing of it in number 2").locator(".row").focus()
    alice.page.keyboard.press("p")
    expect(first).to_contain_text("Nothing of it in number 2", timeout=ARRIVAL)
    expect(first).to_contain_text("pinned")
    _choose(alice.page, "Nothing of it in number 2", "Unpin")
    expect(first).not_to_contain_text("pinned", timeout=ARRIVAL)
    _tap(other, "Nothing of it in number 2", "Pin to the top")
    expect(first).to_contain_text("pinned", timeout=ARRIVAL)
    expect(alice.page.locator("#convos > li").first).to_contain_text("pinned", timeout=ARRIVAL)
    alice.page.goto(with_bob)
    alice.page.get_by_label("Conversation menu").click()
    alice.page.locator("#settings-buttons").get_by_role("button", name="Mute").click()
    expect(first).to_contain_text("muted", timeout=ARRIVAL)
    expect(alice.page.locator("#settings-buttons")).to_contain_text("Unmute")

    # Archived, it is gone from the list; nothing new brings it back while it is muted, unmuted it returns.
    alice.page.locator("#settings-buttons").get_by_role("button", name="Archive").click()
    expect(_row(other, "Nothing of it in number 2")).to_have_count(0, timeout=ARRIVAL)
    bob.open_conversation(with_bob)
    bob.write("Are you there?")
    other.get_by_role("link", name="Archived").tap()
    expect(_row(other, "Are you there?")).to_be_visible(timeout=ARRIVAL)
    _tap(other, "Are you there?", "Unmute")
    expect(_row(other, "Are you there?")).not_to_contain_text("muted", timeout=ARRIVAL)
    bob.write("Come back")
    expect(_row(other, "Come back")).to_have_count(0, timeout=ARRIVAL)
    other.get_by_role("link", name="All", exact=True).tap()
    expect(_row(other, "Come back")).to_be_visible()

    # A name reaches everybody's list, and the thread that is open.
    row = bob.page.locator("#convos .row", has_text="Whither on Sunday?")
    bob.page.get_by_role("link", name="Back to inbox").tap()
    row.tap(timeout=ARRIVAL)
    _row(alice.page, "Whither on Sunday?").locator("a.row").click()
    alice.page.get_by_label("Conversation menu").click()
    alice.page.get_by_role("link", name="People, name, picture").click()
    alice.page.get_by_label("Name of this group").fill("Sunday walk")
    alice.page.get_by_role("button", name="Name it").click()
    expect(bob.page.get_by_role("heading", name="Sunday walk")).to_be_visible(timeout=ARRIVAL)
    expect(bob.page.locator("#thread")).to_contain_text("Alice named this group “Sunday walk”")
    bob.page.get_by_role("link", name="Back to inbox").tap()
    named = bob.page.locator("#convos .row", has_text="Sunday walk")
    expect(named).to_be_visible(timeout=ARRIVAL)
    named.tap()
    bob.page.get_by_label("Conversation menu").tap()
    bob.page.get_by_role("link", name="People, name, picture").tap()
    bob.page.get_by_label("Name of this group").fill("Saturday walk")
    bob.page.get_by_role("button", name="Name it").tap()
    alice.page.get_by_role("link", name="Back to the conversation").click()
    expect(alice.page.get_by_role("heading", name="Saturday walk")).to_be_visible(timeout=ARRIVAL)

    # What is found leads to its place.
    for visitor, whom in ((bob, "in:alice"), (alice, "in:bob")):
        page = visitor.page
        page.goto("/")
        found = _search(visitor, f"periwinkle from:alice.test {whom}")
        expect(found).to_have_count(1)
        expect(page.locator("#found mark")).to_have_text("periwinkle")
        found.click()
        expect(page).to_have_url(re.compile("around=[0-9a-f]{64}#m[0-9a-f]{64}$"))
        expect(bubble(page, "periwinkle")).to_be_in_viewport()


def test_what_is_pressed_is_not_taken_away_before_it_is_let_go(visit: Visit) -> None:
    """As a row of the list would be by a message that comes just then, and the click with it."""
    bob, alice = visit("bob"), visit("alice")
    bob.write_to("alice.test", text="The first of two")
    row = alice.page.locator(f'#convos .row[href="{urlsplit(bob.page.url).path}"]')
    expect(row).to_contain_text("The first of two", timeout=ARRIVAL)
    alice.page.evaluate(
        """() => {
          window.listed = new Promise((done) => {
            const look = ({ detail }) => { if (detail.elt.id === "list") done(); };
            document.addEventListener("htmx:afterOnLoad", look);
          });
        }"""
    )
    row.hover()
    alice.page.mouse.down()
    bob.write("The second of two")
    alice.page.evaluate("() => window.listed")
    alice.page.mouse.up()
    expect(bubble(alice.page, "The second of two")).to_be_visible(timeout=ARRIVAL)
    expect(row).to_contain_text("The second of two", timeout=ARRIVAL)


def test_the_menu_of_a_row_says_what_another_page_changed(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    """As it is open, with the keyboard where it was; and as it opens again, though the list has not heard."""
    first_visit_of("bob")
    alice = visit("alice")
    alice.write_to("bob.test", text="The oxlip is in flower")
    page = alice.page
    page.goto("/")
    other = alice.another_tab()
    other.goto("/")
    row, summary = _row(page, "The oxlip"), _row(page, "The oxlip").locator(".row-menu > summary")
    summary.press("Enter")
    row.get_by_role("button", name="Mute", exact=True).focus()
    _choose(other, "The oxlip", "Mute")
    unmute = row.get_by_role("button", name="Unmute", exact=True)
    expect(unmute).to_be_focused(timeout=ARRIVAL)
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    expect(row).to_contain_text("muted", timeout=ARRIVAL)
    # It is filled now, and the list's news are long under way.
    summary.press("Enter")
    expect(unmute).to_be_visible()
    page.keyboard.press("Escape")
    page.route("**/list/**", lambda _route: None)
    _choose(other, "The oxlip", "Unmute")
    expect(_row(other, "The oxlip")).not_to_contain_text("muted", timeout=ARRIVAL)
    summary.press("Enter")
    expect(row.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    expect(row).to_contain_text("muted")
    page.unroute_all(behavior="ignoreErrors")


def test_what_was_archived_can_be_undone_where_it_was_archived(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    """In the list by the menu of a row and by its key, in the open conversation, and without script."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    page = alice.page
    alice.write_to("carol.test", text="Another row of the list")
    alice.write_to("bob.test", text="An archived marigold")
    with_bob = page.url
    row = _row(page, "An archived marigold")
    said, undo = page.locator(".toast"), page.locator(".toast").get_by_role("button", name="Undo")

    # By the menu of its row; the keyboard is back in the list once it is undone.
    page.goto("/")
    _choose(page, "An archived marigold", "Archive")
    expect(row).to_have_count(0, timeout=ARRIVAL)
    expect(page.get_by_role("status").filter(has_text="Archived")).to_be_visible()
    assert violations(page) == []
    undo.press("Enter")
    expect(row).to_be_visible(timeout=ARRIVAL)
    expect(said).to_have_count(0)
    expect(page.locator("#list :focus")).to_have_count(1)

    # By its key. Who goes to the button keeps it for as long as they are there.
    page.clock.install()
    row.locator(".row").focus()
    page.keyboard.press("e")
    expect(row).to_have_count(0, timeout=ARRIVAL)
    undo.focus()
    page.clock.run_for(21_000)
    page.keyboard.press("Enter")
    expect(row).to_be_visible(timeout=ARRIVAL)
    row.locator(".row").focus()
    page.keyboard.press("e")
    expect(undo).to_be_visible(timeout=ARRIVAL)
    page.clock.run_for(21_000)
    expect(said).to_have_count(0)

    # In the open conversation on a telephone, whose menu takes the sentence back as well.
    phone = visit("alice", viewport=PHONE, touch=True).page
    phone.goto(with_bob)
    said, undo = phone.locator(".toast:visible"), phone.locator(".toast").get_by_role("button", name="Undo")

    def tap_in_menu(name: str) -> None:
        phone.get_by_label("Conversation menu").tap()
        phone.locator("#settings-buttons").get_by_role("button", name=name).tap()

    tap_in_menu("Back to the list")
    expect(row).to_be_visible(timeout=ARRIVAL)
    tap_in_menu("Archive")
    expect(undo).to_be_visible()
    tap_in_menu("Back to the list")
    expect(said).to_have_count(0)
    tap_in_menu("Archive")
    expect(row).to_have_count(0, timeout=ARRIVAL)
    undo.tap()
    expect(row).to_be_visible(timeout=ARRIVAL)

    # On its page of people, and in the list of a telephone above the button there.
    phone.goto(f"{with_bob}people/")
    phone.locator("#settings-buttons").get_by_role("button", name="Archive").tap()
    expect(undo).to_be_in_viewport()
    undo.tap()
    expect(row).to_be_visible(timeout=ARRIVAL)
    phone.goto("/")
    _tap(phone, "An archived marigold", "Archive")
    expect(undo).to_be_visible()
    phone.get_by_role("link", name="New", exact=True).click(trial=True)
    undo.tap()
    expect(row).to_be_visible(timeout=ARRIVAL)

    # Without script it leads to the list, which says so.
    plain = visit("alice", script=False).page
    plain.goto(with_bob)
    plain.get_by_label("Conversation menu").click()
    plain.locator("#settings-buttons").get_by_role("button", name="Archive").click()
    expect(_row(plain, "An archived marigold")).to_have_count(0)
    expect(plain.locator(".toast")).to_have_text(re.compile("Archived"))
    plain.locator(".toast").get_by_role("button", name="Undo").press("Enter")
    expect(_row(plain, "An archived marigold")).to_be_visible()
    expect(plain.locator(".toast:visible")).to_have_count(0)
