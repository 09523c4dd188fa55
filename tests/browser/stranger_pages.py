"""The pages about people whom alice may not know, or does not want to hear from, and how to get there.

What they show is written into the database for the moment, as everybody here knows everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, Response, expect

from tests.browser.device_pages import go_to
from tests.browser.seeding import Seeded
from tests.services.installations import RunningInstallation

_BEGUN = (
    "UPDATE webmail_conversation SET started_by = ?, standing = ? WHERE conversation_id = ?"
    " AND account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_WAS_BEGUN = (
    "SELECT started_by, standing FROM webmail_conversation WHERE conversation_id = ?"
    " AND account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_STANDS = (
    "UPDATE webmail_contact SET standing = ?, blocked_at = first_seen_at WHERE did = ?"
    " AND account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_STOOD = (
    "SELECT standing FROM webmail_contact WHERE did = ?"
    " AND account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_CALLED = "UPDATE accounts_peer SET display_name = ?, name_skeleton = ? WHERE handle = 'carol.test'"
_WAS_CALLED = "SELECT display_name, name_skeleton FROM accounts_peer WHERE handle = ?"
#: Of the one message that alice has scheduled, and of the conversation that it is in.
_SCHEDULED_IN = (
    "UPDATE webmail_pendingmessage SET conversation_id = (SELECT c.id FROM webmail_conversation c"
    " JOIN accounts_account a ON a.id = c.account_id AND a.handle = 'alice.test' WHERE c.conversation_id = ?)"
    " WHERE kind = 'scheduled'"
)
_ITS_CONVERSATION = (
    "UPDATE webmail_conversation SET {} WHERE id ="
    " (SELECT conversation_id FROM webmail_pendingmessage WHERE kind = 'scheduled')"
)
_LEFT = _ITS_CONVERSATION.format(
    "left_at = (SELECT created_at FROM webmail_pendingmessage WHERE kind = 'scheduled')"
)
_BLOCKED = _ITS_CONVERSATION.format("blocked = TRUE")
_AS_EVER = _ITS_CONVERSATION.format("left_at = NULL, blocked = FALSE")
_HIDE = (
    "UPDATE webmail_conversation SET blocked = ? WHERE id IN"
    " (SELECT conversation_id FROM webmail_conversationmember WHERE did = ?)"
    " AND account_id = (SELECT id FROM accounts_account WHERE handle = 'alice.test')"
)
_BLOCK_ADDRESS = (
    "INSERT INTO webmail_blockedaddress (account_id, address, blocked_at)"
    " SELECT id, 'offers-without-end@a-shop-with-a-long-name.example', '2026-11-17 12:00:00'"
    " FROM accounts_account WHERE handle = 'alice.test'"
)


def stranger_pages(seeded: Seeded, installation: RunningInstallation) -> dict[str, Callable[[Page], None]]:
    """The pages by name, for alice after seeding."""
    return {
        "requests": lambda page: _requests(page, seeded, installation, "request", "/requests/"),
        "requests-declined": lambda page: _requests(
            page, seeded, installation, "declined", "/requests/?show=declined"
        ),
        "let-in": lambda page: _let_in(page, seeded, installation),
        "likeness": lambda page: _likeness(page, seeded, installation),
        "blocked": lambda page: _blocked(page, installation),
        "person-blocked": lambda page: _person_blocked(page, installation),
        "compare-withheld": lambda page: _compare_withheld(page, installation),
        "scheduled-left": lambda page: _scheduled_waits(page, seeded, installation, _LEFT, "you come back"),
        "scheduled-blocked": lambda page: _scheduled_waits(
            page, seeded, installation, _BLOCKED, "you unblock them"
        ),
    }


def _requests(
    page: Page, seeded: Seeded, installation: RunningInstallation, standing: str, path: str
) -> None:
    """Of one person, and a group that another one began."""
    with (
        _begun_by(installation, seeded.with_carol, "carol.test", standing),
        _begun_by(installation, seeded.with_both, "bob.test", standing),
        # The page asks for it once more as soon as it hears of news.
        page.expect_response(lambda response: _by_itself(response, "/requests/")),
    ):
        go_to(page, path)
    expect(page.get_by_role("article")).to_have_count(2)


def _let_in(page: Page, seeded: Seeded, installation: RunningInstallation) -> None:
    with (
        _begun_by(installation, seeded.with_carol, "carol.test", "accepted"),
        _stands(installation, "carol.test", "none"),
    ):
        go_to(page, seeded.with_carol)
    expect(page.locator(".first-contact")).to_be_visible()


def _likeness(page: Page, seeded: Seeded, installation: RunningInstallation) -> None:
    """Carol calls herself as Bob does."""
    (was,), (bob,) = (installation.sql(_WAS_CALLED, handle) for handle in ("carol.test", "bob.test"))
    installation.sql(_CALLED, *bob)
    try:
        go_to(page, seeded.with_carol)
    finally:
        installation.sql(_CALLED, *was)
    expect(page.locator(".notice--like").first).to_be_visible()


def _blocked(page: Page, installation: RunningInstallation) -> None:
    """A person and an address."""
    installation.sql(_BLOCK_ADDRESS)
    try:
        with _stands(installation, "carol.test", "blocked"):
            go_to(page, "/blocked/")
    finally:
        installation.sql("DELETE FROM webmail_blockedaddress")
    expect(page.get_by_role("button", name="Unblock")).to_have_count(2)


def _person_blocked(page: Page, installation: RunningInstallation) -> None:
    did = _did_of(installation, "carol.test")
    with _stands(installation, "carol.test", "blocked"):
        go_to(page, f"/people/{did}/")
    expect(page.get_by_role("heading", name="You block them")).to_be_visible()


def _compare_withheld(page: Page, installation: RunningInstallation) -> None:
    """Of somebody who is blocked, and in no group besides."""
    did = _did_of(installation, "carol.test")
    installation.sql(_HIDE, True, did)
    try:
        with _stands(installation, "carol.test", "blocked"):
            go_to(page, f"/people/{did}/compare/")
    finally:
        installation.sql(_HIDE, False, did)
    expect(page.get_by_text("Nobody is asked before")).to_be_visible()


def _scheduled_waits(
    page: Page, seeded: Seeded, installation: RunningInstallation, how: str, words: str
) -> None:
    """Meanwhile the scheduled message is one for the group, which was left or is blocked."""
    installation.sql(_SCHEDULED_IN, _name_of(seeded.with_both))
    installation.sql(how)
    try:
        # The page asks for it once more as soon as it hears of news.
        with page.expect_response(lambda response: _by_itself(response, "/scheduled/")):
            go_to(page, "/scheduled/")
    finally:
        installation.sql(_AS_EVER)
        installation.sql(_SCHEDULED_IN, _name_of(seeded.with_files))
    expect(page.locator(".scheduled li")).to_contain_text(f"Waits until {words}")


def _by_itself(response: Response, path: str) -> bool:
    return response.request.resource_type in ("xhr", "fetch") and path in response.url


@contextmanager
def _begun_by(
    installation: RunningInstallation, conversation: str, handle: str, standing: str
) -> Iterator[None]:
    """Meanwhile a conversation is one that somebody began."""
    name = _name_of(conversation)
    (was,) = installation.sql(_WAS_BEGUN, name)
    installation.sql(_BEGUN, _did_of(installation, handle), standing, name)
    try:
        yield
    finally:
        installation.sql(_BEGUN, *was, name)


@contextmanager
def _stands(installation: RunningInstallation, handle: str, standing: str) -> Iterator[None]:
    """Meanwhile alice stands so to somebody."""
    did = _did_of(installation, handle)
    ((was,),) = installation.sql(_STOOD, did)
    installation.sql(_STANDS, standing, did)
    try:
        yield
    finally:
        installation.sql(_STANDS, was, did)


def _name_of(conversation: str) -> str:
    """Its id, of its path."""
    return conversation.strip("/").rpartition("/")[2]


def _did_of(installation: RunningInstallation, handle: str) -> str:
    ((did,),) = installation.sql("SELECT did FROM accounts_account WHERE handle = ?", handle)
    return str(did)
