"""The walks that matter most, in Firefox: a first visit, a talk of two, a picture, a draft, the way back.

`pytest --browser=firefox tests/browser` takes every other walk there as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Playwright, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.first_visit import make_first_visit
from tests.browser.test_message_actions import menu, message
from tests.browser.visitors import ARRIVAL, PHONE, composer, foreign_hosts, visitor_at
from tests.services.firefox import firefox
from tests.services.installations import RunningInstallation
from tests.services.newcomers import newcomer
from tests.webmail.pictures import photo


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Firefox, whatever the other tests run in."""
    with firefox(playwright) as running:
        yield running


def test_somebody_new_signs_in_makes_keys_and_comes_to_the_inbox(
    browser: Browser, installation: RunningInstallation, local_network: NetworkInfo
) -> None:
    person = newcomer(local_network, "fox-starter", "Fox").person
    with visitor_at(browser, installation.url, person) as fox:
        visit = make_first_visit(fox)
    assert visit.complaints == []
    assert foreign_hosts([fox], installation.url, installation.url_by_number, local_network.pds_url) == set()


def test_two_write_answer_react_change_and_take_back_before_each_others_eyes(visit: Visit) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice"), visit("bob", viewport=PHONE)
    alice.start_conversation("bob.test", text=f"Walk to the weir {word}")

    # It comes into the list of an open page, and opens from there.
    row = bob.page.locator(f'#convos .row[href="{urlsplit(alice.page.url).path}"]')
    expect(row).to_contain_text(word, timeout=ARRIVAL)
    row.click()
    expect(message(bob.page, word).locator(".msg__meta")).to_contain_text("Signed by alice.test")

    menu(bob.page, word).get_by_role("button", name=re.compile("👍")).click()
    expect(message(alice.page, word).locator(".react")).to_contain_text("1", timeout=ARRIVAL)

    bob.page.bring_to_front()
    message(bob.page, word).locator(".menu > summary").focus()
    bob.page.keyboard.press("q")
    expect(bob.page.locator("#composer-reply")).to_contain_text(word)
    expect(composer(bob.page)).to_be_focused()
    bob.write(f"At four? {word[::-1]}")
    expect(message(alice.page, word[::-1]).locator(".quote")).to_contain_text(word, timeout=ARRIVAL)

    # An empty field leads up to what one wrote last. Of all windows of Firefox one alone has the focus.
    alice.page.bring_to_front()
    composer(alice.page).press("ArrowUp")
    field = alice.page.get_by_label("Edit this message")
    expect(field).to_be_focused()
    field.fill(f"Walk to the mill {word}")
    field.press("Control+Enter")
    for page in (alice.page, bob.page):
        expect(message(page, "to the mill").locator(".msg__meta")).to_contain_text("edited", timeout=ARRIVAL)

    menu(alice.page, "to the mill").get_by_role("link", name="Take back").click()
    alice.page.get_by_role("button", name="Take back").click()
    expect(message(bob.page, "to the mill")).to_have_count(0, timeout=ARRIVAL)
    expect(bob.page.locator(".bubble--gone").last).to_contain_text("took back a message")


def test_a_picture_arrives_and_what_is_begun_is_kept(visit: Visit) -> None:
    word = uuid4().hex[:8]
    alice, bob = visit("alice"), visit("bob")
    alice.write_to("bob.test", text=f"Pictures {word}")
    page, conversation = alice.page, urlsplit(alice.page.url).path
    page.locator("input[type=file]").set_input_files(
        {"name": "weir.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    expect(page.locator("#files .upload:not([data-busy])")).to_contain_text("encrypted")
    alice.write(f"The weir {word}")
    bob.page.goto(conversation)
    picture = message(bob.page, f"The weir {word}").locator("img.picture__image")
    expect(picture).to_be_visible(timeout=ARRIVAL)
    bob.page.wait_for_function("image => image.naturalWidth === 640", arg=picture.element_handle())

    # The page is left in the very moment.
    composer(page).press_sequentially(f"half a thought {word}")
    page.goto("/")
    row = page.locator(f'#convos .row[href="{conversation}"]')
    expect(row).to_contain_text(f"Draft: half a thought {word}", timeout=ARRIVAL)
    row.click()
    expect(composer(page)).to_have_value(f"half a thought {word}")
    composer(page).fill("")


def test_the_way_back_leads_to_the_conversation_that_the_list_marks(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice")
    page = alice.page
    paths = []
    for handle in ("bob.test", "carol.test"):
        alice.write_to(handle, text="There and back")
        paths.append(urlsplit(page.url).path)
    page.goto("/")
    for path in paths:
        page.locator(f'#convos .row[href="{path}"]').click()
        page.wait_for_url(f"**{path}")
        expect(message(page, "There and back").last).to_be_visible()
    page.evaluate("window.samePage = true")
    page.go_back()
    page.wait_for_function("() => window.htmx && !window.samePage")
    with page.expect_response(lambda answer: "in_view=" in answer.url):
        page.evaluate("htmx.trigger(document.body, 'conversations')")
    expect(page.locator("#open")).to_have_value(paths[0].split("/")[-2])
    expect(page.locator("#convos [aria-current]")).to_have_attribute("href", paths[0])
