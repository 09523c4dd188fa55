"""What the calls of the crypto agent take and return, as plain values without any key.

Bytes are ``bytes``, ids and fingerprints lowercase hex ``str``, times aware ``datetime`` in UTC.
The reprs name ids only: neither text, nor envelopes, nor sealed content can reach a log through them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from crypto_agent.atsms.prekeys import Prekey

Direction = Literal["in", "out"]
CopyForm = Literal["sealed", "cms"]
#: What to show where no part was understood: the fallback text, or nothing. None where one was.
Degraded = Literal["fallback", "hidden"] | None


@dataclass(frozen=True)
class AgentStatus:
    """``sealed`` means that the agent runs without its operator's key and answers nothing else."""

    state: Literal["open", "sealed"]
    version: str


@dataclass(frozen=True)
class Device:
    """A device of this installation: its certificate and its current prekey, both public."""

    did: str
    fingerprint: str
    certificate_pem: str = field(repr=False)
    serial_hex: str
    created_at: datetime
    valid_until: datetime
    revoked_at: datetime | None
    prekey: Prekey | None


@dataclass(frozen=True)
class Target:
    """A device to seal for; without a prekey it gets a copy that does not hide the sender."""

    did: str
    fingerprint: str
    certificate_pem: str = field(repr=False)
    prekey: Prekey | None = None


@dataclass(frozen=True)
class SealedContent:
    """A message's content as it rests in the database; only the agent can unseal it."""

    conversation_id: str
    message_id: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True)
class Composed:
    """A new message, not signed yet."""

    conversation_id: str
    message_id: str
    created_at: datetime
    sealed: bytes = field(repr=False)

    @property
    def content(self) -> SealedContent:
        return SealedContent(self.conversation_id, self.message_id, self.sealed)


@dataclass(frozen=True)
class Copy:
    """One device's envelope; form ``cms`` is a bare CMS, which shows who sent it.

    ``prekey_error`` says what was wrong with the target's prekey, where that led to the bare form.
    """

    did: str
    fingerprint: str
    form: CopyForm
    envelope_id: str
    envelope: bytes = field(repr=False)
    prekey_error: str | None = None


@dataclass(frozen=True)
class RefusedTarget:
    """A device that got no copy, and the stable code that says why (``bad-certificate``, …)."""

    did: str
    fingerprint: str
    code: str


@dataclass(frozen=True)
class SealedMessage:
    """``sealed`` replaces the composed one: it now holds the signed message too."""

    sealed: bytes = field(repr=False)
    copies: list[Copy]
    refused: list[RefusedTarget]


@dataclass(frozen=True)
class Expires:
    """When a message asks to disappear: seconds after reading it if relative, else since 1970."""

    relative: bool
    time: int


@dataclass(frozen=True)
class OpenedMessage:
    """What the index needs of a message; its text stays inside ``sealed``.

    The signature was verified against ``sender_certificate_pem``. Whether that certificate is the
    sender's is for the caller to check at the sender's own PDS.
    """

    conversation_id: str
    message_id: str
    sender_did: str
    sender_fingerprint: str
    sender_certificate_pem: str = field(repr=False)
    created_at: datetime
    recipients: list[str]
    replaces: str | None
    in_reply_to: str | None
    ephemeral: bool
    render_kinds: list[int]
    apply_kinds: list[int]
    degraded: Degraded
    tombstone: bool
    expires: Expires | None
    sealed: bytes = field(repr=False)

    @property
    def content(self) -> SealedContent:
        return SealedContent(self.conversation_id, self.message_id, self.sealed)


@dataclass(frozen=True)
class OpenedEnvelope:
    """Either ``message`` or ``error``, a stable code such as ``cannot-open`` or ``bad-signature``."""

    envelope_id: str
    message: OpenedMessage | None = None
    error: str | None = None


@dataclass(frozen=True)
class Facet:
    """A link, mention or tag over the bytes ``start`` to ``end`` of the text in UTF-8."""

    start: int
    end: int
    type: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class ReadMessage:
    """Plaintext for one page, or ``error``. Keep it in memory only."""

    message_id: str
    text: str | None = field(default=None, repr=False)
    facets: Sequence[Facet] = field(default=(), repr=False)
    #: One mapping for each part: ``kind`` and the part's own fields; bytes are ``bytes``. A part kept
    #: elsewhere has ``mediaType``, ``url``, ``size``, ``contentHash`` and its meta fields, never its key.
    parts: Sequence[dict[str, Any]] = field(default=(), repr=False)
    fallback: str = field(default="", repr=False)
    degraded: Degraded = None
    tombstone: bool = False
    error: str | None = None


@dataclass(frozen=True)
class ArchiveItem:
    """A signed message, received or sealed before, with what the index knows of it."""

    conversation_id: str
    message_id: str
    sealed: bytes = field(repr=False)
    received_at: datetime
    verified_at: datetime | None
    direction: Direction
    envelope_id: str | None = None
    delivered_to: Sequence[str] = ()


@dataclass(frozen=True)
class ArchivedMessage:
    """Either ``message``, its signature verified again, with the archived facts, or ``error``."""

    message: OpenedMessage | None = None
    received_at: datetime | None = None
    verified_at: datetime | None = None
    direction: Direction | None = None
    envelope_id: str | None = None
    delivered_to: Sequence[str] = ()
    error: str | None = None


@dataclass(frozen=True)
class Grant:
    """What a user allows one app. ``uses`` are calls; ``attestation_key`` is a did:key, where it attests."""

    grant_id: str
    name: str
    purposes: Sequence[str]
    #: Things (messages, recipients' devices, records) that may be asked for in an hour.
    hourly_limit: int
    uses: int
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    attestation_key: str | None


@dataclass(frozen=True)
class NewGrant:
    """A grant just made; its token can't be had again."""

    grant: Grant
    token: str = field(repr=False)


@dataclass(frozen=True)
class Grants:
    """An account's grants, newest first. ``service`` is what apps call; None if the agent serves none."""

    service: str | None
    grants: list[Grant]
