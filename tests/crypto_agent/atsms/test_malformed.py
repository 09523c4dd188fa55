"""Malformed envelopes, each with the code that it must give, quickly and without a traceback."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_agent.atsms import cbor, cms, der, envelope
from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import Content, decode_content, encode_content, new_content, text_part
from crypto_agent.atsms.der import Element
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.oneshot import DeviceKeys, open_message, read_signed
from tests.crypto_agent.atsms.asn1_edits import edit, flip_last_bit, remove, replace_by, twice
from tests.crypto_agent.atsms.certificate_variants import variant
from tests.crypto_agent.atsms.reference import (
    ALICE,
    BOB,
    CAROL,
    CASES,
    DEVICES,
    envelope_of,
    sealed_for,
    signed_by,
)

LIMIT_SECONDS = 1.0

CONTENT = new_content(
    ALICE.certificate.did, [BOB.certificate.did], [text_part("hello")], salt=bytes(16), created_at=1
)
SIGNED = signed_by(ALICE, CONTENT)
KEYS = BOB.keys()

# Where things stand in CMS: an index at each level.
SIGNED_DATA = [1, 0]
E_CONTENT = [*SIGNED_DATA, 2, 1, 0]
CERTIFICATES = [*SIGNED_DATA, 3]
SIGNERS = [*SIGNED_DATA, 4]
SIGNER = [*SIGNERS, 0]
ENVELOPED_DATA = [1, 0]
RECIPIENTS = [*ENVELOPED_DATA, 1]
AGREEMENT = [*RECIPIENTS, 0]
ORIGINATOR_KEY = [*AGREEMENT, 1, 0]
WRAPPED_KEY = [*AGREEMENT, 4, 0, 1]
ENCRYPTED = [*ENVELOPED_DATA, 2]


def enveloped(signed: bytes = SIGNED) -> bytes:
    return cms.envelop(signed, BOB.certificate, os.urandom)


def sealed(body: bytes, content_type: int = envelope.CONTENT_CMS) -> bytes:
    return sealed_for(BOB, body, content_type)


def with_signed(path: list[int], change: Callable[[Element], bytes]) -> bytes:
    """A good envelope around SignedData in which one element is changed."""
    return sealed(enveloped(edit(SIGNED, path, change)))


def with_enveloped(path: list[int], change: Callable[[Element], bytes]) -> bytes:
    """A good seal around EnvelopedData in which one element is changed."""
    return sealed(edit(enveloped(), path, change))


def with_content(content: Content | bytes) -> bytes:
    return sealed(enveloped(signed_by(ALICE, content)))


def with_field(position: int, value: CborValue) -> bytes:
    """A good signature over content in which one field is changed."""
    fields = cbor.decode(encode_content(CONTENT))
    assert isinstance(fields, list)
    fields[position] = value
    return with_content(cbor.encode(fields))


def sealed_plaintext(plaintext: bytes) -> bytes:
    """A good HPKE seal around any plaintext."""
    original = envelope.pad
    try:
        envelope.pad = lambda content_type, body: plaintext
        return sealed(b"")
    finally:
        envelope.pad = original


def header(*fields: CborValue) -> bytes:
    return cbor.encode(list(fields))


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def signed_with(certificate: bytes, key: Any = None) -> bytes:
    """A message signed by ALICE's key, or another, that carries another certificate."""
    other = ec.derive_private_key(7, ec.SECP256R1()) if key is None else key
    encoded = encode_content(CONTENT)
    tbs = der.children(der.children(der.read(certificate))[0])
    skeleton = cms.sign(encoded, other, ALICE.certificate)
    identifier = der.write(der.SEQUENCE, tbs[3].encoded, tbs[1].encoded)
    skeleton = edit(skeleton, [*CERTIFICATES, 0], replace_by(certificate))
    return sealed(enveloped(edit(skeleton, [*SIGNER, 1], replace_by(identifier))))


def bad_cbc_padding() -> bytes:
    """EnvelopedData whose content key is right and whose padding is not."""
    content_key = b"\x07" * 32
    good = cms.envelop(SIGNED, BOB.certificate, lambda size: content_key + bytes(size - len(content_key)))
    encryptor = Cipher(algorithms.AES(content_key), modes.CBC(bytes(16))).encryptor()
    unpadded = encryptor.update(b"\x00" * 32) + encryptor.finalize()
    return sealed(edit(good, [*ENCRYPTED, 2], lambda element: der.write(element.tag, unpadded)))


