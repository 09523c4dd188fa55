"""The pages that answer what this server does not do, and those that stand between two others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.device_pages import go_to
from tests.services.installations import RunningInstallation

#: Those that take a fault of the server, or a hundred tries, as they would answer: by their names, what they
#: are rendered from and their headings.
_RENDERED_PAGES = {
    "error-401": ("401.html", "You are signed out"),
    "error-403": ("403.html", "Not for you"),
    "error-413": ("413.html", "That is too large"),
    "error-429": ("429.html", "Too often for now"),
    "error-500": ("500.html", "Something broke here"),
    "sign-in-too-often": ("accounts/sign_in.html", "Sign in with your handle"),
}
_RENDER = """
import json
from django.template.loader import render_to_string
from accounts.rate_limits import TooOften, tried_too_often
given = {{"minutes": 7, "error": tried_too_often(TooOften(420)), "handle": "alice.test", "host": "localhost"}}
given["most"] = 1048576
print(json.dumps([render_to_string(name, given) for name in {names}]))
"""


def refused_pages(installation: RunningInstallation) -> dict[str, Callable[[Page], None]]:
    """The pages by name, for somebody who is signed in."""
    names = [template for template, _heading in _RENDERED_PAGES.values()]
    said = installation.manage("shell", "--command", _RENDER.format(names=names))
    rendered: dict[str, str] = dict(zip(_RENDERED_PAGES, json.loads(said.splitlines()[-1]), strict=True))

    def answered(name: str) -> Callable[[Page], None]:
        return lambda page: _answered(page, rendered[name], _RENDERED_PAGES[name][1])

    return {
        "error-400": _not_understood,
        **{name: answered(name) for name in rendered},
        "error-403-csrf": _too_old,
        "sign-in-continue": _to_own_server,
        "inbox-offline": _offline,
    }


def _answered(page: Page, html: str, heading: str) -> None:
    go_to(page, "/offline/")
    page.set_content(html)
    expect(page.get_by_role("heading", name=heading)).to_be_visible()


def _not_understood(page: Page) -> None:
    """More fields than any form has."""
    _hand_in(page, "for (let n = 0; n < 1100; n++) add(`field${n}`, '')")
    expect(page.get_by_role("heading", name="Not understood")).to_be_visible()


def _too_old(page: Page) -> None:
    _hand_in(page, "form.csrfmiddlewaretoken.value = 'of another time'")
    expect(page.get_by_role("heading", name="This page is too old")).to_be_visible()


def _to_own_server(page: Page) -> None:
    """Their own server leaves her where she is."""
    own_server = re.compile("/oauth/authorize")
    page.route(own_server, lambda route: route.abort("aborted"))
    _hand_in(page, "form.action = '/sign-in/'; add('handle', 'alice.test')")
    expect(page.get_by_role("heading", name="On to your own server")).to_be_visible()
    with page.expect_request(own_server):
        page.get_by_role("link", name="Continue").click()


def _hand_in(page: Page, changed: str) -> None:
    """A form of a page, changed as no person would."""
    go_to(page, "/undo-send/")
    page.evaluate(
        """(changed) => {
          const form = document.querySelector("main form");
          const add = (name, value) => {
            const field = document.createElement("input");
            Object.assign(field, { type: "hidden", name, value });
            form.append(field);
          };
          CHANGED;
          HTMLFormElement.prototype.submit.call(form);
        }""".replace("CHANGED", changed)
    )


def _offline(page: Page) -> None:
    """As a browser says it when its network goes away. What the stream says comes before."""
    with page.expect_response(re.compile("/list/")):
        page.goto("/")
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("#offline")).to_be_visible()
