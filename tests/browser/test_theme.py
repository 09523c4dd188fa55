"""Another theme, which comes at once, and what the pointer colours, which fades."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, message
from tests.services.chromium import need_chromium

#: Milliseconds after which nothing fades any more.
SETTLED = 500
COLOURS = """() => [...document.querySelectorAll("body *")].map((one) => {
  const { backgroundColor, color } = getComputedStyle(one);
  return `${one.tagName}.${one.className} ${color} on ${backgroundColor}`;
})"""
HEAR_OF_FADING = """() => {
  window.faded = [];
  addEventListener("transitionrun", ({ target }) => {
    window.faded.push(...target.getAnimations().map((each) => each.effect.getTiming().duration));
  });
}"""

INK_OF_LIGHT = """() => {
  const one = document.body.appendChild(Object.assign(document.createElement("i"), { className: "bubble" }));
  document.documentElement.dataset.theme = "light";
  const { color } = getComputedStyle(one);
  document.documentElement.dataset.theme = "dark";
  one.remove();
  return color;
}"""


def test_no_surface_keeps_the_colour_of_the_theme_before(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="Is it dark where you are?")
    expect(message(page, "Is it dark").locator(".msg__meta").last).to_contain_text(
        "Their server has it", timeout=ARRIVAL
    )
    page.mouse.move(0, 0)
    # Without a network no news of the list or the message come between two looks.
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    page.wait_for_timeout(SETTLED)
    before = page.evaluate(COLOURS)
    at_once = page.evaluate(
        f"() => {{ document.documentElement.dataset.theme = 'dark'; return ({COLOURS})(); }}"
    )
    page.wait_for_timeout(SETTLED)
    assert at_once == page.evaluate(COLOURS)
    assert at_once != before
    alice.excuse("ERR_INTERNET_DISCONNECTED", "htmx:")


@pytest.mark.parametrize(("still", "milliseconds"), [(False, 120), (True, 1)], ids=["moving", "still"])
def test_what_the_pointer_colours_fades(visit: Visit, still: bool, milliseconds: int) -> None:
    page = visit("alice", still=still).page
    new = page.get_by_role("link", name="New", exact=True).first
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLED)
    page.evaluate(HEAR_OF_FADING)
    at_rest = new.evaluate("element => getComputedStyle(element).backgroundColor")
    new.hover()
    expect(new).not_to_have_css("background-color", at_rest)
    page.mouse.move(0, 0)
    expect(new).to_have_css("background-color", at_rest)
    assert page.evaluate("Math.max(...window.faded)") == milliseconds


def test_one_may_go_back_to_the_theme_of_the_system(visit: Visit) -> None:
    page = visit("alice").page
    root, account = page.locator("html"), page.get_by_label("Account menu, alice.test")
    account.click()
    back = page.get_by_role("button", name="Theme of the system")
    expect(back).to_have_count(0)
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(root).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-theme", "dark")
    account.click()
    back.click()
    need_chromium(page.context.browser, "a dark system")
    for scheme, offered in (("light", "Dark"), ("dark", "Light")):
        page.emulate_media(color_scheme=scheme)
        expect(root).to_have_css("color-scheme", "light dark")
        page.reload()
        assert root.get_attribute("data-theme") is None
        account.click()
        expect(page.get_by_role("button", name=offered, exact=True)).to_be_visible()
        expect(back).to_have_count(0)


def test_paper_has_dark_letters_and_the_whole_page(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice = visit("alice")
    page = alice.page
    alice.write_to("bob.test", text="\n".join(f"Line {number} of many" for number in range(60)))
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    bubble = message(page, "Line 59 of many").locator(".bubble")
    page.emulate_media(media="print")
    assert bubble.evaluate("element => getComputedStyle(element).color") == page.evaluate(INK_OF_LIGHT)
    # The page ends where its last message does, and not where the window did.
    page.evaluate("scrollTo(0, 0)")
    box = bubble.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert page.evaluate("document.documentElement.scrollHeight") >= box["y"] + box["height"]
    for left_out in ("#convos", ".composer", ".topbar"):
        expect(page.locator(left_out).first).to_be_hidden()


def test_the_server_keeps_the_theme_as_well(visit: Visit) -> None:
    """Some browsers forget after a week what a script has kept."""
    page = visit("alice").page
    page.get_by_label("Account menu, alice.test").click()
    for name, kept in (("Dark", "theme=dark; "), ("Theme of the system", 'theme=""; ')):
        with page.expect_response("**/theme/") as answer:
            page.get_by_role("button", name=name, exact=True).click()
        assert kept in answer.value.all_headers()["set-cookie"]
