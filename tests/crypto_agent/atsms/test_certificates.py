"""Endpoint certificates: the reference's, our own, and those that break the profile."""

import base64
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.atsms.certificates import (
    GATEWAY_ROLE,
    check_validity,
    did_from_local_part,
    fingerprint,
    issue_certificate,
    mail_local_part,
    mailbox_local_part,
    parse_certificate,
)
from crypto_agent.atsms.errors import BadCertificate, ExpiredCertificate
from tests.crypto_agent.atsms.certificate_variants import DID, NOT_AFTER, NOT_BEFORE, SERIAL, issue, variant
from tests.crypto_agent.atsms.reference import vectors

REFERENCE_DEVICES = vectors("oneshot-reference.json")["devices"]
KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(8, ec.SECP256R1())


@pytest.mark.parametrize("device", REFERENCE_DEVICES, ids=lambda device: device["fingerprint"][:8])
def test_the_reference_certificates_are_read(device: dict) -> None:
    certificate = parse_certificate(device["certificatePem"])
    assert certificate.did == device["did"]
    assert certificate.handle == device["handle"]
    assert certificate.fingerprint == device["fingerprint"] == fingerprint(certificate.public_key)
    assert certificate.email == f"{mail_local_part(device['did'])}@mail.example"
    assert certificate.pem.split() == device["certificatePem"].split()
    assert parse_certificate(certificate.der) == certificate


def test_an_issued_certificate_is_read_back() -> None:
    certificate = parse_certificate(issue(KEY))
    assert certificate.did == DID
    assert certificate.handle == "alice.test"
    assert certificate.email == "plc.ewvi7nxzyoun6zhxrhs64oiz@mail.test"
    assert certificate.fingerprint == fingerprint(KEY.public_key())
    assert certificate.serial_hex == SERIAL.hex().removeprefix("00")
    assert (certificate.not_before, certificate.not_after) == (NOT_BEFORE, NOT_AFTER)
    assert not certificate.gateway
    assert parse_certificate(certificate.pem) == certificate


def test_issuing_is_deterministic_and_clears_the_top_bit_of_the_serial() -> None:
    assert issue(KEY) == issue(KEY)
    encoded = issue_certificate(KEY, DID, "alice.test", "mail.test", b"\xff" * 16, NOT_BEFORE, NOT_AFTER)
    assert parse_certificate(encoded).serial_hex == "7f" + "ff" * 15


def test_openssl_accepts_an_issued_certificate(tmp_path: Path) -> None:
    pem = tmp_path / "certificate.pem"
    pem.write_text(parse_certificate(issue(KEY)).pem)
    moment = str(int(NOT_BEFORE.timestamp()) + 1)
    strictly = ["-x509_strict", "-check_ss_sig", "-attime", moment]
    subprocess.run(["openssl", "verify", *strictly, "-CAfile", pem, pem], check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-in", pem, "-noout", "-text"], capture_output=True, text=True, check=True
    ).stdout
    for line in ("CA:FALSE", "Digital Signature, Key Agreement", "E-mail Protection", f"URI:at://{DID}/"):
        assert line in shown


def test_the_gateway_role_is_read() -> None:
    purposes = [x509.ExtendedKeyUsageOID.EMAIL_PROTECTION, GATEWAY_ROLE]
    assert parse_certificate(variant(KEY, purposes=purposes)).gateway


@pytest.mark.parametrize("moment", [NOT_BEFORE, NOT_AFTER])
def test_a_certificate_is_valid_from_its_first_to_its_last_second(moment: object) -> None:
    check_validity(parse_certificate(issue(KEY)), moment)  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", [NOT_BEFORE - timedelta(seconds=1), NOT_AFTER + timedelta(seconds=1)])
def test_a_certificate_outside_its_window_is_expired(moment: object) -> None:
    with pytest.raises(ExpiredCertificate):
        check_validity(parse_certificate(issue(KEY)), moment)  # type: ignore[arg-type]


