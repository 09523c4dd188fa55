"""A conversation in which more is unread than a page shows: it opens where that begins."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE
from tests.services.installations import RunningInstallation, wait_until
from tests.services.newcomers import newcomer
from tests.services.windows import Window

MESSAGES = 120
#: Some of the page stand before the first unread one.
PAGE = 50
#: All that was written to him is unread again.
UNREAD = (
    "UPDATE webmail_message SET unread = 1 WHERE direction = 'in' AND conversation_id = CAST(? AS INTEGER)"
)
COUNTED = "UPDATE webmail_conversation SET unread_count = CAST(? AS INTEGER) WHERE id = CAST(? AS INTEGER)"
OF_BOB = (
    "SELECT id FROM webmail_conversation WHERE conversation_id = ? AND account_id ="
    " (SELECT id FROM accounts_account WHERE handle = 'bob.test')"
)
LEFT = "SELECT count(*) FROM webmail_message WHERE unread AND conversation_id = CAST(? AS INTEGER)"


@pytest.fixture(scope="module")
def conversation(
    first_visit_of: FirstVisitOf, installation: RunningInstallation, local_network: NetworkInfo
) -> str:
    """The path of what somebody wrote to bob while he was away, who has written nothing to him before."""
    first_visit_of("bob")
    writer = Window(installation.url, newcomer(local_network, "wave-writer", "Writer"))
    writer.sign_in()
    writer.enrol()
    path = writer.write([local_network.accounts["bob"].did], "Wave 1 of the tide")
    for number in range(2, MESSAGES + 1):
        writer.reply(path, f"Wave {number} of the tide")
    wait_until(lambda: _count(installation, path) == MESSAGES, 180)
    return path


def _bobs(installation: RunningInstallation, path: str) -> str:
    found = installation.sql(OF_BOB, path.split("/")[2])
    return str(found[0][0]) if found else "0"


def _count(installation: RunningInstallation, path: str) -> int:
    return int(installation.sql(LEFT, _bobs(installation, path))[0][0])


def _wave(number: int) -> re.Pattern[str]:
    return re.compile(rf"^Wave {number} of the tide$")


def test_one_begins_where_one_left_off_and_reads_on_to_the_end(
    visit: Visit, installation: RunningInstallation, conversation: str
) -> None:
    key = _bobs(installation, conversation)
    installation.sql(UNREAD, key)
    installation.sql(COUNTED, str(MESSAGES), key)
    bob = visit("bob", viewport=PHONE)
    page = bob.page
    row = page.locator(f'#convos .row[href="{conversation}"]')
    expect(row).to_contain_text(f"unread: {MESSAGES}", timeout=ARRIVAL)
    row.click()
    texts = page.locator("#thread .text")
    expect(texts).to_have_count(PAGE)
    expect(page.locator("#unread")).to_be_in_viewport()
    expect(texts.first).to_have_text(_wave(1))
    expect(texts.first).to_be_in_viewport()
    # What is on this page is read, and the rest waits for somebody to come to it.
    wait_until(lambda: _count(installation, conversation) == MESSAGES - PAGE)
    page.wait_for_timeout(1000)
    assert _count(installation, conversation) == MESSAGES - PAGE
    expect(page.locator("#thread > [data-unread]")).to_have_count(0)

    # It opens where one left off, with a little of what was read before it.
    page.goto("/")
    expect(row).to_contain_text(f"unread: {MESSAGES - PAGE}")
    row.click()
    expect(page.locator("#unread")).to_be_in_viewport()
    after_new = page.locator("#unread + .msg .text, #unread + .event + .msg .text")
    expect(after_new).to_have_text(_wave(PAGE + 1))
    expect(page.locator("#thread .text", has_text=_wave(PAGE))).to_be_in_viewport()
    wait_until(lambda: _count(installation, conversation) == MESSAGES - PAGE - 40)

    # Reading on loads the rest, until nothing is left.
    page.locator("#newer").scroll_into_view_if_needed()
    expect(texts.last).to_have_text(_wave(MESSAGES))
    wait_until(lambda: _count(installation, conversation) == 0)
    expect(page.locator("#unread")).to_have_count(1)


def test_a_page_that_nobody_looks_at_reads_nothing(
    visit: Visit, installation: RunningInstallation, conversation: str
) -> None:
    key = _bobs(installation, conversation)
    installation.sql(UNREAD, key)
    installation.sql(COUNTED, str(MESSAGES), key)
    bob = visit("bob")
    page = bob.page
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', { get: () => !window.looked, configurable: true })"
    )
    page.goto(conversation)
    expect(page.locator("#unread")).to_be_visible()
    page.wait_for_timeout(2000)
    assert _count(installation, conversation) == MESSAGES
    page.evaluate("window.looked = true; document.dispatchEvent(new Event('visibilitychange'))")
    wait_until(lambda: _count(installation, conversation) == MESSAGES - PAGE)

    # The newest ones are there for whoever asks for them, without a line that says that new begins there.
    page.locator("#newer [data-newest]").click()
    expect(page.locator("#thread .text").last).to_be_in_viewport()
    expect(page.locator("#thread .text").last).to_have_text(_wave(MESSAGES))
    expect(page.locator("#unread")).to_have_count(0)
