"""Being mentioned: in the list, and in the message itself."""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

from playwright.sync_api import Locator, Page, TimeoutError, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, message


def _row_of(page: Page, conversation: str) -> Locator:
    return page.locator(f'#convos .row[href$="/c/{conversation}/"]')


def _begin(alice: Visitor, bob: Visitor, word: str) -> str:
    """The id of a group of both and Carol, which is open at Bob's, and in Alice's list."""
    alice.write_to("bob.test", text=f"Before {word}")
    alice.write_to("bob.test", "carol.test", text=f"To both {word}")
    address = alice.page.url
    alice.page.goto("/")
    bob.open_conversation(address)
    expect(message(bob.page, f"To both {word}")).to_be_visible(timeout=ARRIVAL)
    return address.rstrip("/").rsplit("/", 1)[-1]


def test_whoever_is_mentioned_sees_it_in_the_list_and_in_the_message(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("carol")
    alice, bob = visit("alice", viewport=WIDE), visit("bob", viewport=WIDE)
    row = _row_of(alice.page, _begin(alice, bob, word))

    bob.write(f"The gate is open {word}")
    expect(row).to_contain_text(f"The gate is open {word}", timeout=ARRIVAL)
    expect(row.locator(".mentioned")).to_have_count(0)
    bob.write(f"@alice.test and @carol.test, come {word}")
    expect(row.locator(".mentioned")).to_be_visible(timeout=ARRIVAL)
    expect(row).to_contain_text("mentioned you")
    expect(row.locator(".count")).to_contain_text("2")

    row.click()
    mentions = message(alice.page, f"come {word}").locator(".mention")
    expect(mentions).to_have_text(["@Alice (you)", "@Carol"], timeout=ARRIVAL)
    expect(mentions.first).to_have_class("mention mention--you")
    colours = mentions.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert colours[0] != colours[1]
    alice.page.goto("/")
    expect(row).to_be_visible()
    expect(row.locator(".mentioned")).to_have_count(0)


def test_a_muted_group_says_it_too_and_its_menu_has_the_choice(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("carol")
    alice, bob = visit("alice", viewport=PHONE), visit("bob", viewport=WIDE)
    row = _row_of(alice.page, _begin(alice, bob, word))

    _choose(alice.page, row, "Mute")
    expect(row).to_contain_text("muted", timeout=ARRIVAL)
    bob.write(f"Nothing for you {word}")
    expect(row.locator(".count--quiet")).to_contain_text("1", timeout=ARRIVAL)
    expect(row.locator(".mentioned")).to_have_count(0)
    bob.write(f"@alice.test, this is for you {word}")
    expect(row.locator(".mentioned")).to_be_visible(timeout=ARRIVAL)
    expect(row.locator(".count--quiet")).to_contain_text("2")

    _choose(alice.page, row, "Mute mentions too")
    expect(row).to_contain_text("muted, mentions too", timeout=ARRIVAL)
    _choose(alice.page, row, "Let mentions through")
    # The choice belongs to muting.
    _choose(alice.page, row, "Unmute")
    expect(row).not_to_contain_text("muted", timeout=ARRIVAL)
    expect(row.locator(".mentioned")).to_be_visible()
    conversation = row.get_attribute("href")
    alice.page.goto(f"{conversation}menu/")
    expect(alice.page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    expect(alice.page.get_by_role("button").filter(has_text="mentions")).to_have_count(0)


def _item(row: Locator) -> Locator:
    return row.locator("xpath=..")


def _choose(page: Page, row: Locator, what: str) -> None:
    """In the menu of a row; once more where the list came anew meanwhile, which closes it."""
    menu = _item(row).locator(".row-menu")
    button = _item(row).get_by_role("button", name=what, exact=True)
    for _attempt in range(5):
        _item(row).hover()
        if menu.get_attribute("open") is None:
            menu.locator("summary").click()
        with suppress(TimeoutError), page.expect_response("**/settings/"):
            button.click(timeout=3000)
            return
    raise AssertionError(f"no {what} in the menu")
