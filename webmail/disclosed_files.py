"""Files that an account discloses with a report: fetched, and kept for the operator under a key of their own.

Each file's key lies beside it, under the installation's token keys: without those, the database shows of a
disclosed file that it is there, and its length. A file opens in its place of its report alone. Files go with
their report.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db.models import QuerySet, Sum
from django.utils.translation import gettext as _

from accounts import token_encryption
from accounts.agent import agent
from accounts.models import Account
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.fetching import plaintext_of
from webmail.blobs.spool import Spool
from webmail.models import Report, ReportFile
from webmail.reportable import MOST_BYTES_OF_FILE, ReportableFile

#: Octets: of all files of one report, and of all that the reports of one account have at a time.
MOST_BYTES = 30 * 1024 * 1024
MOST_BYTES_OF_ACCOUNT = 100 * 1024 * 1024
#: Files of one report.
MOST = 10
#: For which the page of a report waits: for a turn at fetching, and for a sender's server.
PATIENCE_SECONDS = 25.0
FETCH_SECONDS = 60.0
NONCE_BYTES = 12


@dataclass(frozen=True)
class Fetched:
    """What could be had of the files that were ticked, in their order, and why the others could not: a
    sentence, by key."""

    plaintexts: list[Spool] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def are_taken() -> bool:
    """Whether this installation's operator takes files with reports at all."""
    return bool(settings.REPORT_FILES_BYTES > 0)


def has_room(account: Account, size: int) -> bool:
    """Whether the operator takes so many octets more of an account."""
    files = ReportFile.objects.all()
    return (
        _bytes_of(files.filter(report__account=account)) + size <= MOST_BYTES_OF_ACCOUNT
        and _bytes_of(files) + size <= settings.REPORT_FILES_BYTES
    )


@contextmanager
def fetched(account: Account, files: Sequence[ReportableFile], *, now: datetime) -> Iterator[Fetched]:
    """The plaintext of files while the block runs."""
    found = Fetched()
    with ExitStack() as open_files:
        for each in files:
            key = each.named.key
            try:
                plaintext = open_files.enter_context(_plaintext(account, each, now))
            except CannotFetch as problem:
                found.problems[key] = _sentence(problem)
                continue
            found.plaintexts.append(plaintext)
            found.digests[key] = _digest(plaintext)
        yield found


def keep(report: Report, plaintexts: Iterable[Spool]) -> None:
    """Keep these files with a report, numbered in this order."""
    for place, plaintext in enumerate(plaintexts):
        plaintext.seek(0)
        key, nonce = AESGCM.generate_key(256), os.urandom(NONCE_BYTES)
        encrypted = nonce + AESGCM(key).encrypt(nonce, plaintext.read(), _bound_to(report, place))
        ReportFile.objects.create(
            report=report,
            place=place,
            sealed_key=token_encryption.seal(key.hex()),
            encrypted=encrypted,
            size=len(encrypted),
        )


def kept(report: Report, place: int) -> bytes:
    """A file of a report. Raises ReportFile.DoesNotExist, and accounts.token_encryption.TokenUnreadable where
    this installation's keys do not open it, or it was kept in another place."""
    row = report.files.defer(None).get(place=place)
    key, encrypted = bytes.fromhex(token_encryption.unseal(row.sealed_key)), bytes(row.encrypted)
    nonce, ciphertext = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
    # What was kept by former versions is bound to no place.
    for bound_to in (_bound_to(report, place), None):
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, bound_to)
        except InvalidTag:
            continue
    raise token_encryption.TokenUnreadable("the file is not what was kept")


def _bound_to(report: Report, place: int) -> bytes:
    """What is authenticated beside a file: by these two its row is found, and no other."""
    return f"waxwing report file {report.pk} {place}".encode()


def bytes_kept() -> int:
    """What the files of all reports take up, in octets."""
    return _bytes_of(ReportFile.objects.all())


def _bytes_of(files: QuerySet[ReportFile]) -> int:
    return files.aggregate(total=Sum("size"))["total"] or 0


def _plaintext(account: Account, each: ReportableFile, now: datetime) -> Spool:
    def decrypt(size: int, chunks: Iterable[bytes], sink: Callable[[bytes], object]) -> object:
        return agent().decrypt_file(account.did, each.sealed, each.file.part, size, chunks, sink)

    return plaintext_of(
        account,
        each.file,
        decrypt,
        now=now,
        most_bytes=MOST_BYTES_OF_FILE,
        patience=PATIENCE_SECONDS,
        seconds=FETCH_SECONDS,
    )


def _digest(plaintext: Spool) -> str:
    digest = hashlib.sha256()
    for chunk in plaintext.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _sentence(problem: CannotFetch) -> str:
    # Nobody asks whom they report for another copy.
    return _("It can't be fetched any more.") if problem.code in ("expired", "gone") else problem.sentence
