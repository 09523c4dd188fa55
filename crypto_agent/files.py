"""Files above what a message carries: encrypted once for all recipients, and decrypted again.

Only encrypted bytes touch the disk here. A plaintext is given out after all of the file was checked.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from crypto_agent.atsms.content import FILE, ExternalPart, InlinePart, Part, decode_content
from crypto_agent.atsms.errors import AtsmsError, CannotOpen
from crypto_agent.atsms.external import (
    INLINE_BYTES,
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    check_file,
    checked_chunks,
    decrypted_chunks,
    encrypted_chunks,
)
from crypto_agent.atsms.json_bytes import to_json
from crypto_agent.atsms.parts import data_field, file_field
from crypto_agent.client_values import SealedContent
from crypto_agent.content_at_rest import unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import FileDamaged, InvalidRequest, NoSuchFile
from crypto_agent.files_at_rest import FileDescription, seal_file
from crypto_agent.framed import CHUNK_BYTES, FramedAnswer, FramedBody, Spool
from crypto_agent.key_store import account_keys


def encrypt_file(
    did: str,
    file_id: str,
    name: str,
    media_type: str,
    size: int,
    body: FramedBody,
    random: Random,
    pixels: tuple[int, int] | None = None,
) -> FramedAnswer:
    """A file of ``size`` bytes for messages of ``did``: its description sealed at rest, its encrypted bytes.

    The description goes into a message under ``file_id`` alone, which is the caller's own.

    ``pixels`` are an image's width and height, for those who make room for it before they have it. Raises
    InvalidRequest if the body has another length, NoSuchAccount, TooManyFiles.
    """
    _, keys = account_keys(did)
    if body.left != size:
        raise InvalidRequest("size: not that of the body")
    key, nonce = random(KEY_BYTES), random(NONCE_BYTES)
    spool = Spool()
    try:
        small = bytearray() if size <= INLINE_BYTES else None
        hashed = hashlib.sha256()
        for chunk in encrypted_chunks(_kept(body.chunks(), small), key, nonce):
            hashed.update(chunk)
            spool.file.write(chunk)
        content_hash = hashed.digest()
        description = FileDescription(
            name=name,
            media_type=media_type,
            size=size,
            key=key,
            nonce=nonce,
            content_hash=content_hash,
            data=None if small is None else bytes(small),
            pixels=pixels,
        )
        sealed = seal_file(keys, file_id, description, random)
        spool.file.seek(0)
    except BaseException:
        spool.close()
        raise
    answer = {"sealed": to_json(sealed), "contentHash": content_hash.hex(), "size": size + TAG_BYTES}
    return FramedAnswer(answer, size + TAG_BYTES, _read(spool.file), spool)


def decrypt_file(did: str, message: SealedContent, part: int, body: FramedBody) -> FramedAnswer:
    """The plaintext of the file at the place ``part`` of a message, from the encrypted bytes in the body.

    Where a preview or a group update stands there, it is the file that this one names; the body is empty for
    one that rides in it.

    All of them are checked first: length, hash and tag. Raises FileDamaged if they are others than the
    message says, NoSuchFile, CannotUnseal, NoSuchAccount, TooManyFiles.
    """
    _, keys = account_keys(did)
    content = unseal_content(keys, message).content
    if (data := _data_here(content, part)) is not None:
        if body.left:
            raise FileDamaged("the file is in the message itself")
        return FramedAnswer({"size": len(data)}, len(data), iter((data,)), Spool())
    file = _external_file(content, part)
    spool = Spool()
    try:
        for chunk in checked_chunks(body.chunks(), file.size, file.key, file.nonce, file.content_hash):
            spool.file.write(chunk)
        spool.file.seek(0)
    except CannotOpen:
        spool.close()
        raise FileDamaged("it is not the file of the message") from None
    except BaseException:
        spool.close()
        raise
    return FramedAnswer(
        {"size": file.size}, file.size, decrypted_chunks(spool.file, file.size, file.key, file.nonce), spool
    )


def carried_file(keys: AccountKeys, message: SealedContent, part: int) -> Part:
    """The file at the place ``part`` of a message of the account, to go into another one as it is.

    Raises NoSuchFile, CannotUnseal.
    """
    with suppress(AtsmsError):
        found = _part(unseal_content(keys, message).content, part)
        if isinstance(found, ExternalPart) and found.kind == FILE:
            check_file(found)
            return found
        if isinstance(found, InlinePart) and found.kind == FILE:
            return found
    raise _no_such_file()


def label_of(part: Part) -> str:
    """What stands for a file where it can't be shown: its name, or its type."""
    if isinstance(part, ExternalPart):
        return str(part.meta.get("filename") or part.media_type)
    return str(part.fields.get("filename") or part.fields["contentType"])


def _external_file(content: bytes, index: int) -> ExternalPart:
    """The file at a place, or the one that a preview or group update there names."""
    with suppress(AtsmsError):
        part = _part(content, index)
        if isinstance(part, InlinePart):
            part = file_field(part)
        elif part is not None and part.kind != FILE:
            part = None
        if part is not None:
            check_file(part)
            return part
    raise _no_such_file()


def _data_here(content: bytes, index: int) -> bytes | None:
    """The file that rides in a preview or group update at a place, if there is one."""
    with suppress(AtsmsError):
        part = _part(content, index)
        found = data_field(part) if isinstance(part, InlinePart) else None
        return found[1] if found else None
    return None


def _part(content: bytes, index: int) -> Part | None:
    body = decode_content(content).body or ()
    return body[index] if index < len(body) else None


def _no_such_file() -> NoSuchFile:
    return NoSuchFile("there is no such file in the message")


def _kept(chunks: Iterator[bytes], small: bytearray | None) -> Iterator[bytes]:
    for chunk in chunks:
        if small is not None:
            small += chunk
        yield chunk


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
