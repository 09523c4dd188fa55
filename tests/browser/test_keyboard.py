"""Everything by the keys alone, with a focus that can be seen."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, composer, message


def press_until(page: Page, key: str, selector: str, *, at_most: int = 30) -> None:
    """Presses the key until the focus is on what the selector means, and each stop on the way shows it."""
    for _press in range(at_most):
        page.keyboard.press(key)
        assert focus_is_visible(page), page.evaluate("document.activeElement.outerHTML.slice(0, 300)")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by {at_most} presses of {key}")


def focus_is_visible(page: Page) -> bool:
    """Whether the focused element, or the box that stands for it, has an outline and is within the window."""
    seen: bool = page.evaluate(
        """() => {
          const element = document.activeElement;
          if (element === document.body) return true;
          const rings = [element, element.closest(".composer__box")].filter(Boolean);
          const ringed = rings.some((one) => {
            const style = getComputedStyle(one);
            return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
          });
          const box = element.getBoundingClientRect();
          return ringed && box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight;
        }"""
    )
    return seen


def test_signing_in_starts_in_the_field(visit: Visit) -> None:
    alice = visit("alice", signed_in=False)
    expect(alice.page.get_by_label("Your handle")).to_be_focused()
    assert focus_is_visible(alice.page)
    alice.page.keyboard.type("alice.test")
    alice.page.keyboard.press("Enter")
    alice.page.wait_for_url(re.compile("/oauth/authorize"))


def test_the_first_stop_skips_to_the_content(visit: Visit) -> None:
    alice = visit("alice")
    alice.page.keyboard.press("Tab")
    skip = alice.page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    assert focus_is_visible(alice.page)
    alice.page.keyboard.press("Enter")
    assert alice.page.url.endswith("#main")
    # The next stop is inside the content.
    alice.page.keyboard.press("Tab")
    assert alice.page.evaluate("document.getElementById('main').contains(document.activeElement)")


def test_a_conversation_is_begun_opened_and_answered_by_keys(visit: Visit) -> None:
    bob = visit("bob")
    alice = visit("alice")
    page = alice.page
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/new/"))
    expect(page.get_by_label("To", exact=True)).to_be_focused()
    page.keyboard.type("bob.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1, timeout=ARRIVAL)
    press_until(page, "Tab", "textarea[name=text]")
    page.keyboard.type("By the keys alone")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("/c/"))
    expect(message(page, "By the keys alone")).to_be_visible()

    expect(bob.page.locator("#convos .row").first).to_contain_text("By the keys alone", timeout=ARRIVAL)
    press_until(bob.page, "Tab", "#convos .row")
    bob.page.keyboard.press("Enter")
    bob.page.wait_for_url(re.compile("/c/"))
    # However long the thread is, the field is three stops away, or one letter.
    press_until(bob.page, "Tab", ".skip[href='#text']", at_most=2)
    bob.page.keyboard.press("Enter")
    expect(composer(bob.page)).to_be_focused()
    assert focus_is_visible(bob.page)
    bob.page.reload()
    bob.page.keyboard.press("r")
    expect(composer(bob.page)).to_be_focused()
    expect(composer(bob.page)).to_have_value("")
    bob.page.keyboard.type("Heard")
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.type("and answered")
    bob.page.keyboard.press("Control+Enter")
    expect(message(bob.page, "Heard\nand answered").locator(".text")).to_have_text(
        "Heard\nand answered", use_inner_text=True
    )
    expect(composer(bob.page)).to_be_focused()


def test_letters_move_in_the_list_but_not_while_writing(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    page = alice.page
    alice.start_conversation("bob.test", text="one")
    alice.start_conversation("carol.test", text="two")
    page.goto("/")
    rows = page.locator("#convos .row")
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    assert focus_is_visible(page)
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/c/"))
    composer(page).focus()
    page.keyboard.type("jck")
    expect(composer(page)).to_have_value("jck")
    assert "/c/" in page.url


def test_a_key_for_a_row_is_heard_while_news_of_the_list_come(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    """Its menu is fetched first, and the list is asked for anew meanwhile."""
    first_visit_of("bob")
    alice = visit("alice")
    page = alice.page
    alice.start_conversation("bob.test", text="Quiet, or not")
    page.goto("/")
    row = page.locator("#convos > li", has_text="Quiet, or not")
    held: list[Route] = []
    page.route("**/menu/", lambda route: held.append(route))
    page.keyboard.press("j")
    expect(row.locator(".row")).to_be_focused()
    with page.expect_request("**/menu/"):
        page.keyboard.press("m")
    with page.expect_response(re.compile("/list/")):
        page.evaluate("htmx.trigger(document.body, 'conversations')")
    for route in held:
        route.continue_()
    expect(row).to_contain_text("muted", timeout=ARRIVAL)
    page.unroute("**/menu/")
    # htmx takes what it has just put there into its hands a moment later.
    page.wait_for_timeout(500)
    page.keyboard.press("m")
    expect(row).not_to_contain_text("muted", timeout=ARRIVAL)


def test_a_search_leaves_the_address_and_the_history_alone(visit: Visit) -> None:
    page = visit("alice").page
    address = page.url
    entries = page.evaluate("history.length")
    page.get_by_label("Search messages").press_sequentially("heliotrope")
    page.get_by_text("Nothing found").wait_for()
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("Nothing found")
    assert (page.url, page.evaluate("history.length")) == (address, entries)
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state])")
    assert "heliotrope" not in kept
    assert "Nothing found" not in kept


def test_the_list_of_keys_shows_its_beginning_each_time(visit: Visit) -> None:
    """The focus is on what closes it, which is at its end."""
    page = visit("alice").page
    page.set_viewport_size({"width": 1280, "height": 500})
    sheet = page.locator("#keys")
    for _ in range(2):
        page.keyboard.press("?")
        expect(sheet.locator("kbd").first).to_be_in_viewport(ratio=1)
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
