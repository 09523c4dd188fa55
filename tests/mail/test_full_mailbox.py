"""A mailbox that holds as much as it may: senders are asked to come back, and nothing here is lost."""

import base64
import json
import os
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import Account
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.ingress import ingress_process
from webmail.ingress import FULL_SECONDS, IngressRefusal, accept_mail
from webmail.mailbox import ARCHIVE, FOLDERS, INBOX, QUARANTINE, SENT, MailboxError, open_mailbox
from webmail.mailbox.names import mailbox_name

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
MAIL = b"From: somebody@example.com\r\nSubject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 1200


@pytest.fixture(scope="module")
def small_dovecot() -> Iterator[DovecotServer]:
    with dovecot_server(storage="1M") as server:
        yield server


@pytest.fixture(autouse=True)
def in_small_dovecot(settings: Settings, small_dovecot: DovecotServer) -> None:
    settings.MAILBOX_URL = small_dovecot.url
    settings.MAIL_TOKEN_KEY_FILE = small_dovecot.token_key


def count(did: str, folder: str = INBOX) -> int:
    with open_mailbox(did) as mailbox:
        return len(mailbox.uids_after(folder, 0))


def fill(did: str) -> int:
    """Fills an inbox with mail until it takes no more; returns how many it holds."""
    with open_mailbox(did) as mailbox:
        for taken in range(20):
            try:
                mailbox.append(INBOX, MAIL)
            except MailboxError:
                return taken
    raise AssertionError("it took everything")


def test_a_full_mailbox_asks_to_come_back_and_takes_again_when_there_is_room(
    account: Account, envelope: bytes, client: Client
) -> None:
    held = fill(account.did)
    assert 5 < held < 12
    with pytest.raises(IngressRefusal) as refused:
        accept_mail(account.did, MAIL, now=NOW)
    assert (refused.value.code, refused.value.retry_after) == ("mailbox-full", FULL_SECONDS)
    small = b"\x85" + os.urandom(60_000)
    body = json.dumps({"envelope": base64.b64encode(small).decode()})
    while (
        answer := client.post(f"/inbox/{account.did}", body, content_type="application/json")
    ).status_code == 200:
        held += 1
        small = b"\x85" + os.urandom(60_000)
        body = json.dumps({"envelope": base64.b64encode(small).decode()})
    assert (answer.status_code, answer.json()["error"]) == (507, "mailbox-full")
    assert answer["Retry-After"] == str(FULL_SECONDS)
    assert count(account.did) == held
    with open_mailbox(account.did) as mailbox:
        mailbox.expunge(INBOX, mailbox.uids_after(INBOX, 0)[:3])
    accept_mail(account.did, MAIL, now=NOW)
    assert count(account.did) == held - 2


def test_what_is_here_still_goes_into_the_archive(did: str) -> None:
    held = fill(did)
    with open_mailbox(did) as mailbox:
        mailbox.append(ARCHIVE, MAIL)
        mailbox.append(SENT, MAIL)
        mailbox.move(INBOX, mailbox.uids_after(INBOX, 0)[:1], QUARANTINE)
        mailbox.append_all(ARCHIVE, [b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n"])
    assert {folder: count(did, folder) for folder in FOLDERS} == {
        INBOX: held - 1,
        ARCHIVE: 3,
        QUARANTINE: 1,
        SENT: 1,
    }


def test_the_archive_has_an_end_as_well(did: str) -> None:
    fill(did)
    with open_mailbox(did) as mailbox:
        mailbox.append_all(ARCHIVE, [MAIL, MAIL])
        with pytest.raises(MailboxError) as refused:
            mailbox.append_all(ARCHIVE, [MAIL] * 10)
    assert refused.value.code == "full"
    assert count(did, ARCHIVE) == 2


def test_lmtp_says_it_in_the_words_of_mail(
    account: Account, shared_database: None, small_dovecot: DovecotServer, tmp_path: Path
) -> None:
    variables = {
        "WAXWING_MAILBOX_URL": small_dovecot.url,
        "WAXWING_MAIL_TOKEN_KEY_PATH": small_dovecot.token_key,
    }
    held = fill(account.did)
    with (
        ingress_process(tmp_path, variables=variables) as ingress,
        smtplib.LMTP("127.0.0.1", ingress.port) as door,
        pytest.raises(smtplib.SMTPDataError) as refused,
    ):
        door.sendmail("", f"{mailbox_name(account.did)}@mail.test", MAIL)
    assert (refused.value.smtp_code, refused.value.smtp_error) == (
        452,
        b"4.2.2 this mailbox is full; try again later",
    )
    assert count(account.did) == held
