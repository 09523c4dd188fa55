"""What the agent encrypts at rest, and for what: a ciphertext of one purpose opens for no other."""

from dataclasses import dataclass
from enum import StrEnum

from crypto_agent.atsms import cbor

CONTEXT_VERSION = 1


class Purpose(StrEnum):
    """The purposes of ciphertexts at rest. The names are stored inside the ciphertexts: never change one."""

    DATA_KEY = "data-key"
    DEVICE_KEY = "device-key"
    PREKEY_SECRET = "prekey-secret"  # noqa: S105 (the name of a purpose)
    PREKEY_SIGNING_KEY = "prekey-signing-key"
    ARCHIVE_KEY = "archive-key"
    ATTESTATION_KEY = "attestation-key"
    #: Composed here: the only content that the agent signs.
    OUTGOING_CONTENT = "outgoing-content"
    #: Received: it may be read and archived, never signed.
    INCOMING_CONTENT = "incoming-content"


@dataclass(frozen=True)
class Context:
    """Where a ciphertext belongs. It is authenticated with it, so that it opens nowhere else."""

    purpose: Purpose
    did: str
    device: str = ""
    conversation: str = ""
    message: str = ""

    def associated_data(self, key_version: int) -> bytes:
        """Deterministic CBOR ``[1, purpose, did, device, conversation, message, key version]``."""
        return cbor.encode(
            [
                CONTEXT_VERSION,
                self.purpose.value,
                self.did,
                self.device,
                self.conversation,
                self.message,
                key_version,
            ]
        )
