"""The operator's key in a file.

Every line is a version: its number, a space, and 32 bytes in url-safe base64. A file with a key alone and
no number is version 1.
"""

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from crypto_agent.custody import KEY_BYTES
from crypto_agent.errors import Sealed
from crypto_agent.operator_keys.in_memory import OperatorKeysInMemory

_LINE = re.compile(rb"(?:([1-9][0-9]{0,8}) )?([A-Za-z0-9_-]+={0,2})")
#: More than any sensible number of versions takes.
_MOST_BYTES = 64 * 1024


def read_key_file(path: Path) -> OperatorKeysInMemory:
    """Raises Sealed if there is no such file, or if it holds something else than keys."""
    return OperatorKeysInMemory(keys_in(_content(path)))


def keys_in(content: bytes) -> dict[int, bytes]:
    """The versions in a key file's content; raises Sealed, whose text never quotes it."""
    keys: dict[int, bytes] = {}
    lines = content.strip().splitlines()
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line.strip())
        if match is None or (match[1] is None and len(lines) > 1):
            raise Sealed(f'line {number} of the operator\'s key file is not "version key"')
        version = int(match[1] or 1)
        if version in keys:
            raise Sealed(f"the operator's key file has version {version} twice")
        keys[version] = _decoded(match[2], number)
    return keys


def add_version(path: Path) -> int:
    """Adds a new version below the ones that the file has, or makes the file with version 1.

    The new content replaces the old in one step, so that a reader or a crash never meets half of it.
    Raises OSError, or Sealed if the file holds something else than keys.
    """
    keys = keys_in(_content(path)) if path.exists() else {}
    version = max(keys, default=0) + 1
    keys[version] = secrets.token_bytes(KEY_BYTES)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    write_key_file(new, keys)
    new.replace(path)
    _make_durable(path.parent)
    return version


def write_key_file(path: Path, keys: Mapping[int, bytes]) -> None:
    """Makes a file that only its owner can read; raises FileExistsError if there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for version, key in sorted(keys.items()):
            number = b"" if len(keys) == 1 and version == 1 else b"%d " % version
            file.write(number + base64.urlsafe_b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())


class KeyFileSource:
    """The file that holds the operator's key: read when first needed, kept in memory from then on.

    Until the file is there every reading raises Sealed, so that an operator can unseal a running agent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: OperatorKeysInMemory | None = None

    def key(self) -> OperatorKeysInMemory:
        if self._keys is None:
            self._keys = read_key_file(self.path)
        return self._keys

    def read_again(self) -> OperatorKeysInMemory:
        """The keys as the file has them now; raises Sealed, and then those known before stay."""
        self._keys = read_key_file(self.path)
        return self._keys


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise Sealed("the operator's key is absent") from error


def _decoded(text: bytes, number: int) -> bytes:
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        # The cause is dropped: it could quote the key.
        raise Sealed(f"line {number} of the operator's key file does not hold url-safe base64") from None
    if len(key) != KEY_BYTES:
        raise Sealed("the operator's key must be 32 bytes")
    return key


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
