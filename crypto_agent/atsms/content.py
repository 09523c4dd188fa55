"""The content of one message: a fixed-position CBOR array, and how a reader treats it (protocol §5).

Nothing here has a ``repr`` that shows what people wrote.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeAlias

from crypto_agent.atsms import cbor
from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.errors import BadContent, Unsupported
from crypto_agent.atsms.facets import Facet, check_facets, facet_maps
from crypto_agent.atsms.fields import array_of, boolean_of, integer_of, octets_of, text_map_of, text_of
from crypto_agent.atsms.ids import (
    CONVERSATION_ID_BYTES,
    GROUP,
    MESSAGE_ID_BYTES,
    ONE_SHOT,
    conversation_id,
    is_did,
)

VERSION = 2
SALT_BYTES = 16
RECIPIENTS = 1
#: The end of the year 9999, in milliseconds since 1970: no calendar here goes further.
LAST_MILLISECOND = 253_402_300_799_999

TEXT, REACTION, FILE, CALL, CALL_EVENT, RECEIPT, TYPING, PREVIEW, GROUP_UPDATE, SMS = range(1, 11)
#: Private to this project: asks for another copy of messages that could not be opened (docs/another-copy.md).
ANOTHER_COPY = 1124
RENDER = frozenset({TEXT, FILE, CALL_EVENT, PREVIEW, SMS})
APPLY = frozenset({REACTION, RECEIPT, GROUP_UPDATE, ANOTHER_COPY})
SIGNAL = frozenset({CALL, TYPING})
_KNOWN = RENDER | APPLY | SIGNAL

_INLINE, _EXTERNAL = 0, 1

Degraded: TypeAlias = Literal["fallback", "hidden"]


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a message asks to disappear: seconds after reading it, or seconds since 1970."""

    relative: bool
    time: int


@dataclass(frozen=True, slots=True, repr=False)
class InlinePart:
    """A part carried in the message itself; unknown fields are kept."""

    kind: int
    fields: Mapping[str, CborValue]


@dataclass(frozen=True, slots=True, repr=False)
class ExternalPart:
    """A part kept elsewhere as an encrypted blob, with the key to it."""

    kind: int
    media_type: str
    url: str
    size: int
    encryption_algorithm: int
    key: bytes
    nonce: bytes
    hash_algorithm: int
    content_hash: bytes
    meta: Mapping[str, CborValue]


Part: TypeAlias = InlinePart | ExternalPart


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """One message. ``created_at`` is milliseconds since 1970 by the sender's clock; ids are bytes.

    ``body`` None with ``replaces`` takes a message back; ``replaces`` names its first version.
    """

    salt: bytes
    conversation_id: bytes
    created_at: int
    body: tuple[Part, ...] | None
    extensions: Mapping[int | str, CborValue] = field(default_factory=dict)
    replaces: bytes | None = None
    topic_id: bytes | None = None
    in_reply_to: bytes | None = None
    expires: Expiry | None = None
    ephemeral: bool = False
    fallback: str = ""

    @property
    def recipients(self) -> tuple[str, ...] | None:
        """The DIDs that the sender addressed, or None where the sender named none; of decoded content, that
        they are DIDs was checked."""
        dids = self.extensions.get(RECIPIENTS)
        return None if dids is None else _addressed(dids)

    @property
    def render_kinds(self) -> tuple[int, ...]:
        """Kinds of the parts that make a bubble, in order."""
        return tuple(part.kind for part in self.body or () if part.kind in RENDER)

    @property
    def apply_kinds(self) -> tuple[int, ...]:
        """Kinds of the parts that change state and are never a bubble, in order."""
        return tuple(part.kind for part in self.body or () if part.kind in APPLY)

    @property
    def signal_kinds(self) -> tuple[int, ...]:
        """Kinds of the parts that are processed and dropped, in order."""
        return tuple(part.kind for part in self.body or () if part.kind in SIGNAL)

    @property
    def degraded(self) -> Degraded | None:
        """What to show where nothing was understood: the fallback text, or nothing at all."""
        kinds = {part.kind for part in self.body or ()}
        if kinds <= _KNOWN or kinds & RENDER:
            return None
        return "fallback" if self.fallback else "hidden"

    @property
    def tombstone(self) -> bool:
        """Whether this takes an earlier message back."""
        return self.body is None and self.replaces is not None

    @property
    def text(self) -> str | None:
        """One plain text for the whole message: its first text, else a file's name or type.

        The fallback stands in where nothing was understood; None where there is nothing to show.
        """
        rendered = [part for part in self.body or () if part.kind in RENDER]
        texts = (_field_text(part, "text") for part in rendered if part.kind in (TEXT, SMS))
        labels = (_label(part) for part in rendered)
        for shown in chain(texts, labels):
            if shown is not None:
                return shown
        return self.fallback if self.degraded == "fallback" else None


