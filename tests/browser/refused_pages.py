"""The pages that answer what this server does not do, and those that stand between two others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.device_pages import go_to
from tests.services.installations import RunningInstallation

#: Those that take a fault of the server, or a hundred tries, as they would answer.
_BY_HEADING = {"403": "Not for you", "429": "Too often for now", "500": "Something broke here"}
_RENDERED = """
import json
from django.template.loader import render_to_string
print(json.dumps({{name: render_to_string(f"{{name}}.html", {{"minutes": 7}}) for name in {names}}}))
"""


def refused_pages(installation: RunningInstallation) -> dict[str, Callable[[Page], None]]:
    """The pages by name, for somebody who is signed in."""
    said = installation.manage("shell", "--command", _RENDERED.format(names=list(_BY_HEADING)))
    rendered: dict[str, str] = json.loads(said.splitlines()[-1])

    def answered(name: str) -> Callable[[Page], None]:
        return lambda page: _answered(page, rendered[name], _BY_HEADING[name])

    return {
        "error-400": _not_understood,
        **{f"error-{name}": answered(name) for name in rendered},
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
    page.route(own_server, lambda route: route.fulfill(status=204))
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
