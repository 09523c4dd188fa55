"""Certificates that keep the endpoint profile except in what a test asks to be different."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crypto_agent.atsms.certificates import fingerprint, issue_certificate

DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
NOT_BEFORE = datetime(2026, 8, 20, tzinfo=UTC)
NOT_AFTER = NOT_BEFORE + timedelta(days=3650)
SERIAL = bytes(range(16))


def issue(key: ec.EllipticCurvePrivateKey, did: str = DID) -> bytes:
    """A certificate as the application issues it."""
    return issue_certificate(key, did, "alice.test", "mail.test", SERIAL, NOT_BEFORE, NOT_AFTER)


def variant(key: Any, *, signing_key: Any = None, **changes: Any) -> bytes:
    """DER of a certificate for ``key`` with one thing changed.

    Changes: ``did`` (common name), ``uris``, ``handles``, ``ca``, ``critical``, ``agreement``,
    ``purposes``, ``hash``, ``leave_out`` (an extension's class).
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, changes.get("did", DID))])
    own = fingerprint(key.public_key()) if isinstance(key, ec.EllipticCurvePrivateKey) else "0" * 64
    uris = changes.get("uris", [f"at://{DID}/at.atsms.x509/{own}"])
    alternative_names = [
        *(x509.DNSName(handle) for handle in changes.get("handles", ["alice.test"])),
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
        x509.RFC822Name("plc.ewvi7nxzyoun6zhxrhs64oiz@mail.test"),
    ]
    usage = {
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_cert_sign": False,
        "crl_sign": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=changes.get("ca", False), path_length=None), changes.get("critical", True)),
        (
            x509.KeyUsage(digital_signature=True, key_agreement=changes.get("agreement", True), **usage),
            changes.get("critical", True),
        ),
        (x509.ExtendedKeyUsage(changes.get("purposes", [ExtendedKeyUsageOID.EMAIL_PROTECTION])), False),
        (x509.SubjectAlternativeName(alternative_names), False),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(SERIAL, "big"))
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    for extension, critical in extensions:
        if not isinstance(extension, changes.get("leave_out", ())):
            builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(signing_key or key, changes.get("hash", hashes.SHA256()))
    return certificate.public_bytes(serialization.Encoding.DER)
