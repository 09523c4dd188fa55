"""Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.services.programs import find_program, need

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAUNCHER = Path(__file__).with_suffix(".sh")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; every person in a test gets a context of their own from it."""
    need("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(LAUNCHER),
            args=FLAGS,
            headless=True,
            env={**os.environ, "CHROMIUM": str(find_program("chromium"))},
        )
        try:
            yield browser
        finally:
            browser.close()
