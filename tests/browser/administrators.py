"""Administrators at a browser: made at the shell, signed in with a password, and with a passkey after it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.services.installations import RunningInstallation

PASSWORD = "only-for-this-run"


def make_administrator(installation: RunningInstallation, name: str) -> None:
    """One with all rights, and without a second factor, also if there was one."""
    installation.manage(
        "shell",
        "--command",
        "from django.contrib.auth.models import User;"
        f"User.objects.filter(username='{name}').delete();"
        f"User.objects.create_superuser('{name}', password='{PASSWORD}')",
    )


def give_password(page: Page, name: str) -> None:
    """On the page where administrators sign in."""
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def make_first_passkey(page: Page) -> list[str]:
    """On the page that asks for it; the recovery codes that are shown then. The page needs an authenticator
    (tests.browser.virtual_authenticator)."""
    page.get_by_label("Name").fill("The key on the shelf")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    return page.locator("#recovery-codes code").all_inner_texts()


def go_on_from_codes(page: Page) -> None:
    page.get_by_role("link", name="I have written them down").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_have_count(0)
