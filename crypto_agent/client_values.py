"""What the calls of the crypto agent take and return, as plain values without any key.

Bytes are ``bytes``, ids and fingerprints lowercase hex ``str``, times aware ``datetime`` in UTC.
The reprs name ids only: neither text, nor envelopes, nor sealed content can reach a log through them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from crypto_agent.atsms.prekeys import Prekey
from crypto_agent.message_values import Expires, Facet, GroupUpdate, LinkPreview, Receipt

Direction = Literal["in", "out"]
CopyForm = Literal["sealed", "cms"]
#: What to show where no part was understood: the fallback text, or nothing. None where one was.
Degraded = Literal["fallback", "hidden"] | None


@dataclass(frozen=True)
class AgentStatus:
    """``sealed`` means that the agent runs without its operator's key and answers nothing else."""

    state: Literal["open", "sealed"]
    version: str
    #: Alarms on bulk opening within the last day.
    alarms: int
    #: Accounts whose data key is older than it should get.
    late_data_keys: int = 0


@dataclass(frozen=True)
class KeyVersion:
    """A version of the operator's key, and how many data keys it wraps."""

    version: int
    data_keys: int
    present: bool
    #: Whether new data keys are wrapped by it.
    newest: bool
    retired_at: datetime | None


@dataclass(frozen=True)
class KeyStatus:
    """The versions of the operator's key, oldest first, and what is late."""

    versions: list[KeyVersion]
    #: How many prekeys should have been destroyed.
    late_prekeys: int
    #: How many accounts have a former data key that should have been.
    late_former_data_keys: int
    #: Since when what was destroyed may lie in the database's files, where that is too long ago.
    late_files_since: datetime | None

    @property
    def to_rewrap(self) -> int:
        """How many data keys are not wrapped by the newest version."""
        return sum(each.data_keys for each in self.versions if not each.newest)


@dataclass(frozen=True)
class FormerDataKeys:
    """An account that has former versions of its data key, and the number of the newest."""

    did: str
    newest: int


@dataclass(frozen=True)
class FormerDataKeysPage:
    """Some of such accounts; ``cursor`` is for the next ones, None where there are no more."""

    accounts: list[FormerDataKeys]
    cursor: str | None


@dataclass(frozen=True)
class RestingItem:
    """What the agent encrypted and the caller keeps: a message by its ids, a draft or a file by its id."""

    kind: Literal["message", "draft", "file"]
    sealed: bytes = field(repr=False)
    conversation_id: str = ""
    message_id: str = ""
    draft_id: str = ""
    file_id: str = ""


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


class Target(NamedTuple):
    """A device to seal for; without a prekey it gets a copy that does not hide the sender."""

    did: str
    fingerprint: str
    certificate_pem: str
    prekey: Prekey | None = None

    def __repr__(self) -> str:
        return f"Target({self.did!r}, {self.fingerprint!r})"


@dataclass(frozen=True)
class SealedContent:
    """A message's content as it rests in the database; only the agent can unseal it."""

    conversation_id: str
    message_id: str
    sealed: bytes = field(repr=False)


@dataclass(frozen=True)
class EncryptedFile:
    """A file that the agent encrypted; only the agent can unseal its description, which holds the key.

    ``content_hash`` (hex) and ``size`` are those of the encrypted bytes.
    """

    sealed: bytes = field(repr=False)
    content_hash: str
    size: int


@dataclass(frozen=True)
class Attachment:
    """An encrypted file for a new message: its sealed description, and where its bytes are until when.

    ``file_id`` is the one that it was encrypted under.
    """

    file_id: str
    sealed: bytes = field(repr=False)
    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Composed:
    """A new message, not signed yet.

    ``inline`` says of each attachment whether the message carries it itself, so that nobody asks its URL.
    ``draft`` is the draft that was to be sealed with it, as ``seal_draft`` gives it.
    """

    conversation_id: str
    message_id: str
    created_at: datetime
    sealed: bytes = field(repr=False)
    inline: Sequence[bool] = ()
    draft: bytes = field(default=b"", repr=False)

    @property
    def content(self) -> SealedContent:
        return SealedContent(self.conversation_id, self.message_id, self.sealed)


class Copy(NamedTuple):
    """One device's envelope; form ``cms`` is a bare CMS, which shows who sent it.

    ``prekey_error`` says what was wrong with the target's prekey, where that led to the bare form.
    """

    did: str
    fingerprint: str
    form: CopyForm
    envelope_id: str
    envelope: bytes
    prekey_error: str | None = None

    def __repr__(self) -> str:
        return f"<Copy {self.envelope_id}>"


@dataclass(frozen=True)
class RefusedTarget:
    """A device that got no copy, and the stable code that says why (``bad-certificate``, …)."""

    did: str
    fingerprint: str
    code: str


class SealedMessage(NamedTuple):
    """``sealed`` replaces the composed one: it now holds the signed message too."""

    sealed: bytes
    copies: list[Copy]
    refused: list[RefusedTarget]

    def __repr__(self) -> str:
        return f"SealedMessage({self.copies!r}, {self.refused!r})"


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
    #: Hex of up to 64 bytes; a longer one is none.
    topic_id: str | None = None
    #: Whether its text names the account as somebody mentioned.
    mentions_account: bool = False
    reactions: Sequence[str] = field(default=(), repr=False)
    receipt: Receipt | None = None
    group_update: GroupUpdate | None = None
    #: Ids in hex of envelopes of which the sender asks for another copy.
    copies_wanted: Sequence[str] = ()

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
    reactions: Sequence[str] = field(default=(), repr=False)
    receipt: Receipt | None = None
    group_update: GroupUpdate | None = None
    preview: LinkPreview | None = None
    in_reply_to: str | None = None
    #: Hex of up to 64 bytes; a longer one is none.
    topic_id: str | None = None
    expires: Expires | None = None
    #: Ids in hex of envelopes of which the sender asks for another copy.
    copies_wanted: Sequence[str] = ()


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
class IndexItem:
    """A message to be found by searching: who sent it, and the time that stands beside it."""

    content: SealedContent
    sender_did: str
    at: datetime


@dataclass(frozen=True)
class SearchFilters:
    """What a search is narrowed to: any of the conversations and any of the senders that are named, a span of
    time, and kinds such as ``file``."""

    conversation_ids: Sequence[str] = ()
    sender_dids: Sequence[str] = ()
    #: At or after.
    after: datetime | None = None
    before: datetime | None = None
    #: Of "file", "image", "link" and "mention" (of the account, by somebody else): all of them must be in a
    #: message.
    has: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """A message that was found."""

    conversation_id: str
    message_id: str


@dataclass(frozen=True)
class SearchResults:
    """Messages found, newest first; ``cursor`` is for the next ones, None where there are no more."""

    found: list[Found]
    cursor: str | None


@dataclass(frozen=True)
class Grant:
    """What a user allows one app. ``uses`` are calls; ``attestation_keys`` are did:keys, where it attests."""

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
    #: That of P-256 first.
    attestation_keys: Sequence[str]


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


@dataclass(frozen=True)
class AccountExport:
    """An account's keys, encrypted to the user's passphrase, and what seals the rest of the export."""

    keys: bytes = field(repr=False)
    #: Only the agent can use it, and only to seal.
    export_key: bytes = field(repr=False)


@dataclass(frozen=True)
class AccountImport:
    """What opens the rest of an export, and the devices that the account has here now."""

    #: Only the agent can use it, and only to open.
    import_key: bytes = field(repr=False)
    devices: list[Device]
