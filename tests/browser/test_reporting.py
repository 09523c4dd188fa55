"""Reporting somebody: who reports chooses what is disclosed, and the operator sees that and no more."""

from __future__ import annotations

import re
from uuid import uuid4

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, bubble
from tests.services.installations import RunningInstallation

PASSWORD = "only-for-this-run"


def test_only_what_is_ticked_is_disclosed(visit: Visit, installation: RunningInstallation) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice"), visit("bob")
    alice.write_to("bob.test", text=f"Hello {word}")
    bob.open_conversation(alice.page.url)
    for text in (f"Buy my coins {word}", f"My sister is ill {word}"):
        bob.write(text)
        expect(bubble(alice.page, text)).to_be_visible(timeout=ARRIVAL)

    page = alice.page
    page.locator("#thread-title a").click()
    page.get_by_role("link", name=re.compile("^Report")).click()
    page.get_by_label("What it is about").select_option(index=1)
    page.get_by_role("checkbox", name=re.compile(f"Buy my coins {word}")).check()
    page.get_by_role("button", name="Only make the text").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was sent to anybody.")
    made = page.get_by_role("textbox", name="The report as text").input_value()
    assert f"Buy my coins {word}" in made
    assert f"My sister is ill {word}" not in made

    page.go_back()
    page.get_by_label("What it is about").select_option(index=1)
    page.get_by_role("checkbox", name=re.compile(f"Buy my coins {word}")).check()
    page.get_by_role("button", name="Report to the operator").click()
    expect(page.get_by_role("status")).to_contain_text("The operator has your report.")

    installation.manage(
        "shell",
        "--command",
        "from django.contrib.auth.models import User;"
        f"User.objects.create_superuser('reader', password='{PASSWORD}')",
    )
    operator = visit("carol", signed_in=False).page
    operator.goto("/admin/webmail/report/")
    operator.get_by_label("Username").fill("reader")
    operator.get_by_label("Password").fill(PASSWORD)
    operator.get_by_role("button", name="Log in").click()
    operator.locator("#result_list tbody tr", has_text="bob.test").first.get_by_role("link").first.click()
    expect(operator.locator("#content")).to_contain_text(f"Buy my coins {word}")
    expect(operator.locator("#content")).not_to_contain_text(f"My sister is ill {word}")
