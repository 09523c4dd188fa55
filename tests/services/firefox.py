"""Debian's Firefox, driven by Playwright over WebDriver BiDi."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright

from tests.services.programs import find_program, need


@contextmanager
def firefox(playwright: Playwright, *, script: bool = True) -> Iterator[Browser]:
    """A running browser; every person in a test gets a context of their own from it.

    Over BiDi a context takes no notice of being told to do without `script`, so that the whole browser does;
    Playwright waits by one for what is clicked or filled, so there everything is pressed by keys. Nor does a
    context take notice of a dark system, a wish for less motion, a touched screen or no service worker.
    """
    need("Firefox")
    browser = playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=str(find_program("firefox-esr")),
        firefox_user_prefs={
            "javascript.enabled": script,
            # Tests read and write the clipboard without a press of a person.
            "dom.events.testing.asyncClipboard": True,
        },
        headless=True,
    )
    try:
        yield browser
    finally:
        browser.close()