def garbage_of_good_padding() -> bytes:
    """EnvelopedData that decrypts without complaint to something that is no CMS."""
    return sealed(enveloped(b"not CMS at all"))


OTHER_KEY = ec.derive_private_key(7, ec.SECP256R1())
ECI_OID = der.write(der.OBJECT_IDENTIFIER, bytes.fromhex("2a864886f70d010701"))
AES128_CBC = der.write(der.OBJECT_IDENTIFIER, bytes.fromhex("60864801650304010 2".replace(" ", "")))
SHA512 = der.write(der.SEQUENCE, der.write(der.OBJECT_IDENTIFIER, bytes.fromhex("608648016503040203")))
P384 = der.write(
    der.SEQUENCE,
    der.write(der.OBJECT_IDENTIFIER, bytes.fromhex("2a8648ce3d0201")),
    der.write(der.OBJECT_IDENTIFIER, bytes.fromhex("2b81040022")),
)
GOOD = sealed(enveloped())
ENC, CT = bytes(32), bytes(1040)
NO_PREKEYS = DeviceKeys(KEYS.did, KEYS.key, KEYS.certificate, ())


@dataclass(frozen=True)
class Malformed:
    name: str
    code: str
    received: Callable[[], bytes]
    device: DeviceKeys = KEYS


