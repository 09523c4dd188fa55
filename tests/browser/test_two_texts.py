"""What one person writes in two places at once: neither text is lost."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, bubble, composer

KEPT_AT = "**/draft/keep/"
NEWS_AT = re.compile(r"/draft/\?")


def test_a_quick_note_leaves_the_text_that_stands_in_the_conversation(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, elsewhere = visit("alice"), visit("alice")
    word = uuid4().hex[:8]
    alice.write_to("bob.test", text=f"Begun {word}")
    long_text = f"A long text, half of it written {word}"
    _type(alice.page, long_text)

    elsewhere.start_conversation("bob.test", text=f"Quick note {word}", leaves_drafts=True)
    expect(bubble(elsewhere.page, f"Quick note {word}")).to_be_visible()
    expect(composer(elsewhere.page)).to_have_value(long_text)
    expect(bubble(alice.page, f"Quick note {word}")).to_be_visible(timeout=ARRIVAL)
    expect(composer(alice.page)).to_have_value(long_text)
    alice.page.reload()
    expect(composer(alice.page)).to_have_value(long_text)
    alice.write(long_text)
    expect(bubble(elsewhere.page, long_text)).to_be_visible(timeout=ARRIVAL)


def test_what_another_browser_wrote_is_offered_and_is_the_draft_again_after_sending(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    here, there = visit("alice", viewport=PHONE), visit("alice")
    word = uuid4().hex[:8]
    here.write_to("bob.test", text=f"Begun {word}")
    there.page.goto(urlsplit(here.page.url).path)
    on_the_train, at_the_desk = f"On the train {word}", f"At the desk {word}"

    # One of them does not hear of the other before it has written itself.
    here.page.route(NEWS_AT, lambda route: route.fulfill(status=204))
    _type(there.page, on_the_train)
    _type(here.page, at_the_desk)
    here.page.unroute(NEWS_AT)
    line = here.page.locator(".composer [data-line=overtook]")
    both_are_kept = re.compile("Another page had a different text here. Both are kept.")
    expect(line).to_have_text(both_are_kept)
    expect(composer(there.page)).to_have_value(at_the_desk, timeout=ARRIVAL)
    # Where the text gave way the page says so, and where it is.
    line_there = there.page.locator(".composer [data-line=overtook]")
    gave_way = re.compile("The text of another page stands here now. Yours is kept as the other text.")
    expect(line_there).to_have_text(gave_way)

    # Either can be shown, as often as somebody wants, and whose the other one is then is not said.
    for text in (on_the_train, at_the_desk):
        line.get_by_role("button", name="Show the other text").click()
        expect(composer(here.page)).to_have_value(text)
        expect(composer(there.page)).to_have_value(text, timeout=ARRIVAL)
        for each in (line, line_there):
            expect(each).to_have_text(both_are_kept)
    at_the_desk = f"Longer, {at_the_desk}"
    _type(there.page, at_the_desk)
    expect(composer(here.page)).to_have_value(at_the_desk, timeout=ARRIVAL)
    expect(line).to_have_text(both_are_kept)
    here.page.reload()
    expect(composer(here.page)).to_have_value(at_the_desk)
    expect(line).to_have_text(both_are_kept)

    # Sent, the other one is the draft again. It does not get in the way of whoever goes on writing here.
    composer(here.page).press("Control+Enter")
    expect(bubble(there.page, at_the_desk)).to_be_visible(timeout=ARRIVAL)
    expect(composer(there.page)).to_have_value(on_the_train, timeout=ARRIVAL)
    expect(there.page.locator(".composer [data-line=overtook]")).to_be_hidden()
    left = here.page.locator(".composer [data-line=left]")
    expect(left).to_be_visible()
    expect(line).to_be_hidden()
    expect(composer(here.page)).to_have_value("")
    left.get_by_role("button", name="Show that text").click()
    expect(composer(here.page)).to_have_value(on_the_train)
    expect(left).to_be_hidden()
    here.write(on_the_train)
    expect(bubble(there.page, on_the_train)).to_be_visible(timeout=ARRIVAL)
    for page in (here.page, there.page):
        expect(composer(page)).to_have_value("", timeout=ARRIVAL)


def test_a_field_that_is_emptied_unawares_leaves_what_was_written_elsewhere(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    here, there = visit("alice"), visit("alice")
    word = uuid4().hex[:8]
    here.write_to("bob.test", text=f"Begun {word}")
    there.page.goto(urlsplit(here.page.url).path)
    _type(here.page, f"Begun here {word}")
    expect(composer(there.page)).to_have_value(f"Begun here {word}", timeout=ARRIVAL)
    here.page.route(NEWS_AT, lambda route: route.fulfill(status=204))
    _type(there.page, f"Finished there {word}")
    _type(here.page, "")
    here.page.unroute(NEWS_AT)
    left = here.page.locator(".composer [data-line=left]")
    expect(left).to_be_visible()
    expect(composer(there.page)).to_have_value(f"Finished there {word}")
    left.get_by_role("button", name="Show that text").click()
    expect(composer(here.page)).to_have_value(f"Finished there {word}")
    # What is known there is let go by emptying its field.
    _type(here.page, "")
    expect(composer(there.page)).to_have_value("", timeout=ARRIVAL)
    expect(left).to_be_hidden()


def test_a_file_on_its_way_stays_though_another_browser_types(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    here, there = visit("alice"), visit("alice")
    word = uuid4().hex[:8]
    here.write_to("bob.test", text=f"Begun {word}")
    there.page.goto(urlsplit(here.page.url).path)
    on_its_way: list[Route] = []
    here.page.route("**/files/", lambda route: on_its_way.append(route))
    film = {"name": f"{word}.bin", "mimeType": "a/b", "buffer": bytes(1000)}
    with here.page.expect_request("**/files/"):
        here.page.locator("[data-upload]").set_input_files(film)
    _type(there.page, f"Typed there {word}")
    expect(composer(here.page)).to_have_value(f"Typed there {word}", timeout=ARRIVAL)
    files = here.page.locator("#files .upload")
    expect(files).to_have_text(re.compile(word))
    with here.page.expect_response(KEPT_AT, timeout=ARRIVAL):
        on_its_way.pop().continue_()
    expect(files.locator("[name=file]")).to_have_count(1)
    # With it the draft goes on in the other one.
    expect(there.page.locator("#files .upload")).to_have_text(re.compile(word), timeout=ARRIVAL)
    expect(here.page.locator(".composer [data-line=overtook]")).to_be_hidden()
    here.write(f"Typed there {word}")
    expect(files).to_have_count(0)
    expect(there.page.locator("#files .upload")).to_have_count(0, timeout=ARRIVAL)


def _type(page: Page, text: str) -> None:
    """Into the composer of the open conversation, until it is kept."""
    with page.expect_response(KEPT_AT, timeout=ARRIVAL):
        composer(page).fill(text)
