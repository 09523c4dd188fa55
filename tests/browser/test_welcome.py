"""The three steps of a first visit, by the keyboard alone: on a desktop with script, on a phone without."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.first_visit import ask_own_server, give_password, of_installation
from tests.browser.test_every_page import FORMS, problems_of, too_wide
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, visitor_at
from tests.services.installations import RunningInstallation
from tests.services.newcomers import newcomer

WORDS = "four words that fit"
MOST_TABS = 60


@pytest.mark.parametrize(
    ("name", "viewport", "script", "locks"),
    [
        pytest.param("wide-starter", WIDE, True, True, id="wide, with script, locking"),
        pytest.param("phone-starter", PHONE, False, True, id="phone, without script, locking"),
        pytest.param("later-starter", PHONE, True, False, id="phone, with script, not now"),
    ],
)
def test_a_first_visit_is_three_steps_by_the_keyboard_alone(
    name: str,
    viewport: dict[str, int],
    script: bool,
    locks: bool,
    browser: Browser,
    installation: RunningInstallation,
    local_network: NetworkInfo,
) -> None:
    """A first visit happens once, so somebody new makes each."""
    url, person = installation.url, newcomer(local_network, name, "Starter").person
    with visitor_at(browser, url, person) as visitor:
        state = _signed_in(visitor)
    with visitor_at(browser, url, person, storage_state=state, viewport=viewport, script=script) as visitor:
        page = visitor.page
        page.goto("/")
        _step(page, "1", "What will be published", script=script)
        _tab_to(page, "Create keys and publish")
        page.keyboard.press("Enter")
        _step(page, "2", "Who can read your messages", script=script)

        # Who goes away here comes back to the same step.
        page.goto("/")
        expect(page.get_by_role("heading", name="No conversations yet")).to_be_visible()
        page.goto("/welcome/")
        _step(page, "2", "Who can read your messages", script=script)
        if locks:
            _tab_to(page, "new")
            page.keyboard.type("short")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert").first).to_be_visible()
            _step(page, "2", "Who can read your messages", script=script)
            _tab_to(page, "new")
            page.keyboard.type(WORDS)
            page.keyboard.press("Tab")
            page.keyboard.type(WORDS)
            page.keyboard.press("Enter")
            if script:
                # Once more while the first is on its way.
                page.keyboard.press("Enter")
            _step(page, "2", "Your recovery code", script=script)
            expect(page.locator("#recovery-code")).to_have_text(re.compile(r"^([0-9A-Z]{4}\W?){9}$"))
            _tab_to(page, "written")
            page.keyboard.press("Space")
            _tab_to(page, "Done")
        else:
            _tab_to(page, "Not now")
        page.keyboard.press("Enter")
        _step(page, "3", "You can receive sealed messages", script=script)
        said = "Your keys are locked" if locks else "Your keys are not locked"
        expect(page.get_by_role("main")).to_contain_text(said)
        _tab_to(page, "Open the inbox")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No conversations yet")).to_be_visible()
        visitor.excuse(r"status of 422")
        assert visitor.complaints == []


def _signed_in(visitor: Visitor) -> object:
    """As far as the first step, with the pages of the person's own server, which need script."""
    page = visitor.page
    page.goto("/sign-in/")
    ask_own_server(visitor)
    give_password(visitor)
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="What will be published")).to_be_visible(timeout=ARRIVAL)
    return of_installation(visitor)


def _step(page: Page, number: str, heading: str, *, script: bool) -> None:
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible(timeout=ARRIVAL)
    expect(page.locator(".progress")).to_have_text(f"Step {number} of 3")
    assert too_wide(page) == []
    # The rules are a script of their own.
    if not script:
        return
    usual = page.viewport_size
    for screen in FORMS.values():
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        assert problems_of(page, screen) == []
    page.set_viewport_size(usual)  # type: ignore[arg-type]


def _tab_to(page: Page, what: str) -> None:
    """Presses Tab until the field of this name, or what has these words, is reached."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and what in (focused.get_attribute("name"), focused.inner_text().strip()):
            return
    raise AssertionError(f"{what} cannot be reached by the keyboard")
