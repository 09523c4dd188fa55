"""What is forwarded, and what goes on with other people, may be taken back as any other message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.first_visit import visited_without_browser
from tests.browser.test_every_page import too_wide
from tests.browser.test_files import attach_field, is_there, uploads
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, composer, message
from tests.services.installations import RunningInstallation
from tests.services.newcomers import newcomer
from tests.services.windows import Window

FORMS = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])


@contextmanager
def undo_of_30_seconds(page: Page, installation: RunningInstallation) -> Iterator[None]:
    """Long enough for a busy machine; then what the installation has, as if nobody had chosen."""
    _choose(page, "30 seconds")
    try:
        yield
    finally:
        installation.sql("DELETE FROM webmail_undochoice")


def _choose(page: Page, words: str) -> None:
    page.goto("/undo-send/")
    page.get_by_label(words).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("That holds")


def undo(page: Page) -> Locator:
    return page.locator("#toasts").get_by_role("button", name="Undo")


@FORMS
def test_what_is_forwarded_can_be_taken_back_and_forwarded_again(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation, viewport: dict[str, int]
) -> None:
    word = uuid4().hex[:8]
    for name in ("bob", "carol"):
        first_visit_of(name)
    alice = visit("alice", viewport=viewport)
    page = alice.page
    alice.start_conversation("carol.test", text=f"For Carol {word}")
    with_carol = urlsplit(page.url).path
    alice.start_conversation("bob.test", text=f"The ferry goes at nine {word}")
    with_bob = urlsplit(page.url).path
    with undo_of_30_seconds(page, installation):
        page.goto(with_bob)
        expect(message(page, f"ferry goes at nine {word}")).to_be_visible()
        _forward_to_carol(page, f"ferry goes at nine {word}")
        expect(page.locator("#pending .msg", has_text=word)).to_contain_text("Sending in a moment")
        undo(page).press("Enter")
        said = page.locator("main > .notice[role=status]")
        expect(said).to_have_text("It was not forwarded to anybody. You can choose again.")
        assert violations(page) == []
        page.goto(with_carol)
        expect(page.locator("#text")).to_have_value("")
        expect(page.locator("#pending .msg")).to_have_count(0)
    page.goto(with_carol)
    expect(bubble(page, f"For Carol {word}")).to_be_visible()
    expect(bubble(page, f"ferry goes at nine {word}")).to_have_count(0)


@FORMS
def test_a_message_is_forwarded_to_somebody_who_was_never_written_to(
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
    viewport: dict[str, int],
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    someone = newcomer(local_network, f"new{word}", "Somebody New")
    visited_without_browser(Window(installation.url, someone))
    alice = visit("alice", viewport=viewport)
    page = alice.page
    alice.start_conversation("bob.test", text=f"The ferry goes at ten {word}")
    _choose_forward(page, f"ferry goes at ten {word}")
    page.get_by_label("Find a conversation").fill("nobody is called this")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No such conversation")).to_be_visible()
    page.get_by_role("link", name="To a new group…").press("Enter")
    expect(page.locator("#picker .quote")).to_contain_text(f"ferry goes at ten {word}")
    expect(page.get_by_label("Message", exact=True)).to_have_count(0)
    page.get_by_label("To", exact=True).press_sequentially(someone.person.handle)
    page.locator("#results").get_by_role("button", name="Add").click(timeout=ARRIVAL)
    expect(page.locator("#chips .chip")).to_have_count(1)
    assert (too_wide(page), violations(page)) == ([], [])
    page.get_by_role("button", name="Forward", exact=True).press("Enter")
    page.wait_for_url(re.compile("/c/"))
    expect(bubble(page, f"ferry goes at ten {word}")).to_be_visible(timeout=ARRIVAL)
    expect(page.get_by_role("heading", name="Somebody New")).to_be_visible()


def _forward_to_carol(page: Page, text: str) -> None:
    _choose_forward(page, text)
    page.get_by_label("Find a conversation").fill("carol")
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Carol carol.test", exact=True).check()
    page.get_by_role("button", name="Forward", exact=True).click()
    expect(undo(page)).to_be_visible(timeout=ARRIVAL)


def _choose_forward(page: Page, text: str) -> None:
    one = message(page, text).last
    one.scroll_into_view_if_needed()
    one.hover()
    one.locator(".menu > summary").click()
    one.get_by_role("link", name="Forward").click()


@FORMS
def test_going_on_with_more_people_can_be_taken_back(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation, viewport: dict[str, int]
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("carol")
    alice, bob = visit("alice", viewport=viewport), visit("bob", viewport=viewport)
    page = alice.page
    alice.start_conversation("bob.test", text=f"Between us {word}")
    with_bob = urlsplit(page.url).path
    with undo_of_30_seconds(page, installation):
        page.goto(f"/new/?from={with_bob.strip('/').rpartition('/')[2]}")
        page.get_by_label("To", exact=True).press_sequentially("carol.test")
        page.locator("#results").get_by_role("button", name="Add").click(timeout=ARRIVAL)
        expect(page.locator("#chips .chip")).to_have_count(2)
        page.get_by_label("Message", exact=True).fill(f"Now we are three {word}")
        page.get_by_role("button", name="Send", exact=True).click()
        undo(page).click(timeout=ARRIVAL)
        # Back where it was written: the people, the text, and that the other one goes on.
        expect(page.get_by_role("heading", name="Go on with other people")).to_be_visible(timeout=ARRIVAL)
        expect(page.locator("#chips .chip")).to_have_count(2)
        expect(page.get_by_label("Message", exact=True)).to_have_value(f"Now we are three {word}")
        assert violations(page) == []
    page.goto(with_bob)
    expect(page.locator("#thread .msg").last).to_contain_text(f"Between us {word}")
    # Without the time to take it back all of it goes out at once, from the draft that it is now.
    page.goto("/")
    page.get_by_role("link", name=re.compile(f"Draft: Now we are three {word}")).first.click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(bubble(page, f"Now we are three {word}")).to_be_visible(timeout=ARRIVAL)
    bob.open_conversation(with_bob)
    last = bob.page.locator("#thread .msg").last
    expect(last).to_contain_text("I go on in a wider conversation, with Carol as well.", timeout=ARRIVAL)


@FORMS
def test_what_waits_a_moment_is_seen_below_a_long_conversation_and_its_toast_covers_nothing(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation, viewport: dict[str, int]
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=viewport)
    page = alice.page
    alice.write_to("bob.test", text="\n".join([f"As long as the river {word}"] * 40))
    conversation = page.url
    with undo_of_30_seconds(page, installation):
        page.goto(conversation)
        alice.write(f"And here is its mouth {word}")
        waiting = page.locator("#pending .msg", has_text=f"its mouth {word}")
        expect(waiting).to_be_in_viewport(ratio=1)
        expect(undo(page)).to_be_visible()
        # At once: news put the same in their places again.
        between = page.evaluate(
            """() => {
              const [message, toast] = ["#pending .msg:last-child", "#toasts .toast"]
                .map((each) => document.querySelector(each).getBoundingClientRect());
              return toast.top - message.bottom;
            }"""
        )
        assert between >= 0
        undo(page).click()
        expect(composer(page)).to_have_value(f"And here is its mouth {word}")
        with page.expect_response("**/draft/keep/"):
            composer(page).fill("")


def test_what_waits_a_moment_is_said_below_the_menu_of_a_message(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=PHONE)
    page = alice.page
    alice.write_to("bob.test", text=f"Before the ferry {word}")
    conversation = page.url
    with undo_of_30_seconds(page, installation):
        page.goto(conversation)
        alice.write(f"On the ferry {word}")
        expect(undo(page)).to_be_visible()
        menu = message(page, f"Before the ferry {word}").locator(".menu")
        menu.locator("summary").tap()
        expect(menu.get_by_role("link", name="Delete for me")).to_be_visible()
        on_top = menu.evaluate(
            """(menu) => {
              const list = menu.querySelector(".menu__list").getBoundingClientRect();
              const toast = document.querySelector("#toasts .toast").getBoundingClientRect();
              const [x, y] = [(toast.left + toast.right) / 2, (toast.top + toast.bottom) / 2];
              const liesOver = list.left < x && x < list.right && list.top < y && y < list.bottom;
              return liesOver ? menu.contains(document.elementFromPoint(x, y)) : "elsewhere";
            }"""
        )
        assert on_top is True
        page.keyboard.press("Escape")
        undo(page).tap()
        expect(composer(page)).to_have_value(f"On the ferry {word}")
        with page.expect_response("**/draft/keep/"):
            composer(page).fill("")


def test_a_file_has_its_name_while_it_waits_and_when_it_is_back_in_the_field(
    visit: Visit, first_visit_of: FirstVisitOf, installation: RunningInstallation
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text=f"Here is the bill {word}")
    conversation = page.url
    with undo_of_30_seconds(page, installation):
        page.goto(conversation)
        bill = {"name": f"bill {word}.pdf", "mimeType": "application/pdf", "buffer": bytes(900)}
        attach_field(page).set_input_files(bill)
        is_there(page)
        composer(page).press("Control+Enter")
        expect(page.locator("#pending")).to_contain_text(f"bill {word}.pdf")
        undo(page).click()
        expect(uploads(page)).to_contain_text(f"bill {word}.pdf")
        with page.expect_response("**/draft/keep/"):
            uploads(page).get_by_role("checkbox").uncheck()
