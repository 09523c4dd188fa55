"""A message that waits for its time: changed and sent before it, or gone out when it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, composer, message
from tests.services.installations import RunningInstallation, wait_until
from tests.services.new_device import NewDevice

DAY = date.today() + timedelta(days=3)
#: Seconds, of which the field for a time takes none by itself.
SOON = 5
_IN_SECONDS = """(field, seconds) => {
  const at = new Date(Date.now() + seconds * 1000);
  field.step = 1;
  field.value = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}"""


@pytest.fixture(autouse=True)
def _bob_is_there(first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")


def send_later(page: Page, text: str) -> None:
    """Writes it, for half past nine on a day."""
    composer(page).fill(text)
    menu = page.locator(".composer .later", has_text="Send later")
    menu.locator("summary").click()
    menu.get_by_label("Day and time").fill(f"{DAY}T09:30")
    menu.get_by_role("button", name="At that time").click()
    expect(waiting(page, text)).to_contain_text(re.compile("Goes out .*9:30"), timeout=ARRIVAL)
    expect(composer(page)).to_have_value("")


def waiting(page: Page, text: str) -> Locator:
    """Below the thread of an open conversation."""
    return page.locator("#pending .msg", has_text=text)


def card(page: Page, text: str) -> Locator:
    """On the page of all that wait."""
    return page.locator(".scheduled > li", has_text=text)


def test_it_leaves_when_its_time_has_come_and_open_pages_show_it(visit: Visit) -> None:
    """In a window and on a telephone, each with the conversation and with all that wait."""
    text = f"Happy new year {uuid4().hex[:8]}"
    alice, on_phone, bob = visit("alice"), visit("alice", viewport=PHONE), visit("bob", viewport=PHONE)
    alice.write_to("bob.test", text="It is almost midnight")
    conversation = alice.page.url.partition("#")[0]
    threads, lists = (alice.page, on_phone.page), (alice.another_tab(), on_phone.another_tab())
    on_phone.page.goto(conversation)
    for page in lists:
        page.goto("/scheduled/")
    send_later(alice.page, text)
    expect(waiting(on_phone.page, text)).to_contain_text("9:30", timeout=ARRIVAL)
    for page in lists:
        expect(card(page, text)).to_contain_text("9:30", timeout=ARRIVAL)
        expect(card(page, text).get_by_role("button", name="Send now")).to_be_visible()
    expect(bubble(alice.page, text)).to_have_count(0)

    card(lists[0], text).get_by_role("link", name="Change time").click()
    lists[0].get_by_label("Day and time").evaluate(_IN_SECONDS, SOON)
    lists[0].get_by_role("button", name="At that time").click()
    for page in threads:
        meta = message(page, text).locator(".msg__meta")
        expect(meta).to_contain_text(re.compile("Their server has it|Opened"), timeout=ARRIVAL)
        expect(waiting(page, text)).to_have_count(0, timeout=ARRIVAL)
    for page in lists:
        expect(card(page, text)).to_have_count(0, timeout=ARRIVAL)
    bob.open_conversation(conversation)
    expect(bubble(bob.page, text)).to_have_count(1)


def test_its_time_is_changed_and_it_is_taken_back_and_sent_at_once(visit: Visit) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=PHONE), visit("bob", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Begun {word}")
    conversation = page.url.partition("#")[0]
    bob.open_conversation(conversation)

    # Taken back into the field.
    send_later(page, f"See you at the weir {word}")
    waiting(page, word).get_by_role("button", name="Edit").click()
    expect(composer(page)).to_have_value(f"See you at the weir {word}", timeout=ARRIVAL)
    expect(waiting(page, word)).to_have_count(0)

    # Another time, from where it waits; the list of all that wait shows it.
    send_later(page, f"See you at the mill {word}")
    waiting(page, word).get_by_role("link", name="Change time").click()
    # Each way on is large enough for a finger.
    for way in (
        page.get_by_role("link", name="Leave it as it is"),
        page.get_by_role("button", name="At that time"),
    ):
        assert (way.bounding_box() or {"height": 0})["height"] >= 44
    page.get_by_label("Day and time").fill(f"{DAY}T07:15")
    page.get_by_role("button", name="At that time").click()
    expect(card(page, word)).to_contain_text("7:15")

    # Sent at once, from the conversation and from the list.
    page.goto(conversation)
    expect(waiting(page, word)).to_contain_text("7:15")
    waiting(page, word).get_by_role("button", name="Send now").click()
    expect(bubble(bob.page, f"See you at the mill {word}")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(page, f"See you at the mill {word}")).to_be_visible()
    expect(waiting(page, word)).to_have_count(0)
    send_later(page, f"Bring the dog {word}")
    page.goto("/scheduled/")
    card(page, word).get_by_role("button", name="Send now").click()
    expect(card(page, word)).to_have_count(0)
    expect(bubble(bob.page, f"Bring the dog {word}")).to_be_visible(timeout=ARRIVAL)

    # Discarded in the list, it never was.
    page.goto(conversation)
    send_later(page, f"Rather not {word}")
    page.goto("/scheduled/")
    card(page, word).get_by_role("link", name="Discard").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#scheduled")).to_be_visible()
    expect(card(page, word)).to_have_count(0)
    expect(bubble(bob.page, f"See you at the weir {word}")).to_have_count(0)
    expect(bubble(bob.page, f"Rather not {word}")).to_have_count(0)


def test_it_stays_with_its_writer_while_they_block_whom_it_is_for(
    visit: Visit, installation: RunningInstallation
) -> None:
    text = f"Happy birthday {uuid4().hex[:8]}"
    alice, bob = visit("alice", viewport=WIDE), visit("bob")
    page = alice.page
    alice.write_to("bob.test", text="It is almost midnight")
    conversation = page.url.partition("#")[0]
    send_later(page, text)
    page.locator("#thread-title a").click()
    page.get_by_role("button", name=re.compile("^Block")).click()
    try:
        expect(page.get_by_role("heading", name="You block them")).to_be_visible()
        its_time_comes(installation)
        page.goto("/scheduled/")
        # It is looked at again in an hour, and can be thrown away.
        expect(card(page, text).get_by_role("link", name="Discard")).to_be_visible()
        assert violations(page) == []
        card(page, text).get_by_role("link", name="Discard").click()
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_role("heading", name="Scheduled", exact=True)).to_be_visible()
        expect(card(page, text)).to_have_count(0)
    finally:
        page.goto("/blocked/")
        page.get_by_role("button", name=re.compile("^Unblock")).click()
    bob.open_conversation(conversation)
    expect(bubble(bob.page, "It is almost midnight").last).to_be_visible()
    expect(bubble(bob.page, text)).to_have_count(0)


def test_it_waits_for_a_look_at_keys_that_changed_meanwhile_and_can_be_discarded(
    visit: Visit,
    installation: RunningInstallation,
    compared: None,
    new_device: Callable[[str], NewDevice],
) -> None:
    text = f"Happy birthday {uuid4().hex[:8]}"
    alice, bob = visit("alice", viewport=PHONE), visit("bob")
    page = alice.page
    alice.write_to("bob.test", text="Let us compare numbers")
    conversation = page.url.partition("#")[0]
    page.get_by_role("link", name="Compare keys with Bob").click()
    page.get_by_role("button", name="They match").click()
    expect(page.get_by_role("link", name="Compared keys with Bob")).to_be_visible()
    send_later(page, text)
    new_device("bob")
    installation.a_day_passes()
    its_time_comes(installation)
    sent = message(page, text)
    expect(sent.locator(".msg__meta")).to_contain_text(
        "Waits until you look at the keys of Bob", timeout=ARRIVAL
    )
    # A newer one, which waits as well, does not hide that.
    word = text[-8:]
    alice.write(f"And many more {word}")
    newer = message(page, f"And many more {word}")
    expect(newer.locator(".msg__meta")).to_contain_text("Waits until you look", timeout=ARRIVAL)
    expect(sent.get_by_role("link", name="Discard")).to_be_visible()
    assert violations(page) == []
    sent.get_by_role("link", name="Discard").click()
    expect(sent.locator(".ask")).to_contain_text("Nobody got it.")
    with page.expect_response(re.compile("/news/")):
        sent.locator(".ask").get_by_role("button", name="Discard").click()
    expect(sent).to_have_count(0)
    # What is deleted for oneself goes to nobody either, and the page says so.
    newer.hover()
    newer.locator(".menu > summary").click()
    newer.get_by_role("link", name="Delete for me").click()
    expect(newer.locator(".ask")).to_contain_text("Nobody has it yet")
    with page.expect_response(re.compile("/news/")):
        newer.locator(".ask").get_by_role("button", name="Delete for me").click()
    expect(page.locator("#toasts")).to_contain_text("It was never sent to anybody.")
    expect(newer).to_have_count(0)
    page.locator("#keys-to-look-at").get_by_role("button", name="Send anyway").click()
    alice.write(f"Now you may know {word}")
    bob.open_conversation(conversation)
    expect(bubble(bob.page, word)).to_have_count(1, timeout=ARRIVAL)
    expect(bubble(bob.page, word)).to_have_text(f"Now you may know {word}")


@pytest.fixture
def compared(installation: RunningInstallation) -> Iterator[None]:
    """Whoever comes here afterwards has compared nothing."""
    yield
    installation.sql("DELETE FROM webmail_verification")
    installation.a_day_passes()


def its_time_comes(installation: RunningInstallation) -> None:
    """For all that waits; until it went out, or was put off."""
    installation.sql("UPDATE webmail_pendingmessage SET release_at = CURRENT_TIMESTAMP")
    due = "SELECT count(*) FROM webmail_pendingmessage WHERE release_at <= CURRENT_TIMESTAMP"
    wait_until(lambda: installation.sql(due) == [(0,)], 30)
