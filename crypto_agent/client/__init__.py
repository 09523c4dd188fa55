"""The only door to the crypto agent, for views and tasks: one method for each XRPC method.

Nothing that comes back is a key. The client retries nothing, since its callers know what may be
repeated (everything but ``compose`` and ``encrypt_file``), and it may be shared by threads.
"""

from crypto_agent.atsms.prekeys import Prekey
from crypto_agent.client.batching import BATCH_BYTES, BATCH_ITEMS
from crypto_agent.client.custody import CustodyCalls
from crypto_agent.client.devices import DeviceCalls
from crypto_agent.client.drafts import DraftCalls
from crypto_agent.client.errors import (
    AgentError,
    AgentLimited,
    AgentLocked,
    AgentRefused,
    AgentSealed,
    AgentUnavailable,
    TooManyGuesses,
)
from crypto_agent.client.files import FileCalls
from crypto_agent.client.grants import GrantCalls
from crypto_agent.client.leaving import LeavingCalls
from crypto_agent.client.messages import MessageCalls
from crypto_agent.client.passkeys import PasskeyCalls
from crypto_agent.client.search import SearchCalls
from crypto_agent.client.transport import AUDIENCE, NAMESPACE, TOKEN_LIFETIME_S, UNLOCK_HEADER
from crypto_agent.client.uses import UseCalls
from crypto_agent.client_values import (
    AccountExport,
    AccountImport,
    AgentStatus,
    ArchivedMessage,
    ArchiveItem,
    Attachment,
    Composed,
    Copy,
    CopyForm,
    Degraded,
    Device,
    Direction,
    EncryptedFile,
    FormerDataKeys,
    FormerDataKeysPage,
    Found,
    Grant,
    Grants,
    IndexItem,
    KeyStatus,
    KeyVersion,
    NewGrant,
    OpenedEnvelope,
    OpenedMessage,
    ReadMessage,
    RefusedTarget,
    RestingItem,
    SealedContent,
    SealedMessage,
    SearchFilters,
    SearchResults,
    Target,
)
from crypto_agent.custody_values import (
    Custody,
    Locked,
    LockSecret,
    Passkey,
    PasskeyChallengePurpose,
    PasskeyUse,
    Passphrase,
    RecoveryCode,
    Secret,
    UnlockSession,
)
from crypto_agent.message_values import Expires, Facet, GroupUpdate, LinkPreview, Receipt, RemoteFile
from crypto_agent.new_message import CarriedFile, NewGroupUpdate, NewMessage, NewPreview
from crypto_agent.use_values import Alarm, KeyUses, Shown, Use, UseGroup, UseGroups, Uses

__all__ = [
    "AUDIENCE",
    "BATCH_BYTES",
    "BATCH_ITEMS",
    "NAMESPACE",
    "TOKEN_LIFETIME_S",
    "UNLOCK_HEADER",
    "AccountExport",
    "AccountImport",
    "AgentClient",
    "AgentError",
    "AgentLimited",
    "AgentLocked",
    "AgentRefused",
    "AgentSealed",
    "AgentStatus",
    "AgentUnavailable",
    "Alarm",
    "ArchiveItem",
    "ArchivedMessage",
    "Attachment",
    "CarriedFile",
    "Composed",
    "Copy",
    "CopyForm",
    "Custody",
    "Degraded",
    "Device",
    "Direction",
    "EncryptedFile",
    "Expires",
    "Facet",
    "FormerDataKeys",
    "FormerDataKeysPage",
    "Found",
    "Grant",
    "Grants",
    "GroupUpdate",
    "IndexItem",
    "KeyStatus",
    "KeyUses",
    "KeyVersion",
    "LinkPreview",
    "LockSecret",
    "Locked",
    "NewGrant",
    "NewGroupUpdate",
    "NewMessage",
    "NewPreview",
    "OpenedEnvelope",
    "OpenedMessage",
    "Passkey",
    "PasskeyChallengePurpose",
    "PasskeyUse",
    "Passphrase",
    "Prekey",
    "ReadMessage",
    "Receipt",
    "RecoveryCode",
    "RefusedTarget",
    "RemoteFile",
    "RestingItem",
    "SealedContent",
    "SealedMessage",
    "SearchFilters",
    "SearchResults",
    "Secret",
    "Shown",
    "Target",
    "TooManyGuesses",
    "UnlockSession",
    "Use",
    "UseGroup",
    "UseGroups",
    "Uses",
]


class AgentClient(
    MessageCalls,
    DeviceCalls,
    GrantCalls,
    CustodyCalls,
    PasskeyCalls,
    LeavingCalls,
    FileCalls,
    DraftCalls,
    SearchCalls,
    UseCalls,
):
    """A caller of the agent at ``url`` (scheme, host, port), ``web`` or ``worker``."""
