"""What was kept aside is put away, and comes back; where another copy cannot help, the page says so."""

from __future__ import annotations

import json

import httpx
import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import Visit
from tests.browser.seeding import VECTORS
from tests.browser.test_every_page import SCREENS, problems_of
from tests.browser.visitors import ARRIVAL, PHONE
from tests.services.installations import RunningInstallation

SET_REASON = "UPDATE webmail_arrival SET reason = ? WHERE envelope_id = ?"


@pytest.mark.parametrize("screen", SCREENS)
def test_what_is_kept_aside_is_put_away_and_comes_back(
    screen: dict[str, int], visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    carol = visit("carol", viewport=screen)
    page = carol.page
    _send_unopenable(installation, local_network, 1 if screen == PHONE else 2)
    line = page.get_by_role("link", name="1 message kept aside")
    line.click(timeout=ARRIVAL)
    card = page.locator("article.card", has_text="None of your keys opens it.")
    expect(card).to_have_count(1)

    # By the keyboard, and undone at once.
    card.get_by_role("button", name="Put away").press("Enter")
    said = page.get_by_role("status").filter(has_text="It stays in your mailbox")
    expect(said).to_be_visible()
    expect(card).to_have_count(0)
    assert problems_of(page, screen) == []
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
    assert problems_of(page, screen) == []
    card.get_by_role("button", name="Put back").press("Enter")
    said = page.get_by_role("status").filter(has_text="among the others again")
    expect(said.get_by_role("link")).to_be_focused()
    said.get_by_role("link").click()
    expect(card).to_have_count(1)
    page.goto("/")
    expect(line).to_be_visible()
    _put_away_everything(page)


def test_without_script_it_is_put_away_too(
    visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    _send_unopenable(installation, local_network, 3)
    page = visit("carol").page
    expect(page.get_by_role("link", name="1 message kept aside")).to_be_visible(timeout=ARRIVAL)
    page = visit("carol", script=False).page
    page.goto("/kept-aside/")
    page.get_by_role("button", name="Put away").click()
    expect(page.get_by_role("heading", name="Nothing is kept aside")).to_be_visible()
    page.get_by_role("link", name="put away").click()
    page.get_by_role("button", name="Put back").first.click()
    expect(page.get_by_role("article")).to_have_count(1)
    _put_away_everything(page)


@pytest.mark.parametrize("screen", SCREENS)
def test_another_copy_is_offered_only_where_it_can_help(
    screen: dict[str, int], visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    visit("bob")
    carol = visit("carol", viewport=screen)
    carol.start_conversation("bob.test", text="Somebody whom she could ask")
    page = carol.page
    page.goto("/")
    envelope_id = _send_unopenable(installation, local_network, 4 if screen == PHONE else 5)
    page.get_by_role("link", name="1 message kept aside").click(timeout=ARRIVAL)
    card = page.get_by_role("article")
    expect(card.get_by_text("Ask for another copy")).to_be_visible()
    installation.sql(SET_REASON, "bad-cms", envelope_id)
    page.reload()
    expect(card).to_contain_text("What was inside is damaged.")
    expect(card).to_contain_text("Another copy does not help")
    expect(card.get_by_text("Ask for another copy")).to_have_count(0)
    assert problems_of(page, screen) == []
    _put_away_everything(page)


def _send_unopenable(installation: RunningInstallation, network: NetworkInfo, number: int) -> str:
    """An envelope that was sealed to somebody else comes to carol; its id."""
    envelope = json.loads(VECTORS.read_text())["cases"][number]["envelopeB64"]
    did = network.accounts["carol"].did
    answer = httpx.post(f"{installation.url}/inbox/{did}", json={"envelope": envelope}, timeout=20)
    answer.raise_for_status()
    envelope_id: str = answer.json()["envelopeId"]
    return envelope_id


def _put_away_everything(page: Page) -> None:
    page.goto("/kept-aside/")
    while page.get_by_role("button", name="Put away").count():
        page.get_by_role("button", name="Put away").first.click()
        page.wait_for_timeout(500)
        page.goto("/kept-aside/")
