"""Copies in the archive that a mail server stores after the worker is gone that handed them to it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from datetime import timedelta

import psutil
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Account
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.installations import wait_until
from tests.webmail.conftest import Write, seal
from tests.webmail.test_journey import folder
from webmail import archive, forgetting, tasks
from webmail.mailbox import ARCHIVE, MailboxError, open_mailbox
from webmail.mailbox.copies import keep_one_of_each
from webmail.mailbox.envelope_mail import archive_message_id
from webmail.mailbox.imap import ImapMailbox
from webmail.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[DovecotServer]:
    with dovecot_server() as running:
        yield running


@pytest.fixture(autouse=True)
def in_dovecot(people: dict[str, Account], settings: Settings, server: DovecotServer) -> None:
    settings.MAILBOX_URL, settings.MAIL_TOKEN_KEY_FILE = server.url, server.token_key
    for account in people.values():
        with open_mailbox(account.did) as mailbox:
            mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))


def imap_process(connection: socket.socket) -> psutil.Process:
    """The process of the mail server at the other end."""
    port = connection.getsockname()[1]
    (pid,) = {
        one.pid for one in psutil.net_connections("tcp") if one.raddr and one.raddr.port == port and one.pid
    }
    return psutil.Process(pid)


def die_at_storing(account: Account, mails: list[bytes]) -> psutil.Process:
    """Hands mails to a mail server that has not read them yet; the process that will."""
    with open_mailbox(account.did) as mailbox:
        assert isinstance(mailbox, ImapMailbox)
        assert mailbox._connection
        connection = mailbox._connection.socket()
        process = imap_process(connection)
        process.send_signal(signal.SIGSTOP)
        connection.settimeout(0.5)
        with pytest.raises(MailboxError):
            mailbox.append_all(ARCHIVE, mails)
        mailbox._connection.shutdown()
    return process


def archived(account: Account) -> list[bytes]:
    with open_mailbox(account.did) as mailbox:
        stored = mailbox.fetch(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    return [mail.raw for mail in stored.values()]


def test_a_copy_that_comes_after_that_of_another_worker_stays_no_second_one(
    alice: Account, bob: Account, write: Write
) -> None:
    for text in ("stored twice", "and this too"):
        seal(write(alice, [bob], text))
    mails = archived(alice)
    assert len(mails) == 2
    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    Message.objects.update(archived_at=None, archiving_since=timezone.now())

    late = die_at_storing(alice, mails)
    tasks.archive_waiting(alice.pk)
    assert len(folder(alice, ARCHIVE)) == 2
    late.send_signal(signal.SIGCONT)
    wait_until(lambda: len(folder(alice, ARCHIVE)) == 4)
    now = timezone.now()
    assert archive.due(now, older_than=timedelta()) == []
    after = now + archive.LATE
    assert archive.due(after, older_than=timedelta()) == [alice.pk]
    archive.archive_waiting(alice, now=after)
    assert len(folder(alice, ARCHIVE)) == 2
    assert archive.due(after, older_than=timedelta()) == []


def test_what_one_worker_alone_was_at_is_not_looked_for_again(
    alice: Account, bob: Account, write: Write
) -> None:
    seal(write(alice, [bob], "stored once"))
    assert not Message.objects.filter(archiving_since__isnull=False).exists()
    assert archive.due(timezone.now() + 2 * archive.LATE, older_than=timedelta()) == []


def test_what_two_workers_were_at_is_looked_for_whoever_ends_first(
    alice: Account, bob: Account, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(write(alice, [bob], "stored by both"))
    Message.objects.update(archived_at=None)
    append_all = ImapMailbox.append_all

    def beside_another(self: ImapMailbox, name: str, raws: list[bytes]) -> object:
        monkeypatch.setattr(ImapMailbox, "append_all", append_all)
        archive.archive_waiting(alice, now=timezone.now())
        return append_all(self, name, raws)

    with open_mailbox(alice.did) as mailbox:
        mailbox.expunge(ARCHIVE, mailbox.uids_after(ARCHIVE, 0))
    monkeypatch.setattr(ImapMailbox, "append_all", beside_another)
    archive.archive_waiting(alice, now=timezone.now())
    assert Message.objects.get(account=alice).archived_at
    assert archive.due(timezone.now() + 2 * archive.LATE, older_than=timedelta()) == [alice.pk]


def test_a_late_copy_of_what_was_let_go_of_goes_as_well(alice: Account, bob: Account, write: Write) -> None:
    message = write(alice, [bob], "let go of")
    seal(message)
    now = timezone.now()
    Message.objects.update(archiving_since=now, forgotten_at=now, erased_at=now)
    archive.look_again(alice, now=now + 2 * archive.LATE)
    assert folder(alice, ARCHIVE) == []


def test_what_a_worker_stores_of_a_message_that_was_let_go_of_meanwhile_goes(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "let go of meanwhile")
    seal(message)
    Message.objects.update(archived_at=None)
    # As a worker has it that goes on only after all of what follows.
    stale = Message.objects.select_related("account", "conversation").get()
    now = timezone.now()
    Message.objects.update(forgotten_at=now)
    assert not forgetting.erase(alice, now=now)
    archive.archive([stale], now=now)
    assert len(folder(alice, ARCHIVE)) == 1
    archive.look_again(alice, now=now + 2 * archive.LATE)
    assert folder(alice, ARCHIVE) == []


def test_two_workers_that_died_before_they_removed_either_copy_leave_one(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "twice")
    seal(message)
    (mail,) = archived(alice)
    with open_mailbox(alice.did) as mailbox:
        newest = mailbox.append(ARCHIVE, mail).uid
        name = archive_message_id(message.message_id)
        assert keep_one_of_each(mailbox, ARCHIVE, {name: mail}) == {name: newest}
        assert mailbox.uids_after(ARCHIVE, 0) == [newest]
