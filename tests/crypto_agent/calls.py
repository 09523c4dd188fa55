"""One well-formed call of every method but getStatus, and who may make it."""

from collections.abc import Callable
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
    "readArchive": ("worker", lambda client: client.read_archive(ALICE, [b"archived"])),
}
