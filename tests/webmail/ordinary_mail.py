"""Ordinary mail that comes to somebody of this installation, and the answers to it on their way out."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from webmail import intake, own_addresses
from webmail.mailbox import INBOX, open_mailbox
from webmail.models import Arrival
from webmail.ordinary import carrying, filing

WORDS = "Keep it at the desk, please."


def arrived(account: Account, raw: bytes) -> Arrival:
    """A mail that lies in the INBOX, and was pulled."""
    with open_mailbox(account.did) as mailbox:
        mailbox.append(INBOX, raw)
    intake.pull(account)
    return Arrival.objects.filter(account=account).latest("pk")


def mail_to(account: Account, *, cc: str = "", sender: str = "Parcel desk <desk@parcels.example>") -> bytes:
    """A mail to the address that the account has here."""
    own = own_addresses.address_of(account.did)
    copies = f"Cc: {cc}\r\n" if cc else ""
    return (
        f"From: {sender}\r\nTo: {own}\r\n{copies}Subject: A parcel\r\nMessage-ID: <one@parcels.example>\r\n"
        "Date: Tue, 17 Nov 2026 17:44:00 +0100\r\n\r\nHello Alice,\r\n\r\nyour parcel waits.\r\n"
    ).encode()


def write(client: Client, arrival_pk: int, **changes: object) -> HttpResponse:
    """What the form on a mail's page sends, with a token of its own unless one is given."""
    given = {"text": WORDS, "token": str(uuid4()), "to": "sender"} | changes
    return client.post(f"/mail/{arrival_pk}/answer/", given)  # type: ignore[return-value]


def work(now: datetime | None = None) -> None:
    """What the workers do with what waits."""
    now = now or timezone.now()
    for recipient_pk in carrying.due(now):
        carrying.carry(recipient_pk, now=now)
    for mail_pk in filing.due(now + timedelta(seconds=1)):
        filing.file(mail_pk, now=now)


def in_folder(account: Account, folder: str) -> list[bytes]:
    """The mails that lie there, oldest first."""
    with open_mailbox(account.did) as mailbox:
        return [each.raw for each in mailbox.fetch(folder, mailbox.uids_after(folder, 0)).values()]
