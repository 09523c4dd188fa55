"""Small pictures that ride in their message, of groups and of previews: sealed for it, and opened out of it.

None is ever fetched: those who keep it would learn who looks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import Attachment, ReadMessage, SealedContent
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.spool import Spool
from webmail.images.decoding import Decoded, decode


def sealed_picture(account: Account, media_type: str, content: bytes) -> Attachment:
    """A picture to go along in a message. Raises AgentError."""
    file_id = str(uuid4())
    sealed = (
        agent()
        .encrypt_file(account.did, file_id, "", media_type, len(content), [content], lambda _data: None)
        .sealed
    )
    # It rides in the message, so nothing is ever fetched from there.
    return Attachment(file_id, sealed, f"{settings.PUBLIC_URL}/{uuid4()}", timezone.now() + timedelta(days=1))


def opened_picture(
    account: Account,
    sealed: SealedContent,
    read: ReadMessage,
    kind: int,
    mode: Literal["square", "received"],
) -> Decoded:
    """The picture in the first part of a kind (protocol §5) of a message, made anew.

    Raises CannotFetch where there is no such part, NotDecoded, SpoolFull, AgentError.
    """
    place = next((place for place, part in enumerate(read.parts) if part.get("kind") == kind), None)
    if read.error or place is None:
        raise CannotFetch("no-such-file", 404)
    with Spool() as found:
        agent().decrypt_file(account.did, sealed, place, 0, [], found.write)
        return decode(found, mode)
