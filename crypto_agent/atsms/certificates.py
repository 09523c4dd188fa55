"""Endpoint certificates: one device of one DID as a self-signed X.509 certificate (protocol §2)."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from crypto_agent.atsms import der
from crypto_agent.atsms.errors import AtsmsError, BadCertificate, ExpiredCertificate
from crypto_agent.atsms.ids import is_did

COLLECTION = "at.atsms.x509"
SERIAL_BYTES = 16
MAX_CERTIFICATE_BYTES = 16 * 1024
GATEWAY_ROLE = x509.ObjectIdentifier("2.25.84017644")

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
#: RFC 5280's upper bound for a common name, which X.509 libraries enforce.
_MAX_COMMON_NAME = 64

#: What the X.509 library raises for certificates that it can't read or that lack an extension.
_UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, repr=False)
class EndpointCertificate:
    """A certificate whose names, key and extensions agree; its validity window is not yet judged.

    ``fingerprint`` is 64 hex digits, ``serial_hex`` the hex of the serial's DER contents,
    ``handle`` and ``email`` are "" where the certificate names none. ``der`` is what was read.
    """

    did: str
    handle: str
    email: str
    fingerprint: str
    serial_hex: str
    not_before: datetime
    not_after: datetime
    public_key: ec.EllipticCurvePublicKey
    #: The key's uncompressed point, 65 bytes.
    point: bytes
    gateway: bool
    der: bytes
    #: The issuer's name and the serial number as DER, for CMS identifiers.
    issuer_der: bytes
    serial_der: bytes

    def __repr__(self) -> str:
        return f"<EndpointCertificate {self.fingerprint} of {self.did}>"

    @property
    def pem(self) -> str:
        """The certificate as PEM text, as it stands in the record (RFC 7468)."""
        return _pem(self.der)


def fingerprint(public_key: ec.EllipticCurvePublicKey) -> str:
    """Lowercase hex SHA-256 of the key's 65-byte uncompressed point: a device's only identifier."""
    return sha256(_uncompressed_point(public_key)).hexdigest()


def mail_local_part(did: str) -> str:
    """Local part of the address in a certificate: ``plc.<id>`` or ``web.<base64url>`` (protocol §2)."""
    method, rest = _method_and_rest(did)
    if method == "plc":
        return f"plc.{rest}"
    return "web." + base64.urlsafe_b64encode(rest.encode()).rstrip(b"=").decode()


def mailbox_local_part(did: str) -> str:
    """Local part of a DID's mailbox: the DID with ``:`` as ``!`` and ``.`` as ``#`` (protocol §1)."""
    _method_and_rest(did)
    return did.replace(":", "!").replace(".", "#")


def did_from_local_part(local_part: str) -> str:
    """The DID of a mailbox's local part, with ``#`` raw or as ``%23``; BadCertificate for others."""
    did = local_part.replace("%23", "#").replace("!", ":").replace("#", ".")
    _method_and_rest(did)
    return did


