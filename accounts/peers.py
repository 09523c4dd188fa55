"""Other people's devices, as their own PDS shows them, kept for at most a day (protocol §1).

One broken record never hides the others: it is skipped, and its reason kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import did_documents, identities, key_history, profiles, records, repositories
from accounts.identities import Identity, IdentityError
from accounts.models import Peer, PeerCertificate
from accounts.records import RecordError
from accounts.repositories import Record, RepositoryError
from crypto_agent.atsms import certificates
from crypto_agent.atsms.certificates import EndpointCertificate
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.prekeys import Prekey

MAX_AGE = timedelta(hours=24)
#: More devices than this are not read.
MAX_DEVICES = 100
MAX_PROBLEMS = 20

_FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.ASCII)


class PeerError(Exception):
    """What somebody publishes could not be read; the text is for a person.

    ``code``: "peer-unreachable" (worth another try) or "peer-unknown".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class PeerDevice:
    """A device that can be written to; without a prekey its copy does not hide the sender."""

    did: str
    fingerprint: str
    certificate_pem: str
    prekey: Prekey | None


@dataclass(frozen=True)
class SignerVerdict:
    """Whether a signer is who they say, by their own PDS.

    ``code``: "ok", "bad-certificate", "signer-not-published", "signer-key-differs", "signer-revoked",
    "signer-expired", or "signer-unreachable" (no verdict yet: ask again later).
    """

    ok: bool
    code: str
    certificate: EndpointCertificate | None = None


def devices_of(did: str, *, max_age: timedelta = MAX_AGE, fresh: bool = False) -> list[PeerDevice]:
    """The valid, unrevoked devices of a DID, from what was read within ``max_age`` (``fresh``: just now).

    Raises PeerError.
    """
    peer = known_peer(did, max_age=max_age, fresh=fresh)
    now = timezone.now()
    return [_device(peer, row, now) for row in peer.certificates.filter(present=True) if is_usable(row, now)]


def known_peer(did: str, *, max_age: timedelta = MAX_AGE, fresh: bool = False) -> Peer:
    """What a DID publishes, read again if it was read longer ago than ``max_age``. Raises PeerError."""
    peer = Peer.objects.filter(did=did).first()
    if fresh or peer is None or peer.checked_at is None or peer.checked_at <= timezone.now() - max_age:
        return refresh(did)
    return peer


def refresh(did: str) -> Peer:
    """Reads devices, prekeys and inbox of a DID at its PDS, and keeps them, unless what is kept by then was
    asked for later. Raises PeerError."""
    now = timezone.now()
    try:
        identity = identities.resolve(did, fresh=True)
        profiles.refresh_if_stale(identity)
        found = repositories.list_records(identity.pds_url, did, records.CERTIFICATES, at_most=MAX_DEVICES)
        prekeys = repositories.list_records(identity.pds_url, did, records.PREKEYS, at_most=MAX_DEVICES)
        inbox = repositories.get_record(identity.pds_url, did, records.INBOX, records.INBOX_KEY)
    except (IdentityError, RepositoryError) as error:
        raise _peer_error(error) from error
    prekey_of = {record.rkey: record for record in prekeys}
    read = [_read(did, record, prekey_of.get(record.rkey), now) for record in found]
    return _keep(identity, read, records.read_inbox_endpoints(inbox.value) if inbox else [], now)


def forget(did: str) -> None:
    """Makes the next question about a DID go to its PDS."""
    Peer.objects.filter(did=did).update(checked_at=None)
    PeerCertificate.objects.filter(peer__did=did).update(checked_at=None)


def kept_certificates(dids: Mapping[int, str]) -> dict[tuple[str, str], PeerCertificate]:
    """What is kept of the certificates of people, by DID and fingerprint; they come as DIDs by the keys of
    their rows. One query."""
    rows = PeerCertificate.objects.filter(peer__in=dids)
    return {(dids[row.peer_id], row.fingerprint): row for row in rows}


