"""Answers to ordinary mail through the real servers: Postfix carries them, Dovecot keeps the copies."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from uuid import uuid4

import pytest
from django.utils import timezone
from imapclient import IMAPClient
from pytest_django.fixtures import Settings

from accounts.models import Account
from demo.postfix import Postfix
from tests.services.ingress import IngressProcess
from tests.services.installations import wait_until
from tests.services.postfix import postfix_server
from webmail import intake
from webmail.carriers.bounces import bounce_local_part
from webmail.mailbox import INBOX, SENT, open_mailbox
from webmail.mailbox.names import mailbox_name
from webmail.mailbox.tokens import mailbox_token
from webmail.models import Arrival, OutgoingMail, OutgoingMailRecipient
from webmail.ordinary import answering, carrying, filing
from webmail.own_addresses import address_of

pytestmark = pytest.mark.usefixtures("shared_database")


@pytest.fixture(scope="module")
def postfix(lmtp_process: IngressProcess) -> Iterator[Postfix]:
    with postfix_server(
        ingress_port=lmtp_process.port, policy_port=lmtp_process.policy_port, mail_domains=["mail.test"]
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def relay(settings: Settings, postfix: Postfix, lmtp: IngressProcess) -> None:
    settings.SMTP_RELAY_URL = f"smtp://127.0.0.1:{postfix.relay_port}"


@pytest.fixture
def bob(account: Account, new_did: Callable[[], str]) -> Account:
    """Somebody else who receives at the same mail server, with any mail program."""
    return Account.objects.create(did=new_did(), handle="bob.test", pds_url="http://localhost")


def written(account: Account, sender: str) -> Arrival:
    """A mail of `sender` that arrived for the account."""
    raw = f"From: {sender}\r\nSubject: Größe\r\nMessage-ID: <one@b.example>\r\n\r\nWhich one?\r\n"
    with open_mailbox(account.did) as mailbox:
        mailbox.append(INBOX, raw.encode())
    intake.pull(account)
    return Arrival.objects.filter(account=account).latest("pk")


def answer(account: Account, arrival: Arrival) -> OutgoingMail:
    """An answer to it, which the workers have carried and filed."""
    now = timezone.now()
    row = answering.answer(
        account, arrival.pk, "Die größte.\n.\nA", str(uuid4()), to_all=False, with_quote=True, now=now
    )
    for recipient_pk in carrying.due(now):
        carrying.carry(recipient_pk)
    for mail_pk in filing.due(now + timedelta(seconds=1)):
        filing.file(mail_pk, now=now)
    return row


def inbox(account: Account) -> list[bytes]:
    with open_mailbox(account.did) as mailbox:
        return [each.raw for each in mailbox.fetch(INBOX, mailbox.uids_after(INBOX, 0)).values()]


def test_an_answer_arrives_whole_and_can_be_answered(account: Account, bob: Account) -> None:
    row = answer(account, written(account, address_of(bob.did)))
    wait_until(lambda: len(inbox(bob)) == 1)
    (raw,) = inbox(bob)
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["From"] == f'"alice.test" <{address_of(account.did)}>'
    assert mail["Subject"] == "Re: Größe"
    assert mail["In-Reply-To"] == "<one@b.example>"
    assert mail["Message-ID"] == filing.message_id_of(row.name)
    assert mail["Auto-Submitted"] is None
    assert mail.get_content().startswith("Die größte.\r\n.\r\nA\r\n\r\n")
    # Nothing of the worker that sent it.
    assert b"127.0.0.1" not in raw
    assert OutgoingMailRecipient.objects.get().state == "handed-over"
    intake.pull(bob)
    answer(bob, Arrival.objects.get(account=bob))
    wait_until(lambda: len(inbox(account)) == 2)
    back = message_from_bytes(inbox(account)[1], policy=policy.default)
    assert back["Subject"] == "Re: Größe"
    assert str(back["References"]).split() == ["<one@b.example>", filing.message_id_of(row.name)]


def test_an_address_beyond_ascii_reaches_the_relay_as_it_is(account: Account, postfix: Postfix) -> None:
    """Postfix takes it, and knows nobody of that name."""
    answer(account, written(account, "jürgen@mail.test"))
    recipient = OutgoingMailRecipient.objects.get()
    deadline = time.monotonic() + 20
    while recipient.state != "failed" and time.monotonic() < deadline:
        time.sleep(0.1)
        recipient.refresh_from_db()
    assert recipient.state == "failed"
    assert recipient.failure_code in ("address-unknown", "no-utf8"), recipient.failure_reply
    assert "jürgen" in recipient.address


def test_the_copy_is_where_mail_programs_look_for_it(
    account: Account, bob: Account, settings: Settings
) -> None:
    row = answer(account, written(account, address_of(bob.did)))
    host, _, port = settings.MAILBOX_URL.removeprefix("imap://").partition(":")
    token = mailbox_token(settings.MAIL_TOKEN_KEY_FILE, mailbox_name(account.did), now=timezone.now())
    with IMAPClient(host, int(port), ssl=False) as client:
        client.oauthbearer_login(mailbox_name(account.did), token)
        assert client.find_special_folder(b"\\Sent") == SENT
        client.select_folder(SENT, readonly=True)
        (uid,) = client.search(["HEADER", "Message-ID", filing.message_id_of(row.name)])
        found = client.fetch([uid], ["FLAGS", "BODY.PEEK[]"])[uid]
    assert b"\\Seen" in found[b"FLAGS"]
    wait_until(lambda: len(inbox(bob)) == 1)
    assert inbox(bob)[0].endswith(found[b"BODY[]"])


def test_what_the_relay_could_not_deliver_comes_back_and_is_noted(
    account: Account, new_did: Callable[[], str]
) -> None:
    answer(account, written(account, address_of(new_did())))
    recipient = OutgoingMailRecipient.objects.get()
    deadline = time.monotonic() + 20
    while recipient.state != "failed" and time.monotonic() < deadline:
        time.sleep(0.1)
        recipient.refresh_from_db()
    assert (recipient.state, recipient.failure_code) == ("failed", "address-unknown")
    assert "no such mailbox" in recipient.failure_reply
    # The report itself is nothing to read besides.
    assert len(inbox(account)) == 1


def test_what_somebody_away_has_answered_is_in_the_inbox(
    account: Account, bob: Account, postfix: Postfix, settings: Settings
) -> None:
    """A program answers to the return address (RFC 3834 §4), which no mail program of a person shows."""
    answer(account, written(account, address_of(bob.did)))
    recipient = OutgoingMailRecipient.objects.get()
    back = f"{bounce_local_part(carrying.token_of(recipient), settings.SECRET_KEY)}@mail.test"
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test") as client:
        raw = b"From: bob@other.test\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nUntil May.\r\n"
        assert client.sendmail("", [back], raw) == {}
    wait_until(lambda: len(inbox(account)) == 2)
    assert b"Until May." in inbox(account)[1]
    recipient.refresh_from_db()
    assert recipient.state == "handed-over"
