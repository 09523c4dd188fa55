"""What people do with messages and with each other, by the keys alone: every control is reached, and its ring
is seen on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_consent import make_strangers_ask, strangers  # noqa: F401
from tests.browser.test_keyboard import focus_is_visible
from tests.browser.visitors import ARRIVAL, composer, message
from tests.services.installations import RunningInstallation

IS_FOCUSED = "(element) => element === document.activeElement"


def reach(page: Page, control: Locator, key: str = "Tab", *, at_most: int = 40) -> None:
    """Presses the key until the focus is on the control; each stop on the way shows it."""
    expect(control).to_be_attached()
    for _press in range(at_most):
        page.keyboard.press(key)
        assert focus_is_visible(page), page.evaluate("document.activeElement.outerHTML.slice(0, 300)")
        if control.evaluate(IS_FOCUSED):
            return
    raise AssertionError(f"{control} is not reached by {at_most} presses of {key}")


def choose(page: Page, control: Locator, key: str = "Tab", *, at_most: int = 40) -> None:
    reach(page, control, key, at_most=at_most)
    page.keyboard.press("Enter")


def choose_for_message(page: Page, words: str, action: str) -> None:
    """From the composer back to the last messages, and into the menu of the one with the words."""
    one = message(page, words)
    composer(page).focus()
    choose(page, one.locator(".menu > summary"), "Shift+Tab")
    choose(page, one.locator(".menu").get_by_role("link", name=action, exact=True))


@pytest.fixture
def nothing_compared(installation: RunningInstallation) -> Iterator[None]:
    yield
    installation.sql("DELETE FROM webmail_verification")


def test_a_message_with_a_file_is_sent_edited_and_taken_back(
    visit: Visit, first_visit_of: FirstVisitOf, tmp_path: Path
) -> None:
    first_visit_of("bob")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    alice.start_conversation("bob.test", text=f"First of all {word}")
    (tmp_path / "list.txt").write_text("Ropes, oars")
    composer(page).focus()
    reach(page, page.locator("[data-upload]"), "Shift+Tab", at_most=4)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(tmp_path / "list.txt")
    expect(page.locator("#files .upload:not([data-busy])")).to_have_count(1)
    expect(page.locator("[data-upload]")).to_be_focused()
    reach(page, composer(page), at_most=4)
    page.keyboard.type(f"The list {word}")
    choose(page, page.locator(".composer [data-send]").first, at_most=3)
    one = message(page, f"The list {word}")
    expect(one.locator(".file")).to_be_visible(timeout=ARRIVAL)
    expect(page.locator(".composer :focus")).to_have_count(1)

    choose_for_message(page, f"The list {word}", "Edit")
    expect(page.get_by_label("Edit this message")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(f"The whole list {word}")
    choose(page, one.get_by_role("button", name="Save"), at_most=3)
    one = message(page, f"The whole list {word}")
    expect(one.locator(".msg__meta")).to_contain_text("edited", timeout=ARRIVAL)
    expect(one.locator(":focus")).to_have_count(1)

    choose_for_message(page, f"The whole list {word}", "Take back")
    expect(page.get_by_role("link", name="Keep it")).to_be_focused()
    choose(page, page.get_by_role("button", name="Take back"), at_most=1)
    expect(message(page, f"The whole list {word}")).to_have_count(0, timeout=ARRIVAL)
    expect(page.locator("#thread .msg:focus-within, #text:focus")).to_have_count(1)


def test_the_arrow_up_edits_what_was_written_last_where_nothing_is_typed(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    alice.start_conversation("bob.test", text=f"A letter {word}")
    expect(message(page, word).locator(".msg__tools")).to_have_count(1, timeout=ARRIVAL)
    composer(page).focus()
    page.keyboard.type("Half")
    page.keyboard.press("ArrowUp")
    expect(composer(page)).to_be_focused()
    expect(page.get_by_label("Edit this message")).to_have_count(0)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Edit this message")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(f"A long letter {word}")
    choose(page, page.get_by_role("button", name="Save"), at_most=3)
    expect(message(page, f"A long letter {word}").locator(".msg__meta")).to_contain_text(
        "edited", timeout=ARRIVAL
    )


def test_a_message_waits_for_its_time_which_is_changed(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    alice.start_conversation("bob.test", text=f"Before the walk {word}")
    composer(page).focus()
    page.keyboard.type(f"Tomorrow then {word}")
    later = page.locator("summary", has_text="Send later")
    choose(page, later, at_most=4)
    choose(page, page.get_by_role("button", name="Tomorrow morning"), at_most=4)
    expect(later).to_be_focused()
    waits = page.locator("#pending .msg", has_text=word)
    choose(page, waits.get_by_role("link", name="Change time"), "Shift+Tab")
    expect(page.get_by_label("Day and time")).to_be_visible()
    choose(page, page.locator("main [name=at]").first)
    page.wait_for_url("**/scheduled/")
    waits = page.locator(".scheduled > li", has_text=word)
    choose(page, waits.get_by_role("link", name="Discard"))
    choose(page, page.get_by_role("button", name="Discard"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(waits).to_have_count(0)


def test_a_group_is_made_and_keys_are_compared(
    visit: Visit, first_visit_of: FirstVisitOf, nothing_compared: None
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice, word = visit("alice"), uuid4().hex[:8]
    page = alice.page
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/new/"))
    for count, handle in enumerate(("bob.test", "carol.test"), start=1):
        expect(page.get_by_label("To", exact=True)).to_be_focused()
        page.keyboard.type(handle)
        page.keyboard.press("Enter")
        expect(page.locator("#chips .chip")).to_have_count(count, timeout=ARRIVAL)
    reach(page, page.get_by_label("Message", exact=True))
    page.keyboard.type(f"The three of us {word}")
    choose(page, page.get_by_role("button", name="Send"), at_most=6)
    expect(message(page, word)).to_be_visible()

    alice.start_conversation("bob.test", text=f"Let us compare {word}")
    page.reload()
    choose(page, page.locator("#pane .compared"))
    expect(page.get_by_role("group", name="Number to compare")).to_be_visible()
    choose(page, page.get_by_role("button", name="They match"))
    expect(page.get_by_role("link", name="Compared keys with Bob")).to_be_visible()


def test_a_request_is_accepted_and_its_sender_reported_and_blocked(
    visit: Visit,
    strangers: None,  # noqa: F811
    local_network: NetworkInfo,
) -> None:
    alice, carol, word = visit("alice"), visit("carol"), uuid4().hex[:8]
    page = alice.page
    make_strangers_ask(page)
    carol.start_conversation("alice.test", text=f"Is there room for one more? {word}")
    page.goto("/")
    requests = page.locator(".pane--list").get_by_role("link", name=re.compile("^Requests"))
    expect(requests).to_be_visible(timeout=ARRIVAL)
    choose(page, requests)
    card = page.get_by_role("article").filter(has_text=word)
    expect(card).to_be_visible()
    choose(page, card.get_by_role("button", name="Accept"))
    open_it = page.get_by_role("link", name="Open it")
    expect(open_it).to_be_focused()
    page.keyboard.press("Enter")
    expect(message(page, word)).to_be_visible()

    choose(page, page.locator("#thread-title a"))
    choose(page, page.get_by_role("link", name=re.compile("^Report")))
    reach(page, page.get_by_label("What it is about"))
    page.keyboard.press("ArrowDown")
    reach(page, page.get_by_role("checkbox", name=re.compile(word)))
    page.keyboard.press("Space")
    choose(page, page.get_by_role("button", name="See what is handed over"))
    choose(page, page.get_by_role("button", name="Report to the operator"))
    expect(page.get_by_role("status")).to_contain_text("The operator has your report.")
    choose(page, page.get_by_role("link", name="Done"))

    choose(page, page.get_by_role("button", name=re.compile("^Block")))
    expect(page.get_by_role("heading", name="You block them")).to_be_visible()
    choose(page, page.get_by_role("button", name=re.compile("^Unblock")))
    expect(page.get_by_role("heading", name="You block them")).to_have_count(0)
