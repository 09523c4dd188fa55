"""Debian's Chromium, driven by Playwright."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Playwright

from tests.services.programs import find_program, need

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    # The parts of pages are put together in a process less, and wait less for each other.
    "--in-process-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(playwright: Playwright, *, whole: bool = False, flags: Sequence[str] = ()) -> Iterator[Browser]:
    """A running browser; every person in a test gets a context of their own from it.

    The shell, where it is installed, has no windows, and none of the pages that a `whole` browser loads for
    its own bars in each of them. It shows no notifications either. `flags` are further ones.
    """
    need("Chromium")
    shell = None if whole else find_program("chromium-headless-shell")
    program = shell or find_program("chromium")
    browser = playwright.chromium.launch(executable_path=str(program), args=[*FLAGS, *flags], headless=True)
    try:
        yield browser
    finally:
        browser.close()


def need_chromium(browser: Browser | None, what: str) -> None:
    """Skips the calling test where the tests run in another browser, by name of what cannot be had there."""
    if browser and browser.browser_type.name != "chromium":
        pytest.skip(f"needs {what}, which only Chromium gives to tests")


def tools_of(page: Page, what: str) -> CDPSession:
    """Chromium's own tools for developers, for `what` Playwright has no words for."""
    need_chromium(page.context.browser, what)
    return page.context.new_cdp_session(page)
