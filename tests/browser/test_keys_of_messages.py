"""Keys while something is done with a message: Esc leaves it, arrows choose whom to mention, and what was
copied is said where everybody sees it."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, composer, message


def _choose(page: Page, text: str, role: str, name: str) -> None:
    one = message(page, text).last
    one.locator(".menu > summary").press("Enter")
    one.locator(".menu__list").get_by_role(role, name=name, exact=True).press("Enter")  # type: ignore[arg-type]


def test_escape_leaves_a_reply_and_an_edit(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.start_conversation("bob.test", text=f"Begun {word}")
    expect(message(page, word)).to_be_visible()
    _choose(page, word, "link", "Reply")
    expect(page.locator("#composer-reply .quote")).to_contain_text(f"Begun {word}")
    field = composer(page)
    expect(field).to_be_focused()
    field.press_sequentially("half an answer")
    # Of a menu beside it the key closes that alone.
    later = page.locator(".composer .later").first
    later.locator("summary").press("Enter")
    expect(later.locator(".menu__list")).to_be_visible()
    page.keyboard.press("Escape")
    expect(later.locator(".menu__list")).to_be_hidden()
    expect(page.locator("#composer-reply .quote")).to_contain_text(f"Begun {word}")
    field.press("Escape")
    expect(page.locator("#composer-reply .quote")).to_have_count(0)
    expect(field).to_be_focused()
    expect(field).to_have_value("half an answer")
    # Then it leaves the field, in which other keys are letters.
    field.press("Escape")
    expect(field).not_to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("leave a reply, an edit or the field")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    expect(field).to_have_value("half an answer")
    field.fill("")

    _choose(page, word, "link", "Edit")
    editing = page.get_by_label("Edit this message")
    expect(editing).to_be_focused()
    editing.press("Escape")
    expect(editing).to_have_count(0)
    expect(message(page, word).locator(".menu > summary")).to_be_focused()
    # What was typed is not gone by one key.
    _choose(page, word, "link", "Edit")
    editing.press("Control+End")
    editing.press_sequentially(" and more")
    editing.press("Escape")
    leave = page.get_by_role("link", name="Leave it as it was")
    expect(leave).to_be_focused()
    expect(editing).to_have_value(f"Begun {word} and more")
    leave.press("Escape")
    expect(editing).to_have_count(0)


def test_what_was_copied_is_said_to_everybody(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    word = uuid4().hex[:8]
    first_visit_of("bob")
    alice = visit("alice", viewport=PHONE)
    alice.use_clipboard()
    page = alice.page
    alice.start_conversation("bob.test", text=f"Begun {word}")
    expect(page.locator("#copied")).to_be_hidden()
    _choose(page, word, "button", "Copy text")
    copied = page.get_by_role("status").get_by_text("The text is copied.")
    expect(copied).to_be_in_viewport()
    assert (page.evaluate("navigator.clipboard.readText()")) == f"Begun {word}"
    assert violations(page) == []
    expect(page.locator("#copied")).to_be_hidden(timeout=ARRIVAL)


def test_whom_to_mention_is_chosen_with_the_arrows(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    for name in ("bob", "carol"):
        first_visit_of(name)
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    alice.start_conversation("bob.test", "carol.test", text=f"To both {uuid4().hex[:8]}")
    field, offered = composer(page), page.get_by_role("group", name="Mention")
    field.press_sequentially("@")
    expect(offered.get_by_role("button")).to_have_count(2)
    names = offered.get_by_role("button").all_inner_texts()
    field.press("ArrowDown")
    expect(offered.get_by_role("button", name=names[0])).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    expect(offered.get_by_role("button", name=names[1])).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_have_value(f"@{names[1].lower()}.test ")
    expect(field).to_be_focused()
    # What is typed meanwhile goes on in the field, and Esc goes back to it. The key that confirms a
    # composition in Safari (229) chooses nobody.
    field.press_sequentially("@")
    expect(offered.get_by_role("button")).to_have_count(2)
    field.evaluate(
        """field => field.dispatchEvent(new KeyboardEvent("keydown",
            { key: "Enter", keyCode: 229, bubbles: true, cancelable: true }))"""
    )
    expect(field).to_have_value(f"@{names[1].lower()}.test @")
    field.press("ArrowUp")
    expect(offered.get_by_role("button", name=names[1])).to_be_focused()
    page.keyboard.type(names[0][0].lower())
    expect(field).to_be_focused()
    expect(offered.get_by_role("button")).to_have_text([names[0]])
    field.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(offered).to_be_hidden()
    expect(field).to_be_focused()
