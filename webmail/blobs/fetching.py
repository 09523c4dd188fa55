"""Files of messages for the person who reads them: fetched from the sender's server, checked, decrypted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import httpx
from django.conf import settings

import outbound
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.atsms.external import TAG_BYTES
from crypto_agent.client import (
    AgentError,
    AgentLimited,
    AgentLocked,
    AgentRefused,
    AgentSealed,
    SealedContent,
)
from turns import computing
from webmail.blobs import store
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.blobs.names import safe_name, safe_type
from webmail.blobs.spool import CHUNK_BYTES, Spool, SpoolFull
from webmail.shown_message import shown_message
from webmail.turns import Turns

#: From asking to the last byte. A hundred megabytes in that time are a slow line.
SECONDS = 600.0
#: Files that one process fetches at once, and those of them for one account: senders' servers may be slow on
#: purpose, and then hold up only who asks for their files.
MOST_AT_ONCE = 8
MOST_OF_ONE = 3
FILE_KIND = 3

#: Size and chunks of the encrypted bytes, and what takes the plaintext.
Decrypt = Callable[[int, Iterable[bytes], Callable[[bytes], object]], object]


_places = Turns(MOST_AT_ONCE, MOST_OF_ONE)


@dataclass(frozen=True)
class MessageFile:
    """A file as its message has it. ``size`` is said by the sender; ``data`` is there if it came along."""

    part: int
    name: str
    media_type: str
    size: int
    url: str
    content_hash: str
    expires_at: datetime | None
    data: bytes | None
    #: Width and height of an image, if its sender says so.
    pixels: tuple[int, int] | None = None

    @property
    def is_here(self) -> bool:
        """Whether nobody else's server hears of it when somebody looks at the file."""
        return self.data is not None or _place_here(self.url) is not None

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def files_in(parts: object) -> list[MessageFile]:
    """The files among the parts of a message (``ReadMessage.parts``), whatever a sender put into them."""
    assert isinstance(parts, list | tuple)
    return [_file(index, part) for index, part in enumerate(parts) if part.get("kind") == FILE_KIND]


def download(
    account: Account,
    message_id: str,
    part: int,
    *,
    now: datetime,
    most_bytes: int | None = None,
    patience: float = 0.0,
) -> tuple[MessageFile, Spool]:
    """A file of a message and its plaintext, to be closed by the caller. Raises CannotFetch.

    None above ``most_bytes`` is fetched. ``patience``: seconds that it waits while others are fetched.
    """
    sealed = shown_message(account, message_id).sealed
    file = _file_of(account, sealed, part)

    def decrypt(size: int, chunks: Iterable[bytes], sink: Callable[[bytes], object]) -> object:
        return agent().decrypt_file(account.did, sealed, file.part, size, chunks, sink)

    plaintext = plaintext_of(account, file, decrypt, now=now, most_bytes=most_bytes, patience=patience)
    return file, plaintext


def plaintext_of(
    account: Account,
    file: MessageFile,
    decrypt: Decrypt,
    *,
    now: datetime,
    most_bytes: int | None = None,
    patience: float = 0.0,
    seconds: float | None = None,
) -> Spool:
    """The plaintext of a file, to be closed by the caller. Raises CannotFetch.

    ``decrypt`` has the agent check and decrypt the encrypted bytes; it may raise AgentError. ``seconds`` is
    what the sender's server may take, SECONDS without it.
    """
    if file.data is None and file.size > (most_bytes or settings.BLOB_MAX_BYTES):
        raise CannotFetch("too-large")
    if not _places.take(account.pk, patience):
        raise CannotFetch("busy", 503)
    plaintext = Spool()
    try:
        if file.data is not None:
            plaintext.write(file.data)
        else:
            with _encrypted(file, now, seconds or SECONDS) as encrypted:
                _decrypt(decrypt, file, encrypted, plaintext)
    except SpoolFull as error:
        plaintext.close()
        raise CannotFetch("busy", 503) from error
    except BaseException:
        plaintext.close()
        raise
    finally:
        _places.give_back(account.pk)
    return plaintext


def _file_of(account: Account, sealed: SealedContent, part: int) -> MessageFile:
    try:
        (read,) = agent().read(account.did, [sealed])
    except AgentError as error:
        raise _agent_failure(error) from error
    if read.error or not 0 <= part < len(read.parts) or read.parts[part].get("kind") != FILE_KIND:
        raise CannotFetch("no-such-file", 404)
    return _file(part, read.parts[part])


