"""Taking in an account's export: its keys at once, its messages bit by bit, from where an earlier run died.

The uploaded file lies in settings.IMPORT_DIR until everything in it is here. What is here already is left
alone, so that every step may run twice.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import DataError
from django.db.models import Q
from django.utils import timezone

from accounts import enrolment
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentClient, AgentError, AgentLimited, AgentLocked, AgentRefused
from webmail import events, export_file, exported_settings, imported_parts, message_state
from webmail.export_file import ExportFileError, Part
from webmail.exported_values import NO_SUCH_VALUE, addresses_in
from webmail.mailbox import MailboxError
from webmail.message_state import State
from webmail.models import AccountImport, Conversation, Message
from webmail.recounting import recount

log = logging.getLogger(__name__)

#: What has to stay free on the disk.
FREE_BYTES = 256 * 1024 * 1024
#: Parts taken in before the progress is noted.
BATCH = 20
#: Parts of states between two others: those of one batch of an export are far fewer.
MOST_STATES = 32
#: How long one task is at it; the next goes on.
AT_A_TIME_SECONDS = 60.0
#: How often a full mailbox is tried: each time the keys read a batch.
TRIED_FOR_ROOM_EVERY = timedelta(minutes=1)

_COUNTED = (export_file.UNSENT, export_file.PENDING, export_file.ARCHIVE)


def keep_upload(chunks: Iterable[bytes], size: int) -> Path:
    """The ``size`` uploaded octets in a file of their own, on disk when this returns.

    Raises ExportFileError "no-room" rather than fill the disk.
    """
    directory = Path(settings.IMPORT_DIR)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(directory).free < size + FREE_BYTES:
        raise ExportFileError("no-room")
    path = directory / f"{secrets.token_hex(16)}.tar"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def begin(
    account: Account,
    path: Path,
    passphrase: str,
    client: AgentClient,
    *,
    now: datetime,
    assertion: dict[str, Any] | None = None,
) -> AccountImport:
    """Checks the whole file, takes in its keys, and leaves the rest to the workers.

    ``assertion`` is the passkey's answer, where the account requires it. The passphrase is forgotten with
    this call. Publishing the device is left to the caller. Raises ExportFileError, AgentError, and
    RepositoryError where it can't be learnt what is published as revoked;
    nothing stays then but keys, and beginning again changes nothing more.
    """
    with path.open("rb") as file:
        checked = export_file.check(file)
        keys, about, end = (
            export_file.find(file, name) for name in (export_file.KEYS, export_file.ACCOUNT, export_file.END)
        )
    if checked.did != account.did:
        raise ExportFileError("of-another")
    taken = client.import_account(
        account.did,
        passphrase,
        keys,
        revoked=enrolment.published_as_revoked(account),
        assertion=assertion,
    )
    if client.open_export_part(account.did, taken.import_key, "end", end) != checked.manifest_digest:
        raise ExportFileError("changed")
    endpoints = _endpoints(client.open_export_part(account.did, taken.import_key, "account", about))
    enrolment.restore_devices(account)
    account.published_endpoints = sorted({*account.published_endpoints, *endpoints})
    account.save(update_fields=["published_endpoints"])
    for former in AccountImport.objects.filter(account=account):
        _remove(former)
        former.delete()
    return AccountImport.objects.create(
        account=account,
        file_name=path.name,
        import_key=taken.import_key,
        total=sum(checked.counts.get(folder, 0) for folder in _COUNTED),
        created_at=now,
        updated_at=now,
    )


def take_in(import_pk: int, *, seconds: float = AT_A_TIME_SECONDS) -> bool:
    """Goes on with an import; True when nothing is left to do, or another worker is at it.

    Raises AgentError or MailboxError; what was taken in so far stays, and the import says what it waits for.
    """
    row = AccountImport.objects.select_related("account").filter(pk=import_pk).first()
    if row is None or row.state != AccountImport.State.RUNNING:
        return True
    try:
        with _held(row) as file:
            return file is None or _go_on(row, file, time.monotonic() + seconds)
    except FileNotFoundError:
        # Its last act was to remove the file.
        if row.done == row.total:
            _finish(row)
        else:
            _fail(row, "file-gone")
    except ExportFileError as error:
        _fail(row, error.code)
    except (*NO_SUCH_VALUE, DataError) as error:
        log.info("a part of import %s was not taken in: %s", row.pk, type(error).__name__)
        _fail(row, "changed")
    except AgentRefused as error:
        _fail(row, error.code)
    except (AgentError, MailboxError) as error:
        tried = AccountImport.objects.filter(pk=row.pk, state=AccountImport.State.RUNNING)
        tried.update(waits_for=_waits_for(error), updated_at=timezone.now())
        raise
    return True


def due(now: datetime, *, older_than: timedelta) -> list[tuple[int, int]]:
    """Keys of the imports that nobody has gone on with or tried for so long, and of their accounts."""
    without_room = Q(waits_for=AccountImport.WaitsFor.ROOM)
    long_ago = ~without_room & Q(updated_at__lt=now - older_than)
    long_ago |= without_room & Q(updated_at__lt=now - TRIED_FOR_ROOM_EVERY)
    rows = AccountImport.objects.filter(long_ago, state=AccountImport.State.RUNNING)
    return list(rows.values_list("pk", "account"))


def forget(account: Account) -> None:
    """Removes what an account uploaded."""
    for row in AccountImport.objects.filter(account=account):
        _remove(row)


def remove_abandoned(now: float) -> None:
    """Files that no import names any more, once they are a day old (``now`` in seconds since 1970)."""
    named = set(AccountImport.objects.values_list("file_name", flat=True))
    with suppress(FileNotFoundError):
        for path in Path(settings.IMPORT_DIR).glob("*.tar"):
            if path.name not in named and now - path.stat().st_mtime > 24 * 3600:
                path.unlink(missing_ok=True)


@contextmanager
def _held(row: AccountImport) -> Iterator[BinaryIO | None]:
    """The file, for this worker alone; None while another has it. The kernel lets go when a worker dies."""
    with _path(row).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file


def _go_on(row: AccountImport, file: BinaryIO, until: float) -> bool:
    row.refresh_from_db()
    if row.done == 0:
        row.left_out = _take_settings(row, file, exported_settings.take_first)
    known: dict[str, dict[str, State]] = {}
    for state_parts, batch in _batches(file, row.done):
        known = {part.name: known.get(part.name) or _states(row, file, part) for part in state_parts}
        states = {name: state for opened in known.values() for name, state in opened.items()}
        contents = [export_file.content(file, part) for part in batch]
        row.unreadable += imported_parts.take_in(row, batch[0].folder, contents, states)
        row.done += len(batch)
        row.updated_at, row.waits_for = timezone.now(), ""
        row.save(update_fields=["done", "unreadable", "left_out", "updated_at", "waits_for"])
        events.publish(row.account_id, "conversations")
        if time.monotonic() > until:
            return False
    row.left_out += _take_settings(row, file, exported_settings.take_settings)
    _remove(row)
    _finish(row)
    return True


def _batches(file: BinaryIO, done: int) -> Iterator[tuple[Sequence[Part], Sequence[Part]]]:
    """What is left after the first ``done`` parts, in runs of one kind, each with the states before it."""
    states: list[Part] = []
    batch: list[Part] = []
    passed, states_end = 0, True
    for part in export_file.parts(file):
        if batch and (part.folder != batch[0].folder or len(batch) == BATCH):
            yield states, batch
            batch = []
        if part.folder == export_file.STATE:
            states = [part] if states_end else [*states, part]
            states_end = False
            if len(states) > MOST_STATES:
                raise ExportFileError("changed")
        elif part.folder in _COUNTED:
            states_end = True
            passed += 1
            if passed > done:
                batch.append(part)
    if batch:
        yield states, batch


def _states(row: AccountImport, file: BinaryIO, part: Part) -> dict[str, State]:
    data = export_file.content(file, part)
    opened = agent().open_export_part(row.account.did, bytes(row.import_key), part.name, data)
    return message_state.unpacked(opened)


def _take_settings(row: AccountImport, file: BinaryIO, take: Callable[[Account, bytes], int]) -> int:
    """Answers come before the messages, which then find them given; the rest comes last, so that it is not
    changed by the messages it is for. Says how many were left out."""
    left_out = 0
    for part in export_file.parts(file):
        if part.folder == export_file.SETTINGS:
            data = export_file.content(file, part)
            opened = agent().open_export_part(row.account.did, bytes(row.import_key), part.name, data)
            left_out += take(row.account, opened)
    return left_out


def _waits_for(error: AgentError | MailboxError) -> AccountImport.WaitsFor:
    if isinstance(error, MailboxError):
        full = error.code == "full"
        return AccountImport.WaitsFor.ROOM if full else AccountImport.WaitsFor.MAILBOX
    if isinstance(error, AgentLocked):
        return AccountImport.WaitsFor.KEYS
    return AccountImport.WaitsFor.LIMIT if isinstance(error, AgentLimited) else AccountImport.WaitsFor.AGENT


def _finish(row: AccountImport) -> None:
    account = row.account
    recount(account)
    row.state = AccountImport.State.DONE
    row.conversations = Conversation.objects.filter(account=account).count()
    row.messages = Message.objects.filter(account=account).count()
    row.updated_at = timezone.now()
    row.save()
    events.publish(account.pk, "conversations")


def _fail(row: AccountImport, code: str) -> None:
    log.error("import %s failed: %s", row.pk, code)
    row.state, row.failure_code, row.updated_at = AccountImport.State.FAILED, code[:40], timezone.now()
    row.save(update_fields=["state", "failure_code", "updated_at"])
    _remove(row)


def _endpoints(about: bytes) -> list[str]:
    """Where the other installation had messages brought, which the inbox record is to name no more."""
    try:
        return addresses_in(json.loads(about)["endpoints"])
    except NO_SUCH_VALUE:
        raise ExportFileError("changed") from None


def _path(row: AccountImport) -> Path:
    return Path(settings.IMPORT_DIR) / row.file_name


def _remove(row: AccountImport) -> None:
    _path(row).unlink(missing_ok=True)
