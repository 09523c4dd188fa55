"""Answering, reacting, editing and taking back while both have the conversation open."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, NARROWEST, PHONE, WIDE, composer, reload_until

#: As in languages with longer words: how high what stands below a message is, and how far below its menu.
_WITH_LONGER_WORDS = """(message) => {
  const meta = message.querySelector(".msg__meta");
  meta.style.inlineSize = "100%";
  meta.prepend("and words ".repeat(8));
  const { bottom } = message.querySelector(".msg__tools").getBoundingClientRect();
  return [meta.clientHeight, meta.getBoundingClientRect().top - bottom];
}"""

TOP = "element => element.getBoundingClientRect().top"


def message(page: Page, text: str) -> Locator:
    """A message with what stands around it, by its own text and not by what it quotes."""
    return page.locator("#thread .msg", has=page.locator(".text", has_text=text))


def menu(page: Page, text: str) -> Locator:
    """The menu of a message, opened by the keyboard."""
    found = message(page, text).locator(".menu")
    found.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(found.locator(".menu__list")).to_be_visible()
    return found


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_what_one_does_with_a_message_shows_at_the_other(visit: Visit, viewport: dict[str, int]) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice", viewport=viewport), visit("bob", viewport=viewport)
    alice.write_to("bob.test", text=f"Walk to the weir {word}")
    bob.page.goto(urlsplit(alice.page.url).path)
    reload_until(bob.page, message(bob.page, word).count)
    bob.excuse("status of 404")

    # A reaction, by the menu, and taken back by its button.
    menu(bob.page, word).get_by_role("button", name=re.compile("👍")).click()
    own = message(bob.page, word).locator(".react")
    expect(own).to_have_attribute("aria-pressed", "true")
    expect(message(alice.page, word).locator(".react")).to_contain_text("1", timeout=ARRIVAL)
    own.click()
    expect(message(bob.page, word).locator(".react")).to_have_count(0)
    expect(message(alice.page, word).locator(".react")).to_have_count(0, timeout=ARRIVAL)

    # An answer, with its quote.
    menu(bob.page, word).get_by_role("link", name="Reply").click()
    expect(composer(bob.page)).to_be_focused()
    expect(bob.page.locator("#composer-reply")).to_contain_text(word)
    bob.write(f"At four? {word[::-1]}")
    expect(bob.page.locator("#composer-reply .quote")).to_have_count(0)
    answer = message(alice.page, word[::-1])
    expect(answer.locator(".quote")).to_contain_text(word, timeout=ARRIVAL)
    answer.locator(".quote").click()
    expect(alice.page).to_have_url(re.compile("#m[0-9a-f]{64}$"))

    # An edit.
    menu(alice.page, "Walk to the weir").get_by_role("link", name="Edit").click()
    field = alice.page.get_by_label("Edit this message")
    expect(field).to_be_focused()
    field.fill(f"Walk to the mill {word}")
    alice.page.get_by_role("button", name="Save").click()
    for page in (alice.page, bob.page):
        edited = message(page, "Walk to the mill")
        expect(edited.locator(".msg__meta")).to_contain_text("edited", timeout=ARRIVAL)
    expect(message(bob.page, word[::-1]).locator(".quote")).to_be_visible()

    # Taking it back.
    menu(alice.page, "Walk to the mill").get_by_role("link", name="Take back").click()
    alice.page.get_by_role("button", name="Take back").click()
    expect(alice.page.locator(".bubble--gone").last).to_contain_text("You took back a message")
    expect(message(bob.page, "Walk to the mill")).to_have_count(0, timeout=ARRIVAL)
    expect(bob.page.locator(".bubble--gone").last).to_contain_text("took back a message")


def test_what_is_known_of_a_message_takes_the_place_of_its_menu(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    page = (alice := visit("alice")).page
    alice.write_to("bob.test", text=f"Who has this one? {word}")
    opened = menu(page, word)
    opened.get_by_role("link", name="About this message").press("Enter")
    expect(page.locator("#info-title")).to_be_focused()
    expect(opened.locator(".menu__list")).to_be_hidden()


def test_an_open_menu_stays_at_its_message_while_somebody_else_writes(visit: Visit) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice"), visit("bob")
    page = alice.page
    alice.write_to("bob.test", text="\n".join([f"As long as the road {word}"] * 40))
    conversation = page.url
    alice.write(f"Its end {word}")
    opened = menu(page, f"Its end {word}")
    button, listed = opened.locator("summary"), opened.locator(".menu__list")
    before = button.evaluate(TOP)
    bob.write_elsewhere(conversation, "\n".join([f"Another road {word}"] * 12))
    came = message(page, f"Another road {word}")
    expect(came).to_be_attached(timeout=ARRIVAL)
    page.wait_for_timeout(500)
    assert button.evaluate(TOP) == before
    expect(listed).to_be_visible()
    # What came is shown once the menu closes.
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    expect(came.locator(".msg__meta")).to_be_in_viewport(ratio=1)

    # It goes with its button, and closes where that is scrolled away, unless somebody is busy in it; who
    # scrolls up stays there.
    menu(page, f"Its end {word}")
    bob.write_elsewhere(conversation, "\n".join([f"A third road {word}"] * 12))
    expect(message(page, f"A third road {word}")).to_be_attached(timeout=ARRIVAL)
    box = page.locator(".pane--main .pane__scroll", has=page.locator("#thread"))
    listed.get_by_label("Another emoji").focus()
    box.evaluate("box => { box.scrollTop = 0; }")
    page.wait_for_timeout(500)
    expect(listed).to_be_visible()
    button.evaluate("button => button.focus({ preventScroll: true })")
    box.evaluate("box => { box.scrollTop = 5; }")
    expect(listed).to_be_hidden()
    page.wait_for_timeout(500)
    assert box.evaluate("box => box.scrollTop") == 5


def test_a_message_mentions_somebody_is_saved_passed_on_and_disappears(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("carol")
    alice, bob = visit("alice"), visit("bob")
    alice.write_to("bob.test", text=f"Between us {word}")
    with_bob = alice.page.url
    alice.write_to("bob.test", "carol.test", text=f"To both {word}")
    with_both = alice.page.url

    # Typed as far as it has to be; chosen by the key, and by a click.
    field, offered = composer(alice.page), alice.page.get_by_role("group", name="Mention")
    field.press_sequentially("@bo")
    expect(offered.get_by_role("button")).to_have_text(["Bob"])
    field.press("Enter")
    expect(field).to_have_value("@bob.test ")
    expect(offered).to_be_hidden()
    # Accents and case do not count.
    field.press_sequentially("and @CÁR")
    offered.get_by_role("button", name="Carol").click()
    expect(field).to_be_focused()
    field.press_sequentially(f"bring lanterns {word}")
    field.press("Control+Enter")
    expect(message(alice.page, "lanterns").locator(".mention")).to_have_text(["@Bob", "@Carol"])

    bob.open_conversation(with_both)
    expect(message(bob.page, "lanterns").locator(".mention")).to_have_text(
        ["@Bob (you)", "@Carol"], timeout=ARRIVAL
    )
    menu(bob.page, "lanterns").get_by_role("button", name="Save", exact=True).click()
    expect(message(bob.page, "lanterns").locator(".msg__meta")).to_contain_text("saved")
    bob.page.get_by_label(re.compile("^Account menu")).click()
    bob.page.get_by_role("link", name="Saved messages").click()
    kept = bob.page.locator(".saved > li", has_text=word)
    expect(kept).to_contain_text("bring lanterns")
    kept.get_by_role("link", name=re.compile("^Show it in")).click()
    expect(bob.page).to_have_url(re.compile("#m[0-9a-f]{64}$"))
    expect(message(bob.page, "lanterns")).to_be_in_viewport()

    # The menu in a tab of its own.
    tab = bob.another_tab()
    tab.goto(f"/m/{bob.page.url.rpartition('#m')[2]}/menu/")
    tab.get_by_role("button", name="Take off the saved ones").click()
    expect(message(tab, "lanterns").locator(".msg__meta")).not_to_contain_text("saved")
    tab.close()

    menu(bob.page, "lanterns").get_by_role("link", name="Forward").click()
    bob.page.get_by_label("Find a conversation").fill("alice")
    bob.page.keyboard.press("Enter")
    bob.page.get_by_role("checkbox", name="Alice alice.test", exact=True).check()
    bob.page.get_by_role("button", name="Forward", exact=True).click()
    expect(message(bob.page, "lanterns")).to_have_class(re.compile("msg--own"))
    assert urlsplit(bob.page.url).path == urlsplit(with_bob).path

    alice.page.goto(with_bob)
    passed_on = message(alice.page, "bring lanterns")
    expect(passed_on.locator(".msg__meta")).to_contain_text("Signed by bob.test", timeout=ARRIVAL)
    alice.page.get_by_label("Conversation menu").click()
    alice.page.get_by_label("What you write here disappears").select_option("1 day after reading")
    alice.page.get_by_role("button", name="Set", exact=True).click()
    expect(alice.page.locator(".composer")).to_contain_text("disappears 1 day after reading")
    alice.write(f"Gone tomorrow {word}")
    for page in (alice.page, bob.page):
        meta = message(page, f"Gone tomorrow {word}").locator(".msg__meta")
        expect(meta).to_contain_text("disappears", timeout=ARRIVAL)
        meta.get_by_role("link").click()
        expect(page.locator("#side")).to_contain_text("Disappears")
    expect(message(bob.page, "bring lanterns").locator(".msg__meta")).not_to_contain_text("disappears")
    alice.page.goto(with_bob)
    _let_it_stay(alice.page)


def _let_it_stay(page: Page) -> None:
    """What is written from here on does not disappear, as other tests expect."""
    page.get_by_label("Conversation menu").click()
    page.get_by_label("What you write here disappears").select_option("never")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator(".composer")).not_to_contain_text("disappears")


def test_on_a_narrow_screen_the_menu_does_not_lie_over_what_stands_below_the_message(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=NARROWEST)
    word = uuid4().hex[:8]
    alice.write_to("bob.test", text=f"{word} and as many words as fill two lines of this screen")
    height, below = message(alice.page, word).evaluate(_WITH_LONGER_WORDS)
    assert height > 30
    assert below >= 0
