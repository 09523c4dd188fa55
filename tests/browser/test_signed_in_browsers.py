"""Signing out one browser from another: what it shows goes within seconds."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.first_visit import ask_own_server, give_password
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor

#: Milliseconds in which an open page has to be gone.
AT_ONCE = 5000


def signs_in(visitor: Visitor) -> None:
    """In a browser of its own; the person's own server is asked anew."""
    ask_own_server(visitor)
    give_password(visitor)
    visitor.page.get_by_role("button", name="Authorize").click()
    expect(visitor.page.get_by_role("heading", name="Inbox")).to_be_visible(timeout=ARRIVAL)


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_a_lost_browser_is_signed_out_and_its_open_page_goes(visit: Visit, viewport: dict[str, int]) -> None:
    lost = visit("alice", signed_in=False)
    signs_in(lost)
    page = visit("alice", viewport=viewport).page
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
