"""Enter sends where somebody chose that, in every browser of theirs; never what a composition confirms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, composer
from tests.services.chromium import tools_of


@contextmanager
def enter_that_sends(page: Page) -> Iterator[None]:
    _choose(page, "Enter sends")
    try:
        yield
    finally:
        _choose(page, "Enter begins a new line")


def _choose(page: Page, words: str) -> None:
    """By the keyboard, from the menu."""
    page.goto("/")
    page.get_by_label(re.compile("^Account menu")).press("Enter")
    page.get_by_role("link", name="Settings").press("Enter")
    page.get_by_role("link", name="Enter key").press("Enter")
    choice = page.get_by_label(words)
    choice.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("That holds from now on.")
    expect(page.get_by_label(words)).to_be_checked()
    assert violations(page) == []


def _help(page: Page) -> Locator:
    page.locator("#thread-title").focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog")
    expect(sheet).to_contain_text("New line, while typing")
    return sheet


def test_enter_sends_in_every_browser_of_who_chose_it(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    """Chosen in a wide window, it holds on a phone with a keyboard."""
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice, elsewhere = visit("alice", viewport=WIDE), visit("alice", viewport=PHONE)
    alice.start_conversation("bob.test", text=f"Begun {word}")
    conversation = urlsplit(alice.page.url).path
    # As long as nobody chose, it begins a new line.
    field = composer(alice.page)
    field.fill("one")
    field.press("Enter")
    field.press_sequentially("two")
    expect(field).to_have_value("one\ntwo")
    sends = _help(alice.page).locator("dl > div", has_text="Send, while typing").locator("kbd")
    expect(sends).to_have_text(["Ctrl", "Enter"])
    alice.page.keyboard.press("Escape")
    field.fill("")

    with enter_that_sends(alice.page):
        page = elsewhere.page
        page.goto(conversation)
        field = composer(page)
        field.press_sequentially("first line")
        field.press("Shift+Enter")
        field.press_sequentially(f"second line {word}")
        field.press("Enter")
        expect(bubble(page, f"second line {word}")).to_contain_text("first line", timeout=ARRIVAL)
        expect(field).to_have_value("")
        # The keys together still send, and nothing empty goes out.
        field.press("Enter")
        field.press_sequentially(f"by both {word}")
        field.press("Control+Enter")
        expect(bubble(page, f"by both {word}")).to_be_visible(timeout=ARRIVAL)
        expect(page.locator("#thread .msg", has_text=word)).to_have_count(3)
        expect(page.locator("#thread .msg").last).to_contain_text(f"by both {word}")
        sends = _help(page).locator("dl > div", has_text="Send, while typing").locator("kbd")
        expect(sends).to_have_text(["Enter"])
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()

        # An edit is saved by it as well.
        own = page.locator("#thread .msg", has_text=f"by both {word}").last
        own.locator(".menu > summary").press("Enter")
        own.get_by_role("link", name="Edit").press("Enter")
        page.get_by_label("Edit this message").fill(f"mended {word}")
        page.get_by_label("Edit this message").press("Enter")
        expect(bubble(page, f"mended {word}")).to_be_visible(timeout=ARRIVAL)


def test_what_confirms_a_composition_does_not_send(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.start_conversation("bob.test", text=f"Begun {word}")
    conversation = urlsplit(page.url).path
    with enter_that_sends(page):
        page.goto(conversation)
        field = composer(page)
        field.focus()
        keyboard = tools_of(page, "compositions")
        composing = {"text": "にほんご", "selectionStart": 4, "selectionEnd": 4}
        page.evaluate(
            """() => addEventListener("keydown", (event) => {
              if (event.key === "Enter") (window.composing ??= []).push(event.isComposing);
            }, true)"""
        )
        keyboard.send("Input.imeSetComposition", composing)
        page.keyboard.press("Enter")
        assert page.evaluate("window.composing") == [True]
        keyboard.send("Input.insertText", {"text": f"日本語 {word}"})
        expect(field).to_have_value(re.compile(f"日本語 {word}"))
        expect(page.locator("#thread .msg").last).to_contain_text(f"Begun {word}")
        # Confirmed, it goes.
        page.keyboard.press("Enter")
        expect(bubble(page, f"日本語 {word}")).to_be_visible(timeout=ARRIVAL)
        expect(page.locator("#thread .msg", has_text=word)).to_have_count(2)
