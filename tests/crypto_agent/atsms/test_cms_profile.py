"""The form of CMS that is written here, taken apart by position: only what was written exactly so."""

import os

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.atsms import cms, der
from crypto_agent.atsms.certificates import parse_certificate
from crypto_agent.atsms.cms_profile import read_enveloped, read_signed, write_enveloped, write_signed
from crypto_agent.atsms.errors import AtsmsError
from tests.crypto_agent.atsms.asn1_edits import indefinite
from tests.crypto_agent.atsms.reference import ALICE, BOB, CAROL, signed_by

CONTENT = b"the exact bytes\x00\r\n that were signed"
NAMES = (BOB.certificate.issuer_der, BOB.certificate.serial_der)
SIGNED = signed_by(ALICE, CONTENT)
ENVELOPED = cms.envelop(SIGNED, BOB.certificate, os.urandom)


@given(st.binary(max_size=5000))
def test_what_is_written_is_read_by_position(content: bytes) -> None:
    signed = signed_by(ALICE, content)
    parts = read_signed(signed)
    assert parts is not None
    assert (parts.content, parts.certificate) == (content, ALICE.certificate.der)
    enveloped = read_enveloped(cms.envelop(signed, BOB.certificate, os.urandom), *NAMES)
    assert enveloped is not None
    assert len(enveloped.ciphertext) == (len(signed) // 16 + 1) * 16


@pytest.mark.parametrize("length", [0, 1, 127, 128, 200, 255, 256, 1000, 65_000, 70_000])
def test_what_is_written_is_der_as_openssl_reads_it(length: int) -> None:
    content = bytes(length)
    signed = signed_by(ALICE, content)
    assert der.read(signed, der.SEQUENCE).contents
    loaded = pkcs7.load_der_pkcs7_certificates(signed)
    assert [certificate.public_bytes(Encoding.DER) for certificate in loaded] == [ALICE.certificate.der]
    assert cms._read_any(signed).content == content
    enveloped = cms.envelop(signed, BOB.certificate, os.urandom)
    # Levels of indefinite length make the general reader take it apart.
    assert cms.open_enveloped(indefinite(enveloped, 3), BOB.keys().key, BOB.certificate) == signed


def test_another_form_or_another_device_is_not_read_by_position() -> None:
    assert read_enveloped(indefinite(ENVELOPED, 3), *NAMES) is None
    assert read_enveloped(ENVELOPED, CAROL.certificate.issuer_der, CAROL.certificate.serial_der) is None
    assert read_signed(indefinite(SIGNED, 3)) is None
    assert cms.open_enveloped(indefinite(ENVELOPED, 3), BOB.keys().key, BOB.certificate) == SIGNED


@given(st.data())
def test_altered_bytes_are_either_parts_that_give_them_again_or_nothing(data: st.DataObject) -> None:
    altered = bytearray(ENVELOPED)
    position = data.draw(st.integers(0, len(altered) - 1))
    altered[position] ^= data.draw(st.integers(1, 255))
    parts = read_enveloped(bytes(altered), *NAMES)
    assert parts is None or write_enveloped(parts, *NAMES) == bytes(altered)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_altered_byte_of_a_signed_message_is_believed(position: int, change: int) -> None:
    altered = bytearray(SIGNED)
    altered[position] ^= change
    try:
        verified = cms.verify(bytes(altered))
    except AtsmsError:
        return
    # What is not signed may be written another way; who signed what is the same.
    assert (verified.content, verified.certificate) == (CONTENT, ALICE.certificate)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_trip_the_reader(data: bytes, cut: int) -> None:
    for given_bytes in (data, SIGNED[:cut] + data, SIGNED[: -1 - cut]):
        parts = read_signed(given_bytes)
        if parts is not None and parts.certificate == ALICE.certificate.der:
            certificate = parse_certificate(parts.certificate)
            write_signed(parts, certificate.issuer_der, certificate.serial_der)
        read_enveloped(given_bytes, *NAMES)
        read_enveloped(ENVELOPED[:cut] + data, *NAMES)