def check_signer(
    did: str,
    fingerprint: str,
    certificate_pem: str,
    *,
    at: datetime,
    fresh: bool = False,
    kept: PeerCertificate | None = None,
) -> SignerVerdict:
    """Whether the signer's own PDS shows this very key for ``did``, and had not revoked it before ``at``.

    ``at`` is when the message came, since what it says of itself may be a lie. An answer may be a day old,
    unless ``fresh``; ``kept`` is the last one, for whoever has it at hand.
    Raises nothing: a failed look-up is the code "signer-unreachable".
    """
    try:
        signer = certificates.parse_certificate(certificate_pem)
    except AtsmsError:
        return SignerVerdict(False, "bad-certificate")
    if signer.did != did or signer.fingerprint != fingerprint:
        return SignerVerdict(False, "bad-certificate")
    row = kept or PeerCertificate.objects.filter(peer__did=did, fingerprint=fingerprint).first()
    if fresh or row is None or row.checked_at is None or row.checked_at <= timezone.now() - MAX_AGE:
        try:
            row = _read_one(did, fingerprint)
        except PeerError as error:
            unreachable = error.code == "peer-unreachable"
            return SignerVerdict(False, "signer-unreachable" if unreachable else "signer-not-published")
    return _verdict(signer, row, at)


def _verdict(signer: EndpointCertificate, row: PeerCertificate | None, at: datetime) -> SignerVerdict:
    if row is None or not row.present:
        return SignerVerdict(False, "signer-not-published", signer)
    if row.problem:
        return SignerVerdict(False, "signer-key-differs", signer)
    published = certificates.parse_certificate(row.certificate_pem)
    if published.public_key != signer.public_key:
        return SignerVerdict(False, "signer-key-differs", signer)
    if row.revoked_at is not None and row.revoked_at <= at:
        return SignerVerdict(False, "signer-revoked", published)
    if not published.not_before <= at <= published.not_after:
        return SignerVerdict(False, "signer-expired", published)
    return SignerVerdict(True, "ok", published)


def _read_one(did: str, fingerprint: str) -> PeerCertificate | None:
    """One certificate record, read now and kept as by `refresh`; None when it never was there."""
    now = timezone.now()
    try:
        identity = identities.resolve(did, fresh=True)
        profiles.refresh_if_stale(identity)
        record = repositories.get_record(identity.pds_url, did, records.CERTIFICATES, fingerprint)
    except (IdentityError, RepositoryError) as error:
        raise _peer_error(error) from error
    if record is None:
        return _keep_gone(did, fingerprint, now)
    read = _read(did, record, None, now)
    with transaction.atomic():
        peer = Peer.objects.select_for_update().filter(did=did).first()
        if peer is None or not _is_later(peer, now):
            peer = key_history.peer_of(identity, now=now)
        # The prekey was not asked for, so what is known of it stays.
        fields = {name: value for name, value in read.fields.items() if not name.startswith("prekey")}
        before = peer.certificates.filter(fingerprint=fingerprint).first()
        if before is not None and _is_later(before, now):
            return before
        if peer.known_since is not None:
            key_history.keep(peer, key_history.certificate_changes(before, fingerprint, fields, now), now)
        row, is_new = peer.certificates.update_or_create(fingerprint=fingerprint, defaults=fields)
        if is_new:
            # Its prekey is wanted before anybody writes to it.
            Peer.objects.filter(pk=peer.pk).update(checked_at=None)
    return row


def _keep_gone(did: str, fingerprint: str, now: datetime) -> PeerCertificate | None:
    """Notes that a record is not there any more; None when it never was."""
    with transaction.atomic():
        peer = Peer.objects.select_for_update().filter(did=did).first()
        row = peer.certificates.filter(fingerprint=fingerprint).first() if peer else None
        if peer is None or row is None or _is_later(row, now):
            return row
        key_history.keep(peer, key_history.gone(row), now)
        row.present, row.checked_at = False, now
        row.save(update_fields=["present", "checked_at"])
    return row


@dataclass(frozen=True)
class _Read:
    """One certificate record, judged: the columns of its row, and what was wrong with it."""

    rkey: str
    fields: dict[str, Any]
    problem: str


