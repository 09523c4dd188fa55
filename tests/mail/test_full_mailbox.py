"""A mailbox that holds as much as it may: senders are asked to come back, and nothing here is lost."""

import asyncio
import base64
import json
import os
import smtplib
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import Account
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.imap_between import imap_between
from tests.services.ingress import IngressProcess, ingress_process
from tests.services.postfix import postfix_server
from webmail import events, ingress_policy, mailbox_room
from webmail.ingress import FULL_SECONDS, IngressRefusal, accept_mail, check_recipient
from webmail.intake import pull
from webmail.list_counts import list_counts
from webmail.mailbox import ARCHIVE, FOLDERS, INBOX, QUARANTINE, SENT, MailboxError, Room, open_mailbox
from webmail.mailbox.names import mailbox_name
from webmail.mailbox_room import Fullness, fullness

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


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what open pages were told about the room."""
    names: list[str] = []

    def publish(_account: int, *told: str, **_more: object) -> None:
        names.extend({*told} & {mailbox_room.EVENT})

    monkeypatch.setattr(events, "publish", publish)
    return names


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


def accept_until_refused(did: str) -> str:
    """Lets different mails in; the code with which one is refused."""
    for number in range(100, 120):
        try:
            accept_mail(did, MAIL.replace(b"large", b"large %d" % number), now=NOW)
        except IngressRefusal as refusal:
            return refusal.code
    raise AssertionError("it took everything")


def test_the_owner_is_told_and_what_is_removed_makes_room(account: Account, published: list[str]) -> None:
    accept_mail(account.did, MAIL, now=NOW)
    pull(account, now=NOW)
    room = list_counts(account).room
    assert room is not None
    assert room.most == 1024 * 1024
    assert len(MAIL) <= room.held < len(MAIL) + 2048
    assert (list_counts(account).fullness, published) == (Fullness.ENOUGH, [])

    for number in range(8):
        accept_mail(account.did, MAIL.replace(b"large", b"large %d" % number), now=NOW)
    pull(account, now=NOW + timedelta(seconds=60))
    assert list_counts(account).fullness == Fullness.ENOUGH
    assert accept_until_refused(account.did) == "mailbox-full"
    pull(account, now=NOW + timedelta(seconds=60))
    assert (list_counts(account).fullness, published) == (Fullness.FULL, ["room"])

    with open_mailbox(account.did) as mailbox:
        mailbox.expunge(INBOX, mailbox.uids_after(INBOX, 0)[:6])
    pull(account, now=NOW + timedelta(seconds=70))
    assert list_counts(account).fullness == Fullness.FULL
    pull(account, now=NOW + timedelta(seconds=120))
    assert (list_counts(account).fullness, published) == (Fullness.ENOUGH, ["room", "room"])


@pytest.mark.parametrize(
    ("held", "expected"),
    [(0, Fullness.ENOUGH), (899, Fullness.ENOUGH), (900, Fullness.NEARLY_FULL), (1000, Fullness.FULL)],
)
def test_a_mailbox_is_nearly_full_before_it_is_full(held: int, expected: Fullness) -> None:
    assert fullness(Room(held << 20, 1000 << 20)) == expected


def test_a_mailbox_without_a_limit_is_never_full(account: Account, in_maildir: None) -> None:
    accept_mail(account.did, MAIL, now=NOW)
    pull(account, now=NOW)
    assert (list_counts(account).room, list_counts(account).fullness) == (None, Fullness.ENOUGH)


@pytest.mark.parametrize(
    ("begins", "instead", "known"),
    [
        # Nobody says: without a root, with a limit that is no number, with one without a list.
        (b"* QUOTAROOT", b"", False),
        (b"* QUOTA ", b'* QUOTA "User quota" (STORAGE many 1024)\r\n', False),
        (b"* QUOTA ", b'* QUOTA "User quota" 7\r\n', False),
        # Not now: what was said last stays.
        (b"OK Getquotaroot", b"NO [SERVERBUG] Internal error\r\n", True),
    ],
)
def test_a_server_that_says_odd_things_of_its_limits_still_delivers(
    begins: bytes, instead: bytes, known: bool, account: Account, settings: Settings
) -> None:
    pull(account, now=NOW)
    said = list_counts(account).room
    assert said is not None
    changed: list[bytes] = []

    def change(line: bytes) -> bytes:
        tag, _space, rest = line.partition(b" ")
        if line.startswith(begins):
            changed.append(line)
            return instead
        if rest.startswith(begins):
            changed.append(line)
            return tag + b" " + instead
        return line

    accept_mail(account.did, MAIL, now=NOW)
    with imap_between(settings.MAILBOX_URL, change) as url:
        settings.MAILBOX_URL = url
        assert pull(account, now=NOW + timedelta(hours=1)) == 1
    assert len(changed) == 1
    assert list_counts(account).room == (said if known else None)


def answer_to(did: str, *, now: datetime) -> str:
    """What is said of a recipient before anything comes for them."""
    try:
        check_recipient(did, now=now)
    except IngressRefusal as refusal:
        return refusal.code
    return "may come"


def test_before_anything_comes_the_full_mailbox_is_told_and_the_room_that_was_made_since(
    account: Account, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(account.did)
    with CaptureQueriesContext(connection) as queries:
        assert answer_to(account.did, now=NOW) == "may come", "nobody has looked into it yet"
    pull(account, now=NOW)
    assert answer_to(account.did, now=NOW + timedelta(seconds=29)) == "mailbox-full"
    with open_mailbox(account.did) as mailbox:
        mailbox.expunge(INBOX, mailbox.uids_after(INBOX, 0)[:6])
    with monkeypatch.context() as patch:
        patch.delattr(mailbox_room, "open_mailbox")
        assert answer_to(account.did, now=NOW + timedelta(seconds=29)) == "mailbox-full"
    url, settings.MAILBOX_URL = settings.MAILBOX_URL, "imap://127.0.0.1:1"
    assert answer_to(account.did, now=NOW + timedelta(seconds=30)) == "mailbox-full"
    settings.MAILBOX_URL = url
    assert answer_to(account.did, now=NOW + timedelta(seconds=30)) == "may come"
    assert len(queries) == 2, "whoever is asked about costs two short queries"


@pytest.fixture
def small_ingress(
    shared_database: None, small_dovecot: DovecotServer, tmp_path: Path
) -> Iterator[IngressProcess]:
    """The LMTP ingress in front of small mailboxes."""
    variables = {
        "WAXWING_MAILBOX_URL": small_dovecot.url,
        "WAXWING_MAIL_TOKEN_KEY_PATH": small_dovecot.token_key,
    }
    with ingress_process(tmp_path, variables=variables) as ingress:
        yield ingress


def reply_to(door: smtplib.SMTP, recipient: str) -> tuple[int, str]:
    """What a server says to RCPT."""
    door.ehlo()
    door.docmd("MAIL", "FROM:<a@other.test>")
    code, text = door.docmd("RCPT", f"TO:<{recipient}>")
    door.rset()
    return code, text.decode()


def test_postfix_takes_no_mail_for_a_full_mailbox_though_it_knew_its_owner_and_again_once_there_is_room(
    account: Account, small_ingress: IngressProcess, new_did: Callable[[], str]
) -> None:
    other = Account.objects.create(did=new_did(), handle="bob.test", pds_url="http://localhost")
    address, quoted = f"{mailbox_name(account.did)}@mail.test", f'"{account.did}"@mail.test'
    first_time = f"{mailbox_name(other.did)}@mail.test"
    with postfix_server(
        ingress_port=small_ingress.port, policy_port=small_ingress.policy_port, mail_domains=["mail.test"]
    ) as postfix:

        def asked(recipient: str) -> tuple[int, str]:
            with smtplib.SMTP("127.0.0.1", postfix.port, "other.test", timeout=20) as door:
                return reply_to(door, recipient)

        assert [asked(each)[0] for each in (address, quoted)] == [250, 250]
        for each in (account, other):
            fill(each.did)
            pull(each, now=datetime.now(UTC))
        for recipient in (address, quoted, first_time):
            code, text = asked(recipient)
            assert (code, text[:6]) == (452, "4.2.2 "), text
            assert text.endswith("this mailbox is full; try again later")
        with smtplib.LMTP("127.0.0.1", small_ingress.port) as door:
            assert reply_to(door, address)[0] == 452, "so that mail in the queue is not carried in vain"
        # While nobody can say it is as ever.
        small_ingress.kill()
        assert asked(address)[0] == 250
        small_ingress.start()
        for each in (account, other):
            with open_mailbox(each.did) as mailbox:
                mailbox.expunge(INBOX, mailbox.uids_after(INBOX, 0)[:6])
            pull(each, now=datetime.now(UTC) + timedelta(seconds=31))
        assert [asked(each)[0] for each in (address, quoted, first_time)] == [250] * 3
        assert postfix.queue() == []


def test_a_policy_connection_that_asks_oddly_is_ended_and_others_answered(
    account: Account, small_ingress: IngressProcess
) -> None:
    def said(octets: bytes, *, wait: bool) -> bytes:
        """What is answered until the other side ends the connection."""
        with socket.create_connection(("127.0.0.1", small_ingress.policy_port), 10) as asking:
            asking.sendall(octets)
            if not wait:
                asking.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: asking.recv(4096), b""))

    fill(account.did)
    pull(account, now=datetime.now(UTC))
    full = b"recipient=" + f"{mailbox_name(account.did)}@mail.test".encode() + b"\n\n"
    refused, taken = b"action=452 4.2.2 this mailbox is full; try again later\n\n", b"action=DUNNO\n\n"
    for endless in (b"x" * 5000, b"a=b\n" * 100):
        assert said(endless, wait=True) == b""
    for cut_off in (b"recipient=somebody", b""):
        assert said(cut_off, wait=False) == b""
    assert said(full + b"recipient=\n\n" + b"recipient=\xff@mail.test\nsize=1\n\n" + full, wait=False) == (
        refused + taken + taken + refused
    )


def test_where_it_cannot_be_said_whose_mailbox_is_full_postfix_takes_the_mail() -> None:
    async def fail(_address: str) -> str:
        raise OperationalError("the database is away")

    async def ask() -> bytes:
        server = await asyncio.start_server(
            lambda reader, writer: ingress_policy.answer(reader, writer, fail), "127.0.0.1", 0
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"recipient=somebody@mail.test\n\n")
            answer = await asyncio.wait_for(reader.readuntil(b"\n\n"), 10)
            writer.close()
        return answer

    assert asyncio.run(ask()) == b"action=DUNNO\n\n"


def test_lmtp_says_it_in_the_words_of_mail(account: Account, small_ingress: IngressProcess) -> None:
    held = fill(account.did)
    with (
        smtplib.LMTP("127.0.0.1", small_ingress.port) as door,
        pytest.raises(smtplib.SMTPDataError) as refused,
    ):
        door.sendmail("", f"{mailbox_name(account.did)}@mail.test", MAIL)
    assert (refused.value.smtp_code, refused.value.smtp_error) == (
        452,
        b"4.2.2 this mailbox is full; try again later",
    )
    assert count(account.did) == held