def issue_certificate(
    key: ec.EllipticCurvePrivateKey,
    did: str,
    handle: str,
    mail_domain: str,
    serial: bytes,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    """The DER of a new self-signed certificate for ``key``, a P-256 key.

    ``serial`` is 16 random bytes, of which the top bit is cleared. The signature is deterministic
    (RFC 6979). Raises BadCertificate for names, serials or times that no certificate can hold.
    """
    if len(did) > _MAX_COMMON_NAME:
        raise BadCertificate(f"a DID longer than {_MAX_COMMON_NAME} characters does not fit a certificate")
    if len(serial) != SERIAL_BYTES or not any(serial):
        raise BadCertificate("a serial is 16 random bytes")
    number = int.from_bytes(serial, "big") & ((1 << (8 * SERIAL_BYTES - 1)) - 1)
    public_key = key.public_key()
    try:
        certificate = _builder(public_key, did, handle, mail_domain, number, not_before, not_after).sign(
            key, hashes.SHA256(), ecdsa_deterministic=True
        )
    except (ValueError, TypeError) as error:
        if isinstance(error, AtsmsError):
            raise
        raise BadCertificate(f"no certificate can hold these names and times: {error}") from error
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    parse_certificate(encoded)
    return encoded


def parse_certificate(certificate: str | bytes) -> EndpointCertificate:
    """The endpoint certificate in PEM text or DER bytes, with everything checked but the time.

    Checked: P-256 and ECDSA with SHA-256; subject and issuer are the DID; the one URI among the
    alternative names is ``at://<DID>/at.atsms.x509/<fingerprint of the key>``; basic constraints, key
    usage and extended key usage as in protocol §2; the certificate signs itself, so that nobody
    dresses somebody else's key in their own name. Raises BadCertificate.
    """
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise BadCertificate(f"a certificate above {MAX_CERTIFICATE_BYTES} bytes")
    return _parse(certificate)


def check_validity(certificate: EndpointCertificate, now: datetime) -> None:
    """Raises ExpiredCertificate unless ``now`` (aware) lies in the certificate's validity window."""
    if not certificate.not_before <= now <= certificate.not_after:
        raise ExpiredCertificate(
            f"the certificate is valid from {certificate.not_before} to {certificate.not_after}"
        )


# The sender's certificate comes with every message, and a recipient's with every copy to seal; reading one
# is a pure function of its text or bytes. One kept takes some 4 KB.
@lru_cache(maxsize=4096)
def _parse(certificate: str | bytes) -> EndpointCertificate:
    encoded = certificate.encode() if isinstance(certificate, str) else certificate
    if encoded.lstrip().startswith(b"-----BEGIN"):
        try:
            encoded = x509.load_pem_x509_certificate(encoded).public_bytes(serialization.Encoding.DER)
        except _UNREADABLE as error:
            raise BadCertificate("not a PEM certificate") from error
    try:
        return _read(encoded, x509.load_der_x509_certificate(encoded))
    except _UNREADABLE as error:
        if isinstance(error, BadCertificate):
            raise
        raise BadCertificate(f"not an endpoint certificate: {type(error).__name__}") from error


@lru_cache(maxsize=1024)
def _pem(encoded: bytes) -> str:
    lines = re.findall(".{1,64}", base64.b64encode(encoded).decode())
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


def _read(encoded: bytes, certificate: x509.Certificate) -> EndpointCertificate:
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(
        public_key.curve, ec.SECP256R1
    ):
        raise BadCertificate("the key is not on P-256")
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise BadCertificate("not signed by ECDSA with SHA-256")
    certificate.verify_directly_issued_by(certificate)
    gateway = _check_usage(certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    did, rkey = _did_and_rkey(names.get_values_for_type(x509.UniformResourceIdentifier))
    key_fingerprint = fingerprint(public_key)
    if rkey != key_fingerprint:
        raise BadCertificate("the fingerprint in the alternative name is not that of the key")
    if _common_names(certificate.subject) != [did]:
        raise BadCertificate("the common name is not the DID of the alternative name")
    serial_der, issuer_der = _issuer_and_serial(certificate.tbs_certificate_bytes)
    return EndpointCertificate(
        did=did,
        handle=_at_most_one(names.get_values_for_type(x509.DNSName)),
        email=_at_most_one(names.get_values_for_type(x509.RFC822Name)),
        fingerprint=key_fingerprint,
        serial_hex=der.read(serial_der, der.INTEGER).contents.hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        public_key=public_key,
        point=_uncompressed_point(public_key),
        gateway=gateway,
        der=encoded,
        issuer_der=issuer_der,
        serial_der=serial_der,
    )


def _check_usage(certificate: x509.Certificate) -> bool:
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    if constraints.value.ca or not constraints.critical:
        raise BadCertificate("the basic constraints are not a critical CA:FALSE")
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    if not (usage.value.digital_signature and usage.value.key_agreement and usage.critical):
        raise BadCertificate("the key usage is not critical, or lacks signature or key agreement")
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes:
        raise BadCertificate("the extended key usage lacks e-mail protection")
    return GATEWAY_ROLE in purposes


def _did_and_rkey(uris: list[str]) -> tuple[str, str]:
    if len(uris) != 1:
        raise BadCertificate("not exactly one URI among the alternative names")
    did, separator, rkey = uris[0].removeprefix("at://").partition(f"/{COLLECTION}/")
    if not uris[0].startswith("at://") or not separator or not is_did(did):
        raise BadCertificate("the URI among the alternative names is not at://<DID>/at.atsms.x509/…")
    if not _FINGERPRINT.fullmatch(rkey):
        raise BadCertificate("the URI among the alternative names does not end in a fingerprint")
    return did, rkey


def _common_names(name: x509.Name) -> list[str | bytes]:
    return [attribute.value for attribute in name if attribute.oid == NameOID.COMMON_NAME]


def _at_most_one(names: list[str]) -> str:
    if len(names) > 1:
        raise BadCertificate("more than one alternative name of one kind")
    return names[0] if names else ""


def _issuer_and_serial(tbs_certificate: bytes) -> tuple[bytes, bytes]:
    _, serial, _, issuer, *_ = der.children(der.read(tbs_certificate, der.SEQUENCE))
    return serial.encoded, issuer.encoded


def _builder(
    public_key: ec.EllipticCurvePublicKey,
    did: str,
    handle: str,
    mail_domain: str,
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, did)])
    uri = f"at://{did}/{COLLECTION}/{fingerprint(public_key)}"
    alternative_names = x509.SubjectAlternativeName(
        [
            x509.DNSName(handle),
            x509.UniformResourceIdentifier(uri),
            x509.RFC822Name(f"{mail_local_part(did)}@{mail_domain}"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=True,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    purposes = [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(alternative_names, critical=False)
    )


def _uncompressed_point(public_key: ec.EllipticCurvePublicKey) -> bytes:
    return public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _method_and_rest(did: str) -> tuple[str, str]:
    method, _, rest = did.removeprefix("did:").partition(":")
    if not is_did(did) or method not in ("plc", "web"):
        raise BadCertificate("not a did:plc or did:web")
    return method, rest
