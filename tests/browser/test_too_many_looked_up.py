"""A new conversation of somebody who looked for too many people for now: nothing of it is lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import problems_of
from tests.browser.visitors import PHONE, WIDE, bubble
from tests.services.installations import RunningInstallation

SENTENCE = re.compile(r"You looked for very many people\. Try again in \d+ minutes?\.")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_it_is_shown_again_with_all_that_was_written_and_sent_once_that_works_again(
    script: bool, visit: Visit, installation: RunningInstallation, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    text = f"A long letter, {'with' if script else 'without'} script"
    alice = visit("alice", script=script, viewport=WIDE if script else PHONE, still=True)
    page = alice.page
    _write(page, text, script=script)
    with installation.set_otherwise("web", {"WAXWING_SEARCHES_OF_ONE": "0"}):
        # Who is chosen would have to be asked for anew, if no worker does so meanwhile.
        installation.a_day_passes()
        with page.expect_response(re.compile("/new/$")) as answer:
            page.get_by_role("button", name="Send", exact=True).click()
        assert answer.value.status == 429
        _is_all_there(page, text)
        expect(page.get_by_role("alert").filter(has_text=SENTENCE)).to_be_visible()
        if script:
            for screen in (PHONE, WIDE):
                page.set_viewport_size(screen)  # type: ignore[arg-type]
                assert problems_of(page, screen) == []
            # Where a part of the page alone comes anew, it says the same.
            page.get_by_label("To", exact=True).press_sequentially("nobody.invalid")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert").filter(has_text=SENTENCE)).to_be_visible()
            expect(page.get_by_label("To", exact=True)).to_have_value("nobody.invalid")
            page.get_by_label("To", exact=True).fill("")
            _is_all_there(page, text)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page).to_have_url(re.compile("/c/"))
    expect(bubble(page, text)).to_be_visible()
    expect(page.locator("#thread .msg", has_text=text)).to_contain_text("the way.txt")
    # While the server was started anew.
    alice.excuse("status of (4(22|29)|50)", "Status Error Code 422", "ERR_", "htmx:(afterRequest|sendError)")


def _write(page: Page, text: str, *, script: bool) -> None:
    page.goto("/new/")
    page.get_by_label("To", exact=True).press_sequentially("bob.test")
    if script:
        expect(page.locator("#results .result")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    page.get_by_label("Message", exact=True).fill(text)
    note = {"name": "the way.txt", "mimeType": "text/plain", "buffer": b"left at the oak"}
    page.locator("input[type=file]").set_input_files(note)  # type: ignore[arg-type]
    if script:
        expect(page.locator("#files .upload:not([data-busy])")).to_have_count(1)


def _is_all_there(page: Page, text: str) -> None:
    expect(page.locator("#chips .chip")).to_have_count(1)
    expect(page.locator("#chips .chip")).to_contain_text("Bob")
    expect(page.get_by_label("Message", exact=True)).to_have_value(text)
    expect(page.locator("#files .upload")).to_have_count(1)
    expect(page.locator("#files .upload")).to_contain_text("the way.txt")
