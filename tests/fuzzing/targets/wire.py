"""The binary formats: everything that an envelope may hold, at each of its layers, with the keys to it."""

import base64
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from crypto_agent.atsms import cbor, certificates, cms, der, envelope, hpke, oneshot
from crypto_agent.atsms.content import (
    Content,
    Expiry,
    ExternalPart,
    decode_content,
    encode_content,
    text_part,
)
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.facets import Facet
from crypto_agent.atsms.parts import group_update_part, preview_part, reaction_part, receipt_part
from crypto_agent.part_values import group_update_of, preview_of, reactions_of, receipt_of, topic_of
from tests.crypto_agent.atsms.reference import ALICE, BOB, CAROL, CASES, DEVICES, sealed_for, signed_by
from tests.fuzzing.target import target

READER = BOB.keys()
ISSUED_AT = datetime(2026, 1, 1, tzinfo=UTC)
CBOR_WORDS = (b"\x18\x18", b"\x19\x01\x00", b"\x5f", b"\xff", b"\xf6", b"\xf5", b"\xa1\x01", b"\x8c\x02\x50")
DER_WORDS = (b"\x30\x80", b"\x00\x00", b"\xa0\x80", b"\x24\x80", b"\x04\x82", b"\x31\x00", b"\x02\x01\x01")


@cache
def _signed() -> tuple[bytes, ...]:
    """The SignedData of the reference's messages to the reader."""
    found = []
    for case in CASES:
        try:
            found.append(oneshot.open_message(base64.b64decode(case["envelopeB64"]), READER).signed_data)
        except AtsmsError:
            continue
    return tuple(found[:12])


@cache
def _contents() -> tuple[bytes, ...]:
    return tuple(cms.verify(signed).content for signed in _signed())


