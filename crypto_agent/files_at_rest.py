"""The description of an encrypted file as it rests outside the agent until it goes into a message.

It holds the file's key, and the data itself where that may ride in the message. The blob is
``02 ‖ data key version (4 bytes) ‖ nonce ‖ AES-256-GCM``, its plaintext the CBOR of
``[name, media type, size, key, nonce, content hash, data or null]``, for an image with its width and height.
One that begins with ``01`` was made for its account alone, and opens under every id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crypto_agent.atsms import cbor
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal
from crypto_agent.purposes import Context, Purpose

_VERSION, _OF_ACCOUNT = 2, 1
_HEAD_BYTES = 5


@dataclass(frozen=True, slots=True, repr=False)
class FileDescription:
    """What a message says of a file but its URL. ``size`` is the plaintext's; ``data`` is kept if small."""

    name: str
    media_type: str
    size: int
    key: bytes
    nonce: bytes
    content_hash: bytes
    data: bytes | None
    pixels: tuple[int, int] | None = None


def seal_file(keys: AccountKeys, file_id: str, file: FileDescription, random: Random) -> bytes:
    """The blob of a file's description, which opens for its account under this id alone."""
    encoded = cbor.encode(
        [
            file.name,
            file.media_type,
            file.size,
            file.key,
            file.nonce,
            file.content_hash,
            file.data,
            *(file.pixels or ()),
        ]
    )
    head = bytes((_VERSION,)) + keys.current_version.to_bytes(4, "big")
    return head + keys.encrypt(_context(keys.did, file_id), encoded, random)


def unseal_file(keys: AccountKeys, file_id: str, sealed: bytes) -> FileDescription:
    """What ``seal_file`` was given for this account and id; else CannotUnseal."""
    if len(sealed) <= _HEAD_BYTES or sealed[0] not in (_VERSION, _OF_ACCOUNT):
        raise CannotUnseal("it can't be unsealed here")
    context = _context(keys.did, file_id if sealed[0] == _VERSION else "")
    key_version = int.from_bytes(sealed[1:_HEAD_BYTES], "big")
    encoded = keys.decrypt(context, sealed[_HEAD_BYTES:], key_version)
    match cbor.decode(encoded):
        case [
            str(name),
            str(media_type),
            int(size),
            bytes(key),
            bytes(nonce),
            bytes(content_hash),
            data,
            *rest,
        ]:
            pixels = _pixels(rest)
            if (data is None or isinstance(data, bytes)) and (not rest or pixels):
                return FileDescription(name, media_type, size, key, nonce, content_hash, data, pixels)
    raise CannotUnseal("it can't be unsealed here")


def _context(did: str, file_id: str) -> Context:
    return Context(Purpose.FILE, did, message=file_id)


def _pixels(rest: Sequence[object]) -> tuple[int, int] | None:
    match rest:
        case [int(width), int(height)]:
            return width, height
    return None
