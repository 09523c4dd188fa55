"""The parts beside texts and files: reactions, receipts, group updates, link previews (protocol §5)."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import (
    ANOTHER_COPY,
    GROUP_UPDATE,
    PREVIEW,
    REACTION,
    RECEIPT,
    ExternalPart,
    InlinePart,
    decode_external,
    encode_external,
)
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.external import INLINE_BYTES

ReceiptStatus: TypeAlias = Literal["delivered", "read"]
#: The field of a part that may hold a file kept elsewhere, by the part's kind.
FILE_FIELDS = {PREVIEW: "image", GROUP_UPDATE: "avatar"}


def reaction_part(emoji: str) -> InlinePart:
    """A reaction; the message that it answers stands in ``inReplyTo``."""
    return InlinePart(REACTION, {"emoji": emoji})


def receipt_part(status: ReceiptStatus, ids: Sequence[bytes]) -> InlinePart:
    """What became of the messages with these ids, 32 bytes each."""
    return InlinePart(RECEIPT, {"status": status, "ids": list(ids)})


def another_copy_part(envelope_ids: Sequence[bytes]) -> InlinePart:
    """Asks for another copy of what was in these envelopes, by their ids of 32 bytes."""
    return InlinePart(ANOTHER_COPY, {"envelopes": list(envelope_ids)})


def group_update_part(
    title: str | None = None,
    description: str | None = None,
    avatar: ExternalPart | InlinePart | None = None,
) -> InlinePart:
    """What a group is called, and how it is shown; what is None stays as it was.

    A small picture may ride in the message, as a file part's fields: it lasts as long as the group's name.
    """
    return _with_file(GROUP_UPDATE, {"title": title, "description": description}, avatar)


def preview_part(
    url: str,
    title: str | None = None,
    description: str | None = None,
    image: ExternalPart | InlinePart | None = None,
) -> InlinePart:
    """What the page at ``url`` was about when the sender looked. A small picture may ride in the message, as
    a group's may."""
    return _with_file(PREVIEW, {"url": url, "title": title, "description": description}, image)


def file_field(part: InlinePart) -> ExternalPart | None:
    """The file that a preview or a group update names; None where there is none, or it is malformed."""
    value = part.fields.get(FILE_FIELDS.get(part.kind, ""))
    if value is None:
        return None
    try:
        return decode_external(part.kind, value)
    except AtsmsError:
        return None


def data_field(part: InlinePart) -> tuple[str, bytes] | None:
    """Media type and data of the file that rides in a preview or a group update; None where there is none."""
    match part.fields.get(FILE_FIELDS.get(part.kind, "")):
        case {"contentType": str(media_type), "data": bytes(data)} if len(data) <= INLINE_BYTES:
            return media_type, data
    return None


def _with_file(kind: int, fields: dict[str, CborValue], file: ExternalPart | InlinePart | None) -> InlinePart:
    if isinstance(file, InlinePart):
        fields[FILE_FIELDS[kind]] = dict(file.fields)
    elif file is not None:
        fields[FILE_FIELDS[kind]] = encode_external(file)
    return InlinePart(kind, {name: value for name, value in fields.items() if value is not None})
