"""Previews of links at the browser: offered while one writes, kept or removed, and shown to the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.accounts.http_server import Server
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.other_site import TITLE, other_site
from tests.browser.visitors import ARRIVAL, NARROWEST, PHONE, composer, message, reload_until
from tests.services.chromium import tools_of
from tests.webmail.pictures import photo


@pytest.fixture(autouse=True)
def _bob_is_there(first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")


@pytest.fixture
def site() -> Iterator[Server]:
    with other_site() as server:
        yield server


def card(page: Page) -> Locator:
    return page.locator("#composer-preview .preview")


def keep(page: Page, offered: bool) -> None:
    page.goto("/receipts/")
    form = page.get_by_role("form", name="Links that you send")
    form.get_by_label("Show previews of links that I send").set_checked(offered)
    form.get_by_role("button", name="Keep this").click()
    expect(page.get_by_role("status")).to_be_visible()


def is_drawn(page: Page) -> None:
    """The picture is on the canvas: red on its right half."""
    canvas = card(page).locator("canvas")
    expect(canvas).to_be_visible()
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector("#composer-preview canvas");
          const at = canvas.getContext("2d").getImageData(canvas.width - 10, 10, 1, 1).data;
          return at[0] > 150 && at[2] < 80 && at[3] === 255;
        }"""
    )


def is_loaded(picture: Locator) -> None:
    expect(picture).to_be_visible(timeout=ARRIVAL)
    picture.scroll_into_view_if_needed()
    picture.evaluate("image => image.decode()")
    assert picture.evaluate("image => image.naturalWidth") == 320


def test_a_card_is_offered_sent_and_seen_by_the_other_side_which_asks_nobody(
    visit: Visit, site: Server
) -> None:
    """Offered at her desk, sent from her phone, and seen on another."""
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="a walk?")
    link = f"{site.url}/river-path"
    # Nobody is asked for half of an address.
    composer(page).press_sequentially(f"look: {link}")
    expect(page.get_by_role("button", name="Add a preview of the link")).to_be_visible()
    page.wait_for_timeout(1500)
    assert site.requests == 0
    composer(page).press_sequentially(" with Bob")
    expect(card(page)).to_contain_text(TITLE, timeout=ARRIVAL)
    expect(card(page)).to_contain_text("127.0.0.1")
    expect(composer(page)).to_be_focused()
    is_drawn(page)
    assert site.requests == 2
    assert violations(page) == []
    # It is kept as a draft is.
    conversation = page.url
    page.goto("/")
    page = visit("alice", viewport=PHONE, touch=True).page
    page.goto(conversation)
    reload_until(page, card(page).count)
    expect(card(page)).to_contain_text(TITLE)
    is_drawn(page)
    composer(page).press("Control+Enter")
    expect(card(page)).to_have_count(0)
    own = message(page, "with Bob").locator(".preview")
    expect(own).to_contain_text(TITLE, timeout=ARRIVAL)
    is_loaded(own.locator("img"))
    assert violations(page) == []

    bob = visit("bob", viewport=PHONE, touch=True)
    bob.open_conversation(page.url)
    shown = message(bob.page, "with Bob").locator(".preview")
    expect(shown).to_contain_text(TITLE, timeout=ARRIVAL)
    assert shown.get_attribute("href") == link
    is_loaded(shown.locator("img"))
    assert violations(bob.page) == []
    bob.page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
    assert bob.page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]
    assert site.requests == 2


