"""CMS: what openssl makes of ours, what we make of openssl's, BER, and signed attributes."""

import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from crypto_agent.atsms import cms, der
from crypto_agent.atsms.errors import BadCms, BadSignature, CannotOpen
from crypto_agent.device_file import FileDevice
from tests.crypto_agent.atsms.asn1_edits import edit, indefinite
from tests.crypto_agent.atsms.reference import ALICE, BOB, CAROL, signed_by

CONTENT = b"the exact bytes\x00\r\n that were signed"


def enveloped_for(device: FileDevice, signed: bytes) -> bytes:
    return cms.envelop(signed, device.certificate, os.urandom)


def open_as(device: FileDevice, enveloped: bytes) -> bytes:
    return cms.open_enveloped(enveloped, device.keys().key, device.certificate)


def openssl(*arguments: str | Path, stdin: bytes) -> bytes:
    return subprocess.run(["openssl", "cms", *arguments], input=stdin, capture_output=True, check=True).stdout


@pytest.fixture
def key_and_certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    private_key = BOB.keys().key
    key.write_bytes(
        private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate.write_text(BOB.certificate.pem)
    return key, certificate


def test_signing_the_same_content_gives_the_same_bytes() -> None:
    assert signed_by(ALICE, CONTENT) == signed_by(ALICE, CONTENT)
    verified = cms.verify(signed_by(ALICE, CONTENT))
    assert (verified.content, verified.certificate) == (CONTENT, ALICE.certificate)


def test_enveloping_twice_gives_different_bytes_that_open_to_the_same() -> None:
    signed = signed_by(ALICE, CONTENT)
    first, second = enveloped_for(BOB, signed), enveloped_for(BOB, signed)
    assert first != second
    assert open_as(BOB, first) == open_as(BOB, second) == signed
    with pytest.raises(CannotOpen):
        open_as(CAROL, first)


def test_openssl_decrypts_and_verifies_ours(key_and_certificate: tuple[Path, Path]) -> None:
    key, certificate = key_and_certificate
    signed = signed_by(ALICE, CONTENT)
    decrypted = openssl(
        "-decrypt", "-binary", "-inform", "DER", "-inkey", key, "-recip", certificate,
        stdin=enveloped_for(BOB, signed),
    )  # fmt: skip
    assert decrypted == signed
    verified = openssl("-verify", "-noverify", "-binary", "-inform", "DER", stdin=decrypted)
    assert verified == CONTENT


@pytest.mark.parametrize("attributes", [["-noattr"], []], ids=["plain", "signed attributes"])
@pytest.mark.parametrize("stream", [["-stream", "-indef"], []], ids=["BER", "DER"])
def test_openssl_signatures_verify(
    key_and_certificate: tuple[Path, Path], attributes: list[str], stream: list[str]
) -> None:
    key, certificate = key_and_certificate
    options = ["-sign", "-nodetach", "-binary", "-outform", "DER", "-md", "sha256", *attributes, *stream]
    signed = openssl(*options, "-inkey", key, "-signer", certificate, stdin=CONTENT)
    verified = cms.verify(signed)
    assert (verified.content, verified.certificate) == (CONTENT, BOB.certificate)


def test_openssl_envelopes_without_key_material_are_refused_as_the_reference_does(
    key_and_certificate: tuple[Path, Path],
) -> None:
    _, certificate = key_and_certificate
    options = ["-encrypt", "-binary", "-outform", "DER", "-aes-256-cbc"]
    agreement = ["-keyopt", "ecdh_kdf_md:sha256", "-aes256-wrap"]
    enveloped = openssl(*options, "-recip", certificate, *agreement, stdin=signed_by(ALICE, CONTENT))
    with pytest.raises(BadCms):
        open_as(BOB, enveloped)


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_indefinite_lengths_are_read(levels: int) -> None:
    signed = signed_by(ALICE, CONTENT)
    enveloped = indefinite(enveloped_for(BOB, signed), levels)
    assert enveloped.startswith(b"\x30\x80")
    assert open_as(BOB, enveloped) == signed
    # From the fourth level on, the signer's certificate would be rewritten, which is read as it stands.
    if levels <= 4:
        assert cms.verify(indefinite(signed, levels)).content == CONTENT


def test_octet_strings_in_chunks_are_read() -> None:
    chunks = [CONTENT[start : start + 7] for start in range(0, len(CONTENT), 7)]
    chunked = b"\x24\x80" + b"".join(der.write(der.OCTET_STRING, chunk) for chunk in chunks) + b"\x00\x00"
    signed = edit(signed_by(ALICE, CONTENT), [1, 0, 2, 1, 0], lambda _: chunked)
    assert cms.verify(signed).content == CONTENT
    enveloped = enveloped_for(BOB, signed_by(ALICE, CONTENT))
    in_chunks = edit(
        enveloped,
        [1, 0, 2, 2],
        lambda element: der.context(
            0,
            *(
                der.write(der.OCTET_STRING, element.contents[i : i + 64])
                for i in range(0, len(element.contents), 64)
            ),
        ),
    )
    assert open_as(BOB, in_chunks) == signed_by(ALICE, CONTENT)


def test_a_device_finds_itself_among_many_recipients() -> None:
    """The reference puts every device of every recipient into one CMS; only the wrapped keys differ."""
    signed = signed_by(ALICE, CONTENT)
    agreements = [der.read(enveloped_for(device, signed)) for device in (CAROL, ALICE)]
    others = b"".join(
        der.children(der.children(der.children(der.children(a)[1])[0])[1])[0].encoded for a in agreements
    )
    enveloped = edit(enveloped_for(BOB, signed), [1, 0, 1, 0], lambda own: others + own.encoded)
    assert open_as(BOB, enveloped) == signed
    with pytest.raises(CannotOpen):
        open_as(CAROL, enveloped)


def test_signed_attributes_of_other_content_are_refused(key_and_certificate: tuple[Path, Path]) -> None:
    key, certificate = key_and_certificate
    options = ["-sign", "-nodetach", "-binary", "-outform", "DER", "-md", "sha256"]
    signed = openssl(*options, "-inkey", key, "-signer", certificate, stdin=CONTENT)
    changed = edit(signed, [1, 0, 2, 1, 0], lambda _: der.write(der.OCTET_STRING, b"other"))
    with pytest.raises(BadSignature):
        cms.verify(changed)


def test_size_stays_near_what_the_content_needs() -> None:
    sizes = [len(enveloped_for(BOB, signed_by(ALICE, bytes(length)))) - length for length in (0, 100, 60_000)]
    assert max(sizes) < 1400
