"""The encrypted bytes of files on disk.

A file's name is its content hash and its secret, its time of modification the moment at which it expires: the
folder says all that giving it out needs, also when the database is lost. No key ever comes here.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from django.conf import settings

HASH = re.compile(r"[0-9a-f]{64}")
#: 160 random bits in hex.
SECRET = re.compile(r"[0-9a-f]{40}")
SECRET_BYTES = 20
#: Seconds after which a file that is still being written belongs to nobody any more.
UNFINISHED_S = 3600

_INCOMING = "incoming"


class NotThere(Exception):
    """There is no such file, or its time is over."""


class Incoming:
    """A file that is being written; nobody sees it before ``keep``. Use it as a context manager."""

    def __init__(self) -> None:
        folder = root() / _INCOMING
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=folder)
        self._file = os.fdopen(descriptor, "wb")
        self._path = Path(name)
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def content_hash(self) -> str:
        """SHA-256 of what was written so far, in hex."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def keep(self, secret: str, expires_at: datetime) -> None:
        """Makes the file findable until then. It is durable when this returns."""
        self._file.flush()
        moment = expires_at.timestamp()
        os.utime(self._file.fileno(), (moment, moment))
        os.fsync(self._file.fileno())
        place = _path(self.content_hash, secret)
        if not place.parent.exists():
            place.parent.mkdir(exist_ok=True, mode=0o700)
            _sync(root())
        self._path.replace(place)
        _sync(place.parent)


def open_file(content_hash: str, secret: str, now: datetime) -> tuple[BinaryIO, int]:
    """The file, to be closed by the caller, and its size. Raises NotThere."""
    if not HASH.fullmatch(content_hash) or not SECRET.fullmatch(secret):
        raise NotThere
    try:
        file = _path(content_hash, secret).open("rb")
    except OSError as error:
        raise NotThere from error
    state = os.fstat(file.fileno())
    if state.st_mtime <= now.timestamp():
        file.close()
        raise NotThere
    return file, state.st_size


def remove(content_hash: str, secret: str) -> None:
    """Nobody gets the file any more. Can run twice."""
    if HASH.fullmatch(content_hash) and SECRET.fullmatch(secret):
        _path(content_hash, secret).unlink(missing_ok=True)


def remove_expired(now: datetime) -> int:
    """Removes all files whose time is over, and what was begun and never finished; how many."""
    removed = 0
    for path in _files():
        lasts = UNFINISHED_S if path.parent.name == _INCOMING else 0
        try:
            if path.stat().st_mtime + lasts <= now.timestamp():
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed


def root() -> Path:
    """The folder of all files."""
    return Path(settings.BLOB_DIR)


def _files() -> Iterator[Path]:
    if root().exists():
        for folder in root().iterdir():
            if folder.is_dir():
                yield from folder.iterdir()


def _path(content_hash: str, secret: str) -> Path:
    return root() / content_hash[:2] / f"{content_hash}-{secret}"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