def new_content(
    sender: str,
    recipients: Sequence[str],
    body: Sequence[Part] | None,
    *,
    salt: bytes,
    created_at: int,
    in_reply_to: bytes | None = None,
    replaces: bytes | None = None,
    topic_id: bytes | None = None,
    expires: Expiry | None = None,
    ephemeral: bool = False,
    fallback: str = "",
) -> Content:
    """A message from ``sender`` to ``recipients`` (DIDs) in the conversation that these make.

    ``salt`` is 16 fresh random bytes, ``created_at`` milliseconds since 1970.
    """
    return Content(
        salt=salt,
        conversation_id=conversation_id((sender, *recipients)),
        created_at=created_at,
        body=None if body is None else tuple(body),
        extensions={RECIPIENTS: list(recipients)},
        in_reply_to=in_reply_to,
        replaces=replaces,
        topic_id=topic_id,
        expires=expires,
        ephemeral=ephemeral,
        fallback=fallback,
    )


def text_part(text: str, facets: Iterable[Facet] = ()) -> InlinePart:
    """A text part; raises BadContent for a facet that does not lie on the text's UTF-8 bytes."""
    fields: dict[str, CborValue] = {"text": text}
    maps = facet_maps(facets)
    if maps:
        check_facets(text, maps)
        fields["facets"] = maps
    return InlinePart(TEXT, fields)


def encode_content(content: Content) -> bytes:
    """The bytes to sign; raises BadContent for what ``decode_content`` would refuse."""
    expires = content.expires
    encoded = cbor.encode(
        [
            VERSION,
            content.salt,
            content.conversation_id,
            content.created_at,
            content.replaces,
            content.topic_id,
            content.in_reply_to,
            None if expires is None else [expires.relative, expires.time],
            content.ephemeral,
            content.fallback,
            content.extensions,
            None if content.body is None else [_encode_part(part) for part in content.body],
        ]
    )
    decode_content(encoded)
    return encoded