@contextmanager
def _encrypted(file: MessageFile, now: datetime, seconds: float) -> Iterator[BinaryIO]:
    """The encrypted bytes, as long as the message says; whether they are the right ones the agent checks."""
    if (place := _place_here(file.url)) is not None:
        try:
            found, size = store.open_file(*place, now)
        except store.NotThere:
            raise CannotFetch("expired" if file.expired(now) else "gone", 410) from None
        with found:
            if size != file.size + TAG_BYTES:
                raise CannotFetch("changed")
            yield found
        return
    with tempfile.TemporaryFile(dir=_spool_dir()) as spooled:
        _fetch(file, spooled, now, seconds)
        spooled.seek(0)
        yield spooled


def _fetch(file: MessageFile, spooled: BinaryIO, now: datetime, seconds: float) -> None:
    if not outbound.is_web_address(file.url):
        raise CannotFetch("bad-address")
    wanted = file.size + TAG_BYTES
    try:
        with (
            computing.waiting(),
            outbound.http_client(max_bytes=wanted, seconds=seconds) as client,
            client.stream("GET", file.url, follow_redirects=True) as answer,
        ):
            if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                raise CannotFetch("expired" if file.expired(now) else "gone", 410)
            if answer.status_code != httpx.codes.OK:
                raise CannotFetch("server-refuses")
            for chunk in answer.iter_raw(CHUNK_BYTES):
                spooled.write(chunk)
    except outbound.OutboundError as error:
        raise CannotFetch("changed" if error.code == "too-large" else "bad-address") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise CannotFetch("server-silent") from error
    if spooled.tell() != wanted:
        raise CannotFetch("changed")


def _decrypt(decrypt: Decrypt, file: MessageFile, encrypted: BinaryIO, plaintext: Spool) -> None:
    chunks = iter(lambda: encrypted.read(CHUNK_BYTES), b"")
    try:
        decrypt(file.size + TAG_BYTES, chunks, plaintext.write)
    except AgentRefused as error:
        code = {"FileDamaged": "changed", "NoSuchFile": "unsupported"}.get(error.code, "no-such-file")
        raise CannotFetch(code) from error
    except AgentError as error:
        raise _agent_failure(error) from error


def _agent_failure(error: AgentError) -> CannotFetch:
    if isinstance(error, AgentLimited):
        return CannotFetch("limit-reached", 429)
    if isinstance(error, AgentLocked):
        return CannotFetch("locked", 423)
    if isinstance(error, AgentSealed):
        return CannotFetch("agent-sealed", 503)
    return CannotFetch("busy" if error.code == "TooManyFiles" else "agent-unavailable", 503)


def _file(index: int, part: dict[str, Any]) -> MessageFile:
    data, said, content_hash = part.get("data"), part.get("size"), part.get("contentHash")
    data = data if isinstance(data, bytes) else None
    size = said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else 0
    return MessageFile(
        part=index,
        name=safe_name(_text(part.get("filename"))),
        media_type=safe_type(_text(part.get("contentType")) or _text(part.get("mediaType"))),
        size=size if data is None else len(data),
        url=_text(part.get("url")),
        content_hash=content_hash.hex() if isinstance(content_hash, bytes) else "",
        expires_at=_moment(part.get("urlExpires")) if data is None else None,
        data=data,
        pixels=_pixels(part),
    )


def _pixels(part: dict[str, Any]) -> tuple[int, int] | None:
    width, height = part.get("width"), part.get("height")
    if type(width) is int and type(height) is int and min(width, height) > 0 and max(width, height) < 1 << 16:
        return width, height
    return None


def _text(value: object) -> str:
    # A sender may add fields of any type and name.
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _place_here(url: str) -> tuple[str, str] | None:
    """Content hash and secret of a file that this installation keeps itself."""
    beginning = f"{settings.PUBLIC_URL}/blobs/"
    if not url.startswith(beginning):
        return None
    content_hash, _slash, secret = url.removeprefix(beginning).partition("/")
    return content_hash, secret


def _spool_dir() -> str:
    Path(settings.SPOOL_DIR).mkdir(parents=True, exist_ok=True, mode=0o700)
    return str(settings.SPOOL_DIR)
