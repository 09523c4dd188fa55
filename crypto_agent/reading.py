"""The plaintext of messages at rest, for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import InlinePart, Part, decode_own_content
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.atsms.parts import FILE_FIELDS
from crypto_agent.client_values import ReadMessage, SealedContent
from crypto_agent.content_at_rest import unseal_content
from crypto_agent.custody import AccountKeys
from crypto_agent.errors import CannotUnseal
from crypto_agent.key_store import account_keys
from crypto_agent.message_values import Expires
from crypto_agent.part_values import (
    copies_wanted,
    facets_of,
    group_update_of,
    preview_of,
    reactions_of,
    receipt_of,
    topic_of,
)


def read(did: str, items: Sequence[SealedContent]) -> list[ReadMessage]:
    """The messages in the order given; one that can't be unsealed has ``error``. Changes nothing.

    Parts are JSON already, with bytes as ``{"$bytes": …}``.
    """
    _, keys = account_keys(did)
    return [_read(keys, item) for item in items]


def _read(keys: AccountKeys, item: SealedContent) -> ReadMessage:
    try:
        content = decode_own_content(unseal_content(keys, item).content)
    except CannotUnseal:
        return ReadMessage(item.message_id, error="cannot-unseal")
    except AtsmsError as error:
        return ReadMessage(item.message_id, error=error.code)
    return ReadMessage(
        message_id=item.message_id,
        text=content.text,
        facets=facets_of(content),
        parts=[_part_json(part) for part in content.body or ()],
        fallback=content.fallback,
        degraded=content.degraded,
        tombstone=content.tombstone,
        reactions=reactions_of(content),
        receipt=receipt_of(content),
        group_update=group_update_of(content),
        preview=preview_of(content),
        in_reply_to=content.in_reply_to.hex() if content.in_reply_to is not None else None,
        topic_id=topic_of(content),
        expires=Expires(content.expires.relative, content.expires.time) if content.expires else None,
        copies_wanted=copies_wanted(content),
    )


def _part_json(part: Part) -> dict[str, Any]:
    if isinstance(part, InlinePart):
        # A file that a field names has its typed value, which is without its key.
        fields = {name: value for name, value in part.fields.items() if name != FILE_FIELDS.get(part.kind)}
        return {**{name: _json(value) for name, value in fields.items()}, "kind": part.kind}
    return {
        **{name: _json(value) for name, value in part.meta.items()},
        "kind": part.kind,
        "mediaType": part.media_type,
        "url": part.url,
        "size": part.size,
        "contentHash": bytes_json(part.content_hash),
    }


def _json(value: CborValue) -> Any:
    if isinstance(value, bytes):
        return bytes_json(value)
    if isinstance(value, Mapping):
        return {str(name): _json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_json(member) for member in value]
    return value
