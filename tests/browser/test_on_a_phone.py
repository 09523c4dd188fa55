"""A phone in the hand: screens that are low, lower below their keyboard, and touched."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import PHONE, ZOOMED, bubble, composer, message

#: What the bars of its browser leave of a phone, upright and lying.
LOW = {"width": 375, "height": 553}
LYING = {"width": 844, "height": 390}
SMALL = {"width": 360, "height": 640}
#: The same with the keyboard of the screen.
SMALL_WITH_KEYBOARD = {"width": 360, "height": 380}
WITH_KEYBOARD = {"width": 390, "height": 450}


def _scroll_to_its_end(page: Page, menu: Locator) -> None:
    """As a finger does, which scrolls only what people can scroll."""
    menu.hover(position={"x": 20, "y": 20})
    page.mouse.wheel(0, 2000)


def test_everything_in_a_menu_is_reached_on_a_low_screen(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=LOW, touch=True)
    page = alice.page
    alice.write_to("bob.test", text="How long is this menu?")
    page.get_by_label("Conversation menu").tap()
    menu = page.locator(".pane__head .menu__list")
    _scroll_to_its_end(page, menu)
    expect(menu.get_by_role("button", name="Set")).to_be_in_viewport(ratio=1)

    page.goto("/")
    page.get_by_label(re.compile("^Account menu")).tap()
    menu = page.locator(".topbar .menu__list")
    _scroll_to_its_end(page, menu)
    expect(menu.get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)


def test_a_menu_closes_where_a_finger_makes_no_click(visit: Visit) -> None:
    """On an iPhone it makes none on what is neither link nor button."""
    page = visit("alice", viewport=PHONE).page
    page.get_by_label(re.compile("^Account menu")).tap()
    menu = page.locator(".topbar .menu__list")
    page.locator(".topbar .menu__who").dispatch_event("pointerup", {"pointerType": "touch"})
    expect(menu).to_be_visible()
    page.get_by_role("heading", name="Inbox").dispatch_event("pointerup", {"pointerType": "touch"})
    expect(menu).to_be_hidden()


def test_everything_in_the_menu_of_a_message_is_reached_on_a_phone_that_lies(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=LYING, touch=True)
    page = alice.page
    alice.write_to("bob.test", text="How low is this screen?")
    menu = message(page, "How low is this screen?").locator(".menu")
    menu.locator("summary").tap()
    last = menu.get_by_role("link", name="Delete for me")
    expect(last).to_be_visible()
    _scroll_to_its_end(page, menu.locator(".menu__list"))
    expect(last).to_be_in_viewport(ratio=1)
    last.tap()
    expect(page.locator(".ask").get_by_role("button")).to_be_in_viewport(ratio=1)


def test_the_keyboard_of_a_small_phone_leaves_the_composer_in_sight(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=SMALL, touch=True)
    page = alice.page
    alice.write_to("bob.test", text="\n".join(f"Line {n}" for n in range(40)))
    alice.write("Last before the keyboard")
    last = bubble(page, "Last before the keyboard")
    expect(last).to_be_in_viewport(ratio=1)
    # Without this the keyboard lies over the page, which is not told.
    expect(page.locator("meta[name=viewport]")).to_have_attribute(
        "content", re.compile("interactive-widget=resizes-content")
    )
    composer(page).tap()
    page.set_viewport_size(SMALL_WITH_KEYBOARD)  # type: ignore[arg-type]
    expect(composer(page)).to_be_in_viewport(ratio=1)
    expect(page.locator(".composer [data-send]").first).to_be_in_viewport(ratio=1)
    expect(last).to_be_in_viewport(ratio=1)
    # However long the text, the thread can be read.
    note = page.get_by_text("Signed by you, sealed to")
    expect(note).to_be_hidden()
    composer(page).fill("\n".join(f"Line {n} above the keyboard" for n in range(20)))
    for size in (SMALL_WITH_KEYBOARD, WITH_KEYBOARD, ZOOMED):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        place = page.locator(".composer").bounding_box()
        assert place
        assert place["height"] <= 0.4 * size["height"], size
        expect(page.locator(".composer [data-send]").first).to_be_visible()
    page.set_viewport_size(SMALL)  # type: ignore[arg-type]
    expect(note).to_be_visible()
    composer(page).fill("")
    expect(last).to_be_in_viewport(ratio=1)


def test_the_keyboard_stays_while_somebody_goes_on_writing_by_touch(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    """It belongs to the field that has the focus."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice", viewport=PHONE, touch=True)
    page = alice.page
    alice.write_to("bob.test", "carol.test", text="Who writes with a finger?")
    field = composer(page)
    field.tap()
    field.press_sequentially("Me @ca")
    page.locator("#mentions").get_by_role("button", name="Carol").tap()
    expect(field).to_be_focused()
    expect(field).to_have_value("Me @carol.test ")
    page.get_by_role("button", name="Send", exact=True).tap()
    expect(bubble(page, "Me @Carol")).to_be_visible()
    expect(field).to_be_focused()
    field.press_sequentially("and again")
    page.get_by_role("button", name="Send", exact=True).tap()
    expect(bubble(page, "and again")).to_be_visible()
