"""A message that is being changed: what was typed waits where it was begun."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer, message

KEPT_AT = "**/edit/draft/"
LOWEST = {"width": 320, "height": 568}
NEWS_AT = re.compile(r"/c/[0-9a-f]+/news/")


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_change_that_was_begun_is_offered_when_its_conversation_opens_again(
    visit: Visit, first_visit_of: FirstVisitOf, viewport: dict[str, int]
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice, word = visit("alice", viewport=viewport), uuid4().hex[:8]
    page = alice.page
    alice.write_to("carol.test", text=f"Elsewhere {word}")
    with_carol = urlsplit(page.url).path
    editing = _begin(alice, word)
    with_bob = urlsplit(page.url).path
    composer(page).fill(f"An answer {word}")
    half = f"Half changed {word}, and it goes on" + " for a long time" * 20
    editing.fill(half)
    # Left at once, for another conversation.
    if viewport is PHONE:
        page.get_by_role("link", name="Back to inbox").click()
    page.locator(f'#convos .row[href="{with_carol}"]').click()
    expect(bubble(page, f"Elsewhere {word}")).to_be_visible()
    expect(_notice(page)).to_have_count(0)
    page.goto(with_bob)
    expect(_notice(page)).to_contain_text(f"Half changed {word}")
    expect(composer(page)).to_have_value(f"An answer {word}")
    assert violations(page) == []
    # What it says leaves room for the messages, on the narrowest screen as well.
    page.set_viewport_size(LOWEST)  # type: ignore[arg-type]
    messages = page.get_by_role("region", name="Messages")
    assert (messages.bounding_box() or {"height": 0})["height"] >= 120
    page.set_viewport_size(viewport)  # type: ignore[arg-type]
    _notice(page).get_by_role("link", name="Go on changing it").click()
    expect(editing).to_have_value(half)
    expect(_notice(page)).to_have_count(0)
    editing.fill(f"Changed in whole {word}")
    page.get_by_role("button", name="Save").click()
    expect(bubble(page, f"Changed in whole {word}")).to_be_visible(timeout=ARRIVAL)
    page.goto(with_bob)
    expect(bubble(page, f"Changed in whole {word}")).to_be_visible()
    expect(_notice(page)).to_have_count(0)
    with page.expect_response("**/draft/keep/", timeout=ARRIVAL):
        composer(page).fill("")


def test_a_change_that_is_not_wanted_any_more_is_gone(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    for way in ("in its form", "on a page that asks"):
        editing = _begin(alice, word)
        with page.expect_response(KEPT_AT, timeout=ARRIVAL):
            editing.fill(f"Half changed {word}")
        if way == "in its form":
            page.get_by_role("link", name="Leave it as it was").click()
            expect(editing).to_have_count(0)
            expect(bubble(page, f"Begun {word}").last).to_be_visible()
        else:
            page.reload()
            _notice(page).get_by_role("link", name="Discard").click()
            expect(page.get_by_role("heading", name="Discard this change?")).to_be_visible()
            page.get_by_role("button", name="Discard").click()
        page.reload()
        expect(bubble(page, f"Begun {word}").last).to_be_visible()
        expect(_notice(page)).to_have_count(0)


def test_a_page_that_comes_anew_comes_with_what_was_typed(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    editing = _begin(alice, word)
    # As after many messages that came at once; what is typed can't be kept at first.
    page.route(KEPT_AT, lambda route: route.fulfill(status=503, body="{}"))
    page.route(NEWS_AT, _come_anew)
    editing.fill(f"Half changed {word}")
    page.evaluate("window.samePage = true")
    with page.expect_response(NEWS_AT):
        page.evaluate("htmx.trigger(document.body, 'news')")
    expect(page.locator(".edit [data-line=unkept]")).to_be_visible()
    assert page.evaluate("window.samePage")
    expect(editing).to_have_value(f"Half changed {word}")
    page.unroute(NEWS_AT)
    page.unroute(KEPT_AT)
    expect(_notice(page)).to_contain_text(f"Half changed {word}", timeout=ARRIVAL)
    alice.excuse("503")
    _notice(page).get_by_role("link", name="Discard").click()
    page.get_by_role("button", name="Discard").click()
    expect(message(page, f"Begun {word}").last).to_be_visible()


def test_an_ended_sign_in_leaves_the_change_in_its_field(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    alice.hear_no_news()
    editing = _begin(alice, word)
    cookies = page.context.cookies()
    page.context.clear_cookies(name="session")
    editing.fill(f"Half changed {word}")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".edit").get_by_text("You are signed out here.")).to_be_visible()
    expect(editing).to_have_value(f"Half changed {word}")
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.get_by_role("button", name="Save").click()
    expect(bubble(page, f"Half changed {word}")).to_be_visible(timeout=ARRIVAL)
    alice.excuse("401", "htmx:")


def _begin(alice: Visitor, word: str) -> Locator:
    """Opens the form for a message of Alice's."""
    alice.write_to("bob.test", text=f"Begun {word}")
    one = message(alice.page, f"Begun {word}").last
    one.locator(".menu > summary").click()
    one.get_by_role("link", name="Edit", exact=True).click()
    editing = alice.page.get_by_label("Edit this message")
    expect(editing).to_be_focused()
    return editing


def _notice(page: Page) -> Locator:
    return page.locator(".notice", has_text="You were changing a message")


def _come_anew(route: Route) -> None:
    route.fulfill(status=204, headers={"HX-Refresh": "true"})
