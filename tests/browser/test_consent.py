"""A stranger's message: it waits, is accepted, and the stranger is blocked later, all at real windows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from demo.local_network import NetworkInfo
from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import lasting, problems_on_each_screen, too_wide
from tests.browser.visitors import ARRIVAL, PHONE, WIDE, bubble, reload_until
from tests.services.installations import RunningInstallation

ARE_STRANGERS = (
    "DELETE FROM webmail_contact"
    " WHERE account_id = (SELECT id FROM accounts_account WHERE did = ?) AND did = ?",
    "UPDATE webmail_conversation SET standing = 'request', started_by = ?"
    " WHERE account_id = (SELECT id FROM accounts_account WHERE did = ?)"
    " AND participants LIKE '%' || ? || '%' AND participants NOT LIKE '%' || ? || '%'",
)
AS_BEFORE = (
    "UPDATE webmail_conversation SET standing = 'accepted'"
    " WHERE account_id = (SELECT id FROM accounts_account WHERE did = ?)",
    "UPDATE webmail_consentchoice SET who_may_write = ''"
    " WHERE account_id = (SELECT id FROM accounts_account WHERE did = ?)",
)


@pytest.fixture
def strangers(
    installation: RunningInstallation, local_network: NetworkInfo, visit: Visit, first_visit_of: FirstVisitOf
) -> Iterator[None]:
    """For alice carol is a stranger, whatever tests before this one had them write; what she wrote to bob as
    well stays where it is."""
    alice, bob, carol = (local_network.accounts[name].did for name in ("alice", "bob", "carol"))
    first_visit_of("alice")
    installation.sql(ARE_STRANGERS[0], alice, carol)
    installation.sql(ARE_STRANGERS[1], carol, alice, carol, bob)
    yield
    for statement in AS_BEFORE:
        installation.sql(statement, alice)


def fits(page: Page) -> None:
    for viewport in (PHONE, WIDE):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        assert [*lasting(too_wide, page), *lasting(violations, page)] == []


def make_strangers_ask(page: Page) -> None:
    page.goto("/who-may-write/")
    page.get_by_label("People I have written to", exact=False).last.check()
    page.get_by_role("button", name="Save").click()


def test_a_stranger_waits_is_accepted_and_is_blocked(visit: Visit, strangers: None) -> None:
    alice = visit("alice")
    page = alice.page
    make_strangers_ask(page)
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    fits(page)

    page.goto("/")
    carol = visit("carol")
    carol.start_conversation("alice.test", text="May I join on Saturday? https://garden.example/list")
    expect(carol.page.locator("#thread .msg__meta").last).to_contain_text(
        "Their server has it", timeout=ARRIVAL
    )

    # Her list was open all the time; nothing but the line above it tells of the stranger.
    page.get_by_role("link", name=re.compile("^Requests")).first.click(timeout=ARRIVAL)
    card = page.get_by_role("article").filter(has_text="May I join")
    expect(card).to_contain_text("May I join on Saturday? https://garden.example/list")
    expect(card).to_contain_text("Signature checked")
    expect(card.get_by_role("link", name="garden.example")).to_have_count(0)
    fits(page)
    card.get_by_role("button", name=re.compile("^Accept")).click()
    expect(page.get_by_role("status").last).to_contain_text("You accepted")
    page.get_by_role("link", name="Open it").click()
    expect(bubble(page, "May I join on Saturday?")).to_be_visible()
    alice.write("Of course")
    expect(bubble(carol.page, "Of course")).to_be_visible(timeout=ARRIVAL)

    page.locator("#thread-title a").click()
    expect(page.get_by_role("heading", name="Where messages reach them")).to_be_visible()
    fits(page)
    page.get_by_role("button", name=re.compile("^Block")).click()
    expect(page.get_by_role("heading", name="You block them")).to_be_visible()
    expect(
        page.get_by_role("status").filter(has_text="You blocked Carol. They are not told.")
    ).to_be_visible()
    fits(page)
    carol.write("Which door is it?")
    expect(carol.page.locator("#thread .msg__meta").last).to_contain_text(
        "Their server has it", timeout=ARRIVAL
    )
    set_aside = page.get_by_role("link", name="Show 1 message")
    reload_until(page, set_aside.count)
    set_aside.click()
    expect(page.locator("#aside")).to_contain_text("Which door is it?")
    page.goto("/")
    expect(page.locator("#list")).not_to_contain_text("May I join")
    page.goto("/blocked/")
    fits(page)
    page.get_by_role("button", name=re.compile("^Unblock")).click()
    expect(page.get_by_role("heading", name="You block nobody")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="You no longer block Carol.")).to_be_visible()
    page.goto("/")
    expect(page.locator("#list")).to_contain_text("Which door is it?")


def test_whoever_is_let_in_by_a_choice_shows_who_they_are(visit: Visit, strangers: None) -> None:
    carol, alice = visit("carol"), visit("alice", viewport=PHONE)
    page = alice.page
    page.goto("/who-may-write/")
    page.get_by_label("Everyone").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    text = "I saw your notice"
    carol.start_conversation("alice.test", text=text)
    alice.open_conversation(carol.page.url)
    card = page.get_by_role("region", name="Carol is new to you")
    expect(card).to_contain_text("carol.test")
    expect(card).to_contain_text("localhost")
    reload_until(page, lambda: not card.get_by_text("Not known yet").count())
    expect(card).not_to_contain_text("Not known yet")
    assert problems_on_each_screen(page) == []
    alice.write("Come by")
    # Until it is there the page has still to send it, and would not once it is loaded anew.
    expect(bubble(page, "Come by").last).to_be_visible()
    page.reload()
    expect(bubble(page, text)).to_be_visible()
    expect(card).to_have_count(0)


def test_what_is_known_of_a_stranger_leads_back_to_the_request(visit: Visit, strangers: None) -> None:
    carol, alice = visit("carol"), visit("alice", viewport=PHONE)
    page = alice.page
    make_strangers_ask(page)
    carol.start_conversation("alice.test", text="Is the bench still there?")
    page.goto("/")
    page.get_by_role("link", name="Requests").first.click(timeout=ARRIVAL)
    card = page.locator("article.card", has_text="Is the bench still there?")
    for standing, way in (("Requests", "Requests"), ("Declined", "Declined")):
        expect(page.get_by_role("heading", level=1, name=standing)).to_be_visible()
        card.get_by_role("heading").get_by_role("link").click()
        expect(page.get_by_role("heading", name="Where messages reach them")).to_be_visible()
        page.locator("main").get_by_role("link", name=way).click()
        expect(page).to_have_url(re.compile(r"#r[0-9a-f]+$"))
        expect(card).to_be_in_viewport()
        # With a mistake in between as well.
        card.get_by_role("link", name="Report").click()
        page.get_by_role("button", name="Only make the text").click()
        page.locator("main").get_by_role("link", name=way).click()
        expect(card).to_be_in_viewport()
        if standing == "Requests":
            card.get_by_role("button", name="Decline").click()
            page.goto("/requests/?show=declined")
    alice.excuse("status of 422")


def test_news_from_before_a_request_was_declined_do_not_bring_it_back(visit: Visit, strangers: None) -> None:
    carol, alice = visit("carol"), visit("alice")
    page = alice.page
    make_strangers_ask(page)
    page.goto("/requests/")
    carol.start_conversation("alice.test", text="Do you still have the ladder?")
    # It comes to the page that lies open.
    card = page.locator("article.card", has_text="Do you still have the ladder?")
    expect(card).to_be_visible(timeout=ARRIVAL)
    page.wait_for_load_state("networkidle")

    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if route.request.method == "GET" and not held:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route("**/requests/", hold)
    with page.expect_request("**/requests/"):
        page.evaluate("htmx.trigger(document.body, 'caught-up')")
    for _ in range(ARRIVAL // 100):
        if held:
            break
        page.wait_for_timeout(100)
    card.get_by_role("button", name="Decline").click()
    expect(page.get_by_role("status").filter(has_text="You declined")).to_be_visible()
    ((route, old),) = held
    with page.expect_response("**/requests/"):
        route.fulfill(response=old)
    page.wait_for_timeout(300)
    expect(card).to_have_count(0)
    # Nor do newer ones take away at once what was said of it.
    with page.expect_response("**/requests/"):
        page.evaluate("htmx.trigger(document.body, 'caught-up')")
    page.wait_for_timeout(300)
    expect(page.get_by_role("status").filter(has_text="You declined")).to_be_visible()


def test_while_an_answer_is_on_its_way_no_other_can_be_given(visit: Visit, strangers: None) -> None:
    carol, alice = visit("carol"), visit("alice")
    page = alice.page
    make_strangers_ask(page)
    carol.start_conversation("alice.test", text="Is the shed open?")
    page.goto("/requests/")
    card = page.locator("article.card", has_text="Is the shed open?")
    reload_until(page, card.count)
    held: list[Route] = []
    page.route(re.compile("/requests/.+"), lambda route: held.append(route))
    card.get_by_role("button", name="Decline").click()
    for name in ("Accept", "Decline", "Block"):
        expect(card.get_by_role("button", name=name)).to_be_disabled()
    (route,) = held
    route.continue_()
    expect(page.get_by_role("status").filter(has_text="You declined")).to_be_visible()
