"""Somebody writes for the first time, and their handle imitates that of a person whom one knows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.local_network import NetworkInfo
from tests.browser.conftest import Visit
from tests.browser.first_visit import make_first_visit
from tests.browser.test_every_page import problems_on_each_screen
from tests.browser.visitors import ARRIVAL, PHONE, visitor_at
from tests.services.installations import RunningInstallation
from tests.services.newcomers import newcomer

TEXT = "I lost my phone. Can you send me the door code once more?"


def let_write(page: Page, whom: str) -> None:
    page.goto("/who-may-write/")
    page.get_by_label(whom, exact=False).last.check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")


@pytest.fixture
def only_known_people_write(visit: Visit) -> Iterator[None]:
    """To alice; others ask first."""
    page = visit("alice").page
    let_write(page, "People I have written to")
    yield
    let_write(page, "Everyone")


@pytest.mark.usefixtures("only_known_people_write")
def test_a_handle_that_reads_like_a_known_one_is_pointed_out(
    visit: Visit,
    browser: Browser,
    installation: RunningInstallation,
    local_network: NetworkInfo,
) -> None:
    known, imitator = "carol", "caro1"
    name = local_network.accounts[known].person.display_name
    warning = f"This handle reads like another one. You know {known}.test. This one is {imitator}.test."
    friend, alice = visit(known), visit("alice", viewport=PHONE)
    page = alice.page
    alice.write_to(f"{known}.test", text="The door code is new")
    friend.open_conversation(page.url)
    page.goto("/")

    person = newcomer(local_network, imitator, name).person
    with visitor_at(browser, installation.url, person) as other:
        make_first_visit(other)
        other.write_to("alice.test", text=TEXT)
        expect(other.page.locator("#thread .msg__meta").last).to_contain_text(
            "Their server has it", timeout=ARRIVAL
        )
        assert other.complaints == []

    page.get_by_role("link", name=re.compile("^Requests")).first.click(timeout=ARRIVAL)
    card = page.get_by_role("article").filter(has_text=TEXT)
    expect(card.get_by_role("heading", name=name)).to_be_visible()
    expect(card).to_contain_text(warning)
    assert problems_on_each_screen(page) == []

    # Who they are, before anything is answered.
    card.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name="Where messages reach them")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(warning)
    assert problems_on_each_screen(page) == []

    # Nor is one misled while writing.
    page.goto("/new/")
    page.get_by_label("To", exact=True).press_sequentially(f"{imitator}.test")
    expect(page.locator("#results")).to_contain_text(warning, timeout=ARRIVAL)
    page.goto("/new/")
    page.get_by_label("To", exact=True).press_sequentially(f"{known}.test")
    expect(page.locator("#results .result")).to_contain_text(name, timeout=ARRIVAL)
    expect(page.locator("#results")).not_to_contain_text("reads like")

    page.goto("/requests/")
    card.get_by_role("button", name="Decline").click()
    expect(page.get_by_role("status").last).to_contain_text("You declined")
    page.goto("/")
    expect(page.locator("#list")).not_to_contain_text(TEXT)
