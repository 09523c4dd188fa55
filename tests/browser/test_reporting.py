"""Reporting somebody: who reports chooses what is disclosed, and the operator sees that and no more."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.administrators import (
    give_password,
    go_on_from_codes,
    make_administrator,
    make_first_passkey,
)
from tests.browser.conftest import Visit
from tests.browser.test_every_page import too_wide
from tests.browser.test_files import attach_field, is_there
from tests.browser.virtual_authenticator import authenticator_of
from tests.browser.visitors import ARRIVAL, NARROWEST, PHONE, WIDE, bubble, composer, message
from tests.services.installations import RunningInstallation


def newest_report_at(operator: Page, installation: RunningInstallation, name: str) -> Page:
    """Makes an administrator, signs them in and opens what was reported last of bob."""
    make_administrator(installation, name)
    operator.goto("/admin/webmail/report/")
    give_password(operator, name)
    with authenticator_of(operator):
        make_first_passkey(operator)
        go_on_from_codes(operator)
    operator.locator("#result_list tbody tr", has_text="bob.test").first.get_by_role("link").first.click()
    return operator


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
    page.get_by_role("button", name="See what is handed over").click()
    expect(page.get_by_role("heading", name="What the operator gets")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text(f"My sister is ill {word}")
    page.get_by_role("button", name="Report to the operator").click()
    expect(page.get_by_role("status")).to_contain_text("The operator has your report.")

    operator = newest_report_at(visit("carol", signed_in=False).page, installation, "reader")
    expect(operator.locator("#content")).to_contain_text(f"Buy my coins {word}")
    expect(operator.locator("#content")).not_to_contain_text(f"My sister is ill {word}")


@pytest.mark.parametrize(
    ("viewport", "script"),
    [(WIDE, True), (PHONE, False)],
    ids=["desktop", "phone, without script"],
)
def test_a_file_is_handed_over_where_it_is_ticked_and_as_it_is(
    visit: Visit, installation: RunningInstallation, viewport: dict[str, int], script: bool
) -> None:
    word = uuid4().hex[:8]
    picture, letter = os.urandom(120_000), os.urandom(80_000)
    alice, bob = visit("alice"), visit("bob")
    alice.write_to("bob.test", text=f"Hello {word}")
    conversation = alice.page.url
    bob.open_conversation(conversation)
    attach_field(bob.page).set_input_files(
        [
            {"name": f"{word}.jxl", "mimeType": "image/jxl", "buffer": picture},
            {"name": f"{word}.txt", "mimeType": "text/plain", "buffer": letter},
        ]
    )
    is_there(bob.page, 2)
    composer(bob.page).fill(f"See what I have {word}")
    composer(bob.page).press("Control+Enter")
    expect(message(bob.page, f"See what I have {word}")).to_be_visible()
    expect(bubble(alice.page, f"See what I have {word}")).to_be_visible(timeout=ARRIVAL)

    reporter = visit("alice", viewport=viewport, script=script)
    page = reporter.page
    page.goto(conversation)
    page.locator("#thread-title a").click()
    page.get_by_role("link", name=re.compile("^Report")).click()
    page.get_by_label("What it is about").select_option(index=1)
    of_picture = page.get_by_role("checkbox", name=re.compile(f"Also disclose the picture {word}.jxl itself"))
    of_letter = page.get_by_role("checkbox", name=re.compile(f"Also disclose the file {word}.txt itself"))
    expect(of_picture).not_to_be_checked()
    expect(of_letter).not_to_be_checked()
    of_picture.check()
    page.get_by_role("button", name="See what is handed over").click()
    expect(page.get_by_role("alert")).to_have_text("Tick the message too of each file that you tick.")
    page.get_by_role("checkbox", name=re.compile(f"^See what I have {word}")).check()
    expect(of_picture).to_be_checked()
    reporter.excuse("status of 422")
    if script:
        keeps_to_the_rules(page)
    page.get_by_role("button", name="See what is handed over").click()
    handed = page.get_by_role("region", name="What the operator gets")
    expect(handed).to_contain_text(f"See what I have {word}")
    digest = hashlib.sha256(picture).hexdigest()
    expect(handed).to_contain_text(
        re.compile(f"{word}.jxl, image/jxl, 117.2.KB. The file itself as well, SHA-256 {digest}")
    )
    expect(handed).to_contain_text(re.compile(f"{word}.txt, text/plain, 78.1.KB$", re.MULTILINE))
    expect(handed).to_contain_text(re.compile("1 file itself, 117.2.KB. Nothing was handed over yet."))
    if script:
        keeps_to_the_rules(page)
    page.get_by_role("button", name="Change").click()
    expect(of_picture).to_be_checked()
    expect(of_letter).not_to_be_checked()
    page.get_by_role("button", name="See what is handed over").click()
    page.get_by_role("button", name="Report to the operator").click()
    expect(page.get_by_role("status")).to_contain_text("The operator has your report and 1 file.")

    name = f"saver-{word}"
    operator = newest_report_at(visit("carol", signed_in=False).page, installation, name)
    expect(operator.get_by_role("link", name=re.compile(f"{word}.txt"))).to_have_count(0)
    with operator.expect_download() as begun:
        operator.get_by_role("link", name=re.compile(f"^{word}.jxl")).click()
    assert begun.value.suggested_filename == f"{word}.jxl"
    assert Path(begun.value.path()).read_bytes() == picture


def keeps_to_the_rules(page: Page) -> None:
    before = page.viewport_size
    assert violations(page) == []
    page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
    assert too_wide(page) == []
    if before is not None:
        page.set_viewport_size(before)