GOOD_URI = f"at://{DID}/at.atsms.x509/{fingerprint(KEY.public_key())}"


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(b"", id="nothing"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="PEM of nothing"),
        pytest.param("not a certificate", id="text"),
        pytest.param(issue(KEY)[:-1], id="truncated"),
        pytest.param(issue(KEY) + b"\x00", id="trailing byte"),
        pytest.param(b"\x30" * 20_000, id="too long"),
        pytest.param(variant(KEY, did="did:web:bob.example"), id="CN is another DID"),
        pytest.param(variant(KEY, uris=[GOOD_URI[:-1] + "0"]), id="fingerprint of another key"),
        pytest.param(variant(KEY, uris=[GOOD_URI.upper()]), id="URI in capitals"),
        pytest.param(variant(KEY, uris=[f"at://{DID}/at.atsms.prekey/x"]), id="URI of another collection"),
        pytest.param(variant(KEY, uris=[f"at://{DID}/at.atsms.x509/short"]), id="URI without a fingerprint"),
        pytest.param(variant(KEY, uris=[]), id="no URI"),
        pytest.param(variant(KEY, uris=[GOOD_URI, GOOD_URI]), id="two URIs"),
        pytest.param(variant(KEY, uris=["https://alice.test/"]), id="URI of another scheme"),
        pytest.param(variant(KEY, handles=["alice.test", "bob.test"]), id="two handles"),
        pytest.param(variant(KEY, ca=True), id="a CA"),
        pytest.param(variant(KEY, critical=False), id="not critical"),
        pytest.param(variant(KEY, agreement=False), id="no key agreement"),
        pytest.param(variant(KEY, purposes=[x509.ExtendedKeyUsageOID.SERVER_AUTH]), id="not for e-mail"),
        pytest.param(variant(KEY, hash=hashes.SHA384()), id="another hash"),
        pytest.param(variant(KEY, signing_key=OTHER_KEY), id="somebody else's key under one's own name"),
        pytest.param(variant(ec.derive_private_key(7, ec.SECP384R1())), id="P-384"),
        pytest.param(variant(ec.derive_private_key(7, ec.SECP256K1())), id="K-256"),
        pytest.param(variant(rsa.generate_private_key(65537, 2048)), id="RSA"),
        *(
            pytest.param(variant(KEY, leave_out=extension), id=f"no {extension.__name__}")
            for extension in (
                x509.BasicConstraints,
                x509.KeyUsage,
                x509.ExtendedKeyUsage,
                x509.SubjectAlternativeName,
            )
        ),
    ],
)
def test_certificates_that_break_the_profile(certificate: str | bytes) -> None:
    with pytest.raises(BadCertificate):
        parse_certificate(certificate)


@given(st.data())
def test_a_changed_certificate_never_passes(data: st.DataObject) -> None:
    encoded = bytearray(issue(KEY))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadCertificate):
        parse_certificate(bytes(encoded))


@pytest.mark.parametrize(
    ("did", "handle", "domain", "serial"),
    [
        ("did:web:" + "a" * 57, "alice.test", "mail.test", SERIAL),
        ("did:key:zQ3sh", "alice.test", "mail.test", SERIAL),
        ("alice", "alice.test", "mail.test", SERIAL),
        (DID, "münchen.test", "mail.test", SERIAL),
        (DID, "alice.test", "mäil.test", SERIAL),
        (DID, "alice.test", "mail.test", bytes(16)),
        (DID, "alice.test", "mail.test", bytes(15)),
    ],
)
def test_names_that_no_certificate_holds(did: str, handle: str, domain: str, serial: bytes) -> None:
    with pytest.raises(BadCertificate):
        issue_certificate(KEY, did, handle, domain, serial, NOT_BEFORE, NOT_AFTER)


def test_times_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(BadCertificate):
        issue_certificate(KEY, DID, "alice.test", "mail.test", SERIAL, NOT_AFTER, NOT_BEFORE)


@pytest.mark.parametrize(
    ("did", "mail", "mailbox"),
    [
        ("did:plc:abc", "plc.abc", "did!plc!abc"),
        (
            "did:web:bob.example",
            "web." + base64.urlsafe_b64encode(b"bob.example").decode().rstrip("="),
            "did!web!bob#example",
        ),
    ],
)
def test_local_parts(did: str, mail: str, mailbox: str) -> None:
    assert mail_local_part(did) == mail
    assert mailbox_local_part(did) == mailbox
    assert did_from_local_part(mailbox) == did
    assert did_from_local_part(mailbox.replace("#", "%23")) == did


def test_a_version_that_no_standard_has_is_refused_in_either_form() -> None:
    unknown = issue(KEY).replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020122"))
    lines = base64.encodebytes(unknown).decode()
    for certificate in (unknown, f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"):
        with pytest.raises(BadCertificate):
            parse_certificate(certificate)


@pytest.mark.parametrize("local_part", ["", "alice", "did!key!abc", "did!plc!", "did!plc!a b", "plc.abc"])
def test_local_parts_that_name_no_did(local_part: str) -> None:
    with pytest.raises(BadCertificate):
        did_from_local_part(local_part)
