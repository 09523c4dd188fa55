"""What people do every day, in the engine that all browsers of an iPhone have."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from demo.local_network import NetworkInfo
from tests.browser.visitors import PHONE, WIDE
from tests.browser.webkit.guest import Guest
from tests.services.installations import wait_until
from tests.services.newcomers import newcomer
from tests.services.webkit import resize
from tests.services.windows import Window
from tests.webmail.pictures import photo

WindowOf = Callable[[str], Window]

#: Whether all of an element is.
_IN_WINDOW = """const { top, bottom, left, right } = arguments[0].getBoundingClientRect();
return top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth"""
#: How far what is in a bubble goes past its lower edge, in pixels.
_OVERHANG = """const bubble = [...document.querySelectorAll("#thread .bubble:has(.picture__image)")].at(-1);
const within = [...bubble.querySelectorAll(":not(.sr)")].map((one) => one.getBoundingClientRect().bottom);
return Math.max(...within) - bubble.getBoundingClientRect().bottom"""
_PIXELS_OF_NEWEST = "return [...document.querySelectorAll('#thread .picture__image')].at(-1).naturalWidth"


@pytest.fixture
def with_bob(alice: Guest, window_of: WindowOf) -> tuple[Guest, Window, str]:
    """Alice in WebKit, Bob elsewhere, and the path of a conversation that he has begun."""
    bob = window_of("bob")
    alice_did = window_of("alice").did
    path = bob.write([alice_did], f"the first of a few {uuid4().hex[:6]}")
    alice.go("/")
    alice.one(f'#convos .row[href="{path}"]')
    return alice, bob, path


def test_who_comes_for_the_first_time_publishes_and_writes(
    guest: Guest, local_network: NetworkInfo, window_of: WindowOf
) -> None:
    bob = window_of("bob")
    name = f"webkit{uuid4().hex[:6]}"
    person = newcomer(local_network, name, "Starter").person
    guest.go("/")
    guest.one("input[name=handle]").send_keys(person.handle)
    guest.press("Continue")
    guest.one("input[type=password]").send_keys(person.password)
    guest.press("Sign in", "form")
    guest.press("Authorize")
    guest.see("What will be published")
    guest.press("Create keys and publish")
    guest.see("Who can read your messages")
    guest.press("Not now")
    guest.press("Write the first message")
    guest.one("#who").send_keys("bob.test")
    guest.press("Add", "#results")
    guest.one("#chips .chip")
    wait_until(lambda: guest.focused().get_attribute("id") == "who")
    guest.one("textarea[name=text]").send_keys("from an apple")
    guest.press("Send", "#picker")
    guest.message("from an apple")
    path = guest.browser.current_url.removeprefix(guest.url).partition("#")[0]
    wait_until(lambda: "from an apple" in bob.texts(path), 30)
    bob.reply(path, "and back at once")
    guest.message("and back at once")


def test_the_menu_of_a_message_is_in_the_window_and_does_what_it_says(
    with_bob: tuple[Guest, Window, str],
) -> None:
    alice, bob, path = with_bob
    for count in range(8):
        bob.reply(path, f"one more line, the {count}th")
    alice.go(path)
    alice.message("the 7th")
    alice.write("mine")
    alice.message("mine")
    for size, text in ((WIDE, "the 5th"), (WIDE, "mine"), (PHONE, "the 7th"), (PHONE, "mine")):
        resize(alice.browser, *size.values())
        menu = alice.open_menu(text)
        wait_until(lambda menu=menu: alice.script(_IN_WINDOW, menu))
        alice.type(Keys.ESCAPE)
    alice.open_menu("the 7th")
    alice.press("React with", ".msg .menu[open] .menu__emoji")
    alice.one(f"{alice.message('the 7th')} .react")
    alice.open_menu("mine")
    alice.press("Edit", ".msg .menu[open]")
    alice.one(".edit textarea").send_keys(" (mended)", Keys.CONTROL + Keys.ENTER)
    wait_until(lambda: "mine (mended)" in bob.texts(path), 30)
    alice.open_menu("mine (mended)")
    alice.press("Take back", ".msg .menu[open]")
    alice.press("Take back", ".msg .ask")
    wait_until(lambda: "mine (mended)" not in bob.texts(path), 30)


def test_the_panes_of_a_conversation_follow_the_width(with_bob: tuple[Guest, Window, str]) -> None:
    alice, _bob, path = with_bob
    alice.go(path)
    alice.message("the first of a few")
    for size, panes in ((PHONE, 1), (WIDE, 2), (PHONE, 1), (WIDE, 2)):
        resize(alice.browser, *size.values())
        assert len(alice.all(".pane")) == panes


def test_a_bubble_with_a_picture_stays_around_it_where_it_gets_narrower(
    with_bob: tuple[Guest, Window, str], tmp_path: Path
) -> None:
    alice, _bob, path = with_bob
    file = tmp_path / "a picture with a name that takes a second line on the screen of a telephone.jpg"
    file.write_bytes(photo((1200, 800)))
    alice.go(path)
    alice.script("return document.querySelector('[data-upload]')").send_keys(str(file))
    wait_until(lambda: alice.all(".upload") and not alice.all(".upload[data-busy]"))
    alice.write("a photo")
    alice.message("a photo")
    alice.one("#thread .picture__image")
    wait_until(lambda: alice.script(_PIXELS_OF_NEWEST) == 1200)
    for width in (1280, 1000, 390):
        resize(alice.browser, width, 800)
        assert alice.script(_OVERHANG) < 0, width


def test_what_was_begun_is_kept_on_leaving_and_shown_as_a_whole(
    with_bob: tuple[Guest, Window, str],
) -> None:
    alice, _bob, path = with_bob
    alice.go(path)
    begun = "the first line\nthe second\nthe third\nand the last"
    alice.script(
        "document.querySelector('#text').focus(); document.execCommand('insertText', false, arguments[0])",
        begun,
    )
    # Long before it would be kept by itself.
    alice.go("/")
    alice.see("Draft:")
    alice.go(path)
    field = alice.one("textarea#text")
    assert field.get_property("value") == begun
    assert field.get_property("scrollHeight") <= field.get_property("clientHeight")
    field.clear()


def test_a_page_that_the_way_back_leads_to_shows_what_came_meanwhile(
    with_bob: tuple[Guest, Window, str],
) -> None:
    alice, bob, path = with_bob
    alice.go(path)
    alice.message("the first of a few")
    alice.script("window.isTheSame = true")
    alice.go("/saved/")
    bob.reply(path, "while she was elsewhere")
    alice.browser.back()
    alice.message("while she was elsewhere")
    assert alice.script("return window.isTheSame"), "loaded anew: this says nothing of pages that are kept"
    bob.reply(path, "and now that she is back")
    alice.message("and now that she is back")


def test_the_list_is_walked_and_a_conversation_opened_with_the_keys(
    with_bob: tuple[Guest, Window, str],
) -> None:
    alice, _bob, _path = with_bob
    alice.type("j")
    # News of the list may put another row in its place, with the focus.
    wait_until(lambda: "row" in str(alice.focused().get_attribute("class")).split())
    alice.type(Keys.ENTER)
    wait_until(lambda: alice.focused().get_attribute("id") == "thread-title")
    alice.type("r")
    assert alice.focused().get_attribute("id") == "text"


def test_the_cross_that_empties_the_search_is_whole(alice: Guest) -> None:
    alice.go("/")
    alice.one("#search").send_keys("to look for")
    field = alice.one("#search").rect
    window = Image.open(BytesIO(alice.browser.get_screenshot_as_png())).convert("L")
    # Inside of the ring around it.
    edge, middle = int(field["x"] + field["width"]), int(field["y"] + field["height"] / 2)
    end = window.crop((edge - 36, middle - 10, edge - 12, middle + 10))
    ink = end.point(lambda light: 255 if light < 140 else 0).getbbox()
    assert ink
    left, top, right, bottom = ink
    assert abs((right - left) - (bottom - top)) <= 1
    x, y = (left + right) // 2, (top + bottom) // 2
    assert max(end.crop((x - 1, y - 1, x + 1, y + 1)).tobytes()) < 140


def test_without_a_network_the_browser_says_so_by_itself(alice: Guest) -> None:
    alice.go("/")
    alice.browser.execute_async_script(
        "const done = arguments[0]; navigator.serviceWorker.ready.then(() => done())"
    )
    alice.pages.is_down = True
    alice.go("/devices/")
    alice.see("No connection")
