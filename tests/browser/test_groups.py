"""Groups: a picture that everybody sees, and one more person, who starts a wider conversation."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.first_visit import visited_without_browser
from tests.browser.test_every_page import lasting, too_wide
from tests.browser.test_taking_back import undo, undo_of_30_seconds
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble
from tests.services.installations import RunningInstallation
from tests.services.newcomers import newcomer
from tests.services.windows import Window
from tests.webmail.pictures import photo

FORMS = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])


def test_a_picture_and_one_more_person(visit: Visit) -> None:
    """Somebody is added in a wide window, and the picture chosen and seen on phones."""
    word = uuid4().hex[:8]
    carol, bob = visit("carol", viewport=PHONE), visit("bob", viewport=WIDE)
    alice = visit("alice", viewport=WIDE)
    alice.write_to("bob.test", text=f"Between the two of us {word}")
    bob.open_conversation(alice.page.url)
    page = alice.page

    # The wider one is another conversation, and the page says why.
    page.get_by_label("Conversation menu").click()
    page.get_by_role("link", name="People", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text(
        "Adding somebody starts a wider conversation, leaving somebody out a narrower one."
    )
    page.get_by_role("link", name="Add people").click()
    expect(page.locator("#chips")).to_contain_text("Bob")
    page.get_by_label("To", exact=True).press_sequentially("carol.test")
    page.locator("#results").get_by_role("button", name="Add").click(timeout=ARRIVAL)
    expect(page.locator("#chips .chip")).to_have_count(2)
    page.get_by_label("Message", exact=True).fill(f"Now there are three of us {word}")
    page.get_by_role("button", name="Send").click()
    expect(bubble(page, f"three of us {word}")).to_be_visible(timeout=ARRIVAL)
    expect(bubble(page, f"two of us {word}")).to_have_count(0)
    wider = page.url
    carol.open_conversation(wider)
    expect(bubble(carol.page, f"three of us {word}")).to_be_visible()
    expect(bubble(carol.page, f"two of us {word}")).to_have_count(0)

    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.get_by_label("Conversation menu").click()
    page.get_by_role("link", name="People, name, picture").click()
    page.get_by_label("Picture of this group").set_input_files(
        {"name": "us.jpg", "mimeType": "image/jpeg", "buffer": photo((300, 200), "JPEG")}
    )
    page.get_by_role("button", name="Use it").click()
    said = carol.page.locator("#thread .event", has_text="Alice changed the picture of this group")
    expect(said.last).to_be_visible(timeout=ARRIVAL)
    carol.page.goto(wider)
    picture = carol.page.locator(".pane--main .pane__head .avatar img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 0


def _problems_on_each_screen(page: Page) -> list[str]:
    """At last on a phone's."""
    problems = []
    for screen in (WIDE, PHONE):
        page.set_viewport_size(screen)  # type: ignore[arg-type]
        problems += [*lasting(too_wide, page), *lasting(violations, page)]
    return problems


def test_somebody_leaves_is_left_alone_and_comes_back(visit: Visit) -> None:
    """On a phone; each page of it is looked at in a wide window as well."""
    word = uuid4().hex[:8]
    visit("carol")
    bob, alice = visit("bob", viewport=WIDE), visit("alice", viewport=PHONE)
    alice.write_to("bob.test", "carol.test", text=f"All of us {word}")
    page, group = alice.page, alice.page.url
    bob.open_conversation(group)

    page.get_by_label("Conversation menu").click()
    page.get_by_role("link", name="People, name, picture").click()
    expect(page.get_by_role("heading", name="Leave this conversation")).to_be_visible()
    assert _problems_on_each_screen(page) == []
    words = page.get_by_label("To tell the others first")
    expect(words).to_have_value("I am leaving this conversation.")
    words.fill(f"I am off {word}")
    page.get_by_role("button", name="Send this and leave").press("Enter")
    expect(page.locator("#pane")).to_contain_text("You left this conversation.")
    expect(page.get_by_role("textbox", name=re.compile("^Message to"))).to_have_count(0)
    assert _problems_on_each_screen(page) == []
    expect(bubble(bob.page, f"I am off {word}")).to_be_visible(timeout=ARRIVAL)

    bob.write(f"Nobody hears this {word}")
    # What comes after it has come, too: it is the same worker's next mail.
    direct = bob.another_tab()
    bob.page, group_page = direct, bob.page
    bob.write_to("alice.test", text=f"Between us {word}")
    row = page.locator("#convos > li", has_text=f"Between us {word}")
    page.goto("/")
    expect(row).to_be_visible(timeout=ARRIVAL)
    expect(page.locator("#convos", has_text=f"Nobody hears this {word}")).to_have_count(0)
    page.goto("/?filter=archived")
    left = page.locator(f'#convos .row[href="{urlsplit(group).path}"]')
    expect(left).to_contain_text("You left this conversation")
    assert _problems_on_each_screen(page) == []
    left.click()
    expect(bubble(page, f"I am off {word}")).to_be_visible()
    expect(bubble(page, f"Nobody hears this {word}")).to_have_count(0)

    page.get_by_role("button", name="Come back").click()
    expect(bubble(page, f"Nobody hears this {word}")).to_be_visible(timeout=ARRIVAL)
    alice.write(f"Here I am again {word}")
    expect(bubble(group_page, f"Here I am again {word}")).to_be_visible(timeout=ARRIVAL)


