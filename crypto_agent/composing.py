"""A new message from its description: its content, its ids, sealed at rest and not signed yet."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from crypto_agent.atsms.content import (
    SALT_BYTES,
    Content,
    Expiry,
    ExternalPart,
    InlinePart,
    Part,
    encode_content,
    new_content,
    text_part,
)
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.external import external_file, inline_file
from crypto_agent.atsms.facets import Facet as TextFacet
from crypto_agent.atsms.ids import message_id
from crypto_agent.atsms.parts import (
    another_copy_part,
    group_update_part,
    preview_part,
    reaction_part,
    receipt_part,
)
from crypto_agent.client_values import Attachment, Composed
from crypto_agent.content_at_rest import RestingContent, seal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import InvalidRequest, MessageTooLong
from crypto_agent.files import carried_file, label_of
from crypto_agent.files_at_rest import FileDescription, unseal_file
from crypto_agent.hex_fields import hex_value
from crypto_agent.key_store import account_keys
from crypto_agent.links import link_facets
from crypto_agent.message_values import Facet
from crypto_agent.new_message import NewMessage
from crypto_agent.purposes import Purpose

#: The largest content that fits the largest envelope with signature, certificate and CMS around it.
MAX_CONTENT_BYTES = 62_000

#: What programs show that do not know this kind.
_ANOTHER_COPY = "A message of yours could not be opened here. Send it once more."


def compose(
    did: str, recipients: Sequence[str], message: NewMessage, created_at: datetime, random: Random
) -> Composed:
    """A message of ``did`` to ``recipients``: files, then a text with facets over its links, then a preview.

    Line ends become ``\\n``. Small files ride in the message as far as there is room. Raises InvalidRequest
    for a message that says nothing or several things at once, a facet that does not lie on its text, or a
    time before 1970; MessageTooLong, NoSuchAccount, NoSuchFile, and CannotUnseal for an attachment or file.
    """
    _, keys = account_keys(did)
    _check_one_thing(message)
    files = [(unseal_file(keys, each.file_id, each.sealed), each) for each in message.attachments]
    carried = [carried_file(keys, one.message, one.part) for one in message.carried]
    milliseconds = int(created_at.timestamp() * 1000)
    if milliseconds < 0:
        raise InvalidRequest("createdAt: before 1970")
    others = [recipient for recipient in dict.fromkeys(recipients) if recipient != did]
    salt = random(SALT_BYTES)
    text = message.text.replace("\r\n", "\n").replace("\r", "\n")
    in_reply_to, replaces, topic_id, expires = _references(message)
    labels = [*(file.name or file.media_type for file, _ in files), *(label_of(part) for part in carried)]
    fallback = _fallback(message, text, labels)

    def content_with(inline: Sequence[bool]) -> tuple[Content, bytes]:
        parts = [_file_part(*file, inline=here) for file, here in zip(files, inline, strict=True)]
        content = new_content(
            did,
            others or [did],
            None if message.takes_back else [*parts, *carried, *_other_parts(keys, message, text)],
            salt=salt,
            created_at=milliseconds,
            in_reply_to=in_reply_to,
            replaces=replaces,
            topic_id=topic_id,
            expires=expires,
            fallback=fallback,
        )
        return content, encode_content(content)

    try:
        inline, content, encoded = _fitting([file for file, _ in files], content_with)
    except AtsmsError as error:
        raise InvalidRequest(f"text: {error.code}") from error
    if len(encoded) > MAX_CONTENT_BYTES:
        raise MessageTooLong(f"{len(encoded)} bytes of content, more than {MAX_CONTENT_BYTES}")
    conversation = content.conversation_id.hex()
    message_hex = message_id(did, content.conversation_id, encoded, content.salt).hex()
    resting = RestingContent(Purpose.OUTGOING_CONTENT, encoded, None)
    return Composed(
        conversation_id=conversation,
        message_id=message_hex,
        created_at=datetime.fromtimestamp(milliseconds / 1000, UTC),
        sealed=seal_content(keys, conversation, message_hex, resting, random),
        inline=inline,
    )


def _check_one_thing(message: NewMessage) -> None:
    """Raises InvalidRequest unless the message says one thing, and has what that needs (protocol §5)."""
    shows = bool(message.text.strip() or message.attachments or message.carried)
    alone = [
        name
        for name, value in (
            ("reaction", message.reaction),
            ("receipt", message.receipt),
            ("groupUpdate", message.group_update),
            ("copiesWanted", message.copies_wanted),
            ("takesBack", message.takes_back),
        )
        if value
    ]
    if len(alone) > 1 or (alone and (shows or message.preview or message.facets or message.expires)):
        raise InvalidRequest(f"{alone[-1]}: not beside anything else")
    if not alone and not shows:
        raise InvalidRequest("text: blank")
    if message.takes_back and message.replaces is None:
        raise InvalidRequest("takesBack: without replaces")
    if alone and not message.takes_back and message.replaces is not None:
        raise InvalidRequest(f"{alone[0]}: replaces nothing")
    if message.reaction is not None and message.in_reply_to is None:
        raise InvalidRequest("reaction: without inReplyTo")
    if alone and message.fallback:
        raise InvalidRequest(f"{alone[0]}: has no fallback")
    if message.facets and "\r" in message.text:
        raise InvalidRequest("facets: beside a text with carriage returns")


def _fitting(
    files: Sequence[FileDescription], content_with: Callable[[Sequence[bool]], tuple[Content, bytes]]
) -> tuple[list[bool], Content, bytes]:
    """The content with as many of the files as there is room for, those that come first before others.

    ``content_with`` makes it with those that are true; which ones these are comes first.
    """
    inline = [False] * len(files)
    content, encoded = content_with(inline)
    for index, file in enumerate(files):
        if file.data is None:
            continue
        tried = [*inline[:index], True, *inline[index + 1 :]]
        with_this, its_bytes = content_with(tried)
        if len(its_bytes) <= MAX_CONTENT_BYTES:
            inline, content, encoded = tried, with_this, its_bytes
    return inline, content, encoded


def _fallback(message: NewMessage, text: str, labels: Sequence[str]) -> str:
    """What programs show that know none of the message's parts."""
    if message.copies_wanted:
        return _ANOTHER_COPY
    return message.fallback or ("" if text.strip() else ", ".join(labels))


