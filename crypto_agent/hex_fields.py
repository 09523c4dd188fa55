"""Ids in the fields of calls: lowercase hex, of any length but none."""

import re

from crypto_agent.errors import InvalidRequest

_HEX = re.compile(r"(?:[0-9a-f]{2})+")


def hex_value(text: str, path: str) -> bytes:
    """The bytes that ``text`` stands for; raises InvalidRequest with the ``path`` of the field otherwise."""
    if _HEX.fullmatch(text) is None:
        raise InvalidRequest(f"{path}: not lowercase hex")
    return bytes.fromhex(text)
