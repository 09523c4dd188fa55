"""Every page of a signed-in person, and how to get there."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.seeding import Seeded

Open = Callable[[Page], None]


def pages_of(seeded: Seeded) -> dict[str, Open]:
    """The pages by name, for alice after seeding."""

    def go(path: str) -> Open:
        return lambda page: _go(page, path)

    return {
        "inbox": go("/"),
        "inbox-unread": go("/?filter=unread"),
        "menu": _menu,
        "conversation": go(seeded.with_bob),
        "conversation-of-three": go(seeded.with_both),
        "not-delivered": go(seeded.with_carol),
        "message": lambda page: _details(page, seeded.with_bob),
        "message-of-three": lambda page: _details(page, seeded.with_both),
        "new-conversation": go("/new/"),
        "new-conversation-found": _found,
        "new-conversation-chosen": _chosen,
        "new-conversation-nobody": _nobody,
        "devices": go("/devices/"),
        "revoke": _revoke,
        "apps-none": go("/devices/apps/"),
        "app-new": go("/devices/apps/new/"),
        "app-new-faulty": _app_new_faulty,
        "app-made": _app_made,
        "apps": go("/devices/apps/"),
        "app-revoke": _app_revoke,
        "kept-aside": go("/kept-aside/"),
        "not-found": go("/c/00/"),
    }


def _go(page: Page, path: str) -> None:
    page.goto(path)
    page.locator("main").wait_for()


def _menu(page: Page) -> None:
    _go(page, "/")
    page.get_by_label(re.compile("^Account menu")).click()
    expect(page.get_by_role("link", name="Devices and keys")).to_be_visible()


def _details(page: Page, conversation: str) -> None:
    _go(page, conversation)
    page.goto(page.locator(".msg--own .msg__meta a").last.get_attribute("href") or "")
    expect(page.get_by_role("heading", name="About this message")).to_be_visible()


def _type(page: Page, handle: str) -> None:
    page.get_by_label("To", exact=True).press_sequentially(handle)


def _found(page: Page) -> None:
    _go(page, "/new/")
    _type(page, "bob.test")
    expect(page.locator("#results .result")).to_be_visible()


def _chosen(page: Page) -> None:
    _found(page)
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(1)
    _type(page, "carol.test")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(2)
    page.get_by_label("Message", exact=True).fill("Supper on Friday?")


def _nobody(page: Page) -> None:
    _go(page, "/new/")
    _type(page, "nobody.test")
    expect(page.locator("#results").get_by_role("alert")).to_be_visible()


def _revoke(page: Page) -> None:
    _go(page, "/devices/")
    page.get_by_role("link", name="Revoke").first.click()
    expect(page.get_by_role("button", name="Revoke")).to_be_visible()


def _app_new_faulty(page: Page) -> None:
    _go(page, "/devices/apps/new/")
    page.get_by_label("Name of the app").fill("Photo diary")
    page.get_by_label("Open messages sent to you").check()
    page.get_by_role("button", name="Allow it").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _app_made(page: Page) -> None:
    _go(page, "/devices/apps/new/")
    page.get_by_label("Name of the app").fill("Photo diary")
    page.get_by_label("Vouch for public records").check()
    page.get_by_label("Write sealed messages as you").check()
    page.get_by_role("button", name="Allow it").click()
    expect(page.locator("#token")).to_be_visible()


def _app_revoke(page: Page) -> None:
    _go(page, "/devices/apps/")
    page.get_by_role("link", name="Revoke").first.click()
    expect(page.get_by_role("button", name="Revoke")).to_be_visible()
