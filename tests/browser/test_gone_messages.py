"""Messages that leave pages that lie open: their time is over, or somebody deleted them for themselves."""

from __future__ import annotations

import re
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_message_actions import menu, message
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, reload_until
from tests.services.installations import RunningInstallation, wait_until


def test_a_message_whose_time_is_over_leaves_every_page_with_its_quotes_and_details(
    visit: Visit, installation: RunningInstallation
) -> None:
    """Both people have a window and a telephone open, each with something begun with the message."""
    word = uuid4().hex[:8]
    alice, alices_phone = visit("alice"), visit("alice", viewport=PHONE)
    bob, bobs_phone = visit("bob"), visit("bob", viewport=PHONE)
    everybody = [each.page for each in (alice, alices_phone, bob, bobs_phone)]
    text = f"The key is under the mat {word}"
    alice.write_to("bob.test", text=f"This one stays {word}")
    conversation = alice.page.url.partition("#")[0]
    _disappears(alice.page, "1 hour after reading")
    alice.write(text)
    expect(message(alice.page, text).locator(".msg__meta")).to_contain_text("disappears")
    _disappears(alice.page, "never")
    bob.open_conversation(conversation)
    for page in everybody:
        page.goto(conversation)
        expect(message(page, text)).to_be_visible(timeout=ARRIVAL)

    menu(bob.page, text).get_by_role("link", name="Reply").click()
    expect(bob.page.locator("#composer-reply")).to_contain_text(text)
    bob.write(f"I found it {word}")
    for page in everybody:
        quote = message(page, f"I found it {word}").locator(".quote")
        expect(quote).to_contain_text(text, timeout=ARRIVAL)
    message(alice.page, text).locator(".msg__meta a").click()
    expect(alice.page.locator("#side")).to_contain_text(re.compile(f"{text}.*Disappears", re.DOTALL))
    menu(alices_phone.page, text).get_by_role("link", name="Reply").click()
    expect(alices_phone.page.locator("#composer-reply")).to_contain_text(text)
    menu(bobs_phone.page, text)

    an_hour_passes(installation, alice.page, text)
    for page in everybody:
        expect(page.locator("body")).not_to_contain_text(text, timeout=ARRIVAL)
        answer = message(page, f"I found it {word}")
        expect(answer.locator(".quote")).to_contain_text("A message that is not here")
        expect(message(page, f"This one stays {word}")).to_be_visible()
    expect(alice.page.locator("#side")).to_be_hidden()
    assert alice.page.url == conversation
    expect(alices_phone.page.locator("#composer-reply .quote")).to_have_count(0)
    for page in (alice.page, bobs_phone.page):
        page.reload()
        expect(message(page, f"This one stays {word}")).to_be_visible()
        expect(page.locator("body")).not_to_contain_text(text)


def _disappears(page: Page, when: str) -> None:
    page.get_by_label("Conversation menu").click()
    page.get_by_label("What you write here disappears").select_option(when)
    page.get_by_role("button", name="Set", exact=True).click()
    note = page.locator(".composer__note", has_text="disappears")
    expect(note).to_have_count(0 if when == "never" else 1)
    # With its scripts, which send by a key.
    page.wait_for_load_state()


def test_every_tab_says_after_how_long_what_is_written_disappears(visit: Visit) -> None:
    alice = visit("alice")
    visit("bob")
    alice.write_to("bob.test", text=f"Choose a time {uuid4().hex[:8]}")
    beside = alice.another_tab()
    beside.goto(alice.page.url)
    note = beside.locator(".composer__note", has_text="What you write disappears")
    expect(note).to_have_count(0)
    for when in ("1 hour after reading", "1 day after reading"):
        _disappears(alice.page, when)
        expect(note).to_contain_text(when, timeout=ARRIVAL)
    beside.get_by_label("Conversation menu").click()
    chosen = beside.get_by_label("What you write here disappears")
    expect(chosen).to_have_value("86400")
    chosen.focus()
    _disappears(alice.page, "never")
    expect(note).to_have_count(0, timeout=ARRIVAL)
    expect(chosen).to_have_value("0")
    expect(chosen).to_be_focused()


