"""What was kept aside is put away, and comes back; where another copy cannot help, the page says so."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.seeding import VECTORS
from tests.browser.test_every_page import problems_on_each_screen
from tests.browser.visitors import ARRIVAL, PHONE, WIDE
from tests.services.installations import RunningInstallation

SET_REASON = "UPDATE webmail_arrival SET reason = ? WHERE envelope_id = ?"
FORGET = (
    "DELETE FROM webmail_arrival WHERE state = 'kept-aside'"
    " AND account_id = (SELECT id FROM accounts_account WHERE did = ?)"
)
ENVELOPES = (each["envelopeB64"] for each in json.loads(VECTORS.read_text())["cases"][1:])


@pytest.fixture
def unopenable(
    installation: RunningInstallation, local_network: NetworkInfo, first_visit_of: FirstVisitOf
) -> Iterator[str]:
    """The id of an envelope that was sealed to somebody else, and came to carol, who has no other one."""
    first_visit_of("carol")
    carol = local_network.accounts["carol"].did
    installation.sql(FORGET, carol)
    address = f"{installation.url}/inbox/{carol}"
    answer = httpx.post(address, json={"envelope": next(ENVELOPES)}, timeout=20)
    answer.raise_for_status()
    yield answer.json()["envelopeId"]
    installation.sql(FORGET, carol)


def test_what_is_kept_aside_is_put_away_and_comes_back(visit: Visit, unopenable: str) -> None:
    page = visit("carol", viewport=PHONE).page
    line = page.get_by_role("link", name="1 message kept aside")
    line.click(timeout=ARRIVAL)
    # Until its scripts have run, what is pressed leads to another page.
    page.wait_for_url("**/kept-aside/")
    card = page.locator("article.card", has_text="None of your keys opens it.")
    expect(card).to_have_count(1)

    # By the keyboard, and undone at once.
    card.get_by_role("button", name="Put away").press("Enter")
    said = page.get_by_role("status").filter(has_text="It stays in your mailbox")
    expect(said).to_be_visible()
    expect(card).to_have_count(0)
    assert problems_on_each_screen(page) == []
    expect(said.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card).to_have_count(1)
    expect(card.locator(":focus")).to_have_count(1)
    card.get_by_role("button", name="Put away").click()
    expect(said).to_be_visible()

    # Out of sight, also in the list, until it is put back.
    page.reload()
    expect(page.get_by_role("heading", name="Nothing is kept aside")).to_be_visible()
    page.goto("/")
    expect(page.locator("#convos, .empty").first).to_be_visible()
    expect(page.locator("#list")).not_to_contain_text("kept aside")
    page.goto("/kept-aside/")
    page.get_by_role("link", name="1 put away").click()
    expect(page.get_by_role("heading", level=1, name="Put away")).to_be_visible()
    expect(card).to_have_count(1)
    assert problems_on_each_screen(page) == []
    card.get_by_role("button", name="Put back").press("Enter")
    said = page.get_by_role("status").filter(has_text="among the others again")
    expect(said.get_by_role("link")).to_be_focused()
    said.get_by_role("link").click()
    expect(card).to_have_count(1)
    page.goto("/")
    expect(line).to_be_visible()


def test_without_script_it_is_put_away_too(visit: Visit, unopenable: str) -> None:
    page = visit("carol").page
    expect(page.get_by_role("link", name="1 message kept aside")).to_be_visible(timeout=ARRIVAL)
    page = visit("carol", script=False).page
    page.goto("/kept-aside/")
    page.get_by_role("button", name="Put away").click()
    expect(page.get_by_role("heading", name="Nothing is kept aside")).to_be_visible()
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    page.get_by_role("button", name="Put away").click()
    page.get_by_role("link", name="put away").click()
    page.get_by_role("button", name="Put back").first.click()
    expect(page.get_by_role("article")).to_have_count(1)


def test_another_copy_is_offered_only_where_it_can_help(
    visit: Visit,
    first_visit_of: FirstVisitOf,
    installation: RunningInstallation,
    unopenable: str,
) -> None:
    first_visit_of("bob")
    carol = visit("carol", viewport=WIDE)
    carol.write_to("bob.test", text="Somebody whom she could ask")
    page = carol.page
    page.goto("/")
    page.get_by_role("link", name="1 message kept aside").click(timeout=ARRIVAL)
    card = page.get_by_role("article")
    page.wait_for_load_state("networkidle")
    card.get_by_text("Ask for another copy").click()
    # News leave open what somebody fills in, until it is closed.
    with page.expect_response("**/kept-aside/"):
        page.evaluate("htmx.trigger(document.body, 'kept-aside')")
    page.wait_for_timeout(300)
    expect(card.get_by_label("Whom to ask")).to_be_visible()
    with page.expect_response("**/kept-aside/"):
        card.get_by_text("Ask for another copy").click()
    installation.sql(SET_REASON, "bad-cms", unopenable)
    page.reload()
    expect(card).to_contain_text("What was inside is damaged.")
    expect(card).to_contain_text("Another copy does not help")
    expect(card.get_by_text("Ask for another copy")).to_have_count(0)
    assert problems_on_each_screen(page) == []


def test_what_is_kept_aside_is_removed_for_good_once_that_was_asked(visit: Visit, unopenable: str) -> None:
    page = visit("carol", viewport=PHONE).page
    page.get_by_role("link", name="1 message kept aside").click(timeout=ARRIVAL)
    page.wait_for_url("**/kept-aside/")
    page.get_by_role("link", name="Remove all for good").click()
    expect(page.get_by_role("heading", name="Remove all of these for good?")).to_be_visible()
    page.get_by_role("link", name="Keep them").click()
    page.get_by_role("link", name="Remove for good", exact=True).click()
    expect(page.get_by_role("heading", name="Remove this message for good?")).to_be_visible()
    assert problems_on_each_screen(page) == []
    page.get_by_role("button", name="Remove for good").press("Enter")
    expect(page.get_by_text("1 mail was removed for good.")).to_be_visible()
    expect(page.get_by_text("Nothing is kept aside")).to_be_visible()
