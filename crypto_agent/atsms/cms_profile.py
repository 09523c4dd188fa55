"""SignedData and EnvelopedData in the one form that is written here, and that form read again.

Between two messages to one device only what is random or encrypted differs; the rest is kept ready. What was
written in exactly this form is taken apart by position, and written once more to see that it was.
"""

from functools import lru_cache
from typing import NamedTuple

from crypto_agent.atsms import der
from crypto_agent.atsms.errors import BadCms

UKM_BYTES = 64
POINT_BYTES = 65
VECTOR_BYTES = 16
#: A content key of 32 bytes in AES key wrap (RFC 3394).
WRAPPED_BYTES = 40


def _oid(dotted: str) -> bytes:
    """An object identifier as a DER element (X.690 §8.19)."""
    first, second, *arcs = (int(arc) for arc in dotted.split("."))
    contents = bytearray((40 * first + second,))
    for arc in arcs:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        contents += bytes(reversed(groups))
    return der.write(der.OBJECT_IDENTIFIER, bytes(contents))


DATA = _oid("1.2.840.113549.1.7.1")
SIGNED_DATA = _oid("1.2.840.113549.1.7.2")
ENVELOPED_DATA = _oid("1.2.840.113549.1.7.3")
CONTENT_TYPE = _oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = _oid("1.2.840.113549.1.9.4")
SHA256 = _oid("2.16.840.1.101.3.4.2.1")
ECDSA_SHA256 = _oid("1.2.840.10045.4.3.2")
EC_PUBLIC_KEY = _oid("1.2.840.10045.2.1")
P256 = _oid("1.2.840.10045.3.1.7")
ECDH_SHA256_KDF = _oid("1.3.132.1.11.1")
AES256_WRAP = _oid("2.16.840.1.101.3.4.1.45")
AES256_CBC = _oid("2.16.840.1.101.3.4.1.42")

NULL = der.write(der.NULL)
VERSION_1, VERSION_2, VERSION_3 = (der.write(der.INTEGER, bytes((n,))) for n in (1, 2, 3))
SHA256_ALGORITHM = der.write(der.SEQUENCE, SHA256, NULL)
ECDSA_ALGORITHM = der.write(der.SEQUENCE, ECDSA_SHA256)
_SIGNER_ALGORITHMS = SHA256_ALGORITHM + ECDSA_ALGORITHM
P256_ALGORITHM = der.write(der.SEQUENCE, EC_PUBLIC_KEY, P256)
WRAP_ALGORITHM = der.write(der.SEQUENCE, AES256_WRAP)
AGREEMENT_ALGORITHM = der.write(der.SEQUENCE, ECDH_SHA256_KDF, WRAP_ALGORITHM)

#: What stands before an originator's point and before the user keying material.
_ORIGINATOR_HEAD = der.context(
    0, der.context(1, P256_ALGORITHM, der.write(der.BIT_STRING, b"\x00", bytes(POINT_BYTES)))
)[:-POINT_BYTES]
_UKM_HEAD = der.context(1, der.write(der.OCTET_STRING, bytes(UKM_BYTES)))[:-UKM_BYTES]
#: What stands before an initialisation vector, the content type included.
_VECTOR_HEAD = (DATA + der.write(der.SEQUENCE, AES256_CBC, der.write(der.OCTET_STRING, bytes(VECTOR_BYTES))))[
    :-VECTOR_BYTES
]
#: What SignedData has before the content.
_SIGNED_DATA_HEAD = VERSION_1 + der.write(der.SET, SHA256_ALGORITHM)
#: Length in bits of the key that is derived, as SharedInfo names it, and all before 64 bytes of material.
_WRAP_KEY_BITS = der.context(2, der.write(der.OCTET_STRING, (256).to_bytes(4, "big")))
_SHARED_INFO_HEAD = der.write(
    der.SEQUENCE,
    *(WRAP_ALGORITHM, der.context(0, der.write(der.OCTET_STRING, bytes(UKM_BYTES))), _WRAP_KEY_BITS),
)[: -UKM_BYTES - len(_WRAP_KEY_BITS)]
#: More than the heads around anything here take.
_MOST_HEAD_BYTES = 32


class Enveloped(NamedTuple):
    """What EnvelopedData for one device holds besides the device's name.

    ``point`` is the ephemeral key's, 65 bytes; ``ukm`` the user keying material, 64; ``wrapped_key`` the
    content key in 40; ``vector`` the 16 that AES-CBC starts from.
    """

    point: bytes
    ukm: bytes
    wrapped_key: bytes
    vector: bytes
    ciphertext: bytes


