"""The way from signing in to a message that was sent, in languages in which no page is looked at closely."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import polib
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.first_visit import give_password
from tests.browser.in_german import said_on
from tests.browser.test_every_page import FORMS, cut_off, lasting, too_wide
from tests.browser.visitors import ARRIVAL, Visitor, message

LOCALE = Path(__file__).parents[2] / "locale"
NAMES = frozenset({"Waxwing", "Bob"})
A_HANDLE = r"[\w.-]+\.test"


def test_no_word_is_english_on_the_way_to_a_message_that_is_sent(visit: Visit) -> None:
    """In English first, to know which words are."""
    bob = visit("bob")
    bob.write_to("alice.test", text="Olá! やあ!")
    conversation = urlsplit(bob.page.url).path
    english = walk(visit("alice", signed_in=False), "en", conversation)
    found: dict[str, set[str]] = {}
    for code in ("pt", "ja"):
        same = NAMES | called_the_same(code)
        for place, said in walk(visit("alice", signed_in=False), code, conversation).items():
            assert len(said) > 3, place
            if left := {words for words in said & english[place] - same if is_a_word(words)}:
                found[f"{code}, {place}"] = left
    assert found == {}


def is_a_word(said: str) -> bool:
    return bool(re.search("[A-Za-z]{2}", said)) and not re.fullmatch(A_HANDLE, said)


def called_the_same(code: str) -> set[str]:
    """What a language calls as English does."""
    catalogue = polib.pofile(str(LOCALE / code / "LC_MESSAGES" / "django.po"))
    return {entry.msgid for entry in catalogue if entry.msgstr == entry.msgid}


def walk(visitor: Visitor, code: str, conversation: str) -> dict[str, set[str]]:
    """Signs in and sends a message, on a telephone and at a desk; what the pages say on the way."""
    page = visitor.page
    seen: dict[str, set[str]] = {}

    def see(name: str) -> None:
        assert page.locator("html").get_attribute("lang") == code
        assert [*lasting(too_wide, page), *lasting(cut_off, page)] == []
        seen[name] = {*said_on(page, but=".avatar"), *page.title().split(" · ")}

    def see_both(name: str) -> None:
        for form, screen in FORMS.items():
            page.set_viewport_size(screen)  # type: ignore[arg-type]
            see(f"{name}, {form}")

    page.locator("a[href^='/language/']").click()
    page.locator(f"button[name=language][value={code}]").click()
    expect(page.locator("#handle")).to_be_visible()
    see_both("sign-in")
    page.locator("#handle").fill(visitor.person.handle)
    page.locator("#handle").press("Enter")
    page.wait_for_url(re.compile("/oauth/authorize"))
    give_password(visitor)
    page.get_by_role("button", name="Authorize").click()
    row = page.locator(f'#convos .row[href="{conversation}"]')
    expect(row).to_be_visible(timeout=ARRIVAL)
    see_both("list")
    for form, screen in FORMS.items():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        page.goto("/")
        row.click()
        expect(page.locator("#text")).to_be_visible()
        see(f"conversation, {form}")
        page.locator("#pane .pane__head details.menu > summary").click()
        see(f"conversation menu, {form}")
        page.keyboard.press("Escape")
        text = f"{code} {uuid4().hex[:8]}"
        page.locator("#text").fill(text)
        page.locator(".icon-btn--send").click()
        sent = message(page, text)
        arrived = sent.locator(".steps:is([data-at='3'], [data-at='4'])")
        expect(arrived).to_be_attached(timeout=ARRIVAL)
        sent.locator(".menu > summary").click()
        expect(sent.locator(".menu__emoji")).to_be_visible()
        see(f"sent, {form}")
    return seen