def an_hour_passes(installation: RunningInstallation, page: Page, text: str) -> None:
    """For a message that both have read, so that its hour has begun for both."""
    key = (message(page, text).get_attribute("id") or "").removeprefix("m")
    begun = "FROM webmail_message WHERE expires_at IS NOT NULL AND message_id = ?"
    wait_until(lambda: installation.sql(f"SELECT count(*) {begun}", key) == [(2,)])
    installation.sql("UPDATE webmail_message SET expires_at = CURRENT_TIMESTAMP WHERE message_id = ?", key)


def test_what_somebody_deletes_for_themselves_is_gone_from_their_pages_alone(visit: Visit) -> None:
    """In wide windows of theirs; the other, who keeps it, has a phone."""
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=WIDE), visit("bob", viewport=PHONE)
    text = f"Said in haste {word}"
    alice.write_to("bob.test", text=text)
    alice.write(f"Said with care {word}")
    beside = alice.another_tab()
    bob.open_conversation(alice.page.url)
    beside.goto(alice.page.url)
    for page in (alice.page, beside, bob.page):
        expect(message(page, text)).to_be_visible(timeout=ARRIVAL)
        expect(message(page, f"Said with care {word}")).to_be_visible(timeout=ARRIVAL)
    # Somebody is about to react to it in the other tab.
    menu(beside, text)

    menu(alice.page, text).get_by_role("link", name="Delete for me").click()
    asked = message(alice.page, text).locator(".ask")
    expect(asked).to_contain_text("The others keep theirs.")
    asked.get_by_role("link", name="Keep it").click()
    expect(asked).to_have_count(0)
    menu(alice.page, text).get_by_role("link", name="Delete for me").click()
    with alice.page.expect_response(re.compile("/news/")):
        asked.get_by_role("button", name="Delete for me").click()
    for page in (alice.page, beside):
        expect(message(page, text)).to_have_count(0, timeout=ARRIVAL)
        expect(message(page, f"Said with care {word}")).to_be_visible()
        page.reload()
        expect(message(page, f"Said with care {word}")).to_be_visible()
        expect(page.locator("body")).not_to_contain_text(text)
    expect(message(bob.page, text)).to_be_visible()
    bob.page.reload()
    expect(message(bob.page, text)).to_be_visible()


def test_what_is_gone_leaves_open_search_results_and_quotes_that_the_server_does_not_tell_of(
    visit: Visit,
) -> None:
    word = f"w{uuid4().hex[:8]}"
    alice = visit("alice")
    visit("bob")
    page, text = alice.page, f"Whispered once {word}"
    alice.write_to("bob.test", text=text)
    conversation = page.url.partition("#")[0]
    menu(page, text).get_by_role("link", name="Reply").click()
    expect(page.locator("#composer-reply")).to_contain_text(text)
    alice.write("An answer to it")
    quote = message(page, "An answer to it").last.locator(".quote")
    expect(quote).to_contain_text(text)
    found = page.locator("#found .found li", has_text=word)
    reload_until(page, lambda: _is_found(page, word))
    expect(found).to_have_count(1)
    # As a page in the middle of a conversation, which is told of what is gone and of nothing that changed.
    page.route(
        re.compile("/news/"),
        lambda route: route.continue_(url=f"{route.request.url}&part=middle"),
    )
    phone = visit("alice", viewport=PHONE)
    phone.page.goto(conversation)
    menu(phone.page, text).get_by_role("link", name="Delete for me").click()
    message(phone.page, text).locator(".ask").get_by_role("button", name="Delete for me").click()
    expect(page.locator("#thread > .msg", has_text=text)).to_have_count(0, timeout=ARRIVAL)
    expect(quote).to_have_text("A message that is not here")
    expect(found).to_have_count(0)
    expect(page.locator("#thread, #found").filter(has_text=text)).to_have_count(0)


def _is_found(page: Page, word: str) -> bool:
    """Once the worker has taken it into the index."""
    with page.expect_response(re.compile("/search/")):
        page.locator("#search").fill(word)
    return page.locator("#found .found li", has_text=word).count() == 1
