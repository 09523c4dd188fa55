"""The encrypted bytes of files: as the reference client's formats have them, and in chunks of any size."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from crypto_agent.atsms.content import ExternalPart, InlinePart, decode_content, encode_content
from crypto_agent.atsms.errors import BadContent, CannotOpen, Unsupported
from crypto_agent.atsms.external import (
    INLINE_BYTES,
    check_file,
    checked_chunks,
    decrypted_chunks,
    encrypted_chunks,
    external_file,
    inline_file,
)
from tests.crypto_agent.atsms.reference import vectors

VECTOR = vectors("files-reference.json")
CIPHERTEXT = bytes.fromhex(VECTOR["ciphertextHex"])
KEY, NONCE = bytes(range(16)), bytes(range(12))


def _part() -> ExternalPart:
    part = (decode_content(bytes.fromhex(VECTOR["contentHex"])).body or ())[0]
    assert isinstance(part, ExternalPart)
    return part


def _opened(
    chunks: list[bytes], size: int, key: bytes = KEY, nonce: bytes = NONCE, content_hash: bytes = b""
) -> bytes:
    content_hash = content_hash or hashlib.sha256(b"".join(chunks)).digest()
    checked = b"".join(checked_chunks(chunks, size, key, nonce, content_hash))
    return b"".join(decrypted_chunks(io.BytesIO(checked), size, key, nonce))


def _cut(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        yield data[start:end]


def test_a_file_of_the_reference_client_is_read_and_opened() -> None:
    part, said = _part(), VECTOR["external"]
    check_file(part)
    assert (part.media_type, part.url, part.size) == (said["mediaType"], said["url"], said["size"])
    assert part.content_hash.hex() == said["contentHashHex"] == hashlib.sha256(CIPHERTEXT).hexdigest()
    assert (part.meta["filename"], part.meta["urlExpires"]) == (said["filename"], said["urlExpires"])
    opened = _opened([CIPHERTEXT], part.size, part.key, part.nonce, part.content_hash)
    assert hashlib.sha256(opened).hexdigest() == VECTOR["plaintextSha256"]


def test_content_with_files_has_the_bytes_of_the_reference_client() -> None:
    content = decode_content(bytes.fromhex(VECTOR["contentHex"]))
    assert encode_content(content).hex() == VECTOR["contentHex"]
    inline = (content.body or ())[1]
    made = inline_file(
        media_type=VECTOR["inline"]["contentType"],
        name=VECTOR["inline"]["filename"],
        data=bytes.fromhex(VECTOR["inline"]["dataHex"]),
    )
    assert inline == made
    part = _part()
    ours = external_file(
        media_type=part.media_type,
        name=str(part.meta["filename"]),
        url=part.url,
        size=part.size,
        key=part.key,
        nonce=part.nonce,
        content_hash=part.content_hash,
        url_expires=1_797_000_000,
    )
    assert set(ours.meta) < set(part.meta)
    assert all(ours.meta[name] == part.meta[name] for name in ours.meta)


@given(st.binary(max_size=3000), st.lists(st.integers(0, 4000)), st.lists(st.integers(0, 4000)))
def test_borders_of_chunks_change_nothing(data: bytes, cuts: list[int], later_cuts: list[int]) -> None:
    encrypted = b"".join(encrypted_chunks(_cut(data, cuts), KEY, NONCE))
    assert encrypted == AESGCM(KEY).encrypt(NONCE, data, None)
    assert _opened(list(_cut(encrypted, later_cuts)), len(data)) == data


@given(st.binary(max_size=200), st.data())
def test_whatever_is_changed_is_noticed_before_anything_is_opened(data: bytes, draw: st.DataObject) -> None:
    encrypted = b"".join(encrypted_chunks([data], KEY, NONCE))
    at = draw.draw(st.integers(0, len(encrypted) - 1))
    changed = encrypted[:at] + bytes((encrypted[at] ^ draw.draw(st.integers(1, 255)),)) + encrypted[at + 1 :]
    for wrong in (changed, encrypted[:at], encrypted + b"\0", encrypted + bytes(1000)):
        cut = list(_cut(wrong, draw.draw(st.lists(st.integers(0, 300), max_size=3))))
        with pytest.raises(CannotOpen):
            _opened(cut, len(data))
        with pytest.raises(CannotOpen):
            _opened(cut, len(data), content_hash=hashlib.sha256(encrypted).digest())
    with pytest.raises(CannotOpen):
        _opened([encrypted], len(data), key=bytes(16))
    with pytest.raises(CannotOpen):
        _opened([encrypted], len(data), nonce=bytes(12))
    with pytest.raises(CannotOpen):
        _opened([encrypted], len(data), content_hash=bytes(32))


def test_an_endless_file_ends_at_the_size_that_was_said() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1000
            yield bytes(1000)

    with pytest.raises(CannotOpen):
        list(checked_chunks(endless(), 5000, KEY, NONCE, bytes(32)))
    assert taken == 6000


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"encryption_algorithm": 2}, Unsupported),
        ({"hash_algorithm": 2}, Unsupported),
        ({"key": bytes(32)}, BadContent),
        ({"nonce": bytes(13)}, BadContent),
        ({"content_hash": bytes(31)}, BadContent),
    ],
)
def test_files_encrypted_in_another_way_are_left_alone(
    change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        check_file(replace(_part(), **change))  # type: ignore[arg-type]


def test_a_file_rides_in_its_message_up_to_32_kib() -> None:
    made = inline_file(media_type="text/plain", name="", data=bytes(INLINE_BYTES))
    assert isinstance(made, InlinePart)
    assert "filename" not in made.fields
    with pytest.raises(BadContent):
        inline_file(media_type="text/plain", name="", data=bytes(INLINE_BYTES + 1))
