"""Signing out one browser from another, and signing in again in one: what its other pages show then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Cookie, Page, expect

from demo.local_network import NetworkInfo, Person
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.first_visit import OWN_COOKIES, ask_own_server, give_password
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer
from tests.services.installations import RunningInstallation

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
    asleep = lost.another_tab()
    with asleep.expect_response(re.compile("/list/")):
        asleep.goto("/")
    asleep.evaluate("dispatchEvent(new Event('pagehide'))")
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
    # One that was not connected meanwhile goes as it is again.
    expect(asleep.get_by_role("heading", name="Inbox")).to_be_visible()
    asleep.evaluate("dispatchEvent(new Event('online'))")
    expect(asleep.get_by_role("heading", name="Sign in with your handle")).to_be_visible(timeout=AT_ONCE)
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


def test_pages_go_on_though_another_tab_comes_by_a_link_of_another_site(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    first_visit_of("bob")
    word = uuid4().hex[:8]
    alice = visit("alice")
    alice.write_to("bob.test", text=f"Begun {word}")
    # A name and a number are two sites, whatever answers there.
    tab, elsewhere = alice.another_tab(), f"{installation.url_by_number}/elsewhere/"
    link = f'<!doctype html><a href="{installation.url}/">Waxwing</a>'
    tab.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    tab.goto(elsewhere)
    tab.get_by_role("link", name="Waxwing").click()
    expect(tab.get_by_role("heading", name="Inbox")).to_be_visible()

    with alice.page.expect_response("**/draft/keep/") as kept:
        composer(alice.page).fill(f"Goes on {word}")
    assert kept.value.ok
    composer(alice.page).press("Control+Enter")
    expect(bubble(alice.page, f"Goes on {word}")).to_be_visible()


def test_what_somebody_was_writing_is_no_draft_of_who_signs_in_next(
    visit: Visit, first_visit_of: FirstVisitOf, local_network: NetworkInfo
) -> None:
    first_visit_of("alice")
    first_visit_of("bob")
    word = uuid4().hex[:8]
    visitor = visit("alice", signed_in=False, viewport=WIDE)
    first, second = visitor.page, visitor.another_tab()
    second.goto("/sign-in/")
    signs_in(visitor)
    first.goto("/new/")
    # Nothing hears of it: it is to be kept as the page goes.
    first.get_by_label("Message", exact=True).evaluate("(field, text) => { field.value = text; }", word)
    sent: list[str] = []
    first.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    with first.expect_event("load"):
        signs_in_once_more(visitor, second, local_network.accounts["bob"].person)
    expect(first.get_by_label("Message", exact=True)).to_have_value("")
    assert sent == []
    second.reload()
    expect(second.get_by_role("heading", name="Inbox")).to_be_visible()
    expect(second.get_by_text(word)).to_have_count(0)


def test_a_page_that_heard_nothing_acts_for_its_own_person_alone(
    visit: Visit, first_visit_of: FirstVisitOf, local_network: NetworkInfo
) -> None:
    """As of a machine that slept while somebody else signed in."""
    first_visit_of("bob")
    word = uuid4().hex[:8]
    with_bob = visit("alice")
    with_bob.write_to("bob.test", text=f"Begun {word}")
    conversation = urlsplit(with_bob.page.url).path
    bob = visit("bob")
    bob.open_conversation(f"{bob.installation_url}{conversation}")
    expect(bubble(bob.page, f"Begun {word}")).to_be_visible(timeout=ARRIVAL)

    visitor = visit("alice", signed_in=False)
    first, new, second, third = visitor.page, *(visitor.another_tab() for _ in range(3))
    for page in (second, third):
        page.goto("/sign-in/")
    signs_in(visitor)
    for page, path in ((first, conversation), (new, "/new/")):
        page.route("**/events/*", lambda route: route.abort())
        page.goto(path)
    signs_in_once_more(visitor, second, local_network.accounts["bob"].person)
    composer(first).fill(f"Of Alice {word}")
    signed_out = first.get_by_role("alert").filter(has_text="You are signed out here")
    expect(signed_out).to_be_visible()
    composer(first).press("Control+Enter")
    expect(composer(first)).to_have_value(f"Of Alice {word}")
    expect(first.get_by_text("Not sent")).to_be_hidden()
    new.get_by_label("Message", exact=True).fill(f"Beginning {word}")
    new.get_by_role("button", name="Send").click()
    expect(new.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(new.get_by_label("What you wrote")).to_have_value(f"Beginning {word}")
    second.goto("/")
    expect(second.locator("#convos")).to_contain_text(word)
    expect(second.locator("#convos")).not_to_contain_text(re.compile(f"(Of Alice|Beginning) {word}"))

    signs_in_once_more(visitor, third, local_network.accounts["alice"].person)
    first.get_by_role("button", name="Send", exact=True).click()
    expect(bubble(first, f"Of Alice {word}")).to_be_visible()
    expect(signed_out).to_be_hidden()
    expect(bubble(bob.page, f"Of Alice {word}")).to_have_count(1, timeout=ARRIVAL)
    visitor.excuse("status of 401", "net::ERR_FAILED", "Response Status Error Code 401")


def keys_among(cookies: Sequence[Cookie]) -> list[Cookie]:
    return [cookie for cookie in cookies if cookie["name"] == "session"]