@target(_contents, words=CBOR_WORDS)
def cbor_target(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except AtsmsError:
        return
    assert cbor.encode(value) == data


def _content_seeds() -> Iterator[bytes]:
    yield from _contents()
    facets = [
        Facet(0, 3, "link", "https://x.test"),
        Facet(4, 7, "tag", "two"),
        Facet(0, 3, "mention", "did:x:y"),
    ]
    yield encode_content(
        Content(
            bytes(16), b"\x01" + bytes(32), 1, (text_part("one two", facets),), {1: ["did:web:bob.example"]}
        )
    )
    image = ExternalPart(8, "image/png", "https://x.test/1", 1, 1, bytes(16), bytes(12), 1, bytes(32), {})
    for part in (
        reaction_part("\U0001f44d"),
        receipt_part("read", [bytes(32)]),
        group_update_part("Rowers", "On Sundays", image),
        preview_part("https://x.test", "A page", "About things", image),
    ):
        topic = {"topic_id": bytes(32), "expires": Expiry(True, 60), "in_reply_to": bytes(32)}
        yield encode_content(
            Content(bytes(16), b"\x01" + bytes(32), 1, (part,), {1: ["did:web:bob.example"]}, **topic)
        )


@target(_content_seeds, words=CBOR_WORDS)
def content_target(data: bytes) -> None:
    try:
        read = decode_content(data)
    except AtsmsError:
        return
    assert encode_content(read) == data
    _ = (read.recipients, read.render_kinds, read.apply_kinds, read.signal_kinds, read.degraded, read.text)
    _ = (topic_of(read), reactions_of(read), receipt_of(read), group_update_of(read), preview_of(read))


@target(lambda: (*_signed(), *(device.certificate.der for device in DEVICES.values())), words=DER_WORDS)
def der_target(data: bytes) -> None:
    """All levels are read, as no structure of the formats would have it."""
    waiting = [(data, 0)]
    while waiting:
        encoded, depth = waiting.pop()
        try:
            element = der.read(encoded)
            assert element.encoded == encoded
            der.octets(element, element.tag & ~0x20)
            if depth < 8:
                waiting += [(child.encoded, depth + 1) for child in der.children(element)]
        except AtsmsError:
            continue


def _tbs_seeds() -> Iterator[bytes]:
    for device in DEVICES.values():
        yield der.children(der.read(device.certificate.der))[0].encoded
        yield device.certificate.der
        yield device.certificate.pem.encode()


@target(_tbs_seeds, words=(*DER_WORDS, b"did:plc:", b"at://", b"/at.atsms.x509/"))
def certificate_target(data: bytes) -> None:
    """As it is, and signed anew by the first device, so that what is changed in it is looked at."""
    signature = ALICE.keys().key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    algorithm = der.children(der.read(ALICE.certificate.der))[1].encoded
    signed = der.write(der.SEQUENCE, data, algorithm, der.write(der.BIT_STRING, b"\x00" + signature))
    for encoded in (data, signed, data.decode("latin-1")):
        try:
            read = certificates.parse_certificate(encoded)
        except AtsmsError:
            continue
        assert certificates.parse_certificate(read.pem) == certificates.parse_certificate(read.der)
        assert read.fingerprint == certificates.fingerprint(read.public_key)


def _name_seeds() -> Iterator[bytes]:
    for device in DEVICES.values():
        did = device.certificate.did
        yield f"{did}\n{device.certificate.handle}".encode()
        yield f"{certificates.mailbox_local_part(did)}\nalice.test".encode()


@target(_name_seeds, words=(b"did:web:", b"did:plc:", b"%23", b"!", b"#", b"xn--"))
def certificate_names_target(data: bytes) -> None:
    """A DID and a handle, as a local part and as what a certificate is to be issued for."""
    did, _, handle = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        read = certificates.did_from_local_part(did)
        assert certificates.did_from_local_part(certificates.mailbox_local_part(read)) == read
        certificates.mail_local_part(read)
    except AtsmsError:
        pass
    try:
        issued = certificates.issue_certificate(
            ALICE.keys().key,
            did,
            handle,
            "mail.test",
            bytes(range(16)),
            ISSUED_AT,
            ISSUED_AT + timedelta(days=1),
        )
    except AtsmsError:
        return
    assert certificates.parse_certificate(issued).did == did


def _cms_seeds() -> Iterator[bytes]:
    yield from _signed()
    for signed in _signed()[:3]:
        yield cms.envelop(signed, READER.certificate, bytes)


@target(_cms_seeds, words=DER_WORDS)
def cms_target(data: bytes) -> None:
    for read in (
        cms.verify,
        cms.is_signed_data,
        oneshot.read_signed,
        lambda octets: cms.open_enveloped(octets, READER.key, READER.certificate),
    ):
        try:
            read(data)
        except AtsmsError:
            continue


def _envelope_seeds() -> Iterator[bytes]:
    for body in (b"", b"x" * 761, *_signed()[:2]):
        yield envelope.pad(envelope.CONTENT_CMS, body)
        yield sealed_for(BOB, body)


@target(_envelope_seeds, words=(*CBOR_WORDS, b"\x85\x01\x01\x01\x58\x20"))
def envelope_target(data: bytes) -> None:
    """As an envelope, and as the plaintext in one that opens."""
    with suppress(AtsmsError):
        envelope.open_envelope(data, READER.prekey_secrets)
    try:
        opened = envelope.unpad(data)
    except AtsmsError:
        return
    assert envelope.unpad(envelope.pad(opened.content_type, opened.body)) == opened


def _message_seeds() -> Iterator[bytes]:
    for case in CASES[:6]:
        yield b"\x00" + base64.b64decode(case["envelopeB64"])
    for signed, text in zip(_signed()[:6], _contents(), strict=False):
        yield b"\x01" + envelope.pad(envelope.CONTENT_CMS, signed)
        yield b"\x02" + signed
        yield b"\x03" + cms.envelop(signed, READER.certificate, bytes)
        yield b"\x04" + text
        yield b"\x05" + text


@target(_message_seeds, words=(*CBOR_WORDS, *DER_WORDS))
def message_target(data: bytes) -> None:
    """The first octet says at which layer the rest stands; all layers around it are good."""
    layer, rest = data[:1], data[1:]
    assert BOB.prekey is not None
    try:
        match layer:
            case b"\x01":
                recipient = X25519PublicKey.from_public_bytes(BOB.prekey.signed_prekey)
                encapsulated, ciphertext = hpke.seal(
                    rest, recipient, b"atsms-seal:v1", cbor.encode([1, 1, 1])
                )
                received = cbor.encode([1, 1, 1, encapsulated, ciphertext])
            case b"\x02" | b"\x03":
                received = sealed_for(BOB, rest)
            case b"\x04":
                received = sealed_for(BOB, signed_by(CAROL, rest))
            case b"\x05":
                received = cms.envelop(signed_by(ALICE, rest), READER.certificate, bytes)
            case _:
                received = rest
        opened = oneshot.open_message(received, READER)
    except AtsmsError:
        return
    assert READER.did in (opened.sender_did, *opened.recipients)
    assert oneshot.read_signed(opened.signed_data).message_id == opened.message_id