def test_a_photo_as_a_phone_takes_it_becomes_the_picture_and_one_too_large_is_told(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    """By the web process itself, which holds bodies to a limit before any page looks at them."""
    first_visit_of("bob")
    first_visit_of("carol")
    alice = visit("alice", viewport=PHONE)
    alice.write_to("bob.test", "carol.test", text=f"A picture is coming {uuid4().hex[:8]}")
    people = f"{alice.page.url}people/"
    large = photo((2600, 2000), noisy=True)
    assert len(large) > 2 * 1024 * 1024
    plain = visit("alice", viewport=PHONE, script=False)
    for visitor in (alice, plain):
        page = visitor.page
        page.goto(people)
        field = page.get_by_label("Picture of this group")
        field.set_input_files({"name": "us.jpg", "mimeType": "image/jpeg", "buffer": large})
        page.get_by_role("button", name="Use it").click()
        done = page.get_by_role("status").filter(has_text="The group has that picture now")
        expect(done).to_be_visible(timeout=ARRIVAL)

    # Before any of it goes, where there is script.
    too_large = {"name": "us.png", "mimeType": "image/png", "buffer": bytes(40 * 1024 * 1024)}
    page, field = alice.page, alice.page.get_by_label("Picture of this group")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    field.set_input_files(too_large)
    page.get_by_role("button", name="Use it").click()
    assert "too large" in field.evaluate("field => field.validationMessage")
    assert sent == []
    field.set_input_files({"name": "us.jpg", "mimeType": "image/jpeg", "buffer": photo((300, 200))})
    assert field.evaluate("field => field.validity.valid")

    page = plain.page
    page.get_by_label("Picture of this group").set_input_files(too_large)
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("heading", name="That is too large")).to_be_visible(timeout=ARRIVAL)
    expect(page.get_by_role("main")).to_contain_text("31.0")
    assert too_wide(page) == []
    page.go_back()
    expect(page.get_by_label("Picture of this group")).to_be_visible()
    plain.excuse("status of 413")


@FORMS
def test_a_group_is_named_as_it_is_begun(
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
    viewport: dict[str, int],
) -> None:
    word = uuid4().hex[:8]
    name, text = f"Walk {word}", f"Who comes along {word}"
    first_visit_of("carol")
    # No group with them has a name.
    somebody = newcomer(local_network, f"walks{word}", f"Nina {word}")
    visited_without_browser(Window(installation.url, somebody))
    bob, alice = visit("bob", viewport=viewport), visit("alice", viewport=viewport)
    page = alice.page
    page.goto("/new/")
    field = page.get_by_label("Name of this group")
    _add(page, "bob.test", 1)
    expect(field).to_be_hidden()
    _add(page, somebody.person.handle, 2)
    expect(field).to_be_visible()
    assert (too_wide(page), violations(page)) == ([], [])
    field.fill(name)
    field.press("Enter")
    _add(page, "carol.test", 3)
    expect(field).to_have_value(name)
    page.locator("#chips").get_by_role("button", name="Remove Carol").click()
    expect(page.locator("#chips .chip")).to_have_count(2)
    page.get_by_label("Message", exact=True).fill(text)

    # It is in the draft, and in what was taken back.
    page.goto("/")
    page.get_by_role("link", name=re.compile(f"Draft: {text}")).first.click()
    expect(field).to_have_value(name)
    with undo_of_30_seconds(alice.another_tab(), installation):
        page.get_by_role("button", name="Send", exact=True).click()
        undo(page).click(timeout=ARRIVAL)
        expect(field).to_have_value(name, timeout=ARRIVAL)
        expect(page.get_by_label("Message", exact=True)).to_have_value(text)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(bubble(page, text)).to_be_visible(timeout=ARRIVAL)
    expect(page.locator("#thread .event")).to_contain_text(f"You named this group “{name}”", timeout=ARRIVAL)
    expect(page.locator(".pane--main").get_by_role("heading", name=name)).to_be_visible()
    bob.open_conversation(page.url)
    expect(bob.page.locator(".pane--main").get_by_role("heading", name=name)).to_be_visible(timeout=ARRIVAL)
    expect(bubble(bob.page, text)).to_be_visible()


def _add(page: Page, handle: str, count: int) -> None:
    page.get_by_label("To", exact=True).press_sequentially(handle)
    page.locator("#results").get_by_role("button", name=re.compile("^Add")).click(timeout=ARRIVAL)
    expect(page.locator("#chips .chip")).to_have_count(count)


def test_a_group_is_named_without_script_too(
    visit: Visit,
    installation: RunningInstallation,
    local_network: NetworkInfo,
    first_visit_of: FirstVisitOf,
) -> None:
    word = uuid4().hex[:8]
    for name in ("bob", "carol"):
        first_visit_of(name)
    somebody = newcomer(local_network, f"plain{word}", f"Paula {word}")
    visited_without_browser(Window(installation.url, somebody))
    page = visit("alice", viewport=PHONE, script=False).page
    page.goto("/new/")
    field, to = page.get_by_label("Name of this group"), page.get_by_label("To", exact=True)
    for handle in ("bob.test", somebody.person.handle):
        expect(field).to_be_hidden()
        to.fill(handle)
        to.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(2)
    field.fill(f"Plain walk {word}")
    to.fill("carol.test")
    to.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(3)
    expect(field).to_have_value(f"Plain walk {word}")
    page.get_by_label("Message", exact=True).fill(f"Plainly {word}")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#thread .event")).to_contain_text(f"You named this group “Plain walk {word}”")