def composed_names(own: bytes) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Salt, conversation id and recipients' DIDs of content that was composed or read here.

    It must have been authenticated since: its fields were checked then, and are not once more. Raises
    BadContent for what can't have been such content.
    """
    fields = cbor.decode_own(own)
    if isinstance(fields, list) and len(fields) == 12 and fields[0] == VERSION:
        _, salt, conversation, *_, extensions, _ = fields
        if isinstance(salt, bytes) and isinstance(conversation, bytes) and isinstance(extensions, dict):
            recipients = extensions.get(RECIPIENTS, [])
            if isinstance(recipients, list) and {*map(type, recipients)} <= {str}:
                return salt, conversation, tuple(recipients)
    raise BadContent("not content that was composed here")


def decode_content(data: bytes) -> Content:
    """The message in ``data``.

    Raises NotCanonical or TooLarge for its CBOR, Unsupported for another version, BadContent for a
    field of the wrong type, length or range. Kinds that are not known are kept.
    """
    return _content_of(cbor.decode(data))


def decode_own_content(own: bytes) -> Content:
    """The message in content that ``decode_content`` read before, and that was authenticated since: that its
    CBOR is the one encoding of its fields is not checked again.

    Raises NotCanonical, Unsupported or BadContent for what can't have been such content.
    """
    return _content_of(cbor.decode_own(own))


def _content_of(fields: CborValue) -> Content:
    if not isinstance(fields, list) or not fields:
        raise BadContent("content is not an array")
    if fields[0] != VERSION or isinstance(fields[0], bool):
        raise Unsupported("content of another version")
    if len(fields) != 12:
        raise BadContent("content does not have its 12 fields")
    _, salt, conversation, created_at, replaces, topic_id, in_reply_to, expires, *rest = fields
    ephemeral, fallback, extensions, body = rest
    return Content(
        salt=octets_of(salt, SALT_BYTES, "salt"),
        conversation_id=_conversation_id(conversation),
        created_at=_time(created_at, LAST_MILLISECOND, "createdAt"),
        body=None if body is None else tuple(_decode_part(part) for part in array_of(body, "body")),
        extensions=_extensions(extensions),
        replaces=_reference(replaces, "replaces"),
        topic_id=_topic_id(topic_id),
        in_reply_to=_reference(in_reply_to, "inReplyTo"),
        expires=_expiry(expires),
        ephemeral=boolean_of(ephemeral, "ephemeral"),
        fallback=text_of(fallback, "fallback"),
    )


def encode_external(part: ExternalPart) -> CborValue:
    """A file kept elsewhere as it stands in a part, or in a field of one."""
    return [
        _EXTERNAL,
        part.media_type,
        part.url,
        part.size,
        part.encryption_algorithm,
        part.key,
        part.nonce,
        part.hash_algorithm,
        part.content_hash,
        part.meta,
    ]


def decode_external(kind: int, value: CborValue) -> ExternalPart:
    """The same, read; ``kind`` is that of the part. Raises BadContent."""
    match value:
        case [1, media_type, url, size, cipher, key, nonce, hash_algorithm, digest, meta]:
            return ExternalPart(
                kind=kind,
                media_type=text_of(media_type, "media type"),
                url=text_of(url, "url"),
                size=integer_of(size, "size"),
                encryption_algorithm=integer_of(cipher, "encryption algorithm"),
                key=octets_of(key, None, "key"),
                nonce=octets_of(nonce, None, "nonce"),
                hash_algorithm=integer_of(hash_algorithm, "hash algorithm"),
                content_hash=octets_of(digest, None, "content hash"),
                meta=text_map_of(meta, "an external part's meta"),
            )
    raise BadContent("a part that is neither inline nor external")


def _encode_part(part: Part) -> CborValue:
    if isinstance(part, InlinePart):
        return [part.kind, [_INLINE, part.fields]]
    return [part.kind, encode_external(part)]


def _decode_part(value: CborValue) -> Part:
    match value:
        case [kind, [0, fields]]:
            part = InlinePart(integer_of(kind, "part kind"), text_map_of(fields, "an inline part"))
            _check_known_fields(part)
            return part
        case [kind, external]:
            return decode_external(integer_of(kind, "part kind"), external)
    raise BadContent("a part that is neither inline nor external")


def _check_known_fields(part: InlinePart) -> None:
    fields = part.fields
    match part.kind:
        case 1:
            check_facets(text_of(fields.get("text"), "text"), fields.get("facets", []))
        case 2:
            text_of(fields.get("emoji"), "emoji")
        case 3:
            octets_of(fields.get("data"), None, "file data")
            text_of(fields.get("contentType"), "file content type")
            text_of(fields.get("filename", ""), "file name")
        case 6:
            text_of(fields.get("status"), "receipt status")
            for message in array_of(fields.get("ids"), "receipt ids"):
                octets_of(message, MESSAGE_ID_BYTES, "receipt id")
        case 7:
            text_of(fields.get("state"), "typing state")
        case 8:
            text_of(fields.get("url"), "preview url")
        case 10:
            text_of(fields.get("text"), "sms text")


def _label(part: Part) -> str | None:
    if isinstance(part, ExternalPart):
        name = part.meta.get("filename")
        return name if isinstance(name, str) else part.media_type
    return _field_text(part, "filename") or _field_text(part, "contentType")


def _field_text(part: Part, name: str) -> str | None:
    value = part.fields.get(name) if isinstance(part, InlinePart) else None
    return value if isinstance(value, str) else None


def _addressed(value: CborValue) -> tuple[str, ...]:
    return tuple(text_of(did, "a recipient") for did in array_of(value, "recipients"))


def _check_recipients(value: CborValue) -> None:
    if not all(is_did(did) for did in _addressed(value)):
        raise BadContent("a recipient that is not a DID")


def _extensions(value: CborValue) -> Mapping[int | str, CborValue]:
    if not isinstance(value, (dict, Mapping)):
        raise BadContent("extensions are not a map")
    extensions: dict[int | str, CborValue] = dict(value.items())
    if RECIPIENTS in extensions:
        _check_recipients(extensions[RECIPIENTS])
    return extensions


def _conversation_id(value: CborValue) -> bytes:
    conversation = octets_of(value, CONVERSATION_ID_BYTES, "conversation id")
    if conversation[0] not in (ONE_SHOT, GROUP):
        raise BadContent("a conversation id of an unknown kind")
    return conversation


def _reference(value: CborValue, name: str) -> bytes | None:
    return None if value is None else octets_of(value, MESSAGE_ID_BYTES, name)


def _topic_id(value: CborValue) -> bytes | None:
    if value is None:
        return None
    topic = octets_of(value, None, "topicId")
    if not topic:
        raise BadContent("topicId is empty")
    return topic


def _expiry(value: CborValue) -> Expiry | None:
    if value is None:
        return None
    pair = array_of(value, "expires")
    if len(pair) != 2:
        raise BadContent("expires is not a pair")
    return Expiry(boolean_of(pair[0], "expires"), _time(pair[1], LAST_MILLISECOND // 1000, "expires"))


def _time(value: CborValue, last: int, name: str) -> int:
    time = integer_of(value, name)
    if time > last:
        raise BadContent(f"{name} is past the year 9999")
    return time
