"""The file of an account's export: a plain tar with a manifest of its parts (docs/account-export.md).

Written and read as a stream. The reader takes nothing but what the writer makes, to the last octet, and holds
every part to its size; nothing is ever unpacked to a path that the file names.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

FORMAT = "waxwing-account-export"
VERSION = 1

README, KEYS, ACCOUNT, MANIFEST, END = "README.txt", "keys.cbor", "account.cbor", "manifest.json", "end.cbor"
UNSENT, STATE, PENDING, ARCHIVE, SETTINGS = "unsent", "state", "pending", "archive", "settings"

_BLOCK = 512
_NAME = re.compile(r"(?:unsent|state|settings)/[0-9]{6,9}\.cbor|(?:pending|archive)/[0-9]{6,9}\.eml")
_SINGLE = frozenset({README, KEYS, ACCOUNT, MANIFEST, END})
#: The largest part, and the largest manifest (some 100 octets for each part).
MOST_PART_BYTES = 1 << 20
MOST_MANIFEST_BYTES = 1 << 26
#: A part takes at least so much of the manifest: its name, its digest in hex, and what JSON has around them.
_LINE_BYTES = len('"state/000001.cbor": "",\n') + 64

#: Values in the manifest beside its parts, and room for some that a later version may have.
_OTHER_VALUES = 64


class ExportFileError(Exception):
    """A file that is no whole export. ``code``: "not-an-export", "cut-off", "changed" or "other-version".

    Of one that is not taken: "of-another" or "no-room".
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Part:
    """Where a part lies in the file."""

    name: str
    offset: int
    size: int

    @property
    def folder(self) -> str:
        """What kind of part it is: ``archive``, ``pending``, …; "" for the ones that there is one of."""
        return self.name.partition("/")[0] if "/" in self.name else ""


@dataclass
class Writer:
    """Makes a file of parts, one after the other, and keeps the digest of each for the manifest."""

    did: str
    created_at: datetime
    digests: dict[str, str] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)

    def part(self, name: str, data: bytes) -> bytes:
        """The octets of a part in the file."""
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return self._in_tar(name, data)

    def next_part(self, folder: str, data: bytes) -> bytes:
        """The octets of the next part of its kind."""
        return self.part(self.next_name(folder), data)

    def next_name(self, folder: str) -> str:
        self.numbers[folder] += 1
        suffix = "eml" if folder in (PENDING, ARCHIVE) else "cbor"
        return f"{folder}/{self.numbers[folder]:06}.{suffix}"

    def manifest(self) -> bytes:
        """The content of the manifest."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "did": self.did,
                "created": self.created_at.isoformat(timespec="milliseconds"),
                "counts": {folder: self.numbers[folder] for folder in (ARCHIVE, PENDING, UNSENT)},
                "parts": self.digests,
            },
            indent=0,
        ).encode()

    def end(self) -> bytes:
        """Two empty blocks, after which a tar has nothing more."""
        return bytes(2 * _BLOCK)

    def _in_tar(self, name: str, data: bytes) -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(data), 0o600, int(self.created_at.timestamp())
        return _header(info) + data + bytes(-len(data) % _BLOCK)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


@dataclass(frozen=True)
class Checked:
    """What a whole file says of itself, and how many of which parts it has."""

    did: str
    counts: Mapping[str, int]
    manifest_digest: bytes


def parts(file: BinaryIO) -> Iterator[Part]:
    """The parts of a file in their order. Raises ExportFileError."""
    offset = 0
    while True:
        file.seek(offset)
        header = file.read(_BLOCK)
        if offset and header == bytes(_BLOCK):
            return
        if len(header) < _BLOCK:
            raise ExportFileError("cut-off" if offset else "not-an-export")
        try:
            info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
            is_ours = _header(info) == header
        except (tarfile.HeaderError, ValueError):
            raise ExportFileError("changed" if offset else "not-an-export") from None
        known = info.name in _SINGLE or _NAME.fullmatch(info.name)
        most = MOST_MANIFEST_BYTES if info.name == MANIFEST else MOST_PART_BYTES
        if not is_ours or not known or info.type != tarfile.REGTYPE or not 0 <= info.size <= most:
            raise ExportFileError("changed" if offset else "not-an-export")
        yield Part(info.name, offset + _BLOCK, info.size)
        offset += _BLOCK + info.size + -info.size % _BLOCK


def content(file: BinaryIO, part: Part) -> bytes:
    """The octets of a part. Raises ExportFileError "cut-off"."""
    file.seek(part.offset)
    data = file.read(part.size)
    if len(data) < part.size:
        raise ExportFileError("cut-off")
    return data


def check(file: BinaryIO) -> Checked:
    """Reads the whole file once and holds every part to the manifest, and what is around them to the format.

    Raises ExportFileError. Whether the manifest is the one that was made says the part ``end.cbor``, which
    only the agent opens.
    """
    digests: dict[str, str] = {}
    manifest = b""
    for part in parts(file):
        data = content(file, part)
        padded_with_zeros = not any(file.read(-part.size % _BLOCK))
        if not padded_with_zeros or part.name in digests or (manifest and part.name != END):
            raise ExportFileError("changed")
        if len(digests) * _LINE_BYTES > MOST_MANIFEST_BYTES:
            # No manifest names so many, and nothing is kept of parts without end.
            raise ExportFileError("changed")
        digests[part.name] = hashlib.sha256(data).hexdigest()
        if part.name == MANIFEST:
            manifest = data
    if not manifest or END not in digests:
        raise ExportFileError("cut-off")
    second_of_the_end = file.read(_BLOCK)
    if len(second_of_the_end) < _BLOCK:
        raise ExportFileError("cut-off")
    if any(second_of_the_end) or file.read(1):
        raise ExportFileError("changed")
    del digests[MANIFEST], digests[END]
    return _checked(manifest, digests)


def find(file: BinaryIO, name: str) -> bytes:
    """A part of which there is one. Raises ExportFileError "changed" if there is none."""
    for part in parts(file):
        if part.name == name:
            return content(file, part)
    raise ExportFileError("changed")


def _checked(manifest: bytes, digests: Mapping[str, str]) -> Checked:
    # Its values are the parts that were read, and those around them: no more are made of what is no manifest.
    if sum(manifest.count(sign) for sign in (b"[", b"{", b",")) > len(digests) + _OTHER_VALUES:
        raise ExportFileError("changed")
    try:
        said = json.loads(manifest)
    except (ValueError, RecursionError):
        raise ExportFileError("changed") from None
    match said:
        case {"format": "waxwing-account-export", "version": int(version)} if version != VERSION:
            raise ExportFileError("other-version")
        case {"format": "waxwing-account-export", "did": str(did), "parts": dict(listed)} if (
            listed == digests
        ):
            counts = Counter(name.partition("/")[0] for name in digests if "/" in name)
            return Checked(did, counts, hashlib.sha256(manifest).digest())
    raise ExportFileError("changed")