MALFORMED = [
    # The envelope's CBOR.
    Malformed("nothing at all", "not-canonical", lambda: b""),
    Malformed("one byte", "not-canonical", lambda: b"\x85"),
    Malformed("plain text", "not-canonical", lambda: b"hello"),
    Malformed("truncated envelope", "not-canonical", lambda: GOOD[:-1]),
    Malformed("byte after the envelope", "not-canonical", lambda: GOOD + b"\x00"),
    Malformed("version in a longer form", "not-canonical", lambda: b"\x85\x18\x01" + GOOD[2:]),
    Malformed("length in a longer form", "not-canonical", lambda: GOOD[:4] + b"\x59\x00\x20" + GOOD[6:]),
    Malformed("indefinite array", "not-canonical", lambda: b"\x9f" + GOOD[1:] + b"\xff"),
    Malformed("negative version", "not-canonical", lambda: b"\x85\x20" + GOOD[2:]),
    Malformed("tagged envelope", "not-canonical", lambda: b"\xc1" + GOOD),
    Malformed("float for a version", "not-canonical", lambda: b"\x85\xf9\x3c\x00" + GOOD[2:]),
    Malformed("map keys out of order", "not-canonical", lambda: bytes.fromhex("a202000100")),
    Malformed("map key twice", "not-canonical", lambda: bytes.fromhex("a201000100")),
    Malformed("CBOR nested without end", "not-canonical", lambda: b"\x81" * 60_000),
    Malformed("CBOR array of a huge length", "not-canonical", lambda: b"\x9b" + b"\x00\xff" * 4),
    Malformed("text that is not UTF-8", "not-canonical", lambda: b"\x81\x62\xff\xff"),
    Malformed("oversized envelope", "too-large", lambda: header(1, 1, 1, ENC, bytes(70_000))),
    Malformed("a map", "bad-envelope", lambda: cbor.encode({1: 1})),
    Malformed("an empty array", "bad-envelope", lambda: cbor.encode([])),
    Malformed("four fields", "bad-envelope", lambda: header(1, 1, 1, ENC)),
    Malformed("six fields", "bad-envelope", lambda: header(1, 1, 1, ENC, CT, CT)),
    Malformed("short encapsulated key", "bad-envelope", lambda: header(1, 1, 1, ENC[1:], CT)),
    Malformed("ciphertext that is text", "bad-envelope", lambda: header(1, 1, 1, ENC, "text")),
    Malformed("suite that is true", "bad-envelope", lambda: header(1, 1, True, ENC, CT)),
    Malformed("another version", "unsupported", lambda: header(2, 1, 1, ENC, CT)),
    Malformed("group mode", "unsupported", lambda: header(1, 2, bytes(8), bytes(24), CT)),
    Malformed("another suite", "unsupported", lambda: header(1, 1, 2, ENC, CT)),
    # The seal.
    Malformed("flipped ciphertext", "cannot-open", lambda: flipped(GOOD, -1)),
    Malformed("flipped encapsulated key", "cannot-open", lambda: flipped(GOOD, 10)),
    Malformed("encapsulated key of small order", "cannot-open", lambda: header(1, 1, 1, ENC, CT)),
    Malformed(
        "ciphertext shorter than its tag", "cannot-open", lambda: header(1, 1, 1, b"\x09" + ENC[1:], b"")
    ),
    Malformed("sealed for somebody else", "cannot-open", lambda: GOOD, CAROL.keys()),
    Malformed("device without a prekey", "cannot-open", lambda: GOOD, NO_PREKEYS),
    # The sealed plaintext.
    Malformed(
        "pad byte that is not zero",
        "bad-padding",
        lambda: sealed_plaintext(cbor.encode([2, enveloped(), bytes(7) + b"\x01"])),
    ),
    Malformed("plaintext that is not CBOR", "not-canonical", lambda: sealed_plaintext(b"\xff" * 1024)),
    Malformed("plaintext without padding", "bad-envelope", lambda: sealed_plaintext(cbor.encode([2, b""]))),
    Malformed(
        "plaintext of other types", "bad-envelope", lambda: sealed_plaintext(cbor.encode(["2", b"", b""]))
    ),
    Malformed("group frame in the seal", "unsupported", lambda: sealed(b"frame", envelope.CONTENT_FRAME)),
    Malformed("content type 3", "unsupported", lambda: sealed(b"blob", 3)),
    # EnvelopedData.
    Malformed("seal around nothing", "bad-cms", lambda: sealed(b"")),
    Malformed("seal around text", "bad-cms", lambda: sealed(b"hello, this is no CMS")),
    Malformed("truncated EnvelopedData", "bad-cms", lambda: sealed(enveloped()[:-1])),
    Malformed("byte after EnvelopedData", "bad-cms", lambda: sealed(enveloped() + b"\x00")),
    Malformed("bare CMS that is truncated", "bad-cms", lambda: enveloped()[:-1]),
    Malformed("bare CMS for somebody else", "cannot-open", enveloped, CAROL.keys()),
    Malformed("bare SignedData without a seal", "bad-cms", lambda: SIGNED),
    Malformed("bare CMS above the limit", "too-large", lambda: b"\x30" + bytes(200_000)),
    Malformed("BER nested without end", "bad-cms", lambda: b"\x30\x80" * 60_000),
    Malformed("BER nested in a seal", "bad-cms", lambda: sealed(b"\x30\x80" * 30_000)),
    Malformed("DER nested to the end", "bad-cms", lambda: nested_der(20_000)),
    Malformed("BER of endless tag numbers", "bad-cms", lambda: b"\x30\x80" + b"\x1f" + b"\xff" * 120_000),
    Malformed(
        "BER of very many elements", "bad-cms", lambda: b"\x30\x80" + b"\x05\x00" * 60_000 + b"\x00\x00"
    ),
    Malformed("BER of a huge length", "bad-cms", lambda: b"\x30\x88" + b"\xff" * 8 + bytes(100)),
    Malformed("EnvelopedData without recipients", "cannot-open", lambda: with_enveloped(AGREEMENT, remove)),
    Malformed("no user keying material", "bad-cms", lambda: with_enveloped([*AGREEMENT, 2], remove)),
    Malformed("no curve parameters", "bad-cms", lambda: with_enveloped([*ORIGINATOR_KEY, 0, 1], remove)),
    Malformed(
        "originator on another curve",
        "bad-cms",
        lambda: with_enveloped([*ORIGINATOR_KEY, 0], replace_by(P384)),
    ),
    Malformed(
        "originator's point not on the curve",
        "cannot-open",
        lambda: with_enveloped([*ORIGINATOR_KEY, 1], flip_last_bit),
    ),
    Malformed(
        "key agreement of version 4",
        "bad-cms",
        lambda: with_enveloped([*AGREEMENT, 0], replace_by(b"\x02\x01\x04")),
    ),
    Malformed(
        "another key agreement",
        "unsupported",
        lambda: with_enveloped([*AGREEMENT, 3, 0], replace_by(ECI_OID)),
    ),
    Malformed(
        "another key wrap", "unsupported", lambda: with_enveloped([*AGREEMENT, 3, 1, 0], replace_by(ECI_OID))
    ),
    Malformed("bad wrap", "cannot-open", lambda: with_enveloped(WRAPPED_KEY, flip_last_bit)),
    Malformed(
        "wrap of a few bytes", "cannot-open", lambda: with_enveloped(WRAPPED_KEY, replace_by(b"\x04\x01\x00"))
    ),
    Malformed(
        "changed user keying material",
        "cannot-open",
        lambda: with_enveloped([*AGREEMENT, 2, 0], flip_last_bit),
    ),
    Malformed(
        "another cipher", "unsupported", lambda: with_enveloped([*ENCRYPTED, 1, 0], replace_by(AES128_CBC))
    ),
    Malformed("no initialisation vector", "bad-cms", lambda: with_enveloped([*ENCRYPTED, 1, 1], remove)),
    Malformed(
        "short initialisation vector",
        "bad-cms",
        lambda: with_enveloped([*ENCRYPTED, 1, 1], replace_by(b"\x04\x01\x00")),
    ),
    Malformed("no encrypted content", "bad-cms", lambda: with_enveloped([*ENCRYPTED, 2], remove)),
    Malformed("bad CBC padding", "cannot-open", bad_cbc_padding),
    Malformed("flipped CBC block", "cannot-open", lambda: with_enveloped([*ENCRYPTED, 2], flip_last_bit)),
    Malformed(
        "half a CBC block",
        "cannot-open",
        lambda: with_enveloped([*ENCRYPTED, 2], replace_by(b"\x80\x01\x00")),
    ),
    Malformed("decrypts to garbage", "cannot-open", garbage_of_good_padding),
    # SignedData.
    Malformed("EnvelopedData in EnvelopedData", "bad-cms", lambda: sealed(enveloped(enveloped()))),
    Malformed("two signers", "bad-signature", lambda: with_signed(SIGNER, twice)),
    Malformed("no signer", "bad-signature", lambda: with_signed(SIGNER, remove)),
    Malformed(
        "certificates only",
        "bad-signature",
        lambda: sealed(enveloped(edit(edit(SIGNED, SIGNER, remove), E_CONTENT[:-1], remove))),
    ),
    Malformed("altered content", "bad-signature", lambda: with_signed(E_CONTENT, flip_last_bit)),
    Malformed("altered signature", "bad-signature", lambda: with_signed([*SIGNER, 4], flip_last_bit)),
    Malformed(
        "signature that is no ECDSA",
        "bad-signature",
        lambda: with_signed([*SIGNER, 4], replace_by(b"\x04\x00")),
    ),
    Malformed("detached signature", "bad-cms", lambda: with_signed(E_CONTENT[:-1], remove)),
    Malformed("signer's certificate missing", "bad-cms", lambda: with_signed(CERTIFICATES, remove)),
    Malformed("another digest", "unsupported", lambda: with_signed([*SIGNER, 2], replace_by(SHA512))),
    Malformed(
        "another signature algorithm", "unsupported", lambda: with_signed([*SIGNER, 3], replace_by(SHA512))
    ),
    Malformed(
        "empty signed attributes",
        "bad-signature",
        lambda: with_signed([*SIGNER, 2], lambda e: e.encoded + b"\xa0\x00"),
    ),
    # The signer's certificate.
    Malformed(
        "broken certificate", "bad-certificate", lambda: with_signed([*CERTIFICATES, 0], flip_last_bit)
    ),
    Malformed(
        "CN is another DID",
        "bad-certificate",
        lambda: signed_with(variant(OTHER_KEY, did=BOB.certificate.did)),
    ),
    Malformed(
        "SAN fingerprint of another key",
        "bad-certificate",
        lambda: signed_with(
            variant(OTHER_KEY, uris=[f"at://{ALICE.certificate.did}/at.atsms.x509/{'0' * 64}"])
        ),
    ),
    Malformed("no SAN URI", "bad-certificate", lambda: signed_with(variant(OTHER_KEY, uris=[]))),
    Malformed(
        "certificate on another curve",
        "bad-certificate",
        lambda: signed_with(variant(ec.derive_private_key(7, ec.SECP384R1()))),
    ),
    Malformed("CA certificate", "bad-certificate", lambda: signed_with(variant(OTHER_KEY, ca=True))),
    # The content.
    Malformed("content that is not CBOR", "not-canonical", lambda: with_content(b"hello")),
    Malformed(
        "content that is truncated", "not-canonical", lambda: with_content(encode_content(CONTENT)[:-1])
    ),
    Malformed("content with text that is not UTF-8", "not-canonical", lambda: with_content(b"\x81\x61\xff")),
    Malformed("content of version 1", "unsupported", lambda: with_field(0, 1)),
    Malformed("short salt", "bad-content", lambda: with_field(1, bytes(8))),
    Malformed("expires malformed", "bad-content", lambda: with_field(7, [60, True])),
    Malformed("body that is text", "bad-content", lambda: with_field(11, "hello")),
    Malformed(
        "facet out of range",
        "bad-content",
        lambda: with_field(
            11,
            [[1, [0, {"text": "a", "facets": [{"byteStart": 0, "byteEnd": 2, "type": "tag", "tag": "x"}]}]]],
        ),
    ),
    Malformed("no recipients extension", "bad-content", lambda: with_field(10, {})),
    Malformed("recipients that are no DIDs", "bad-content", lambda: with_field(10, {1: ["bob.test"]})),
    Malformed("conversation of others", "wrong-conversation", lambda: with_field(2, b"\x01" + bytes(32))),
    Malformed(
        "recipient left out of the conversation", "wrong-conversation", lambda: with_field(10, {1: []})
    ),
    Malformed("conversation of a group", "wrong-conversation", lambda: with_field(2, b"\x02" + bytes(32))),
    Malformed(
        "forwarded to somebody it was not for",
        "not-for-you",
        lambda: sealed_for(CAROL, cms.envelop(SIGNED, CAROL.certificate, os.urandom)),
        CAROL.keys(),
    ),
]