def _read(did: str, record: Record, prekey_record: Record | None, now: datetime) -> _Read:
    fields: dict[str, Any] = {
        "certificate_pem": "",
        "not_before": None,
        "not_after": None,
        "revoked_at": None,
        "prekey": None,
        "prekey_problem": "",
        "problem": "",
        "present": True,
        "last_seen_at": now,
        "checked_at": now,
    }
    try:
        certificate = records.read_certificate_record(did, record.rkey, record.value)
    except RecordError as error:
        return _Read(record.rkey, fields | {"problem": error.code}, error.code)
    fields |= {
        "certificate_pem": certificate.certificate.pem,
        "not_before": certificate.certificate.not_before,
        "not_after": certificate.certificate.not_after,
        "revoked_at": certificate.revoked_at,
    }
    if prekey_record is None:
        return _Read(record.rkey, fields, "")
    try:
        prekey = records.read_prekey_record(prekey_record.value, certificate.certificate, now)
    except RecordError as error:
        return _Read(record.rkey, fields | {"prekey_problem": error.code}, error.code)
    return _Read(record.rkey, fields | {"prekey": prekey.record()}, "")


def _keep(identity: Identity, read: list[_Read], inbox_endpoints: list[str], now: datetime) -> Peer:
    smtp_endpoint = did_documents.service_endpoint(identity.document, "#atsms_smtp", "AtsmsSmtpService")
    problems = [{"record": ascii(one.rkey[:128])[1:-1], "code": one.problem} for one in read if one.problem]
    with transaction.atomic():
        kept = Peer.objects.select_for_update().filter(did=identity.did).first()
        if kept is not None and _is_later(kept, now):
            return kept
        peer = key_history.peer_of(identity, now=now)
        changes = _keep_certificates(peer, read, now)
        if peer.known_since is not None:
            key_history.keep(peer, changes, now)
        peer.smtp_endpoint, peer.inbox_endpoints = smtp_endpoint or "", inbox_endpoints
        peer.problems, peer.checked_at = problems[:MAX_PROBLEMS], now
        # The first look shows no changes: all of it is new.
        peer.known_since = peer.known_since or now
        peer.save(update_fields=["smtp_endpoint", "inbox_endpoints", "problems", "checked_at", "known_since"])
    return peer


def _keep_certificates(peer: Peer, read: list[_Read], now: datetime) -> list[key_history.Change]:
    changes: list[key_history.Change] = []
    seen = {one.rkey: one.fields for one in read if _FINGERPRINT.fullmatch(one.rkey)}
    before = {row.fingerprint: row for row in peer.certificates.filter(fingerprint__in=list(seen))}
    for fingerprint, fields in seen.items():
        if fingerprint in before and _is_later(before[fingerprint], now):
            continue
        changes += key_history.certificate_changes(before.get(fingerprint), fingerprint, fields, now)
        peer.certificates.update_or_create(fingerprint=fingerprint, defaults=fields)
    # With a full page there may be more records than were read, so nothing is known to be gone.
    if len(read) < MAX_DEVICES:
        rest = peer.certificates.exclude(fingerprint__in=list(seen)).exclude(checked_at__gt=now)
        for row in rest.filter(present=True):
            changes += key_history.gone(row)
        rest.update(present=False, checked_at=now)
    return changes


def _is_later(kept: Peer | PeerCertificate, now: datetime) -> bool:
    """Whether what is kept was asked for after this: two may ask at once, and the slower one know less."""
    # What lies ahead was noted by a clock that was wrong.
    return kept.checked_at is not None and now < kept.checked_at <= timezone.now()


def is_usable(row: PeerCertificate, now: datetime) -> bool:
    """Whether messages are sealed for a device."""
    active = row.state_at(now) is PeerCertificate.State.ACTIVE
    return active and row.not_before is not None and row.not_before <= now


def _device(peer: Peer, row: PeerCertificate, now: datetime) -> PeerDevice:
    prekey = Prekey.from_record(row.prekey) if row.prekey else None
    if prekey is not None and records.prekey_expiry(prekey) <= now:
        prekey = None
    return PeerDevice(peer.did, row.fingerprint, row.certificate_pem, prekey)


def _peer_error(error: IdentityError | RepositoryError) -> PeerError:
    passing = error.code in ("network", "pds-unreachable", "pds-answer-broken")
    return PeerError("peer-unreachable" if passing else "peer-unknown", str(error))
