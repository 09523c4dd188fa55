"""The pages that say what cannot be done just now, and what goes for good, and how to get there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect

from tests.browser.device_pages import go_to
from tests.browser.refused_pages import refused_pages
from tests.browser.seeding import Seeded
from tests.browser.visitors import composer
from tests.services.installations import RunningInstallation
from webmail.mailbox.names import mailbox_name

#: What a mailbox's server would say of alice's; nobody asks it before the next century.
_SAY_ROOM = (
    "UPDATE webmail_mailboxcursor"
    " SET held_octets = CAST(? AS INTEGER), most_octets = 100000000, room_asked_at = '2100-01-01 00:00:00'"
    " WHERE account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_SAY_NOTHING = (
    "UPDATE webmail_mailboxcursor SET held_octets = NULL, most_octets = NULL, room_asked_at = NULL"
    " WHERE account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_HOLD = (
    "INSERT INTO webmail_undochoice (account_id, seconds)"
    " SELECT id, 120 FROM accounts_account WHERE handle = 'alice.test'"
)
_HOLD_AS_USUAL = "DELETE FROM webmail_undochoice"


def troubled_pages(seeded: Seeded, installation: RunningInstallation) -> dict[str, Callable[[Page], None]]:
    """The pages by name, for alice after seeding."""
    return {
        "not-sent-any-more": _not_sent_any_more,
        "mailbox-nearly-full": lambda page: _mailbox_full(page, installation, 95, "nearly full"),
        "mailbox-full": lambda page: _mailbox_full(page, installation, 100, "mailbox is full"),
        "mail-away": lambda page: _mail_away(page, installation, seeded.mail),
        "mail-frame": lambda page: _mail_frame(page, seeded.mail),
        "mails-deleted": lambda page: _deleted(page, seeded.mail_deleted),
        "mail-deleted": lambda page: go_to(page, seeded.mail_deleted),
        "mail-remove": lambda page: _asked(page, seeded.mail_deleted, "Remove for good"),
        "mails-empty": lambda page: _asked(page, "/mail/?show=deleted", "Empty"),
        "undo-toast": lambda page: _held(page, installation, seeded.with_bob),
        **refused_pages(installation),
    }


def _not_sent_any_more(page: Page) -> None:
    """A message that is on its way already, as its button says without script."""
    go_to(page, "/scheduled/")
    expect(page.get_by_role("button", name="Send now").first).to_be_visible()
    # At once: news of the list may put another form in its place, and one that is gone sends nothing.
    page.evaluate(
        """() => {
          const form = document.querySelector("form[action$='/send/']");
          form.action = "/pending/999999999/send/";
          form.submit();
        }"""
    )
    expect(page.get_by_role("heading", name="Nothing was changed")).to_be_visible()


def _mailbox_full(page: Page, installation: RunningInstallation, percent: int, words: str) -> None:
    """As its server would say it. The page asks for the list once more as soon as it hears of news."""
    installation.sql(_SAY_ROOM, f"{percent}000000")
    try:
        with page.expect_response(re.compile("/list/")):
            page.goto("/")
        expect(page.get_by_role("region", name="Room in your mailbox")).to_contain_text(words)
    finally:
        installation.sql(_SAY_NOTHING)


def _mail_away(page: Page, installation: RunningInstallation, path: str) -> None:
    ((did,),) = installation.sql("SELECT did FROM accounts_account WHERE handle = 'alice.test'")
    with _mailbox_away(installation, did):
        go_to(page, path)
    expect(page.get_by_role("alert").first).to_contain_text("The mailbox cannot be reached just now")


@contextmanager
def _mailbox_away(installation: RunningInstallation, did: str) -> Iterator[None]:
    """Meanwhile a file stands where somebody's folder of mail was."""
    home = Path(urlsplit(installation.environment["WAXWING_MAILBOX_URL"]).path) / mailbox_name(did)
    aside = home.with_name(f"{home.name}.aside")
    home.rename(aside)
    home.touch()
    try:
        yield
    finally:
        home.unlink()
        aside.rename(home)


def _mail_frame(page: Page, path: str) -> None:
    """What the frame shows, as a page of its own: without its policy, under which no rule could be run."""
    html = page.request.get(f"{path}?designed=1").text()
    found = re.search(r'<iframe src="([^"]+)"', html)
    assert found, "this mail has no frame"

    def loosened(route: Route) -> None:
        answer = route.fetch()
        kept = {name: value for name, value in answer.headers.items() if name != "content-security-policy"}
        route.fulfill(response=answer, headers=kept)

    page.route(found[1], loosened)
    try:
        page.goto(found[1])
    finally:
        page.unroute(found[1])
    expect(page.get_by_text("your parcel waits.")).to_be_visible()


def _deleted(page: Page, path: str) -> None:
    go_to(page, "/mail/?show=deleted")
    expect(page.locator(f'#mails a[href="{path}"]')).to_be_visible()


def _asked(page: Page, path: str, name: str) -> None:
    go_to(page, path)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("button", name="Remove for good")).to_be_visible()


def _held(page: Page, installation: RunningInstallation, conversation: str) -> None:
    """Long enough to be looked at, as if she had chosen that."""
    installation.sql(_HOLD)
    try:
        go_to(page, conversation)
        composer(page).fill("Bring the key of the boathouse, please.")
        composer(page).press("Control+Enter")
        expect(page.locator("#toasts").get_by_role("button", name="Undo")).to_be_visible()
        expect(page.locator("#pending .msg").last).to_be_in_viewport(ratio=1)
    finally:
        installation.sql(_HOLD_AS_USUAL)
