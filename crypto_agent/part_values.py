"""The typed values of a message's parts: facets, reactions, receipt, group update, link preview.

What is malformed or too long is left out, since anybody may write to an account.
"""

import hashlib

from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.content import (
    ANOTHER_COPY,
    GROUP_UPDATE,
    PREVIEW,
    REACTION,
    RECEIPT,
    TEXT,
    Content,
    InlinePart,
)
from crypto_agent.atsms.facets import check_facets
from crypto_agent.atsms.parts import data_field, file_field
from crypto_agent.message_values import Facet, GroupUpdate, LinkPreview, Receipt, RemoteFile

#: The longest emoji of Unicode have some 40 bytes.
MOST_EMOJI_BYTES = 64
MOST_REACTIONS = 8
MOST_RECEIPT_IDS = 1000
MOST_COPIES_WANTED = 10
MOST_TITLE_BYTES = 1000
MOST_DESCRIPTION_BYTES = 4000
MOST_URL_BYTES = 2048
MOST_TOPIC_BYTES = 64
#: JSON has no larger integers.
MOST_FILE_BYTES = 2**53 - 1


def topic_of(content: Content) -> str | None:
    """The topic's id in hex, unless it is longer than any that is made."""
    topic = content.topic_id
    return topic.hex() if topic is not None and len(topic) <= MOST_TOPIC_BYTES else None


def facets_of(content: Content) -> tuple[Facet, ...]:
    """The facets of the part that gives the message its text."""
    for part in content.body or ():
        if isinstance(part, InlinePart) and part.kind == TEXT:
            text, facets = part.fields["text"], part.fields.get("facets")
            assert isinstance(text, str)
            if not facets or text != content.text:
                return ()
            checked = check_facets(text, facets)
            return tuple(Facet(facet.start, facet.end, facet.type, facet.value) for facet in checked)
    return ()


def mentions(content: Content, did: str) -> bool:
    """Whether a facet of the message's text names somebody."""
    return any(facet.type == "mention" and facet.value == did for facet in facets_of(content))


def reactions_of(content: Content) -> tuple[str, ...]:
    """The emoji that the message reacts with, each once."""
    said = (_short(part.fields.get("emoji"), MOST_EMOJI_BYTES) for part in _parts(content, REACTION))
    return tuple(dict.fromkeys(emoji for emoji in said if emoji))[:MOST_REACTIONS]


def receipt_of(content: Content) -> Receipt | None:
    """The first receipt whose status is known."""
    for part in _parts(content, RECEIPT):
        status, ids = part.fields.get("status"), part.fields.get("ids")
        if (status == "delivered" or status == "read") and isinstance(ids, list | tuple):
            named = [one.hex() for one in ids[:MOST_RECEIPT_IDS] if isinstance(one, bytes)]
            return Receipt("delivered" if status == "delivered" else "read", named)
    return None


def copies_wanted(content: Content) -> tuple[str, ...]:
    """The ids of the envelopes of which another copy is asked for, in hex."""
    for part in _parts(content, ANOTHER_COPY):
        ids = part.fields.get("envelopes")
        if isinstance(ids, list | tuple):
            named = [
                one.hex() for one in ids[:MOST_COPIES_WANTED] if isinstance(one, bytes) and len(one) == 32
            ]
            return tuple(dict.fromkeys(named))
    return ()


def group_update_of(content: Content) -> GroupUpdate | None:
    for part in _parts(content, GROUP_UPDATE):
        return GroupUpdate(
            title=_short(part.fields.get("title"), MOST_TITLE_BYTES),
            description=_short(part.fields.get("description"), MOST_DESCRIPTION_BYTES),
            avatar=_file(part),
        )
    return None


def preview_of(content: Content) -> LinkPreview | None:
    """The first preview of a page with an address of bearable length."""
    for part in _parts(content, PREVIEW):
        url = _short(part.fields.get("url"), MOST_URL_BYTES)
        if url:
            return LinkPreview(
                url=url,
                title=_short(part.fields.get("title"), MOST_TITLE_BYTES),
                description=_short(part.fields.get("description"), MOST_DESCRIPTION_BYTES),
                image=_file(part),
            )
    return None


def _parts(content: Content, kind: int) -> list[InlinePart]:
    return [part for part in content.body or () if isinstance(part, InlinePart) and part.kind == kind]


def _short(value: CborValue, most: int) -> str | None:
    return value if isinstance(value, str) and len(value.encode()) <= most else None


def _file(part: InlinePart) -> RemoteFile | None:
    if (here := data_field(part)) is not None:
        media_type, data = here
        return RemoteFile(media_type, "", len(data), hashlib.sha256(data).hexdigest())
    file = file_field(part)
    if file is None or len(file.url.encode()) > MOST_URL_BYTES or file.size > MOST_FILE_BYTES:
        return None
    return RemoteFile(file.media_type, file.url, file.size, file.content_hash.hex())
