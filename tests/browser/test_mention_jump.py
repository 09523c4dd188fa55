"""The way to what mentions one: on the page that is open, and on another page of the conversation."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import lasting, too_wide
from tests.browser.visitors import ARRIVAL, NARROWEST, PHONE, WIDE, message
from tests.services.installations import RunningInstallation, wait_until
from tests.services.newcomers import newcomer
from tests.services.windows import Window

#: The first ones fill a screen, and more than a page of messages stands between the two that mention her.
BEFORE, BETWEEN = 6, 55
TALL = "\n".join(["Tide"] * 8)
OF_ALICE = (
    "SELECT id FROM webmail_conversation WHERE conversation_id = ? AND account_id ="
    " (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
UNREAD = (
    "UPDATE webmail_message SET unread = 1 WHERE direction = 'in' AND conversation_id = CAST(? AS INTEGER)"
)
COUNTED = (
    "UPDATE webmail_conversation SET unread_count = CAST(? AS INTEGER), unread_mentions = 2"
    " WHERE id = CAST(? AS INTEGER)"
)
CAME = "SELECT count(*) FROM webmail_message WHERE direction = 'in' AND conversation_id = CAST(? AS INTEGER)"


@pytest.fixture(scope="module")
def group(first_visit_of: FirstVisitOf, installation: RunningInstallation, local_network: NetworkInfo) -> str:
    """The path of a group in which somebody mentions her twice, far from each other."""
    for name in ("alice", "bob"):
        first_visit_of(name)
    writer = Window(installation.url, newcomer(local_network, "mention-writer", "Mentioner"))
    writer.sign_in()
    writer.enrol()
    others = [local_network.accounts[name].did for name in ("alice", "bob")]
    path = writer.write(others, f"Tide 1\n{TALL}")
    for number in range(2, BEFORE + 1):
        writer.reply(path, f"Tide {number}\n{TALL}")
    writer.reply(path, "Low water, @alice.test")
    for number in range(BETWEEN):
        writer.reply(path, f"Wave {number}")
    writer.reply(path, "High water, @alice.test")
    wait_until(lambda: _came(installation, path) == BEFORE + BETWEEN + 2, 180)
    return path


def _hers(installation: RunningInstallation, path: str) -> str:
    found = installation.sql(OF_ALICE, path.split("/")[2])
    return str(found[0][0]) if found else "0"


def _came(installation: RunningInstallation, path: str) -> int:
    return int(installation.sql(CAME, _hers(installation, path))[0][0])


def _all_unread(installation: RunningInstallation, path: str) -> None:
    key = _hers(installation, path)
    installation.sql(UNREAD, key)
    installation.sql(COUNTED, str(BEFORE + BETWEEN + 2), key)


def way(page: Page) -> Locator:
    return page.get_by_role("link", name="To the first unread message that mentions you")


def test_one_goes_from_one_to_the_next_until_there_is_none(
    visit: Visit, installation: RunningInstallation, group: str
) -> None:
    _all_unread(installation, group)
    page = visit("alice", viewport=PHONE).page
    row = page.locator(f'#convos .row[href="{group}"]')
    expect(row).to_contain_text("mentioned you", timeout=ARRIVAL)
    row.click()
    # Though all of the page was told to be read: she has not seen the one that is further down.
    expect(page.locator("#thread > [data-unread]")).to_have_count(0, timeout=ARRIVAL)
    expect(way(page)).to_contain_text("2")
    expect(message(page, "Low water")).not_to_be_in_viewport()
    for screen in (WIDE, NARROWEST, PHONE):
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        assert (lasting(too_wide, page), lasting(violations, page)) == ([], [])
    expect(message(page, "Low water")).not_to_be_in_viewport()
    page.locator("h1").first.focus()
    page.keyboard.press("n")
    expect(message(page, "Low water")).to_be_in_viewport()
    expect(message(page, "Low water")).to_be_focused()
    expect(way(page)).to_contain_text("1")
    # The other one is on a page that comes now.
    expect(message(page, "High water")).to_have_count(0)
    way(page).click()
    page.wait_for_url(re.compile(r"\?around="))
    expect(message(page, "High water")).to_be_in_viewport()
    expect(way(page)).to_have_count(0)
    page.goto("/")
    expect(row).to_be_visible()
    expect(row).not_to_contain_text("mentioned you")


def test_without_script_it_is_a_link(visit: Visit, installation: RunningInstallation, group: str) -> None:
    _all_unread(installation, group)
    page = visit("alice", script=False).page
    page.goto(f"{group}?newest=1")
    expect(message(page, "Low water")).to_have_count(0)
    way(page).click()
    expect(message(page, "Low water")).to_be_in_viewport()
    page.get_by_role("button", name="Mark as read").click()
    expect(way(page)).to_contain_text("1")
