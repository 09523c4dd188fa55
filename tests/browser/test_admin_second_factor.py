"""Administrators' second factor in a browser with an authenticator: set up, shown, lost, and removed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.administrators import (
    PASSWORD,
    give_password,
    go_on_from_codes,
    make_administrator,
    make_first_passkey,
)
from tests.browser.conftest import Visit
from tests.browser.virtual_authenticator import authenticator_of
from tests.browser.visitors import PHONE, WIDE
from tests.services.installations import RunningInstallation

REPORTS = "/admin/webmail/report/"


def sign_in_anew(page: Page, name: str, path: str = "/admin/") -> None:
    """As far as the password goes."""
    page.context.clear_cookies(name="session")
    page.goto(path)
    give_password(page, name)


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_a_passkey_is_set_up_shown_and_lost(
    visit: Visit, installation: RunningInstallation, viewport: dict[str, int]
) -> None:
    name = f"keeper-of-{viewport['width']}"
    make_administrator(installation, name)
    administrator = visit("carol", signed_in=False, viewport=viewport)
    page = administrator.page
    with authenticator_of(page) as authenticator:
        # Nothing else of admin is shown before it is made.
        sign_in_anew(page, name, REPORTS)
        expect(page.get_by_role("heading", name="Set up your passkey")).to_be_visible()
        expect(page.get_by_role("link", name="Reports")).to_have_count(0)
        page.goto(REPORTS)
        expect(page.get_by_role("heading", name="Set up your passkey")).to_be_visible()
        # By keyboard alone: the field has the focus already.
        page.keyboard.type("The key on the shelf")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        codes = page.locator("#recovery-codes code").all_inner_texts()
        assert len(codes) == 8
        go_on_from_codes(page)
        expect(page).to_have_url(re.compile(f"{REPORTS}$"))

        # The password alone leads to the passkey, from wherever it is asked for, also when it is sent there.
        sign_in_anew(page, name, REPORTS)
        expect(page.get_by_role("heading", name="Show your passkey")).to_be_visible()
        page.goto("/admin/agent/")
        expect(page.get_by_role("heading", name="Show your passkey")).to_be_visible()
        token = next(each["value"] for each in page.context.cookies() if each["name"] == "csrf")
        sent = page.context.request.post(
            f"{installation.url}/admin/password_change/",
            form={"csrfmiddlewaretoken": token, "old_password": PASSWORD, "new_password1": "x"},
            max_redirects=0,
        )
        assert sent.status == 302
        assert "/admin/second-factor/ask/" in sent.headers["location"]

        # A key that was pulled out opens nothing; once it is back it does, by keyboard.
        authenticator.put_away()
        page.get_by_role("button", name="Use the passkey").click()
        expect(page.get_by_role("alert").filter(has_text="No passkey was used")).to_be_visible()
        authenticator.bring_back()
        page.reload()
        expect(page.get_by_role("button", name="Use the passkey")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Key agent", exact=False).first).to_be_visible()
        expect(page).to_have_url(re.compile("/admin/agent/$"))

        # A device that was lost has none.
        authenticator.forget_all()
        sign_in_anew(page, name)
        page.get_by_role("button", name="Use the passkey").click()
        expect(page.get_by_role("alert").filter(has_text="No passkey was used")).to_be_visible()
        page.get_by_role("link", name="Use a recovery code").click()
        page.get_by_label("Recovery code").fill(codes[0].lower())
        page.get_by_role("button", name="Use the code").click()
        expect(page.locator("#content")).to_contain_text("7 recovery codes left")
        page.get_by_role("link", name="Add a passkey").click()
        page.get_by_label("Name").fill("The new key")
        page.get_by_role("button", name="Make the passkey").click()
        expect(page.locator(".messagelist")).to_contain_text("The passkey is kept.")
        page.get_by_role("link", name="Remove The key on the shelf").click()
        page.get_by_role("button", name="Yes, remove it").click()
        expect(page.locator(".passkeys li")).to_have_count(1)

        # The code works once, the new passkey again and again.
        sign_in_anew(page, name)
        page.get_by_role("link", name="Use a recovery code").click()
        page.get_by_label("Recovery code").fill(codes[0])
        page.get_by_role("button", name="Use the code").click()
        expect(page.get_by_role("alert")).to_contain_text("used already")
        page.get_by_role("link", name="Use the passkey instead").click()
        page.get_by_role("button", name="Use the passkey").click()
        expect(page.get_by_role("heading", name="Site administration")).to_be_visible()

        # Who wrote no code down and lost everything has the operator remove it.
        said = installation.manage("remove_admin_second_factor", name)
        assert "removed 1 passkeys and 7 recovery codes" in said
        page.goto(REPORTS)
        expect(page.get_by_role("heading", name="Set up your passkey")).to_be_visible()
    administrator.excuse("status of 422")


def test_another_administrators_passkey_is_not_asked_for(
    visit: Visit, installation: RunningInstallation
) -> None:
    for name in ("first-keeper", "second-keeper"):
        make_administrator(installation, name)
    page = visit("carol", signed_in=False).page
    with authenticator_of(page) as authenticator:
        sign_in_anew(page, "first-keeper")
        make_first_passkey(page)
        authenticator.remove()
    with authenticator_of(page) as authenticator:
        sign_in_anew(page, "second-keeper")
        make_first_passkey(page)
        sign_in_anew(page, "first-keeper")
        page.get_by_role("button", name="Use the passkey").click()
        expect(page.get_by_role("alert").filter(has_text="No passkey was used")).to_be_visible()
        page.goto("/admin/")
        expect(page.get_by_role("heading", name="Show your passkey")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Logged out")).to_be_visible()


def test_without_script_the_pages_say_what_is_missing_and_a_code_works(
    visit: Visit, installation: RunningInstallation
) -> None:
    make_administrator(installation, "scriptless")
    with_script = visit("carol", signed_in=False).page
    with authenticator_of(with_script):
        sign_in_anew(with_script, "scriptless")
        codes = make_first_passkey(with_script)
    without = visit("carol", signed_in=False, script=False)
    page = without.page
    sign_in_anew(page, "scriptless")
    expect(page.locator("#content")).to_contain_text("This browser cannot use passkeys here.")
    page.get_by_role("button", name="Use the passkey").click()
    expect(page.get_by_role("alert").filter(has_text="needs a browser with script")).to_be_visible()
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Use the code").click()
    expect(page.locator("#content")).to_contain_text("7 recovery codes left")
    without.excuse("status of 422")