class Signed(NamedTuple):
    """What SignedData holds besides the signer's name: content, DER of a certificate, DER of ECDSA's pair."""

    content: bytes
    certificate: bytes
    signature: bytes


def write_enveloped(parts: Enveloped, issuer: bytes, serial: bytes) -> bytes:
    """DER of a ContentInfo with EnvelopedData for the certificate of ``issuer`` and ``serial`` (DER both)."""
    point, ukm, wrapped_key, vector, ciphertext = parts
    before, after = _around_agreement(issuer, serial)
    keys = len(before) + len(point) + len(_UKM_HEAD) + len(ukm) + len(after) + len(wrapped_key)
    start, content_head, ciphertext_head = _enveloped_heads(keys, len(vector), len(ciphertext))
    fields = (before, point, _UKM_HEAD, ukm, after, wrapped_key, content_head, vector, ciphertext_head)
    return b"".join((start, *fields, ciphertext))


# Lengths recur: names in certificates are of a few lengths, and ciphertexts are whole blocks.
@lru_cache(maxsize=1024)
def _enveloped_heads(keys: int, vector: int, ciphertext: int) -> tuple[bytes, bytes, bytes]:
    """What stands before all, before the vector, and before the ciphertext, by the bytes that each takes."""
    ciphertext_head = der.head(0x80, ciphertext)
    size = len(_VECTOR_HEAD) + vector + len(ciphertext_head) + ciphertext
    content_head = der.head(der.SEQUENCE, size) + _VECTOR_HEAD
    size += keys + len(content_head) - len(_VECTOR_HEAD)
    return _content_info_head(ENVELOPED_DATA, size), content_head, ciphertext_head


def is_enveloped(cms: bytes) -> bool:
    """Whether ``cms`` begins as EnvelopedData does in DER, whatever follows."""
    try:
        first, _ = der.contents_at(cms, 0, der.SEQUENCE)
    except BadCms:
        return False
    return cms.startswith(ENVELOPED_DATA, first)


def read_enveloped(cms: bytes, issuer: bytes, serial: bytes) -> Enveloped | None:
    """The parts from which ``write_enveloped`` makes exactly ``cms``; None for every other form."""
    before, after = _around_agreement(issuer, serial)
    point_at = cms.find(before, 0, len(before) + _MOST_HEAD_BYTES) + len(before)
    ukm_at = point_at + POINT_BYTES + len(_UKM_HEAD)
    key_at = ukm_at + UKM_BYTES + len(after)
    key_end = key_at + WRAPPED_BYTES
    vector_at = cms.find(_VECTOR_HEAD, key_end, key_end + len(_VECTOR_HEAD) + _MOST_HEAD_BYTES)
    vector_at += len(_VECTOR_HEAD)
    vector_end = vector_at + VECTOR_BYTES
    try:
        ciphertext_at, _ = der.contents_at(cms, vector_end, 0x80)
    except BadCms:
        return None
    parts = Enveloped(
        cms[point_at : point_at + POINT_BYTES],
        cms[ukm_at : ukm_at + UKM_BYTES],
        cms[key_at:key_end],
        cms[vector_at:vector_end],
        cms[ciphertext_at:],
    )
    return parts if write_enveloped(parts, issuer, serial) == cms else None


def write_signed(parts: Signed, issuer: bytes, serial: bytes) -> bytes:
    """DER of a ContentInfo with SignedData: one signer, named by ``issuer`` and ``serial`` (DER both)."""
    content, certificate, signature = parts
    after = _between_content_and_signature(certificate, issuer, serial, len(signature))
    before = _before_content(len(content), len(after) + len(signature))
    return b"".join((before, content, after, signature))


@lru_cache(maxsize=1024)
def _before_content(content: int, after: int) -> bytes:
    """What SignedData has before so many bytes of content, which so many others follow."""
    octets_head = der.head(der.OCTET_STRING, content)
    size = len(octets_head) + content
    explicit_head = der.head(0xA0, size)
    size += len(explicit_head) + len(DATA)
    encapsulated_head = der.head(der.SEQUENCE, size)
    size += len(encapsulated_head) + len(_SIGNED_DATA_HEAD) + after
    before = _SIGNED_DATA_HEAD, encapsulated_head, DATA, explicit_head, octets_head
    return b"".join((_content_info_head(SIGNED_DATA, size), *before))


