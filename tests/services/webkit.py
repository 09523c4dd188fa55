"""Debian's WebKitGTK, driven by Selenium, on a screen that nobody sees."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import WebKitGTK
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

from tests.services.installations import wait_until
from tests.services.programs import find_program, need

#: The bars of the browser's window let go of their width, or it would be wider than a phone.
_NARROW_BARS = "* { font-size: 1px; padding: 0; margin: 0; min-width: 0; border-width: 0; }"


@contextmanager
def webkit(directory: Path, *, proxy: str) -> Iterator[WebKitGTK]:
    """A running browser that asks for every page by the HTTP proxy at `proxy`, "host:port".

    It keeps nothing; what its windows look like is in files below `directory`.
    """
    need("WebKitGTK")
    configuration = directory / "gtk-3.0" / "gtk.css"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(_NARROW_BARS)
    with _screen() as display:
        options = Options()
        options.set_capability("proxy", {"proxyType": "manual", "httpProxy": proxy})
        environment = {**os.environ, "DISPLAY": display, "XDG_CONFIG_HOME": str(directory)}
        browser = WebKitGTK(options, Service(str(find_program("WebKitWebDriver")), env=environment))
        try:
            yield browser
        finally:
            browser.quit()


@contextmanager
def _screen() -> Iterator[str]:
    """An X server without hardware; the name of its display, which it chooses itself."""
    reading, writing = os.pipe()
    command = [str(find_program("Xvfb")), "-displayfd", str(writing), "-screen", "0", "1600x1200x24"]
    server = subprocess.Popen(
        [*command, "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as said:
            yield f":{said.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def resize(browser: WebKitGTK, width: int, height: int) -> None:
    """Until the page has that many CSS pixels."""

    def has_size() -> bool:
        inner = browser.execute_script("return [innerWidth, innerHeight]")
        if inner == [width, height]:
            return True
        outer = browser.get_window_rect()
        browser.set_window_rect(0, 0, outer["width"] + width - inner[0], outer["height"] + height - inner[1])
        return False

    wait_until(has_size)
