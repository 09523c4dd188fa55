"""What needs no script: reading, writing, and one's devices."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import FirstVisitOf, Visit
from tests.browser.test_every_page import too_wide
from tests.browser.visitors import PHONE, WIDE, composer, message, reload_until


def test_somebody_without_script_writes_and_reads(visit: Visit, first_visit_of: FirstVisitOf) -> None:
    first_visit_of("bob")
    alice = visit("alice", script=False)
    page = alice.page
    page.get_by_role("link", name="New conversation").click()
    page.get_by_label("To", exact=True).fill("bob.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    page.get_by_label("Message", exact=True).fill("written without script")
    page.get_by_label("To", exact=True).fill("nobody.test")
    page.locator("noscript").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#results").get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("written without script")
    page.get_by_label("To", exact=True).fill("")
    page.get_by_role("button", name="Send").click()
    expect(message(page, "written without script")).to_be_visible()
    composer(page).fill("and a second one")
    page.get_by_role("button", name="Send").click()
    expect(message(page, "and a second one")).to_be_visible()
    path = page.url.partition("#")[0]
    page.goto("/")
    expect(page.locator("#convos .row").first).to_contain_text("and a second one")

    bob = visit("bob", script=False)
    bob.page.goto(path)
    reload_until(bob.page, message(bob.page, "and a second one").count)
    bob.excuse("status of 404")
    expect(message(bob.page, "and a second one").locator(".msg__meta")).to_contain_text(
        "Signed by alice.test"
    )
    message(bob.page, "and a second one").locator(".msg__meta").get_by_role("link").click()
    expect(bob.page.get_by_role("heading", name="About this message")).to_be_visible()
    expect(bob.page.locator("#side")).to_contain_text("Signed by a device of alice.test")


def test_messages_are_searched_without_script_and_the_way_back_stays_open(visit: Visit) -> None:
    page = visit("alice", script=False).page
    page.get_by_label("Search messages").fill("heliotrope")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("Nothing found")
    assert page.url.endswith("/search/")
    page.get_by_role("link", name="New conversation").click()
    page.go_back()
    expect(page.locator("#found")).to_contain_text("Nothing found")
    page.go_back()
    expect(page.get_by_label("Search messages")).to_be_visible()
    page.goto("/search/")
    expect(page).to_have_url(re.compile(r"//[^/]+/$"))


def test_the_sign_in_page_leads_on_without_script(visit: Visit) -> None:
    alice = visit("alice", signed_in=False, script=False)
    alice.page.get_by_label("Your handle").fill("alice.test")
    alice.page.get_by_role("button", name="Continue").click()
    # The page that follows goes on by itself; what is there is hers.
    alice.page.wait_for_url("http://localhost:*/oauth/authorize*")


def test_menu_theme_and_devices_work_without_script(visit: Visit) -> None:
    alice = visit("alice", script=False)
    alice.page.get_by_label("Account menu, alice.test").click()
    alice.page.get_by_role("button", name="Dark").click()
    expect(alice.page.locator("html")).to_have_attribute("data-theme", "dark")
    alice.page.get_by_label("Account menu, alice.test").click()
    alice.page.get_by_role("link", name="Devices and keys").click()
    expect(alice.page.get_by_role("link", name="Revoke").first).to_be_visible()


def test_conversations_and_messages_have_their_menus_without_script(
    visit: Visit, first_visit_of: FirstVisitOf
) -> None:
    first_visit_of("bob")
    word = uuid4().hex[:8]
    page = visit("alice", script=False).page
    page.goto("/new/")
    page.get_by_label("To", exact=True).fill("bob.test")
    page.keyboard.press("Enter")
    page.get_by_label("Message", exact=True).fill(f"for the menus {word}")
    page.get_by_role("button", name="Send").click()
    _open_menu_of_message(page, word)
    page.get_by_role("button", name="React with 👍").click()
    expect(message(page, word).locator(".react")).to_contain_text("1")
    _open_menu_of_message(page, word)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(message(page, word).locator(".msg__meta")).to_contain_text("saved")

    page.goto("/")
    row = page.locator("#convos > li", has_text=word)
    # The two have one conversation, and another test may have left it pinned.
    if row.get_by_text("pinned").count():
        _choose_for_row(page, word, "Unpin")
    _choose_for_row(page, word, "Pin to the top")
    expect(page.locator("#convos > li").first).to_contain_text(word)
    expect(row).to_contain_text("pinned")
    _choose_for_row(page, word, "Mute")
    expect(row).to_contain_text("muted")
    _choose_for_row(page, word, "Archive")
    expect(row).to_have_count(0)
    page.get_by_role("link", name="Archived").click()
    for what in ("Unpin", "Unmute"):
        _choose_for_row(page, word, what)
        page.get_by_role("link", name="Archived").click()
    _choose_for_row(page, word, "Back to the list")
    expect(row).to_be_visible()
    expect(row).not_to_contain_text(re.compile("pinned|muted"))


def _choose_for_row(page: Page, words: str, what: str) -> None:
    """By the page that the menu of a row leads to."""
    row = page.locator("#convos > li", has_text=words)
    row.hover()
    row.get_by_role("link", name="Menu of").click()
    expect(page.get_by_role("heading", name="Conversation menu")).to_be_visible()
    page.get_by_role("button", name=what, exact=True).click()
    expect(page.locator("#convos, .empty").first).to_be_visible()


def _open_menu_of_message(page: Page, words: str) -> None:
    one = message(page, words)
    one.hover()
    one.locator(".menu > summary").click()
    one.get_by_role("link", name="What can be done with it").click()
    expect(page.get_by_role("heading", name="Actions for this message")).to_be_visible()


def _take_script_away(route: Route) -> None:
    """Gives a page as it is without script, to a browser that has script: axe's rules are one themselves."""
    answer = route.fetch()
    kind = answer.headers.get("content-type", "")
    if kind.startswith("text/css"):
        sheet = answer.text().replace("(scripting: none)", "all").replace("(scripting: enabled)", "not all")
        return route.fulfill(response=answer, body=sheet)
    if not kind.startswith("text/html"):
        return route.fulfill(response=answer)
    html = re.sub(r"<script\b.*?</script>", "", answer.text(), flags=re.DOTALL)
    return route.fulfill(response=answer, body=re.sub(r"</?noscript>", "", html))


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_pages_without_script_keep_to_the_rules(
    visit: Visit, first_visit_of: FirstVisitOf, viewport: dict[str, int]
) -> None:
    first_visit_of("bob")
    alice = visit("alice", viewport=viewport, service_worker=False)
    page = alice.page
    alice.write_to("bob.test", text=f"keeps to the rules {uuid4().hex[:8]}")
    conversation = page.url
    page.context.route("**/*", _take_script_away)
    page.goto(conversation)
    expect(composer(page)).to_be_visible()
    assert page.evaluate("() => typeof window.htmx") == "undefined"
    of_message = str(message(page, "keeps to the rules").last.get_attribute("id")).removeprefix("m")
    found = {}
    for path in (
        "/",
        "/?filter=archived",
        conversation,
        f"{conversation}menu/",
        f"{conversation}people/",
        f"{conversation}topics/",
        f"/m/{of_message}/menu/",
        f"/m/{of_message}/forward/",
        "/new/",
        "/search/",
        "/devices/",
        "/notifications/",
        "/settings/",
        "/undo-send/",
        "/enter-key/",
        "/who-may-write/",
    ):
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, path
        page.locator("main").first.wait_for()
        found[path] = [*too_wide(page), *violations(page)]
    assert {path: faults for path, faults in found.items() if faults} == {}