def test_pictures_are_asked_for_with_their_page_and_not_while_one_scrolls_or_writes(
    visit: Visit, site: Server, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("carol")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", "carol.test", text="a long one")
    address = page.url
    page.goto(f"{address}people/")
    page.locator('input[type="file"]').set_input_files(
        {"name": "river.jpg", "mimeType": "image/jpeg", "buffer": photo((400, 300))}
    )
    page.locator('form[action$="/picture/"] button').click()
    expect(page.locator("main img").first).to_be_visible()
    page.goto(address)
    composer(page).press_sequentially(f"{site.url}/river-path then ")
    expect(card(page)).to_be_visible(timeout=ARRIVAL)
    composer(page).press("Control+Enter")
    shown = message(page, "river-path then").locator(".preview img")
    is_loaded(shown)
    page.reload()
    is_loaded(shown)
    asked: list[tuple[str, int]] = []
    with watched(page, "-picture/", asked):
        for number in range(10):
            alice.write(f"line {number}\n\n\n\n\nof the river")
            expect(message(page, f"line {number}")).to_be_visible(timeout=ARRIVAL)
        for _ in range(50):
            message(page, "line 9").scroll_into_view_if_needed()
            shown.scroll_into_view_if_needed()
        assert asked == []
        page.reload()
        is_loaded(shown)
        page.wait_for_load_state("networkidle")
    # What a browser has is asked for again by each page, and not sent again.
    assert sorted(asked) == [("group-picture", 304), ("preview-picture", 304)]


@contextmanager
def watched(page: Page, end: str, found: list[tuple[str, int]]) -> Iterator[None]:
    """The last part of the addresses with that end which are asked for over the network, and the status of
    the answers. Chromium says 200 of what it took from its cache, too, but not here."""
    session = tools_of(page, "the caching of answers")
    addresses: dict[str, str] = {}

    def asked(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]

    def answered(event: dict[str, Any]) -> None:
        path = urlsplit(addresses.get(event["requestId"], "")).path
        if path.endswith(end):
            found.append((path.rstrip("/").rpartition("/")[2], event["statusCode"]))

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.responseReceivedExtraInfo", answered)
    session.send("Network.enable")
    try:
        yield
    finally:
        session.detach()


def test_a_card_is_removed_and_added_again_with_the_keyboard(visit: Visit, site: Server) -> None:
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="or not?")
    composer(page).press_sequentially(f"{site.url}/river-path then")
    expect(card(page)).to_be_visible(timeout=ARRIVAL)
    page.get_by_role("button", name="Remove the preview").press("Enter")
    expect(card(page)).to_have_count(0)
    expect(composer(page)).to_be_focused()
    composer(page).press_sequentially(" again ")
    page.wait_for_timeout(1500)
    expect(card(page)).to_have_count(0)
    # The same in a window as small as a phone's.
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    asked = site.requests
    page.get_by_role("button", name="Add a preview of the link").press("Enter")
    expect(card(page)).to_be_visible(timeout=ARRIVAL)
    assert site.requests == asked + 2
    assert violations(page) == []
    page.get_by_role("button", name="Remove the preview").click()
    expect(card(page)).to_have_count(0)
    composer(page).press("Control+Enter")
    sent = message(page, "then again")
    expect(sent).to_be_visible(timeout=ARRIVAL)
    expect(sent.locator(".preview")).to_have_count(0)
    # A page that says nothing of itself: a sentence, and the text goes as it is.
    composer(page).press_sequentially(f"{site.url}/nothing here")
    expect(page.locator("#composer-preview")).to_contain_text("127.0.0.1 gives no preview.", timeout=ARRIVAL)
    assert violations(page) == []
    composer(page).press("Control+Enter")
    expect(message(page, "nothing here")).to_be_visible(timeout=ARRIVAL)
    expect(page.locator("#composer-preview")).to_be_hidden()


def test_what_was_not_sent_keeps_its_card(visit: Visit, site: Server) -> None:
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="soon away, with a link")
    composer(page).press_sequentially(f"{site.url}/river-path into the void")
    expect(card(page)).to_be_visible(timeout=ARRIVAL)
    is_drawn(page)
    page.context.set_offline(True)
    composer(page).press("Control+Enter")
    expect(page.locator("#not-sent")).to_be_visible()
    expect(card(page)).to_contain_text(TITLE)
    page.context.set_offline(False)
    composer(page).press("Control+Enter")
    expect(message(page, "into the void").locator(".preview")).to_contain_text(TITLE, timeout=ARRIVAL)
    alice.excuse("ERR_INTERNET_DISCONNECTED", "htmx:")


def test_of_two_that_were_not_taken_each_goes_with_its_own_card(visit: Visit, site: Server) -> None:
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="a walk?")
    links = [f"{site.url}/river-path?{number}" for number in ("one", "two")]
    held: list[Route] = []
    page.route("**/send/", lambda route: held.append(route), times=1)
    for link in links:
        composer(page).press_sequentially(f"{link} is nice")
        expect(card(page)).to_contain_text(TITLE, timeout=ARRIVAL)
        if link == links[0]:
            composer(page).press("Control+Enter")
            expect(card(page)).to_have_count(0)
    held[0].abort()
    expect(composer(page)).to_have_value("\n".join(f"{link} is nice" for link in links))
    composer(page).press("Control+Enter")
    for link in links:
        shown = message(page, f"{link.rpartition('/')[2]} is nice").locator(".preview")
        expect(shown).to_have_attribute("href", link, timeout=ARRIVAL)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def test_previews_need_no_script_and_can_be_switched_off(visit: Visit, site: Server) -> None:
    alice = visit("alice", script=False)
    page = alice.page
    page.goto("/new/")
    page.get_by_label("To", exact=True).fill("bob.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    page.get_by_label("Message", exact=True).fill(f"{site.url}/river-path without a script")
    page.get_by_role("button", name="Add a preview of the link").click()
    expect(card(page)).to_contain_text(TITLE)
    expect(card(page).locator("noscript small")).to_be_visible()
    expect(card(page).locator("canvas")).to_be_hidden()
    page.get_by_role("button", name="Send", exact=True).click()
    sent = message(page, "without a script")
    expect(sent.locator(".preview")).to_contain_text(TITLE)
    expect(sent.locator(".preview img")).to_be_visible()
    composer(page).fill(f"{site.url}/river-path once more")
    page.get_by_role("button", name="Add a preview of the link").click()
    expect(card(page)).to_contain_text(TITLE)
    page.get_by_role("button", name="Remove the preview").click()
    expect(card(page)).to_have_count(0)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(message(page, "once more").locator(".preview")).to_have_count(0)

    conversation = page.url
    keep(page, False)
    try:
        with_script = visit("alice").page
        with_script.goto(conversation)
        asked = site.requests
        composer(with_script).press_sequentially(f"{site.url}/river-path quietly")
        with_script.wait_for_timeout(1500)
        expect(with_script.locator("#composer-preview")).to_have_count(0)
        assert site.requests == asked
        composer(with_script).fill("")
        with_script.reload()
        reload_until(with_script, lambda: not composer(with_script).input_value())
    finally:
        keep(page, True)
