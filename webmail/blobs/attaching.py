"""Files for messages that are being written: encrypted by the agent as they pass, kept here, counted."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.atsms.external import TAG_BYTES
from crypto_agent.client import AgentError, AgentLimited, AgentLocked, AgentSealed, Attachment
from webmail.blobs import store
from webmail.blobs.names import safe_name, safe_type
from webmail.models import Blob, PendingMessage
from webmail.refusals import Refusal

MAX_FILES = 10
#: What has to stay free on the disk.
_FREE_BYTES = 256 * 1024 * 1024


class CannotAttach(Refusal):
    """A file was not taken."""


def attach(
    account: Account,
    name: str,
    media_type: str,
    size: int,
    chunks: Iterable[bytes],
    *,
    now: datetime,
    pixels: tuple[int, int] | None = None,
) -> Blob:
    """Keeps a file of ``size`` bytes, encrypted, for a message of ``account`` to come. It is durable then.

    ``pixels`` are an image's width and height. Raises CannotAttach; nothing is kept then.
    """
    if size > settings.BLOB_MAX_BYTES:
        raise too_large(name)
    blob = _reserve(account, size + TAG_BYTES, now)
    try:
        with store.Incoming() as incoming:
            file = agent().encrypt_file(
                account.did,
                file_id(blob),
                safe_name(name),
                safe_type(media_type),
                size,
                chunks,
                incoming.write,
                pixels=pixels,
            )
            if (incoming.content_hash, incoming.size) != (file.content_hash, blob.size):
                raise CannotAttach("not-kept", _("The file could not be kept. Try again."))
            incoming.keep(blob.secret, blob.expires_at)
            blob.content_hash, blob.sealed = file.content_hash, file.sealed
            blob.save(update_fields=["content_hash", "sealed"])
    except AgentError as error:
        forget(blob)
        raise _refusal_of(error) from error
    except OSError as error:
        forget(blob)
        raise CannotAttach("not-kept", _("The file could not be kept. Try again.")) from error
    except BaseException:
        forget(blob)
        raise
    return blob


def detach(account: Account, blob_pk: int) -> None:
    """Removes a file that is in no message yet, nor in one that waits. Can run twice."""
    for blob in Blob.objects.filter(account=account, pk=blob_pk, message_id="", pending=None):
        forget(blob)


def chosen(account: Account, blob_pks: Sequence[int]) -> list[Blob]:
    """The files for a message, in the order given. Raises CannotAttach if one is gone, or in a message."""
    if not blob_pks:
        return []
    found = {
        blob.pk: blob
        for blob in Blob.objects.filter(
            account=account, pk__in=blob_pks, message_id="", removed_at=None
        ).exclude(content_hash="")
    }
    try:
        return [found[pk] for pk in dict.fromkeys(blob_pks)]
    except KeyError as error:
        raise gone() from error


def attachment(blob: Blob) -> Attachment:
    """What the agent needs to put the file into a message."""
    return Attachment(file_id(blob), bytes(blob.sealed), url_of(blob), blob.expires_at)


def file_id(blob: Blob) -> str:
    """What the agent binds the file's description to: drafts, which are encrypted, name the row by this."""
    return str(blob.pk)


def take_for_later(account: Account, message: PendingMessage) -> None:
    """The files of a message that waits are kept for it. In a transaction.

    Raises CannotAttach if one is gone, or in another message, which may wait as well.
    """
    files = set(message.files)
    if not files:
        # Putting the query together alone would take a twelfth of sending.
        return
    free = Blob.objects.filter(
        account=account, pk__in=files, message_id="", removed_at=None, pending=None
    ).exclude(content_hash="")
    if free.update(pending=message, draft=None) < len(files):
        raise _not_free(files)


def put_into_message(blobs: Sequence[Blob], message_id: str, inline: Sequence[bool]) -> None:
    """The files belong to the message now; those that it carries itself are not kept. In a transaction.

    Raises CannotAttach if one went into another message meanwhile, or into one that waits.
    """
    for blob, carried in zip(blobs, inline, strict=True):
        still_free = Blob.objects.filter(pk=blob.pk, message_id="", pending=None, removed_at=None)
        if not still_free.update(message_id=message_id, sealed=b""):
            raise _not_free([blob.pk])
        if carried:
            Blob.objects.filter(pk=blob.pk).delete()
            transaction.on_commit(partial(store.remove, blob.content_hash, blob.secret))


