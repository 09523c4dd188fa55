"""The pages of administrators' second factor, and how to get there.

They come last: the browser's session is put away for the administrator's, and its person has to sign in anew.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.administrators import give_password, make_administrator, make_first_passkey
from tests.browser.device_pages import go_to
from tests.browser.virtual_authenticator import authenticator_of
from tests.services.installations import RunningInstallation

NAME = "keeper"
HOME = "/admin/second-factor/"


def admin_pages(installation: RunningInstallation) -> dict[str, Callable[[Page], None]]:
    """The pages by name."""

    def signed_in(page: Page) -> None:
        """With the passkey, which is made anew where this browser has none."""
        go_to(page, HOME)
        if page.url.endswith(HOME):
            return
        _made(installation, page)

    def go(path: str) -> Callable[[Page], None]:
        def way(page: Page) -> None:
            signed_in(page)
            go_to(page, path)

        return way

    def remove(page: Page) -> None:
        signed_in(page)
        go_to(page, HOME)
        page.get_by_role("link", name="Remove").first.click()
        expect(page.get_by_role("heading", name="Remove this passkey?")).to_be_visible()

    def with_password_alone(page: Page, path: str = "ask/") -> None:
        signed_in(page)
        page.context.clear_cookies(name="session")
        go_to(page, "/admin/")
        give_password(page, NAME)
        expect(page.get_by_role("heading", name="Show your passkey")).to_be_visible()
        go_to(page, f"{HOME}{path}")

    def code_faulty(page: Page) -> None:
        with_password_alone(page, "code/")
        page.get_by_label("Recovery code").fill("0000-0000")
        page.get_by_role("button", name="Use the code").click()
        expect(page.get_by_role("alert")).to_be_visible()

    return {
        "second-factor-first": lambda page: _first(installation, page),
        "second-factor-first-faulty": lambda page: _first_faulty(installation, page),
        "second-factor-codes-made": lambda page: _made(installation, page),
        "second-factor": go(HOME),
        "second-factor-new": go(f"{HOME}new/"),
        "second-factor-codes": go(f"{HOME}codes/"),
        "second-factor-remove": remove,
        "second-factor-ask": with_password_alone,
        "second-factor-code": lambda page: with_password_alone(page, "code/"),
        "second-factor-code-faulty": code_faulty,
    }


def _first(installation: RunningInstallation, page: Page) -> None:
    make_administrator(installation, NAME)
    page.context.clear_cookies(name="session")
    go_to(page, "/admin/")
    give_password(page, NAME)
    expect(page.get_by_role("heading", name="Set up your passkey")).to_be_visible()


def _first_faulty(installation: RunningInstallation, page: Page) -> None:
    """There is no authenticator: nothing is made."""
    _first(installation, page)
    with authenticator_of(page) as authenticator:
        authenticator.verifies(False)
        page.get_by_label("Name").fill("The key on the shelf")
        page.get_by_role("button", name="Make the passkey").click()
        expect(page.get_by_role("alert")).to_be_visible()
        authenticator.remove()


def _made(installation: RunningInstallation, page: Page) -> None:
    _first(installation, page)
    with authenticator_of(page) as authenticator:
        make_first_passkey(page)
        authenticator.remove()