def nested_der(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        data = der.write(der.SEQUENCE, data)
        if len(data) > 100_000:
            break
    return data


def test_there_are_enough_kinds() -> None:
    assert len({case.name for case in MALFORMED}) == len(MALFORMED) >= 30


def test_the_message_that_they_are_made_from_opens() -> None:
    assert open_message(GOOD, KEYS).content.text == "hello"


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_malformed_input_gives_its_code_in_bounded_time(case: Malformed) -> None:
    received = case.received()
    started = time.perf_counter()
    with pytest.raises(AtsmsError) as raised:
        open_message(received, case.device)
    assert time.perf_counter() - started < LIMIT_SECONDS
    assert raised.value.code == case.code


def test_truncated_at_every_length_the_reference_envelope_gives_a_code() -> None:
    case = CASES[0]
    received, device = envelope_of(case), DEVICES[case["openWith"]].keys()
    for length in range(len(received)):
        with pytest.raises(AtsmsError):
            open_message(received[:length], device)


def test_truncated_at_every_length_enveloped_and_signed_data_give_a_code() -> None:
    whole = enveloped()
    for length in range(len(whole)):
        with pytest.raises(AtsmsError):
            open_message(whole[:length], KEYS)
    for length in range(len(SIGNED)):
        with pytest.raises(AtsmsError):
            read_signed(SIGNED[:length])


WHOLE = enveloped()
ENCODED = encode_content(CONTENT)
fuzzing = settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])


