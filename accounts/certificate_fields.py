"""The fields of an X.509 certificate as text that a person can read. Pure functions."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

#: What reading a certificate raises that breaks the standard's rules, or holds what is not known here.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@dataclass(frozen=True)
class CertificateFields:
    """``certificate_sha256`` is the hash of the whole certificate, which is not the device's fingerprint."""

    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    key: str
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    signature: str
    certificate_sha256: str


def read(pem: str) -> CertificateFields | None:
    """What stands in a certificate; None when it cannot be read at all."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        return CertificateFields(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            serial=format(certificate.serial_number, "032x"),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            names=_names(certificate),
            key=_key(certificate),
            key_usage=_key_usage(certificate),
            extended_key_usage=_extended_key_usage(certificate),
            signature=certificate.signature_algorithm_oid._name,
            certificate_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        )
    except _UNREADABLE:
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    kinds = ((x509.DNSName, "DNS"), (x509.UniformResourceIdentifier, "URI"), (x509.RFC822Name, "email"))
    return tuple(f"{name}: {value}" for kind, name in kinds for value in found.get_values_for_type(kind))


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"elliptic curve {key.curve.name}"
    return type(key).__name__


def _key_usage(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.replace("_", " ") for name in _USAGES if getattr(usage, name))


def _extended_key_usage(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_usage_name(usage) for usage in usages)


def _usage_name(usage: x509.ObjectIdentifier) -> str:
    name = usage._name
    return usage.dotted_string if name == "Unknown OID" else name