def _references(message: NewMessage) -> tuple[bytes | None, bytes | None, bytes | None, Expiry | None]:
    expires = message.expires
    return (
        _optional_id(message.in_reply_to, "inReplyTo"),
        _optional_id(message.replaces, "replaces"),
        _optional_id(message.topic_id, "topicId"),
        Expiry(expires.relative, expires.time) if expires else None,
    )


def _other_parts(keys: AccountKeys, message: NewMessage, text: str) -> list[Part]:
    if message.reaction is not None:
        return [reaction_part(message.reaction)]
    if message.receipt is not None:
        ids = [hex_value(one, "receipt.ids") for one in message.receipt.ids]
        return [receipt_part(message.receipt.status, ids)]
    if message.copies_wanted:
        return [another_copy_part([hex_value(one, "copiesWanted") for one in message.copies_wanted])]
    if message.group_update is not None:
        update = message.group_update
        return [group_update_part(update.title, update.description, _picture(keys, update.avatar))]
    parts: list[Part] = [text_part(text, _facets(text, message.facets))] if text.strip() else []
    if message.preview is not None:
        preview = message.preview
        image = _picture(keys, preview.image)
        parts.append(preview_part(preview.url, preview.title, preview.description, image))
    return parts


def _facets(text: str, facets: Sequence[Facet]) -> list[TextFacet]:
    """The facets given, and those of the links that lie in none of them."""
    given = [TextFacet(facet.start, facet.end, facet.type, facet.value) for facet in facets]
    found = [
        link
        for link in link_facets(text)
        if not any(link.start < facet.end and facet.start < link.end for facet in given)
    ]
    return sorted([*given, *found], key=lambda facet: (facet.start, facet.end))


def _file_part(file: FileDescription, attachment: Attachment, *, inline: bool) -> Part:
    if inline and file.data is not None:
        return inline_file(media_type=file.media_type, name=file.name, data=file.data, pixels=file.pixels)
    return _external(file, attachment)


def _picture(keys: AccountKeys, attachment: Attachment | None) -> ExternalPart | InlinePart | None:
    """The picture of a group or a preview: in the message if it is small, so that it lasts as long as the
    message does, and nobody has to fetch it."""
    if attachment is None:
        return None
    file = unseal_file(keys, attachment.file_id, attachment.sealed)
    if file.data is None:
        return _external(file, attachment)
    return inline_file(media_type=file.media_type, name=file.name, data=file.data, pixels=file.pixels)


def _external(file: FileDescription, attachment: Attachment) -> ExternalPart:
    return external_file(
        media_type=file.media_type,
        name=file.name,
        url=attachment.url,
        size=file.size,
        key=file.key,
        nonce=file.nonce,
        content_hash=file.content_hash,
        url_expires=int(attachment.expires_at.timestamp()),
        pixels=file.pixels,
    )


def _optional_id(text: str | None, path: str) -> bytes | None:
    return None if text is None else hex_value(text, path)
