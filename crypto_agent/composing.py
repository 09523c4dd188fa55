"""A new message from what somebody wrote: its content, its ids, sealed at rest and not signed yet."""

from collections.abc import Sequence
from datetime import UTC, datetime

from crypto_agent.atsms.content import SALT_BYTES, encode_content, new_content, text_part
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.ids import message_id
from crypto_agent.client_values import Composed
from crypto_agent.content_at_rest import RestingContent, seal_content
from crypto_agent.custody import Random
from crypto_agent.errors import InvalidRequest, MessageTooLong
from crypto_agent.key_store import account_keys
from crypto_agent.links import link_facets
from crypto_agent.purposes import Purpose

#: The largest content that fits the largest envelope with signature, certificate and CMS around it.
MAX_CONTENT_BYTES = 62_000


def compose(
    did: str,
    recipients: Sequence[str],
    text: str,
    created_at: datetime,
    in_reply_to: bytes | None,
    random: Random,
) -> Composed:
    """A text message of ``did`` to ``recipients`` with facets over its links; ``in_reply_to`` is 32 bytes.

    Line ends become ``\\n``. Raises InvalidRequest for a blank text or a time before 1970, MessageTooLong,
    NoSuchAccount.
    """
    _, keys = account_keys(did)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise InvalidRequest("text: blank")
    milliseconds = int(created_at.timestamp() * 1000)
    if milliseconds < 0:
        raise InvalidRequest("createdAt: before 1970")
    others = [recipient for recipient in dict.fromkeys(recipients) if recipient != did]
    try:
        content = new_content(
            did,
            others or [did],
            [text_part(text, link_facets(text))],
            salt=random(SALT_BYTES),
            created_at=milliseconds,
            in_reply_to=in_reply_to,
        )
        encoded = encode_content(content)
    except AtsmsError as error:
        raise InvalidRequest(f"text: {error.code}") from error
    if len(encoded) > MAX_CONTENT_BYTES:
        raise MessageTooLong(f"{len(encoded)} bytes of content, more than {MAX_CONTENT_BYTES}")
    conversation = content.conversation_id.hex()
    message = message_id(did, content.conversation_id, encoded, content.salt).hex()
    resting = RestingContent(Purpose.OUTGOING_CONTENT, encoded, None)
    return Composed(
        conversation_id=conversation,
        message_id=message,
        created_at=datetime.fromtimestamp(milliseconds / 1000, UTC),
        sealed=seal_content(keys, conversation, message, resting, random),
    )
