"""What needs no script: reading, writing, and one's devices."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitors import ARRIVAL, composer, message


def test_somebody_without_script_writes_and_reads(visit: Visit) -> None:
    visit("bob")
    alice = visit("alice", script=False)
    page = alice.page
    page.get_by_role("link", name="New conversation").click()
    page.get_by_label("To", exact=True).fill("bob.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    page.get_by_label("Message", exact=True).fill("written without script")
    page.get_by_label("To", exact=True).fill("nobody.test")
    page.locator("noscript").get_by_role("button", name="Add").click()
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
    for _attempt in range(ARRIVAL // 1000):
        bob.page.goto(path)
        if "and a second one" in bob.page.content():
            break
        bob.page.wait_for_timeout(1000)
    expect(message(bob.page, "and a second one").locator(".msg__meta")).to_contain_text(
        "Signed by alice.test"
    )
    message(bob.page, "and a second one").locator(".msg__meta").get_by_role("link").click()
    expect(bob.page.get_by_role("heading", name="About this message")).to_be_visible()
    expect(bob.page.locator("#side")).to_contain_text("Signed by a device of alice.test")


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
