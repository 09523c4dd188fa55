"""The encrypted bytes of an external part (protocol §5): AES-128-GCM under a key of the file's own.

The bytes at the part's URL are the AEAD output of RFC 5116: the ciphertext, as long as the plaintext, and the
16-byte tag, with a 12-byte nonce and no associated data. ``contentHash`` is the SHA-256 of all of them.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import FILE, ExternalPart, InlinePart
from crypto_agent.atsms.errors import BadContent, CannotOpen, Unsupported

#: The numbers of IANA's AEAD registry and of its named information hash registry.
AES_128_GCM, SHA_256 = 1, 1
KEY_BYTES, NONCE_BYTES, TAG_BYTES, HASH_BYTES = 16, 12, 16, 32
#: The largest file that may ride in the message itself.
INLINE_BYTES = 32 * 1024
CHUNK_BYTES = 256 * 1024


def encrypted_chunks(chunks: Iterable[bytes], key: bytes, nonce: bytes) -> Iterator[bytes]:
    """The encrypted bytes of a plaintext in chunks of any size; ``key`` must never have been used before."""
    encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
    for chunk in chunks:
        yield encryptor.update(chunk)
    yield encryptor.finalize() + encryptor.tag


def checked_chunks(
    chunks: Iterable[bytes], size: int, key: bytes, nonce: bytes, content_hash: bytes
) -> Iterator[bytes]:
    """Passes encrypted bytes through, and ends well only if all of them are those of the part.

    Raises CannotOpen for more or fewer than ``size`` and the tag, another hash, or a wrong tag. Nothing may
    be decrypted for anybody before this has come to its end.
    """
    decryptor = Cipher(AES(key), GCM(nonce)).decryptor()
    digest = hashlib.sha256()
    left, tag = size, b""
    for chunk in chunks:
        digest.update(chunk)
        text, rest = chunk[:left], chunk[left:]
        left -= len(text)
        tag += rest
        if len(tag) > TAG_BYTES:
            raise CannotOpen("the file is longer than its message says")
        decryptor.update(text)
        yield chunk
    if left or len(tag) != TAG_BYTES:
        raise CannotOpen("the file is shorter than its message says")
    if not hmac.compare_digest(digest.digest(), content_hash):
        raise CannotOpen("the file is not the one of its message")
    try:
        decryptor.finalize_with_tag(tag)
    except InvalidTag:
        raise CannotOpen("the file's key does not open it") from None


def decrypted_chunks(checked: BinaryIO, size: int, key: bytes, nonce: bytes) -> Iterator[bytes]:
    """The plaintext of encrypted bytes that ``checked_chunks`` let through, read from their beginning."""
    decryptor = Cipher(AES(key), GCM(nonce)).decryptor()
    left = size
    while left:
        chunk = checked.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise CannotOpen("the file became shorter")
        left -= len(chunk)
        yield decryptor.update(chunk)


def external_file(
    *,
    media_type: str,
    name: str,
    url: str,
    size: int,
    key: bytes,
    nonce: bytes,
    content_hash: bytes,
    url_expires: int,
    pixels: tuple[int, int] | None = None,
) -> ExternalPart:
    """A file part kept at ``url`` until ``url_expires`` (seconds since 1970); ``size`` is the plaintext's."""
    return ExternalPart(
        kind=FILE,
        media_type=media_type,
        url=url,
        size=size,
        encryption_algorithm=AES_128_GCM,
        key=key,
        nonce=nonce,
        hash_algorithm=SHA_256,
        content_hash=content_hash,
        meta={**({"filename": name} if name else {}), **_dimensions(pixels), "urlExpires": url_expires},
    )


def inline_file(
    *, media_type: str, name: str, data: bytes, pixels: tuple[int, int] | None = None
) -> InlinePart:
    """A file part that carries its data; raises BadContent above INLINE_BYTES."""
    if len(data) > INLINE_BYTES:
        raise BadContent("a file too large to ride in its message")
    named = {"filename": name} if name else {}
    return InlinePart(FILE, {"data": data, "contentType": media_type, **named, **_dimensions(pixels)})


def _dimensions(pixels: tuple[int, int] | None) -> dict[str, CborValue]:
    """An image's width and height, by which pages make room for it; others may leave these fields aside."""
    return {} if pixels is None else {"width": pixels[0], "height": pixels[1]}


def check_file(part: ExternalPart) -> None:
    """Raises Unsupported for another algorithm, BadContent for a key, nonce or hash of the wrong length."""
    if part.encryption_algorithm != AES_128_GCM or part.hash_algorithm != SHA_256:
        raise Unsupported("a file encrypted or hashed in another way")
    if (len(part.key), len(part.nonce), len(part.content_hash)) != (KEY_BYTES, NONCE_BYTES, HASH_BYTES):
        raise BadContent("a file's key, nonce or hash of another length")