# Some kilobyte for a device that signs; a signature has one of a few lengths.
@lru_cache(maxsize=1024)
def _between_content_and_signature(certificate: bytes, issuer: bytes, serial: bytes, signature: int) -> bytes:
    octets_head = der.head(der.OCTET_STRING, signature)
    before = VERSION_1 + der.write(der.SEQUENCE, issuer, serial) + _SIGNER_ALGORITHMS + octets_head
    size = len(before) + signature
    signer_head = der.head(der.SEQUENCE, size)
    set_head = der.head(der.SET, len(signer_head) + size)
    return b"".join((der.head(0xA0, len(certificate)), certificate, set_head, signer_head, before))


def read_signed(signed: bytes) -> Signed | None:
    """The parts that SignedData of this form has in these places; None where there is no such place.

    Only ``write_signed`` with the certificate's names, giving ``signed`` again, shows that it has this form.
    """
    start = signed.find(_SIGNED_DATA_HEAD, 0, len(_SIGNED_DATA_HEAD) + _MOST_HEAD_BYTES)
    if start < 0:
        return None
    try:
        encapsulated_at, certificates_at = der.contents_at(
            signed, start + len(_SIGNED_DATA_HEAD), der.SEQUENCE
        )
        explicit_at, _ = der.contents_at(signed, encapsulated_at + len(DATA), 0xA0)
        content_at, content_end = der.contents_at(signed, explicit_at, der.OCTET_STRING)
        certificate_at, signers_at = der.contents_at(signed, certificates_at, 0xA0)
        signer_at, _ = der.contents_at(signed, der.contents_at(signed, signers_at, der.SET)[0], der.SEQUENCE)
        _, names_end = der.contents_at(signed, signer_at + len(VERSION_1), der.SEQUENCE)
        signature_at, end = der.contents_at(signed, names_end + len(_SIGNER_ALGORITHMS), der.OCTET_STRING)
    except BadCms:
        return None
    if end != len(signed):
        return None
    return Signed(signed[content_at:content_end], signed[certificate_at:signers_at], signed[signature_at:])


def shared_info(ukm: bytes) -> bytes:
    """DER of ECC-CMS-SharedInfo, from which the key that wraps is derived (RFC 5753 §7.2)."""
    if len(ukm) == UKM_BYTES:
        return _SHARED_INFO_HEAD + ukm + _WRAP_KEY_BITS
    keying_material = der.context(0, der.write(der.OCTET_STRING, ukm))
    return der.write(der.SEQUENCE, WRAP_ALGORITHM, keying_material, _WRAP_KEY_BITS)


# What stands around the random parts is some 300 bytes for a device.
@lru_cache(maxsize=4096)
def _around_agreement(issuer: bytes, serial: bytes) -> tuple[bytes, bytes]:
    """What EnvelopedData has before the ephemeral point, and between keying material and wrapped key."""
    encrypted_key = der.write(
        der.SEQUENCE,
        der.write(der.SEQUENCE, issuer, serial),
        der.write(der.OCTET_STRING, bytes(WRAPPED_BYTES)),
    )
    agreement = der.context(
        1,
        VERSION_3,
        _ORIGINATOR_HEAD + bytes(POINT_BYTES),
        _UKM_HEAD + bytes(UKM_BYTES),
        AGREEMENT_ALGORITHM,
        der.write(der.SEQUENCE, encrypted_key),
    )
    whole = VERSION_2 + der.write(der.SET, agreement)
    point_at = whole.index(_ORIGINATOR_HEAD) + len(_ORIGINATOR_HEAD)
    ukm_end = point_at + POINT_BYTES + len(_UKM_HEAD) + UKM_BYTES
    return whole[:point_at], whole[ukm_end:-WRAPPED_BYTES]


def _content_info_head(content_type: bytes, size: int) -> bytes:
    """DER of a ContentInfo up to the fields, of ``size`` bytes together, of its content, a sequence."""
    sequence_head = der.head(der.SEQUENCE, size)
    size += len(sequence_head)
    explicit_head = der.head(0xA0, size)
    whole_head = der.head(der.SEQUENCE, len(content_type) + len(explicit_head) + size)
    return b"".join((whole_head, content_type, explicit_head, sequence_head))
