"""People whom one knows are chosen by name: with the keys alone, and without script."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import problems_on_each_screen
from tests.browser.visitors import ARRIVAL, WIDE, message


def test_somebody_known_is_chosen_by_name_with_the_keys(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    """In a wide window; the page is looked at on a phone as well."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice", viewport=WIDE)
    page = alice.page
    page.goto("/new/")
    field = page.get_by_role("combobox", name="To", exact=True)
    chips = page.locator("#chips .chip")
    for count, handle in enumerate(("bob.test", "carol.test"), start=1):
        field.press_sequentially(handle)
        page.locator("#results").get_by_role("button", name="Add").click(timeout=ARRIVAL)
        expect(chips).to_have_count(count, timeout=ARRIVAL)
    # What is told of whom one meets leaves room for what is written to them.
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
    page.get_by_label("Message", exact=True).fill("So that you are known")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(message(page, "So that you are known")).to_be_visible()

    page.goto("/new/")
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press_sequentially("BÓ")
    options = page.get_by_role("listbox", name="People you know").get_by_role("option")
    expect(options).to_have_count(1, timeout=ARRIVAL)
    expect(options).to_contain_text("bob.test")
    expect(field).to_have_attribute("aria-expanded", "true")
    assert problems_on_each_screen(page) == []

    field.press("ArrowDown")
    expect(options).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", options.get_attribute("id") or "")
    expect(field).to_be_focused()
    assert problems_on_each_screen(page) == []
    field.press("Enter")
    expect(chips).to_have_count(1, timeout=ARRIVAL)
    expect(chips).to_contain_text("Bob")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    expect(options).to_have_count(0)
    expect(field).to_have_attribute("aria-expanded", "false")

    # Escape leaves what was typed; more of it brings the list back, and whoever is chosen is not in it.
    field.press_sequentially("car")
    expect(options).to_have_count(1, timeout=ARRIVAL)
    field.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_value("car")
    field.press_sequentially("o")
    expect(options).to_contain_text("carol.test", timeout=ARRIVAL)
    options.click()
    expect(chips).to_have_count(2, timeout=ARRIVAL)
    field.press_sequentially("bob")
    expect(page.locator("#results .hint")).to_have_text("Bob is chosen already.", timeout=ARRIVAL)
    field.fill("nobody")
    # While one types it is no mistake yet.
    expect(page.locator("#results .hint")).to_contain_text(
        "You know nobody called “nobody”. Somebody new is found by their whole handle.", timeout=ARRIVAL
    )
    expect(page.locator("#results .error")).to_have_count(0)
    assert problems_on_each_screen(page) == []
    field.press("Enter")
    expect(page.locator("#results").get_by_role("alert")).to_contain_text(
        "You know nobody called", timeout=ARRIVAL
    )
    field.fill("")

    text = "Both by name"
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(message(page, text)).to_be_visible()
    expect(page.locator("#thread-title")).to_contain_text("Bob")
    expect(page.locator("#thread-title")).to_contain_text("Carol")


def test_somebody_known_is_chosen_by_name_without_script(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    visit("alice").start_conversation("bob.test", text="So that you are known")
    page = visit("alice", script=False).page
    page.get_by_role("link", name="New conversation").click()
    page.get_by_label("To", exact=True).fill("bo")
    page.locator("noscript").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#chips .chip")).to_contain_text("Bob")
    page.get_by_label("Message", exact=True).fill("by name, without script")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(message(page, "by name, without script")).to_be_visible()
