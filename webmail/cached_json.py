"""How values are written into the cache: as JSON, since whoever writes to Redis must not run code here."""

import json
from typing import Any


class CachedJson:
    """Django's interface of a cache's serializer, without pickle. Values are what JSON holds."""

    def dumps(self, value: Any) -> bytes:
        """JSON of ``value``; raises TypeError for what JSON does not hold."""
        return json.dumps(value, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        """The value, or None for what is no JSON: as if it had not been kept."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None
