"""Ids in the fields of calls: lowercase hex, of any length but none."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crypto_agent.errors import InvalidRequest

_HEX = re.compile(r"(?:[0-9a-f]{2})+")


def hex_value(text: str, path: str) -> bytes:
    """The bytes that ``text`` stands for; raises InvalidRequest with the ``path`` of the field otherwise."""
    if _HEX.fullmatch(text) is None:
        raise InvalidRequest(f"{path}: not lowercase hex")
    return bytes.fromhex(text)


def check_hex_fields(fields: Mapping[str, Any], names: Iterable[str], path: str) -> None:
    """Raises InvalidRequest for the first of the named fields that is there and is no hex; below ``path``."""
    for name in names:
        if name in fields:
            hex_value(fields[name], f"{path}.{name}")
