"""JSON of values with ``bytes`` in them, as the calls carry it."""

import json
from typing import Any

from crypto_agent.atsms.json_bytes import to_json


def plain(value: Any) -> bytes:
    """The JSON of a value with ``bytes`` in it, in base64."""
    return json.dumps(value, default=_in_base64).encode()


def _in_base64(item: object) -> dict[str, str]:
    if not isinstance(item, bytes):
        raise TypeError(f"a {type(item).__name__} is no JSON")
    return to_json(item)
