"""What is known of a message: what it said before it was edited, and how it reached each of several."""

from __future__ import annotations

import re
from itertools import pairwise
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_message_actions import menu, message
from tests.browser.visitors import ARRIVAL, PHONE, WIDE


def test_what_a_message_said_before_is_shown_to_both(visit: Visit) -> None:
    """To the one in a wide window, and to the other on a phone."""
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=WIDE), visit("bob", viewport=PHONE)
    texts = [f"At {hour} by the weir {word}" for hour in ("three", "four", "five")]
    alice.write_to("bob.test", text=texts[0])
    bob.open_conversation(alice.page.url)
    for before, after in pairwise(texts):
        expect(message(bob.page, before)).to_be_visible(timeout=ARRIVAL)
        menu(alice.page, before).get_by_role("link", name="Edit").click()
        alice.page.get_by_label("Edit this message").fill(after)
        alice.page.get_by_role("button", name="Save").click()
    for page, is_wide in ((alice.page, True), (bob.page, False)):
        edited = message(page, texts[-1])
        expect(edited.locator(".msg__meta")).to_contain_text("edited", timeout=ARRIVAL)
        expect(page.locator("#thread")).not_to_contain_text(texts[0])
        edited.locator(".msg__meta a").click()
        before = page.get_by_role("region", name="What it said before")
        expect(before.locator(".quote > span")).to_have_text(texts[:-1])
        before.locator(".quote").last.scroll_into_view_if_needed()
        expect(before.locator(".quote").last).to_be_in_viewport()
        # The thread is beside it where there is room.
        expect(edited).to_be_visible(visible=is_wide)
        leave = "Close" if is_wide else "Back to the conversation"
        page.locator("#side").get_by_role("link", name=leave).click()
        expect(edited).to_be_visible()
        expect(page.locator("#side")).to_be_hidden()


def test_of_a_message_to_several_each_recipient_and_device_has_its_own_state(visit: Visit) -> None:
    """Looked at in a wide window, and on a telephone."""
    word = uuid4().hex[:8]
    alice, bob, carol = (visit(name) for name in ("alice", "bob", "carol"))
    page = alice.page
    alice.write_to("bob.test", "carol.test", text=f"Who brings the boat? {word}")
    conversation = page.url.partition("#")[0]
    for guest in (bob, carol):
        guest.open_conversation(conversation)
        guest.write(f"Here is {guest.person.handle} {word}")
        expect(message(page, f"Here is {guest.person.handle} {word}")).to_be_visible(timeout=ARRIVAL)
        guest.page.goto("/")
    # What is said of reading is up to each of them.
    told = (alice, bob)
    for each in told:
        _tell_of_reading(each.page, conversation, tells=True)
    try:
        page.goto(conversation)
        alice.write(f"Five people, four seats {word}")
        meta = message(page, f"Five people, four seats {word}").locator(".msg__meta")
        expect(meta).to_contain_text("Opened on everybody's device", timeout=ARRIVAL)
        bob.page.goto(conversation)
        expect(meta).to_contain_text("Read by 1 of 2", timeout=ARRIVAL)
        for screen in (WIDE, PHONE):
            page.goto(conversation)
            page.set_viewport_size(screen)  # type: ignore[arg-type]
            meta.get_by_role("link").click()
            fingerprints = {name: _is_told_of(page, name, state) for name, state in STATES.items()}
            assert fingerprints["Bob"] != fingerprints["Carol"]
            expect(page.locator("#thread")).to_be_visible(visible=screen == WIDE)
    finally:
        for each in told:
            _tell_of_reading(each.page, conversation, tells=False)


STATES = {"Bob": "Read", "Carol": "Opened on their device"}


def _tell_of_reading(page: Page, conversation: str, *, tells: bool) -> None:
    page.goto(f"{conversation}receipts/")
    page.get_by_label("That you have read it").set_checked(tells)
    page.get_by_role("button", name="Keep this").click()
    expect(page.get_by_role("status").first).to_contain_text("That holds from now on")


def _is_told_of(page: Page, name: str, state: str) -> str:
    """What the page says of one recipient: the state, when each step was made, and by which device, whose
    fingerprint is behind it."""
    delivery = _delivery(page, name)
    delivery.scroll_into_view_if_needed()
    expect(delivery.locator(".badge")).to_have_text(state)
    expect(delivery.locator(".pair")).to_contain_text("1 device")
    steps = ["Sealed", "Handed over", "Their server has it", "Opened on their device"]
    steps += ["Read"] if state == "Read" else []
    track = delivery.locator(".track > li")
    expect(track).to_contain_text(steps)
    for number in range(len(steps)):
        expect(track.nth(number)).to_have_attribute("data-done", "")
        expect(track.nth(number).locator("time")).to_be_visible()
    delivery.get_by_text("Keys of their devices").click()
    fingerprint = re.sub(r"\s", "", delivery.locator(".print").inner_text())
    assert re.fullmatch("[0-9a-f]{64}", fingerprint)
    expect(track.nth(0)).to_contain_text(f"for device {fingerprint[:8]}")
    expect(track.nth(3)).to_contain_text(f"device {fingerprint[:8]},")
    return fingerprint


def _delivery(page: Page, name: str) -> Locator:
    deliveries = page.locator("#side section[aria-labelledby=i-del] > .stack")
    return deliveries.filter(has=page.locator(".pair b", has_text=name))
