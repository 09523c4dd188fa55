"""Short ways: from a person to writing, from a group to its people, from a report to blocking, from a picture
to its full size, and from the last page of a first visit to what it names."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, composer, message
from tests.webmail.pictures import photo


def test_a_person_is_written_to_from_their_page_and_found_from_a_group(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    for name in ("bob", "carol"):
        first_visit_of(name)
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.start_conversation("bob.test", text=f"Alone {uuid4().hex[:8]}")
    with_bob = urlsplit(page.url).path
    alice.start_conversation("bob.test", "carol.test", text=f"Both {uuid4().hex[:8]}")
    page.goto(f"{urlsplit(page.url).path}people/")
    page.get_by_role("link", name="Bob", exact=True).press("Enter")
    expect(page.locator("#who")).to_contain_text("Bob")
    assert violations(page) == []
    page.get_by_role("link", name="Write to Bob").press("Enter")
    page.wait_for_url(re.compile(f"{with_bob}$"))
    expect(composer(page)).to_be_visible()


def test_who_is_reported_may_be_blocked_in_one_step(visit: Visit) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=PHONE), visit("bob")
    alice.start_conversation("bob.test", text=f"Hello {word}")
    bob.open_conversation(alice.page.url)
    bob.write(f"Buy my coins {word}")
    expect(bubble(alice.page, f"Buy my coins {word}")).to_be_visible(timeout=ARRIVAL)
    page = alice.page
    page.locator("#thread-title a").click()
    person = page.url
    card = page.locator("section", has=page.get_by_role("heading", name="Block"))
    expect(card).to_contain_text("If they could see that you opened their messages, that stops.")
    page.get_by_role("link", name=re.compile("^Report")).click()
    # What cannot be taken blocks nobody, and keeps the tick.
    tick = page.get_by_role("checkbox", name=re.compile("^Block them as well"))
    expect(tick).not_to_be_checked()
    tick.check()
    page.get_by_role("button", name="See what is handed over").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose what it is about.")
    expect(tick).to_be_checked()
    alice.excuse("422")
    assert violations(page) == []
    page.get_by_label("What it is about").select_option(index=1)
    page.get_by_role("checkbox", name=re.compile(f"Buy my coins {word}")).check()
    page.get_by_role("button", name="See what is handed over").click()
    expect(page.get_by_text("Nothing was handed over yet. Bob is blocked with it.")).to_be_visible()
    page.get_by_role("button", name="Report to the operator").click()
    said = page.get_by_role("status")
    expect(said).to_contain_text("The operator has your report. You block Bob now.")
    assert violations(page) == []
    page.goto(person)
    expect(page.locator("#block")).to_have_text("You block them")
    page.get_by_role("button", name="Unblock").click()
    expect(page.locator("#block")).to_have_text("Block")


def test_a_picture_is_shown_large_in_a_tab_of_its_own(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    alice.start_conversation("bob.test", text=f"Begun {word}")
    picture = {"name": "weir.jpg", "mimeType": "image/jpeg", "buffer": photo((1400, 900), "JPEG")}
    page.locator("input[type=file]").set_input_files(picture)
    expect(page.locator("#files .upload:not([data-busy])")).to_have_count(1, timeout=60_000)
    composer(page).fill(f"Here it is {word}")
    composer(page).press("Control+Enter")
    link = message(page, f"Here it is {word}").get_by_role("link", name="weir.jpg large, in a new tab")
    expect(link).to_be_visible(timeout=ARRIVAL)
    assert violations(page) == []
    with alice.context.expect_page() as opened:
        link.press("Enter")
    large = opened.value.locator("img")
    expect(large).to_have_js_property("naturalWidth", 1400)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.value.close()


def test_the_end_of_a_first_visit_names_who_may_write_and_offers_notifications(visit: Visit) -> None:
    page = visit("alice", viewport=PHONE).page
    _done(page)
    row = page.locator(".rows li", has_text="Who may begin a conversation with you")
    row.get_by_role("link", name="Change").press("Enter")
    expect(page.get_by_role("heading", name="Who may write")).to_be_visible()
    before = page.get_by_role("radio", checked=True).get_attribute("value")
    page.get_by_label(re.compile("^Nobody")).check()
    page.get_by_role("button", name="Save").click()
    _done(page)
    expect(row).to_contain_text("Nobody")
    assert violations(page) == []
    page.get_by_role("link", name="Turn them on").press("Enter")
    expect(page.get_by_role("heading", name="Notifications")).to_be_visible()
    page.goto("/who-may-write/")
    page.locator(f"input[value={before}]").check()
    page.get_by_role("button", name="Save").click()


def _done(page: Page) -> None:
    page.goto("/welcome/done/")
    expect(page.get_by_role("heading", name="You can receive sealed messages")).to_be_visible()