def mutated(data: st.DataObject, original: bytes) -> bytes:
    """``original`` with a few bytes changed, put in or cut out."""
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(changed)))
        end = min(len(changed), start + data.draw(st.integers(0, 8)))
        changed[start:end] = data.draw(st.binary(max_size=8))
    return bytes(changed)


@fuzzing
@given(st.data())
def test_mutated_envelopes_give_a_code(data: st.DataObject) -> None:
    changed = mutated(data, GOOD)
    if changed != GOOD:
        with pytest.raises(AtsmsError):
            open_message(changed, KEYS)


@fuzzing
@given(st.data())
def test_mutated_enveloped_data_gives_a_code_or_the_same_message(data: st.DataObject) -> None:
    """Some bytes of the outer structure bear no meaning; none lets another message through."""
    try:
        message = open_message(sealed(mutated(data, WHOLE)), KEYS)
    except AtsmsError:
        return
    assert message.content_bytes == ENCODED


@fuzzing
@given(st.data())
def test_mutated_signed_data_gives_a_code_or_the_same_message(data: st.DataObject) -> None:
    try:
        message = read_signed(mutated(data, SIGNED))
    except AtsmsError:
        return
    assert (message.content_bytes, message.sender_fingerprint) == (ENCODED, ALICE.certificate.fingerprint)


@fuzzing
@given(st.data())
def test_mutated_content_gives_a_code_or_reads_as_itself(data: st.DataObject) -> None:
    changed = mutated(data, bytes.fromhex(CASES[2]["expect"]["contentHex"]))
    try:
        content = decode_content(changed)
    except AtsmsError:
        return
    assert encode_content(content) == changed


@fuzzing
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x30\x80", b"\x30\x82\x01\x00", b"\x85\x01\x01\x01"]))
def test_noise_gives_a_code(noise: bytes, prefix: bytes) -> None:
    with pytest.raises(AtsmsError):
        open_message(prefix + noise, KEYS)
    with pytest.raises(AtsmsError):
        read_signed(prefix + noise)
