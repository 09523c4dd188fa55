"""A message that cannot be opened any more: its page explains it, another copy is asked for, and shows."""

from __future__ import annotations

import re
from uuid import uuid4

from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import Visit
from tests.browser.test_every_page import problems_of
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, message
from tests.services.installations import RunningInstallation, query

#: As on the day on which they are destroyed: what was sealed to them opens nowhere from then on.
DESTROY_PREKEYS = (
    "DELETE FROM crypto_agent_prekeysecret WHERE device_id IN (SELECT device.id"
    " FROM crypto_agent_devicekey device JOIN crypto_agent_account account ON account.id = device.account_id"
    " WHERE account.did = ?)"
)
#: What the workers do with those of everybody, by the clock.
RENEW_PREKEYS = (
    "from accounts import enrolment; from accounts.models import Account;"
    "enrolment.renew_prekeys(Account.objects.get(did='{did}'))"
)
#: On how many lines the words of a button stand.
LINES = """(button) => {
  const words = document.createRange();
  words.selectNodeContents(button);
  return words.getClientRects().length;
}"""


def test_what_cannot_be_opened_is_asked_for_once_more(
    visit: Visit, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    """One at a desk, and the next on a phone."""
    word = uuid4().hex[:8]
    answer, lost = f"How is the water? {word}", (f"Warm until the evening {word}", f"Bring the towels {word}")
    bob, alice = visit("bob"), visit("alice")
    alice.write_to("bob.test", text=f"Hello from the lake {word}")
    conversation = alice.page.url
    page = bob.page
    bob.open_conversation(conversation)
    bob.write(answer)
    # Her receipt is a message too.
    expect(message(page, answer).locator(".msg__meta")).to_contain_text(
        "Opened on their device", timeout=ARRIVAL
    )

    # It was on its way for too long.
    did = local_network.accounts["bob"].did
    query(
        f"sqlite:///{installation.installation.directory / 'agent' / 'agent.sqlite3'}", DESTROY_PREKEYS, did
    )
    page.goto("/")
    for text in lost:
        alice.write(text)
        meta = message(alice.page, text).locator(".msg__meta")
        expect(meta).to_contain_text("Their server has it", timeout=ARRIVAL)
    installation.manage("shell", "--command", RENEW_PREKEYS.format(did=did))

    phone = visit("bob", viewport=PHONE, touch=True)
    for visitor, screen in ((bob, WIDE), (phone, PHONE)):
        _ask_alice(visitor.page, screen)

    # Alice's server gives them by itself, and shows nothing of the requests.
    for visitor in (bob, phone):
        visitor.open_conversation(conversation)
        for text in lost:
            received = message(visitor.page, text)
            expect(received).to_have_count(1, timeout=ARRIVAL)
            expect(received.locator(".msg__meta")).to_contain_text("Signed by alice.test")
        visitor.page.goto("/")
        expect(visitor.page.locator("#list")).not_to_contain_text("kept aside")
    expect(alice.page.locator("#thread")).not_to_contain_text("could not be opened")


def _ask_alice(page: Page, screen: dict[str, int]) -> None:
    """For the first that can be asked for, from the list on."""
    page.get_by_role("link", name=re.compile("messages? kept aside")).click(timeout=ARRIVAL)
    expect(page.get_by_role("heading", name="Could not be opened or checked")).to_be_visible()
    card = page.locator(".card", has=page.get_by_text("Ask for another copy")).first
    card = page.locator(f"#{card.get_attribute('id')}")
    expect(card).to_contain_text("None of your keys opens it.")
    card.get_by_text("Ask for another copy").click()
    expect(card).to_contain_text("Nothing outside says who sent it.")
    expect(card).to_contain_text("They learn that you could not open it.")
    card.get_by_label("Whom to ask").select_option(label="Alice (alice.test)")
    ask = card.get_by_role("button", name="Ask", exact=True)
    assert problems_of(page, screen) == []
    assert ask.evaluate(LINES) == 1
    ask.click()
    expect(card.get_by_role("status")).to_contain_text("You asked Alice for another copy")
    assert problems_of(page, screen) == []
