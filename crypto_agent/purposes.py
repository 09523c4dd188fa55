"""What the agent encrypts at rest, and for what: a ciphertext of one purpose opens for no other."""

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from crypto_agent.atsms import cbor

CONTEXT_VERSION = 1


class Purpose(StrEnum):
    """The purposes of ciphertexts at rest. The names are stored inside the ciphertexts: never change one."""

    DATA_KEY = "data-key"
    #: A data key inside the operator's wrap, by the account's lock key.
    LOCKED_DATA_KEY = "locked-data-key"
    #: An account's lock key, by one of the user's secrets.
    LOCK_KEY = "lock-key"
    DEVICE_KEY = "device-key"
    PREKEY_SECRET = "prekey-secret"  # noqa: S105 (the name of a purpose)
    PREKEY_SIGNING_KEY = "prekey-signing-key"
    ARCHIVE_KEY = "archive-key"
    ATTESTATION_KEY = "attestation-key"
    #: The key of an export's parts while it is made: it seals, and opens nothing.
    EXPORT_KEY = "export-key"
    #: The key of an export's parts while it is taken in: it opens, and seals nothing.
    IMPORT_KEY = "import-key"
    #: Permits an export as plain text until the time in it.
    READABLE_EXPORT = "readable-export"
    SEARCH_SEGMENT = "search-segment"
    #: Between which times the messages of a segment were sent.
    SEARCH_SEGMENT_TIMES = "search-segment-times"
    #: Composed here: the only content that the agent signs.
    OUTGOING_CONTENT = "outgoing-content"
    #: Received: it may be read and archived, never signed.
    INCOMING_CONTENT = "incoming-content"
    #: A file's key and description, until they go into a message.
    FILE = "file"
    #: Composed for an app, which has it sealed for more devices.
    APP_MESSAGE = "app-message"
    #: What somebody is writing: it may be read again, never signed.
    DRAFT = "draft"


#: What wraps keys above the account's data keys: the data keys themselves never encrypt these.
ABOVE_DATA_KEYS = frozenset({Purpose.DATA_KEY, Purpose.LOCKED_DATA_KEY, Purpose.LOCK_KEY})


class Context(NamedTuple):
    """Where a ciphertext belongs. It is authenticated with it, so that it opens nowhere else."""

    purpose: Purpose
    did: str
    device: str = ""
    conversation: str = ""
    message: str = ""

    def associated_data(self, key_version: int) -> bytes:
        """Deterministic CBOR ``[1, purpose, did, device, conversation, message, key version]``."""
        return _associated_data(self, key_version)


# A message that is sealed is first unsealed, for the same purpose.
@lru_cache(maxsize=64)
def _associated_data(context: Context, key_version: int) -> bytes:
    purpose, did, *places = context
    return b"".join((_whose(purpose, did), *map(cbor.text, places), cbor.head(0, key_version)))


# The same for all that is encrypted for one purpose of an account.
@lru_cache(maxsize=1024)
def _whose(purpose: Purpose, did: str) -> bytes:
    return b"".join((cbor.head(4, 7), cbor.encode(CONTEXT_VERSION), cbor.text(purpose.value), cbor.text(did)))
