"""Being mentioned: in the list, and in the message itself."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, Visitor, message

FORMS = pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])


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


@FORMS
def test_whoever_is_mentioned_sees_it_in_the_list_and_in_the_message(
    visit: Visit, first_visit_of: FirstVisitOf, viewport: dict[str, int]
) -> None:
    word = uuid4().hex[:8]
    first_visit_of("carol")
    alice, bob = visit("alice", viewport=viewport), visit("bob", viewport=WIDE)
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
