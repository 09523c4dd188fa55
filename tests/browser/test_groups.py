"""Groups: a picture that everybody sees, and one more person, who starts a wider conversation."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble
from tests.webmail.pictures import photo


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_a_picture_and_one_more_person(visit: Visit, viewport: dict[str, int]) -> None:
    word = uuid4().hex[:8]
    carol, bob = visit("carol", viewport=viewport), visit("bob", viewport=viewport)
    alice = visit("alice", viewport=viewport)
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
