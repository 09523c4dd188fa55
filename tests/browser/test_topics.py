"""A topic from its beginning: begun at one side, answered at the other, looked at alone, live."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, bubble, composer, message, reload_until


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_a_topic_is_begun_answered_and_looked_at_alone(visit: Visit, viewport: dict[str, int]) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=viewport), visit("bob", viewport=viewport)
    alice.write_to("bob.test", text=f"Something else {word}")
    conversation = urlsplit(alice.page.url).path

    begin_topic(alice.page, f"June {word}\nThe sea, or the lake?")
    expect(bubble(alice.page, f"June {word}")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(alice.page, "Something else")).to_have_count(0)
    expect(alice.page.get_by_role("heading", level=1)).to_contain_text(f"June {word}")
    alice.page.reload()
    expect(bubble(alice.page, f"June {word}")).to_be_visible()

    # To the other it is an ordinary message, in which he answers.
    arrive(bob, conversation, f"June {word}")
    expect(message(bob.page, f"June {word}").locator(".msg__topic")).to_have_count(0)
    menu = message(bob.page, f"June {word}").locator(".menu")
    menu.locator("summary").focus()
    bob.page.keyboard.press("Enter")
    menu.get_by_role("link", name="Topic").click()
    bob.page.wait_for_url(re.compile("/t/[0-9a-f]{64}/$"))
    composer(bob.page).fill(f"The lake {word}")
    bob.page.keyboard.press("Control+Enter")
    expect(bubble(bob.page, f"The lake {word}")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(alice.page, f"The lake {word}")).to_be_visible(timeout=ARRIVAL)

    # What is written beside it does not show there, and the other's page has both, with the name.
    bob.page.goto(conversation)
    bob.write(f"And bread {word}")
    expect(bubble(bob.page, f"And bread {word}")).to_be_visible(timeout=ARRIVAL)
    alice.write(f"Then the lake {word}")
    last = message(bob.page, f"Then the lake {word}")
    expect(last.locator(".msg__topic")).to_have_text(f"Topic: June {word}", timeout=ARRIVAL)
    expect(message(bob.page, f"And bread {word}").locator(".msg__topic")).to_have_count(0)
    expect(bubble(alice.page, "And bread")).to_have_count(0)

    last.locator(".msg__topic").click()
    expect(bob.page.get_by_role("heading", level=1)).to_have_text(f"June {word}")
    shown = bob.page.locator("#thread .bubble")
    expect(shown).to_have_count(3)
    all_topics = bob.page.get_by_role("link", name="All topics")
    # A finger finds it (WCAG 2.2, 2.5.8).
    assert viewport is WIDE or (all_topics.bounding_box() or {"height": 0})["height"] >= 24
    all_topics.click()
    row = bob.page.locator(".topics .row").first
    expect(row).to_contain_text(f"June {word}")
    expect(row).to_contain_text("3 messages")
    row.focus()
    bob.page.keyboard.press("Enter")
    expect(shown).to_have_count(3)


def test_a_reply_outside_of_its_topic_says_where_it_goes(visit: Visit) -> None:
    """The topic stands above the field with what is quoted, goes with the draft, and can be taken away."""
    word = uuid4().hex[:8]
    page = visit("alice").page
    page.goto("/")
    alice = visit("alice")
    alice.write_to("bob.test", text=f"July {word}")
    conversation = urlsplit(alice.page.url).path
    first = message(alice.page, f"July {word}")
    first.locator(".menu summary").click()
    first.get_by_role("link", name="Topic").click()
    alice.page.wait_for_url(re.compile("/t/"))
    alice.write(f"In it {word}")
    expect(bubble(alice.page, f"In it {word}")).to_be_visible(timeout=ARRIVAL)

    # Typed on the topic's page, it shows on the conversation's with its topic.
    composer(alice.page).fill(f"half a thought {word}")
    expect(alice.page.locator("#draft-state")).to_be_attached()
    page.goto(conversation)
    for _attempt in range(ARRIVAL // 500):
        if composer(page).input_value():
            break
        page.wait_for_timeout(500)
    expect(composer(page)).to_have_value(f"half a thought {word}")
    expect(page.locator("#composer-reply")).to_contain_text(f"July {word}")
    page.get_by_role("link", name="Write outside of this topic").click()
    expect(page.locator("#composer-reply .quote")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    outside = message(page, f"half a thought {word}")
    expect(outside).to_be_visible(timeout=ARRIVAL)
    expect(outside.locator(".msg__topic")).to_have_count(0)

    # A reply to what was said in the topic belongs to it.
    inside = message(page, f"In it {word}")
    inside.hover()
    inside.get_by_role("link", name="Reply").last.click()
    expect(page.locator("#composer-reply .quote__topic")).to_contain_text(f"July {word}")
    composer(page).fill(f"an answer {word}")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#composer-reply .quote")).to_have_count(0)
    expect(message(page, f"an answer {word}").locator(".msg__topic")).to_contain_text(
        f"July {word}", timeout=ARRIVAL
    )


def test_a_topic_without_script(visit: Visit) -> None:
    word = uuid4().hex[:8]
    page = visit("alice", script=False).page
    page.goto("/new/")
    page.get_by_label("To", exact=True).fill("bob.test")
    page.keyboard.press("Enter")
    page.get_by_label("Message", exact=True).fill(f"August {word}")
    page.get_by_label("To", exact=True).fill("")
    page.get_by_role("button", name="Send").click()
    expect(message(page, f"August {word}")).to_be_visible()
    begin_topic(page, f"Boats {word}\nWho has one?")
    expect(bubble(page, f"August {word}")).to_have_count(0)
    composer(page).fill(f"I have {word}")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(bubble(page, f"I have {word}")).to_be_visible()
    page.get_by_role("link", name="All topics").click()
    expect(page.locator(".topics")).to_contain_text(f"Boats {word}")


def test_a_topic_begins_with_the_last_of_what_goes_out_together(visit: Visit) -> None:
    word = uuid4().hex[:8]
    visit("bob").page.goto("about:blank")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.write_to("bob.test", text=f"Before it {word}")
    conversation = page.url
    page.route("**/send/", lambda route: route.abort(), times=1)
    alice.write(f"Not taken {word}")
    expect(page.locator("#not-sent")).to_be_visible()
    begin_topic(page, f"Not taken {word}\nJuly {word}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"July {word}")
    page.goto(conversation)
    expect(bubble(page, f"Not taken {word}")).to_have_count(1)
    alice.excuse("htmx:", "Failed to load resource", "ERR_FAILED")


def begin_topic(page: Page, text: str) -> None:
    composer(page).fill(text)
    page.locator(".composer summary", has_text="Topics").click()
    page.get_by_role("button", name="Send, and begin a topic with it").click()
    page.wait_for_url(re.compile("/t/[0-9a-f]{64}/"))


def arrive(visitor: Visitor, path: str, text: str) -> None:
    """The conversation, once the message is there."""
    visitor.page.goto(path)
    reload_until(visitor.page, bubble(visitor.page, text).count)
    visitor.excuse("status of 404")
    expect(bubble(visitor.page, text)).to_be_visible()
