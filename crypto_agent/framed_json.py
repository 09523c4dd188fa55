"""The head of calls and answers that carry a file, as the agent and its client write it."""

from typing import Any

from crypto_agent.plain_json import plain

STREAM = "application/vnd.waxwing.stream"
HEAD_BYTES = 4
#: The content of a message at rest in base64, and some room.
MOST_JSON_BYTES = 512 * 1024


def head(value: dict[str, Any]) -> bytes:
    """The length of the JSON in 4 bytes, and the JSON."""
    encoded = plain(value)
    return len(encoded).to_bytes(HEAD_BYTES, "big") + encoded
