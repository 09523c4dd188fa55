"""A walk through every page of locking, passkeys and recovery, for looking at each."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.first_visit import ask_own_server, give_password
from tests.browser.virtual_authenticator import authenticator_of
from tests.browser.visitors import ARRIVAL, Visitor

Look = Callable[[str, Page], None]

WORDS = "four words nobody guesses"


def walk_through_custody(visitor: Visitor, conversation: str, look: Look) -> None:
    """Begins and ends with managed keys and no passkey; `look` is called with each page's name."""
    with authenticator_of(visitor.page):
        _make_a_passkey(visitor.page, look)
        code = _lock(visitor.page, look)
        _see_what_can_be_changed(visitor.page, look)
        _see_locked_pages(visitor.page, conversation, look)
        _unlock(visitor.page, look)
        _sign_in_with_passkey(visitor, look)
        _go_back(visitor.page, code, look)


def _make_a_passkey(page: Page, look: Look) -> None:
    page.goto("/devices/keys/passkeys/new/")
    page.get_by_label("Name").fill("The laptop in the kitchen, which has a very long name of its own")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("status")).to_be_visible()
    look("custody-with-passkey", page)


def _lock(page: Page, look: Look) -> str:
    page.goto("/devices/keys/lock/")
    look("custody-lock-choice", page)
    page.get_by_label("New passphrase").fill(WORDS)
    page.get_by_label("Once more").fill(WORDS)
    page.get_by_role("button", name="Lock my keys").click()
    expect(page.locator("#recovery-code")).to_be_visible()
    look("recovery-code", page)
    return page.locator("#recovery-code").inner_text()


def _see_what_can_be_changed(page: Page, look: Look) -> None:
    page.goto("/devices/keys/")
    look("custody-unlocked", page)
    for name in ("passphrase", "recovery-code", "managed"):
        page.goto(f"/devices/keys/{name}/")
        look(f"custody-{name}", page)
    page.goto("/devices/keys/")
    page.get_by_role("link", name="Let it open").click()
    look("passkey-lock", page)
    page.goto("/devices/keys/")
    page.get_by_role("link", name="Remove").click()
    look("passkey-remove", page)
    page.goto("/devices/keys/sign-in/")
    look("custody-sign-in", page)
    page.get_by_role("button", name="Require my passkey").click()
    expect(page.get_by_role("heading", name="Passkey at sign-in")).to_be_visible()
    page.goto("/devices/apps/new/")
    look("app-new-with-step-up", page)


def _see_locked_pages(page: Page, conversation: str, look: Look) -> None:
    page.goto("/")
    page.get_by_label("Account menu").click()
    look("menu-unlocked", page)
    page.get_by_role("button", name="Lock now").first.click()
    expect(page.locator("#lock-state")).to_contain_text("locked")
    look("inbox-locked", page)
    page.goto(conversation)
    expect(page.get_by_role("heading", name="This conversation is locked")).to_be_visible()
    look("conversation-locked", page)
    page.goto("/devices/keys/")
    look("custody-locked", page)


def _unlock(page: Page, look: Look) -> None:
    page.goto("/unlock/")
    look("unlock", page)
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill("7K7K-ABCD")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look("unlock-mistyped", page)
    for _ in range(6):
        page.get_by_label("Passphrase", exact=True).check()
        page.get_by_label("Your passphrase").fill("not these words at all")
        page.get_by_role("button", name="Unlock").click()
        expect(page.get_by_role("alert")).to_be_visible()
    look("unlock-too-often", page)


def _sign_in_with_passkey(visitor: Visitor, look: Look) -> None:
    page = visitor.page
    page.get_by_label("Account menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-in/")
    ask_own_server(visitor)
    give_password(visitor)
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="Now your passkey")).to_be_visible(timeout=ARRIVAL)
    page.get_by_text("I do not have my passkey").click()
    look("sign-in-passkey", page)
    page.get_by_role("button", name="Use my passkey").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()


def _go_back(page: Page, code: str, look: Look) -> None:
    page.goto("/devices/keys/sign-in/")
    look("custody-sign-in-required", page)
    page.get_by_role("button", name="Ask no more").click()
    expect(page.get_by_role("status").last).to_contain_text("Signing in needs no passkey now")
    page.goto("/devices/keys/managed/")
    page.get_by_label("Recovery code", exact=True).check()
    page.get_by_label("Your recovery code").fill(code)
    page.get_by_role("button", name="Take the lock away").click()
    expect(page.get_by_role("status").last).to_contain_text("Your keys are managed")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status").last).to_contain_text("The passkey is removed here")
