"""Bodies and files on their way through this process, in little memory and never readable on disk.

What does not fit the memory goes to an unlinked temporary file, encrypted with AES-256-CTR under a key that
this process keeps for the one file and forgets with it.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

CHUNK_BYTES = 256 * 1024
MEMORY_BYTES = 256 * 1024


class SpoolFull(Exception):
    """This process has as much on its disk as it may."""


class _Room:
    """What all spools of this process have on disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used = 0

    def take(self, size: int) -> None:
        with self._lock:
            if self._used + size > settings.SPOOL_BYTES:
                raise SpoolFull
            self._used += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size


_room = _Room()


class Spool:
    """Written to once, then read from the beginning as often as needed (``seek(0)``). Close it in the end."""

    def __init__(self) -> None:
        self.size = 0
        self._memory: bytearray | None = bytearray()
        self._file: BinaryIO | None = None
        self._key = b""
        self._encryptor: CipherContext | None = None
        self._decryptor: CipherContext | None = None
        self._at = 0
        #: Read from the file already, and still to be given out.
        self._ahead = b""
        self._on_disk = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def write(self, data: bytes) -> int:
        """Adds at the end. Raises SpoolFull."""
        self.size += len(data)
        if self._memory is not None:
            self._memory += data
            if len(self._memory) > MEMORY_BYTES:
                kept, self._memory = bytes(self._memory), None
                self._begin_file()
                self._write_to_file(kept)
        else:
            self._write_to_file(data)
        return len(data)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """To the beginning, or to the end, whose position tells the size; nowhere else."""
        if whence == os.SEEK_END:
            self._at, self._ahead = self.size, b""
        elif position == 0 and whence == os.SEEK_SET:
            self._at, self._ahead = 0, b""
            if self._file is not None:
                self._file.flush()
                self._file.seek(0)
                self._decryptor = self._cipher().decryptor()
        else:
            raise ValueError("a spool is read from its beginning")
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to ``size`` bytes further on; b"" at the end."""
        left = self.size - self._at
        size = left if size is None or size < 0 else min(size, left)
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        data += self._further(size - len(data), self._at + len(data) + len(self._ahead))
        self._at += len(data)
        return data

    def readline(self, size: int | None = -1) -> bytes:
        """Up to and with the next line end, or ``size`` bytes."""
        most = self.size - self._at if size is None or size < 0 else size
        line = b""
        while len(line) < most and (part := self.read(min(most - len(line), CHUNK_BYTES))):
            end = part.find(b"\n") + 1
            if end:
                self._ahead = part[end:] + self._ahead
                self._at -= len(part) - end
                return line + part[:end]
            line += part
        return line

    def chunks(self) -> Iterator[bytes]:
        """All of it, from the beginning."""
        self.seek(0)
        while chunk := self.read(CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        """Frees memory, disk and key. Can run twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
        _room.give_back(self._on_disk)
        self._on_disk, self._memory, self._key, self.size = 0, bytearray(), b"", 0
        self._at, self._ahead = 0, b""
        self._encryptor = self._decryptor = None

    def _further(self, size: int, position: int) -> bytes:
        """The next bytes of memory or file, which are those at ``position``."""
        if size <= 0:
            return b""
        if self._memory is not None:
            return bytes(self._memory[position : position + size])
        if self._decryptor is None:
            self.seek(0)
        assert self._file is not None
        assert self._decryptor is not None
        return self._decryptor.update(self._file.read(size))

    def _begin_file(self) -> None:
        os.makedirs(settings.SPOOL_DIR, mode=0o700, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=settings.SPOOL_DIR)  # noqa: SIM115
        self._key = os.urandom(32)
        self._encryptor = self._cipher().encryptor()

    def _cipher(self) -> Cipher[CTR]:
        # The counter may begin at zero, since no other file has this key.
        return Cipher(AES256(self._key), CTR(bytes(16)))

    def _write_to_file(self, data: bytes) -> None:
        assert self._file is not None
        assert self._encryptor is not None
        _room.take(len(data))
        self._on_disk += len(data)
        self._file.write(self._encryptor.update(data))


class SpooledUpload(FileUploadHandler):
    """Puts each file of a form into a spool."""

    def new_file(self, *arguments: object, **more: object) -> None:
        super().new_file(*arguments, **more)  # type: ignore[arg-type]
        self.spool = Spool()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.spool.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile[Any]:
        self.spool.seek(0)
        return UploadedFile(
            self.spool,  # type: ignore[arg-type]
            self.file_name,
            self.content_type,
            file_size,
            self.charset,
            self.content_type_extra,
        )

    def upload_interrupted(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
