"""Two people who compare numbers, and a further device of one of them afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, PHONE, bubble, message
from tests.services.installations import RunningInstallation
from tests.services.new_device import NewDevice


@pytest.fixture(autouse=True)
def nothing_stays(installation: RunningInstallation) -> Iterator[None]:
    """The others who come here have compared nothing, and know of no device that is gone again."""
    yield
    installation.sql("DELETE FROM webmail_verification")
    installation.a_day_passes()


def number_on(page: Page) -> str:
    return " ".join(page.get_by_role("group", name="Number to compare").locator("span").all_inner_texts())


def sign_on(page: Page) -> str | None:
    """What alone is shown of it on a phone, apart from its colour."""
    return page.locator("#compared use").get_attribute("href")


def test_a_further_device_after_comparing_stops_what_is_sent_until_somebody_looks(
    visit: Visit,
    installation: RunningInstallation,
    new_device: Callable[[str], NewDevice],
) -> None:
    """Alice reads the number at her desk, Bob on a phone, and she reads what changed on both."""
    alice, bob = visit("alice"), visit("bob", viewport=PHONE, touch=True)
    alice.write_to("bob.test", text="Let us compare numbers")
    conversation = alice.page.url
    bob.open_conversation(conversation)
    not_compared = sign_on(bob.page)
    for visitor, name in ((alice, "Bob"), (bob, "Alice")):
        visitor.page.get_by_role("link", name=f"Compare keys with {name}").click()
        expect(visitor.page.get_by_role("heading", name=f"Compare keys with {name}")).to_be_visible()
    number = number_on(alice.page)
    assert re.fullmatch(r"([0-9]{5} ){11}[0-9]{5}", number)
    assert number_on(bob.page) == number
    expect(alice.page.get_by_role("img", name="Code of your keys")).to_have_js_property("complete", True)
    assert (
        alice.page.get_by_role("img", name="Code of your keys").evaluate("image => image.naturalWidth") > 100
    )
    for visitor in (alice, bob):
        assert violations(visitor.page) == []

    alice.page.get_by_role("button", name="They match").click()
    expect(alice.page).to_have_url(conversation)
    expect(alice.page.get_by_role("link", name="Compared keys with Bob")).to_be_visible()
    assert sign_on(alice.page) != not_compared
    alice.write("Still the same device")
    expect(message(alice.page, "Still the same").locator(".msg__meta")).to_contain_text(
        "Their server has it", timeout=ARRIVAL
    )

    phone = visit("alice", viewport=PHONE, touch=True)
    phone.open_conversation(conversation)
    new_device("bob")
    installation.a_day_passes()
    alice.write("For you alone")
    meta = message(alice.page, "For you alone").locator(".msg__meta")
    expect(meta).to_contain_text("Waits until you look at the keys of Bob", timeout=ARRIVAL)
    notices = [visitor.page.locator("#keys-to-look-at") for visitor in (alice, phone)]
    for visitor, notice in zip((alice, phone), notices, strict=True):
        expect(notice).to_contain_text("Bob has a device that you have not compared.", timeout=ARRIVAL)
        expect(notice).to_contain_text("A message waits here until you have looked.")
        expect(visitor.page.locator("#thread")).to_contain_text("Bob has a new device")
        assert violations(visitor.page) == []
    alice.page.locator("#thread-title a").click()
    history = alice.page.get_by_role("region", name="What changed")
    expect(history.locator("li").first).to_contain_text("new device")
    alice.page.go_back()

    notices[0].get_by_role("link", name="Compare again").click()
    assert number_on(alice.page) != number
    bob.page.reload()
    assert number_on(bob.page) == number
    alice.page.goto(conversation)
    notices[1].get_by_role("button", name="Send anyway").tap()
    expect(notices[1]).to_be_empty()
    expect(notices[0]).to_be_empty(timeout=ARRIVAL)
    expect(meta).to_contain_text("Their server has it", timeout=ARRIVAL)
    expect(alice.page.get_by_role("link", name="Compare keys with Bob")).to_be_visible()
    bob.page.goto(conversation)
    expect(bubble(bob.page, "For you alone")).to_be_visible(timeout=ARRIVAL)


def test_the_code_is_pasted_without_script(visit: Visit) -> None:
    alice = visit("alice", script=False)
    bob = visit("bob")
    bob.write_to("alice.test", text="To compare by code")
    bob.page.get_by_role("link", name="Compare keys with Alice").click()
    code = bob.page.locator("pre.raw").text_content() or ""
    (code,) = re.findall(r"waxwing-keys/1 .*", code)
    alice.page.goto(bob.page.url.replace(*reversed_dids(code, bob.page.url)))
    alice.page.get_by_label("Text of their code").fill("nonsense")
    alice.page.get_by_role("button", name="Compare the codes").click()
    expect(alice.page.get_by_role("alert")).to_contain_text("not the code of the two of you")
    alice.page.get_by_label("Text of their code").fill(code)
    alice.page.get_by_role("button", name="Compare the codes").click()
    expect(alice.page.locator(".notice--good")).to_contain_text("they match")
    alice.page.get_by_role("link", name="Back").click()
    expect(alice.page.get_by_role("link", name="Compared keys with Bob")).to_be_visible()
    alice.excuse("status of 422")


def reversed_dids(code: str, url: str) -> tuple[str, str]:
    """The DID in the address, and the other one of the code."""
    dids = code.split()[1::2]
    here = next(did for did in dids if did in url)
    return here, next(did for did in dids if did != here)