def note_passed_on(account: Account, content_hashes: Collection[str]) -> None:
    """The account's own among these files are in another message as well now: they stay until they expire,
    whatever becomes of the message that they came with."""
    if content_hashes:
        Blob.objects.filter(account=account, content_hash__in=content_hashes).update(passed_on=True)


def url_of(blob: Blob) -> str:
    """Where other people's servers find the encrypted bytes."""
    return f"{settings.PUBLIC_URL}/blobs/{blob.content_hash}/{blob.secret}"


def forget(blob: Blob) -> None:
    """Removes the row and the file."""
    store.remove(blob.content_hash, blob.secret)
    blob.delete()


def forget_all(account: Account) -> None:
    """Removes all files of an account that goes. Can run twice."""
    for blob in Blob.objects.filter(account=account):
        forget(blob)


def remove(blob: Blob, now: datetime) -> None:
    """Removes the file of a message; the row says that there was one."""
    store.remove(blob.content_hash, blob.secret)
    blob.removed_at = now
    blob.save(update_fields=["removed_at"])


def _reserve(account: Account, size: int, now: datetime) -> Blob:
    """A row that takes up the room before the file comes. Raises CannotAttach where there is none."""
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        of_account = Blob.objects.filter(account=account)
        if _bytes(of_account.filter(removed_at=None)) + size > settings.BLOB_ACCOUNT_BYTES:
            raise CannotAttach(
                "account-full",
                _("Your files here take up %(most)s, which is all the room there is. They go with time.")
                % {"most": filesizeformat(settings.BLOB_ACCOUNT_BYTES)},
            )
        if _bytes(of_account.filter(created_at__gt=now - timedelta(days=1))) + size > settings.BLOB_DAY_BYTES:
            raise CannotAttach(
                "day-full",
                _("You have sent %(most)s of files within a day. Try again tomorrow.")
                % {"most": filesizeformat(settings.BLOB_DAY_BYTES)},
            )
        if _bytes(Blob.objects.filter(removed_at=None)) + size > settings.BLOB_STORE_BYTES or not _disk_has(
            size
        ):
            raise CannotAttach("store-full", _("This server has no room for files at the moment."))
        return Blob.objects.create(
            account=account,
            secret=secrets.token_hex(store.SECRET_BYTES),
            size=size,
            created_at=now,
            expires_at=now + timedelta(days=settings.BLOB_DAYS),
        )


def too_large(name: str) -> CannotAttach:
    return CannotAttach(
        "too-large",
        _("%(name)s is too large. A file can have up to %(most)s.")
        % {"name": safe_name(name) or _("The file"), "most": filesizeformat(settings.BLOB_MAX_BYTES)},
    )


def too_many() -> CannotAttach:
    return CannotAttach(
        "too-many-files", _("A message can have up to %(count)d files.") % {"count": MAX_FILES}
    )


def gone() -> CannotAttach:
    return CannotAttach("file-gone", _("A file waited too long and was removed. Choose it again."))


def _not_free(pks: Collection[int]) -> CannotAttach:
    """Why not all of these files can go into a message that could before."""
    if Blob.objects.filter(pk__in=pks, removed_at=None).count() < len(pks):
        return gone()
    return CannotAttach("file-taken", _("A file is in another message already. Choose it again."))


def _bytes(blobs: QuerySet[Blob]) -> int:
    total: int | None = blobs.aggregate(total=Sum("size"))["total"]
    return total or 0


def _disk_has(size: int) -> bool:
    store.root().mkdir(parents=True, exist_ok=True, mode=0o700)
    return shutil.disk_usage(store.root()).free > size + _FREE_BYTES


def _refusal_of(error: AgentError) -> CannotAttach:
    if isinstance(error, AgentLimited):
        return CannotAttach("limit-reached", _("You sent as many files as one hour allows. Try again later."))
    if isinstance(error, AgentLocked):
        return CannotAttach("locked", _("Your keys are locked. Unlock them, then choose the file again."))
    if isinstance(error, AgentSealed):
        return CannotAttach(
            "agent-sealed",
            _(
                "The key agent is locked: its operator has to give it its key. "
                "Choose the file again after that."
            ),
        )
    if error.code == "TooManyFiles":
        return CannotAttach("busy", _("Your agent is busy with other files. Try again in a moment."))
    return CannotAttach(
        "agent-unavailable", _("Your agent, which seals your files, does not answer. Try again later.")
    )
