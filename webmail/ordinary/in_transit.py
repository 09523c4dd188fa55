"""Answers to ordinary mail while they wait in the database: encrypted, and there no longer than needed.

The process that carries them has neither mailbox nor crypto agent, and needs the mail as it is. So they are
encrypted by Fernet under a key derived from ``settings.SECRET_KEY`` (HKDF-SHA256, RFC 5869): the database
alone gives no text. On their way and in mailboxes they are as ordinary mail is, in clear.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from webmail.models import OutgoingMail, OutgoingMailRecipient


class Unreadable(Exception):
    """A mail that the present key does not open."""


def sealed(raw: bytes) -> bytes:
    """A mail, encrypted for the database."""
    return _fernet(settings.SECRET_KEY).encrypt(raw)


def unsealed(data: bytes | memoryview | None) -> bytes:
    """The mail again. Raises Unreadable, also for None."""
    try:
        return _fernet(settings.SECRET_KEY).decrypt(bytes(data or b""))
    except InvalidToken as error:
        raise Unreadable("not encrypted under the present key") from error


def let_go_of(mail_pk: int) -> None:
    """Drop the octets of a mail that lies in its writer's mailbox and waits for no server any more.

    Whoever has it sent again writes to its row, and is waited for here; whether it waits is asked only then.
    """
    with transaction.atomic():
        held = _settled().select_for_update().filter(pk=mail_pk).values_list("pk", flat=True)
        if held.first() is not None and not _waiting().filter(mail_id=mail_pk).exists():
            OutgoingMail.objects.filter(pk=mail_pk).update(sealed=None)


def due_to_be_dropped(*, limit: int = 100) -> list[int]:
    """Keys of the mails that let_go_of has something to drop of."""
    rows = _settled().exclude(pk__in=_waiting().values("mail_id"))
    return list(rows.order_by("pk").values_list("pk", flat=True)[:limit])


def _settled() -> QuerySet[OutgoingMail]:
    return OutgoingMail.objects.filter(sealed__isnull=False, filed_at__isnull=False)


def _waiting() -> QuerySet[OutgoingMailRecipient]:
    return OutgoingMailRecipient.objects.filter(state=OutgoingMailRecipient.State.WAITING)


@lru_cache(maxsize=4)
def _fernet(secret: str) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=b"waxwing ordinary mail in transit").derive(
        secret.encode()
    )
    return Fernet(base64.urlsafe_b64encode(key))
