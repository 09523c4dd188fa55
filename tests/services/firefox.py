"""Debian's Firefox, driven by Playwright over WebDriver BiDi."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright

from tests.services.programs import find_program, need


@contextmanager
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """A running browser; every person in a test gets a context of their own from it.

    Over BiDi a context takes no notice of being told to do without script, nor of a dark system, a wish for
    less motion, a touched screen or no service worker. Where script is turned off for all of it, Playwright
    waits for fields and buttons in vain. One window at a time has the focus.
    """
    need("Firefox")
    browser = playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=str(find_program("firefox-esr")),
        firefox_user_prefs={
            # Tests read and write the clipboard without a press of a person.
            "dom.events.testing.asyncClipboard": True,
        },
        headless=True,
    )
    try:
        yield browser
    finally:
        browser.close()
