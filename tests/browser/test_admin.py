"""The administrator's pages: every device, searched, filtered, read and revoked."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.administrators import (
    give_password,
    go_on_from_codes,
    make_administrator,
    make_first_passkey,
)
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.virtual_authenticator import authenticator_of
from tests.services.installations import RunningInstallation
from tests.services.windows import Window


def test_an_administrator_finds_a_device_and_revokes_it(
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    make_administrator(installation, "root")
    admin = visit("carol", signed_in=False)
    page = admin.page
    page.goto("/admin/")
    give_password(page, "root")
    with authenticator_of(page):
        make_first_passkey(page)
        go_on_from_codes(page)
    page.get_by_role("link", name="Devices", exact=True).first.click()
    rows = page.locator("#result_list tbody tr")
    expect(rows.filter(has_text="bob.test")).not_to_have_count(0)

    page.locator("#searchbar").fill("carol.test")
    page.get_by_role("button", name="Search").click()
    expect(rows.filter(has_text="bob.test")).to_have_count(0)
    page.get_by_role("link", name="active", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("carol.test")

    rows.get_by_role("link").first.click()
    expect(page.locator("#content")).to_contain_text("Subject")
    expect(page.locator("#content")).to_contain_text(local_network.accounts["carol"].did)
    expect(
        page.locator("#content input:not([type=hidden]), #content textarea, #content select")
    ).to_have_count(0)
    # How its headings and regions follow each other is up to Django.
    assert violations(page, only_grave=True) == []
    page.go_back()

    rows.get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option(label="Revoke the selected devices")
    page.get_by_role("button", name=re.compile("^(Go|Run)")).click()
    expect(page.get_by_role("heading", name="Revoke these devices?")).to_be_visible()
    page.get_by_role("link", name="No, keep them").click()
    page.goto("/admin/accounts/device/?q=carol.test&state=active")
    expect(rows).to_have_count(1)
    rows.get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option(label="Revoke the selected devices")
    page.get_by_role("button", name=re.compile("^(Go|Run)")).click()
    page.get_by_role("button", name="Yes, revoke").click()
    expect(page.locator(".messagelist")).to_contain_text("is revoked, and its owner's PDS says so.")
    page.goto("/admin/accounts/device/?q=carol.test&state=active")
    expect(rows).to_have_count(0)

    # Carol goes on with a new one.
    carol = Window(installation.url, local_network.accounts["carol"])
    carol.sign_in()
    carol.enrol()
    page.goto("/admin/accounts/device/?q=carol.test&state=active")
    expect(rows).to_have_count(1)
    installation.a_day_passes()
