"""Signing out one browser from another, and signing in again in one: what its other pages show then."""

from __future__ import annotations

import re
from collections.abc import Sequence

from playwright.sync_api import Cookie, Page, expect

from demo.local_network import NetworkInfo, Person
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.first_visit import OWN_COOKIES, ask_own_server, give_password
from tests.browser.visitors import ARRIVAL, PHONE, Visitor

#: Milliseconds in which an open page has to be gone.
AT_ONCE = 5000


def signs_in(visitor: Visitor) -> None:
    """In a browser of its own; the person's own server is asked anew."""
    ask_own_server(visitor)
    give_password(visitor)
    visitor.page.get_by_role("button", name="Authorize").click()
    expect(visitor.page.get_by_role("heading", name="Inbox")).to_be_visible(timeout=ARRIVAL)


def test_a_lost_browser_is_signed_out_and_its_open_page_goes(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("alice")
    lost = visit("alice", signed_in=False)
    signs_in(lost)
    page = visit("alice", viewport=PHONE).page
    page.goto("/devices/")
    page.get_by_role("link", name="Show browsers").click()
    rows = page.locator("main li.card")
    expect(rows.first).to_contain_text("This one")
    expect(rows.first.get_by_role("heading")).to_have_text("Chrome on Linux")
    count = rows.count()
    # The one that signed in last comes first among the others.
    rows.nth(1).get_by_role("button", name=re.compile("^Sign out")).click()
    expect(page.get_by_text("That browser is signed out.")).to_be_visible()
    expect(rows).to_have_count(count - 1)
    # Its page was not touched.
    expect(lost.page.get_by_role("heading", name="Sign in with your handle")).to_be_visible(timeout=AT_ONCE)
    lost.page.goto("/")
    expect(lost.page.get_by_role("heading", name="Sign in with your handle")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


def signs_in_once_more(visitor: Visitor, page: Page, person: Person) -> None:
    """On a page of signing in that stood open since before, by somebody whom the own server does not know."""
    visitor.context.clear_cookies(name=re.compile(f"^(?!({'|'.join(OWN_COOKIES)})$)"))
    signs_in(Visitor(person, visitor.context, page, visitor.installation_url))


def test_who_signs_in_again_in_one_tab_goes_on_in_the_others(
    visit: Visit, first_visit_of: FirstVisitOf, local_network: NetworkInfo
) -> None:
    first_visit_of("alice")
    visitor = visit("alice", signed_in=False)
    first, second = visitor.page, visitor.another_tab()
    second.goto("/sign-in/")
    signs_in(visitor)
    first.evaluate("window.stays = true")
    former = visitor.context.cookies()
    signs_in_once_more(visitor, second, local_network.accounts["alice"].person)
    assert keys_among(visitor.context.cookies()) != keys_among(former)

    # Nothing was loaded anew.
    first.wait_for_timeout(1500)
    expect(first.get_by_role("heading", name="Inbox")).to_be_visible()
    assert first.evaluate("window.stays")
    # Signing out ends both.
    second.goto("/devices/browsers/")
    second.locator("main li.card").first.get_by_role("button", name=re.compile("^Sign out")).click()
    for page in (first, second):
        expect(page.get_by_role("heading", name="Sign in with your handle")).to_be_visible(timeout=AT_ONCE)


def test_who_signs_in_as_somebody_else_in_one_tab_sees_nothing_of_the_first(
    visit: Visit, first_visit_of: FirstVisitOf, local_network: NetworkInfo
) -> None:
    first_visit_of("alice")
    first_visit_of("bob")
    visitor = visit("alice", signed_in=False)
    first, second = visitor.page, visitor.another_tab()
    second.goto("/sign-in/")
    signs_in(visitor)
    first.goto("/devices/")
    fingerprint = first.locator("dd").first.inner_text()
    signs_in_once_more(visitor, second, local_network.accounts["bob"].person)
    expect(first.get_by_text(fingerprint)).to_have_count(0, timeout=AT_ONCE)
    expect(first.get_by_role("heading", name="Devices and keys")).to_be_visible(timeout=AT_ONCE)
    assert first.locator("dd").first.inner_text() != fingerprint
    second.reload()
    expect(second.get_by_role("heading", name="Inbox")).to_be_visible()


def keys_among(cookies: Sequence[Cookie]) -> list[Cookie]:
    return [cookie for cookie in cookies if cookie["name"] == "session"]
