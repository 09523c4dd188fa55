"""The three records of protocol §1: strict when made, lenient when others' are read. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from crypto_agent.atsms import certificates, prekeys
from crypto_agent.atsms.certificates import EndpointCertificate
from crypto_agent.atsms.errors import AtsmsError, BadPrekey
from crypto_agent.atsms.prekeys import Prekey

CERTIFICATES = "at.atsms.x509"
PREKEYS = "at.atsms.prekey"
INBOX = "at.atsms.inbox"
INBOX_KEY = "self"

MAX_ENDPOINTS = 20
MAX_URI_LENGTH = 2048


class RecordError(ValueError):
    """A record that cannot be used. ``code`` is stable; where the formats have one, it is theirs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class CertificateRecord:
    certificate: EndpointCertificate
    revoked_at: datetime | None


def certificate_record(
    did: str, certificate_pem: str, *, created_at: datetime, now: datetime, revoked_at: datetime | None = None
) -> dict[str, Any]:
    """The at.atsms.x509 record of a device, its certificate checked as a reader will. Raises RecordError."""
    try:
        certificate = certificates.parse_certificate(certificate_pem)
        if revoked_at is None:
            certificates.check_validity(certificate, now)
    except AtsmsError as error:
        raise RecordError(error.code, str(error)) from error
    if certificate.did != did:
        raise RecordError("wrong-account", "the certificate is somebody else's")
    record = {
        "$type": CERTIFICATES,
        "certificate": certificate.pem,
        "serialNumber": certificate.serial_hex,
        "createdAt": iso_time(created_at),
        "validUntil": iso_time(certificate.not_after),
    }
    if revoked_at is not None:
        record["revokedAt"] = iso_time(revoked_at)
    return record


def read_certificate_record(did: str, rkey: str, value: Mapping[str, Any]) -> CertificateRecord:
    """A device certificate in somebody's repository, checked in all but its validity window.

    The record key must be the fingerprint of the key inside. Raises RecordError.
    """
    pem = value.get("certificate")
    # JSON can hold halves of surrogate pairs, which no encoding can.
    if not isinstance(pem, str) or not pem.isascii():
        raise RecordError("bad-certificate", "the record holds no certificate")
    try:
        certificate = certificates.parse_certificate(pem)
    except AtsmsError as error:
        raise RecordError(error.code, str(error)) from error
    if certificate.did != did:
        raise RecordError("wrong-account", "the certificate is somebody else's")
    if certificate.fingerprint != rkey:
        raise RecordError("wrong-record-key", "the record key is not the fingerprint of the key")
    return CertificateRecord(certificate, _revoked_at(value))


def prekey_record(prekey: Prekey, certificate_pem: str, *, now: datetime) -> dict[str, Any]:
    """The at.atsms.prekey record of a device, its signature checked. Raises RecordError."""
    try:
        prekeys.verify_prekey(prekey, certificates.parse_certificate(certificate_pem).public_key, now)
    except AtsmsError as error:
        raise RecordError(error.code, str(error)) from error
    return prekey.record()


def read_prekey_record(value: Mapping[str, Any], certificate: EndpointCertificate, now: datetime) -> Prekey:
    """A verified, unexpired prekey. Raises RecordError."""
    try:
        prekey = Prekey.from_record(value)
        prekeys.verify_prekey(prekey, certificate.public_key, now)
    except AtsmsError as error:
        raise RecordError(error.code, str(error)) from error
    return prekey


def prekey_expiry(prekey: Prekey) -> datetime:
    return prekeys.parse_time(prekey.expires_at)


def own_endpoints(did: str, public_url: str, mail_domain: str | None) -> list[str]:
    """Where this installation takes messages for a DID, in order of preference.

    ``mail_domain`` is None when it takes none by SMTP. The local part of the mail address is the DID in its
    mailbox form, with "#" written as "%23" so that URI parsers keep it.
    """
    endpoints = [f"{public_url}/inbox/{quote(did, safe='')}"]
    if mail_domain is not None:
        local_part = certificates.mailbox_local_part(did).replace("#", "%23")
        endpoints.append(f"mailto:{local_part}@{mail_domain}")
    return endpoints


def inbox_record(endpoints: Sequence[str], *, development: bool = False) -> dict[str, Any]:
    """The at.atsms.inbox record. Raises RecordError unless one of the endpoints is https.

    ``development`` takes http for it, which only loopback networks use.
    """
    schemes = ("https://", "http://") if development else ("https://",)
    if not any(uri.startswith(schemes) for uri in endpoints):
        raise RecordError("no-https-endpoint", "an inbox record must carry an https endpoint")
    if len(endpoints) > MAX_ENDPOINTS or any(len(uri) > MAX_URI_LENGTH for uri in endpoints):
        raise RecordError("too-many-endpoints", f"an inbox record has at most {MAX_ENDPOINTS} endpoints")
    return {"$type": INBOX, "endpoints": [{"uri": uri} for uri in endpoints]}


def read_inbox_endpoints(value: Mapping[str, Any]) -> list[str]:
    """The URIs of an inbox record in their order; entries of another shape are skipped.

    So are those with control characters or half a surrogate pair, which PostgreSQL stores in no text.
    """
    entries = value.get("endpoints")
    if not isinstance(entries, list):
        return []
    uris = [entry.get("uri") for entry in entries[:MAX_ENDPOINTS] if isinstance(entry, Mapping)]
    return [uri for uri in uris if isinstance(uri, str) and len(uri) <= MAX_URI_LENGTH and uri.isprintable()]


def merged_endpoints(
    ours: Sequence[str], present: Sequence[str], formerly_ours: Sequence[str] = ()
) -> list[str]:
    """What to publish: what others listed stays, in its order; ours that are missing come first.

    ``formerly_ours`` is what this installation listed before; of that only what is still ours stays.
    """
    kept = [uri for uri in present if uri in ours or uri not in formerly_ours]
    missing = [uri for uri in ours if uri not in kept]
    return [*missing, *kept]


def iso_time(moment: datetime) -> str:
    """An aware time as ISO 8601 in UTC with milliseconds and "Z", as the records have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _revoked_at(value: Mapping[str, Any]) -> datetime | None:
    text = value.get("revokedAt")
    if text is None:
        return None
    try:
        return prekeys.parse_time(str(text)).astimezone(UTC)
    except (BadPrekey, OverflowError):
        # A revocation that cannot be read was still meant: take it as having been for ever.
        return datetime.fromtimestamp(0, UTC)
