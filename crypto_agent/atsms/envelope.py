"""The sealed envelope: HPKE to a device's prekey, padded to a few sizes (protocol §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from crypto_agent.atsms import cbor, hpke
from crypto_agent.atsms.errors import BadEnvelope, BadPadding, BadPrekey, CannotOpen, TooLarge, Unsupported

#: 32 raw bytes, or the key made of them: making it takes as long as using it once.
PrekeySecret: TypeAlias = bytes | X25519PrivateKey

CONTENT_FRAME = 1
CONTENT_CMS = 2

BUCKETS = tuple(1024 << power for power in range(7))
#: What an envelope adds to its bucket: head, encapsulated key and authentication tag.
OVERHEAD_BYTES = 57
#: The largest bucket with its tag is longer than 65,535 bytes, so its CBOR head takes two bytes more.
MAX_ENVELOPE_BYTES = BUCKETS[-1] + OVERHEAD_BYTES + 2

_VERSION, _MODE_ASYM, _SUITE_X25519 = 1, 1, 1
_INFO = b"atsms-seal:v1"
_AAD = cbor.encode([_VERSION, _MODE_ASYM, _SUITE_X25519])
#: The CBOR of ``[1, 1, 1, encapsulated key, sealed]`` up to the 32 bytes of the key.
_HEAD = cbor.head(4, 5) + _AAD[1:] + cbor.head(2, hpke.ENCAPSULATED_BYTES)
#: The CBOR of ``[2, body, padding]`` up to the body.
_CMS_PLAINTEXT = cbor.head(4, 3) + cbor.encode(CONTENT_CMS)


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """What was inside a seal: 1 is a group-protocol frame, 2 is CMS."""

    content_type: int
    body: bytes


def seal(content_type: int, body: bytes, prekey_public: bytes) -> bytes:
    """An envelope that only the holder of the prekey's secret opens.

    ``prekey_public`` is the device's 32-byte X25519 ``signedPrekey``. The result is a bucket and 57
    bytes (59 for the largest). Raises TooLarge for a body that no bucket holds, and BadPrekey for a
    key that is none.
    """
    try:
        key = X25519PublicKey.from_public_bytes(prekey_public)
    except ValueError as error:
        raise BadPrekey("not an X25519 public key") from error
    return seal_to(key, content_type, body)


def seal_to(prekey: X25519PublicKey, content_type: int, body: bytes) -> bytes:
    """The same for a prekey that was read already."""
    encapsulated, sealed = hpke.seal(pad(content_type, body), prekey, _INFO, _AAD)
    return b"".join((_HEAD, encapsulated, cbor.head(2, len(sealed)), sealed))


def open_envelope(envelope: bytes, prekey_secrets: Sequence[PrekeySecret]) -> Opened:
    """What ``envelope`` holds, by the first of the X25519 secrets that opens it.

    Raises TooLarge, NotCanonical, BadEnvelope or Unsupported for what is no envelope of this suite,
    CannotOpen where no secret opens it, and NotCanonical, BadEnvelope or BadPadding for what is inside.
    """
    encapsulated, sealed = _parse(envelope)
    for secret in prekey_secrets:
        plaintext = _open(encapsulated, sealed, secret)
        if plaintext is not None:
            return unpad(plaintext)
    raise CannotOpen("no prekey opens this envelope")


def pad(content_type: int, body: bytes) -> bytes:
    """CBOR of ``[content_type, body, zeros]``, exactly as long as the smallest bucket that can be met.

    A few body lengths miss a bucket by the growth of the padding's own CBOR head; these take the next.
    """
    before, zeros_head, zeros = _around_body(content_type, len(body))
    return b"".join((before, body, zeros_head, bytes(zeros)))


@lru_cache(maxsize=1024)
def _around_body(content_type: int, body: int) -> tuple[bytes, bytes, int]:
    """What stands before and after so many bytes of a body, and how many zeros follow."""
    before = cbor.head(4, 3) + cbor.encode(content_type) + cbor.head(2, body)
    length = len(before) + body
    for bucket in BUCKETS:
        room = bucket - length
        if room <= 0:
            continue
        for head_bytes in (1, 2, 3, 5):
            zeros = room - head_bytes
            if zeros >= 0 and len(cbor.head(2, zeros)) == head_bytes:
                return before, cbor.head(2, zeros), zeros
    raise TooLarge(f"a body of {body} bytes fits no envelope")


def unpad(plaintext: bytes) -> Opened:
    """The content type and body in a sealed plaintext, whose padding may have any length."""
    if len(plaintext) <= BUCKETS[-1] and plaintext.startswith(_CMS_PLAINTEXT):
        match cbor.byte_strings(plaintext, len(_CMS_PLAINTEXT)):
            case [body, padding] if padding.count(0) == len(padding):
                return Opened(CONTENT_CMS, body)
    match cbor.decode(plaintext, max_bytes=BUCKETS[-1]):
        case [int(content_type), bytes(body), bytes(padding)] if not isinstance(content_type, bool):
            if padding.count(0) != len(padding):
                raise BadPadding("the padding is not all zeros")
            return Opened(content_type, body)
    raise BadEnvelope("a sealed plaintext is [content type, body, padding]")


def _parse(envelope: bytes) -> tuple[bytes, bytes]:
    if len(envelope) <= MAX_ENVELOPE_BYTES and envelope.startswith(_HEAD):
        match cbor.byte_strings(envelope, len(_HEAD) + hpke.ENCAPSULATED_BYTES):
            case [sealed]:
                return envelope[len(_HEAD) : len(_HEAD) + hpke.ENCAPSULATED_BYTES], sealed
    fields = cbor.decode(envelope, max_bytes=MAX_ENVELOPE_BYTES)
    match fields:
        case [int(version), int(mode), *rest] if not isinstance(version, bool) and not isinstance(mode, bool):
            if (version, mode) != (_VERSION, _MODE_ASYM):
                raise Unsupported("an envelope of another version or mode")
        case _:
            raise BadEnvelope("not an envelope")
    match rest:
        case [int(suite), bytes(encapsulated), bytes(sealed)] if not isinstance(suite, bool):
            if suite != _SUITE_X25519:
                raise Unsupported("an envelope of another suite")
            if len(encapsulated) == 32:
                return encapsulated, sealed
    raise BadEnvelope("an envelope is [1, 1, 1, 32 bytes, bytes]")


def _open(encapsulated: bytes, sealed: bytes, secret: PrekeySecret) -> bytes | None:
    if isinstance(secret, bytes):
        try:
            secret = X25519PrivateKey.from_private_bytes(secret)
        except ValueError:
            return None
    return hpke.open_sealed(encapsulated, sealed, secret, _INFO, _AAD)
