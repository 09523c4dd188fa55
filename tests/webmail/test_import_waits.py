"""An import that cannot go on says on its page why, and goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from crypto_agent.client import AgentLimited
from tests.services.agent import AgentProcess
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.webmail.conftest import Write, seal
from tests.webmail.installation import browser_of
from tests.webmail.test_account_import import PASSPHRASE, as_web, what_it_waits_for
from tests.webmail.test_pages import html_of
from webmail import account_export, account_import, archive, imported_parts, tasks
from webmail.mailbox import ARCHIVE, MailboxError, open_mailbox
from webmail.models import AccountImport, Conversation, Message

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def small_dovecot() -> Iterator[DovecotServer]:
    with dovecot_server(storage="1M") as server:
        yield server


def brought(account: Account, settings: Settings, *sent: Message) -> AccountImport:
    """Brings an export of what an account sent, of which nothing else is here any more."""
    for message in sent:
        seal(message)
    archive.archive_waiting(account, now=timezone.now())
    web = as_web(settings)
    export = account_export.begin(account, "here.test", web, PASSPHRASE, now=timezone.now())
    file = b"".join(export.chunks())
    Conversation.objects.all().delete()
    with open_mailbox(account.did) as mailbox:
        mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    path = account_import.keep_upload([file], len(file))
    return account_import.begin(account, path, PASSPHRASE, web, now=timezone.now())


def fill_archive(account: Account) -> None:
    """To the last hundred octets."""
    with open_mailbox(account.did) as mailbox:
        for lines in (30_000, 1000, 30):
            with suppress(MailboxError):
                for _each in range(40):
                    mailbox.append(ARCHIVE, b"Subject: x\r\n\r\n" + b"x\r\n" * lines)


def test_for_room_in_the_mailbox(
    alice: Account, bob: Account, write: Write, settings: Settings, small_dovecot: DovecotServer
) -> None:
    settings.MAILBOX_URL, settings.MAIL_TOKEN_KEY_FILE = small_dovecot.url, small_dovecot.token_key
    row = brought(alice, settings, write(alice, [bob], "kept"))
    fill_archive(alice)
    tasks.take_in(row.pk)
    said = what_it_waits_for(alice)
    assert said.startswith("It waits, because your mailbox here is full. It goes on by itself within minutes")
    now, in_hand = timezone.now(), timedelta(seconds=10)
    # Each try has the agent read a batch, which counts as use of the keys.
    assert account_import.due(now + timedelta(seconds=50), older_than=in_hand) == []
    assert account_import.due(now + timedelta(seconds=70), older_than=in_hand) == [(row.pk, alice.pk)]
    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    tasks.take_in(row.pk)
    row.refresh_from_db()
    assert (row.state, row.waits_for, row.messages) == (AccountImport.State.DONE, "", 1)
    assert "Everything is here" in html_of(browser_of(alice), "/devices/import/")


def test_for_the_mailbox_and_the_agent_until_it_goes_on(
    alice: Account,
    bob: Account,
    write: Write,
    settings: Settings,
    agent_process: AgentProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = brought(alice, settings, *(write(alice, [bob], text) for text in ("first", "second")))
    monkeypatch.setattr(account_import, "BATCH", 1)
    url, settings.MAILBOX_URL = settings.MAILBOX_URL, "imap://127.0.0.1:1"
    tasks.take_in(row.pk)
    settings.MAILBOX_URL = url
    assert what_it_waits_for(alice) == (
        "It waits, because your mailbox here does not answer just now. It goes on by itself."
    )
    agent_process.stop()
    try:
        tasks.take_in(row.pk)
        away = what_it_waits_for(alice)
    finally:
        agent_process.start()
    assert away == "It waits, because the key agent does not answer just now. It goes on by itself."
    now, in_hand = timezone.now(), timedelta(seconds=10)
    assert account_import.due(now + timedelta(seconds=5), older_than=in_hand) == []
    assert account_import.due(now + timedelta(seconds=15), older_than=in_hand) == [(row.pk, alice.pk)]
    assert not account_import.take_in(row.pk, seconds=0)
    row.refresh_from_db()
    assert row.done == 1
    assert what_it_waits_for(alice) == ""


def test_for_the_next_hour_where_keys_were_used_as_often_as_one_allows(
    alice: Account, bob: Account, write: Write, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = brought(alice, settings, write(alice, [bob], "kept"))

    def refuse(*_: object) -> int:
        raise AgentLimited("LimitReached", "as often as one hour allows", 600)

    monkeypatch.setattr(imported_parts, "take_in", refuse)
    tasks.take_in(row.pk)
    assert what_it_waits_for(alice) == (
        "It waits, because your keys were used as often as one hour allows. It goes on by itself."
    )
