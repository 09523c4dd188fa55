"""One well-formed call of every method for this installation but getStatus, and who may make it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_agent.client import AgentClient, ArchiveItem, SealedContent
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT

CONTENT = SealedContent("01" * 33, "01" * 32, b"sealed")
ITEM = ArchiveItem("01" * 33, "01" * 32, b"sealed", WRITTEN_AT, None, "in")
CALLS: dict[str, tuple[str, Callable[[AgentClient], Any]]] = {
    "createDevice": ("web", lambda client: client.create_device(ALICE, "alice.test", "mail.test")),
    "listDevices": ("web", lambda client: client.list_devices(ALICE)),
    "revokeDevice": ("web", lambda client: client.revoke_device(ALICE, "00" * 32)),
    "rotatePrekey": ("web", lambda client: client.rotate_prekey(ALICE, "00" * 32)),
    "compose": ("web", lambda client: client.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)),
    "seal": ("worker", lambda client: client.seal(ALICE, CONTENT, [])),
    "open": ("worker", lambda client: client.open(ALICE, [b"envelope"])),
    "read": ("web", lambda client: client.read(ALICE, [CONTENT])),
    "archive": ("worker", lambda client: client.archive(ALICE, [ITEM])),
    "createGrant": (
        "web",
        lambda client: client.create_grant(
            ALICE, "An app", ["status"], expires_at=datetime.now(UTC) + timedelta(days=1), hourly_limit=10
        ),
    ),
    "listGrants": ("web", lambda client: client.list_grants(ALICE)),
    "revokeGrant": ("web", lambda client: client.revoke_grant(ALICE, "00" * 8)),
    "checkAttestations": (
        "web",
        lambda client: client.check_attestations(
            ALICE, {"$type": "dev.test.record"}, ALICE, trusted_keys={}, trusted_proofs={}
        ),
    ),
    "readArchive": ("worker", lambda client: client.read_archive(ALICE, [b"archived"])),
}
