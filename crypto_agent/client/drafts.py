"""What somebody is writing."""

from collections.abc import Sequence

from crypto_agent import client_json as js
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.client.batching import batches
from crypto_agent.client.transport import Transport


class DraftCalls(Transport):
    """What somebody is writing."""

    def seal_draft(self, did: str, draft_id: str, draft: bytes) -> bytes:
        """``draft`` (at most 256 KiB), to be kept by the caller; ``draft_id`` is 128 random bits in hex."""
        arguments = {"did": did, "draftId": draft_id, "draft": bytes_json(draft)}
        return js.bytes_value(self._procedure("sealDraft", arguments)["sealed"])

    def open_drafts(self, did: str, items: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        """What ``seal_draft`` was given, of pairs of id and result; None for what can't be unsealed."""
        opened: list[bytes | None] = []
        for batch in batches(items, lambda item: len(item[1])):
            arguments = {
                "did": did,
                "items": [{"draftId": draft_id, "sealed": bytes_json(sealed)} for draft_id, sealed in batch],
            }
            answer = self._procedure("openDrafts", arguments)
            opened += [
                js.bytes_value(item["draft"]) if "draft" in item else None for item in answer["drafts"]
            ]
        return opened
