"""Messages: composing, sealing, opening, reading and archiving them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from crypto_agent import client_json as js
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.client.batching import batches
from crypto_agent.client.transport import Transport
from crypto_agent.client_values import (
    ArchivedMessage,
    ArchiveItem,
    Attachment,
    Composed,
    OpenedEnvelope,
    ReadMessage,
    SealedContent,
    SealedMessage,
    Target,
)
from crypto_agent.message_json import receipt_json
from crypto_agent.message_values import Receipt
from crypto_agent.new_message import NewMessage
from crypto_agent.new_message_json import new_message_json


class MessageCalls(Transport):
    """Messages: composing, sealing, opening, reading and archiving them."""

    def compose(
        self,
        did: str,
        recipients: Sequence[str],
        message: NewMessage | str,
        *,
        created_at: datetime,
        in_reply_to: str | None = None,
        attachments: Sequence[Attachment] = (),
        draft: tuple[str, bytes] | None = None,
    ) -> Composed:
        """A new message with its ids, sealed at rest; every call makes another message.

        ``draft``, an id and what is sealed under it as by ``seal_draft``, costs no call of its own. A text
        stands for a message of that text; ``in_reply_to`` and ``attachments`` are for such a one. Raises
        AgentRefused ``MessageTooLong`` if it does not fit an envelope, ``CannotUnseal`` for an attachment or
        carried file that is not the account's own, ``NoSuchFile``.
        """
        if isinstance(message, str):
            message = NewMessage(message, attachments=attachments, in_reply_to=in_reply_to)
        arguments: dict[str, Any] = {
            "did": did,
            "recipients": list(recipients),
            "createdAt": js.time_json(created_at),
            **new_message_json(message),
        }
        if draft is not None:
            draft_id, written = draft
            arguments["draft"] = {"draftId": draft_id, "draft": bytes_json(written)}
        answer = self._procedure("compose", arguments)
        return _composed(answer, js.bytes_value(answer["sealedDraft"]) if draft is not None else b"")

    def compose_receipt(
        self, did: str, recipients: Sequence[str], receipt: Receipt, *, created_at: datetime
    ) -> Composed:
        """A receipt as a new message, sealed at rest; what the worker may write, and nothing else."""
        arguments = {
            "did": did,
            "recipients": list(recipients),
            "receipt": receipt_json(receipt),
            "createdAt": js.time_json(created_at),
        }
        return _composed(self._procedure("composeReceipt", arguments))

    def seal(self, did: str, message: SealedContent, targets: Sequence[Target]) -> SealedMessage:
        """Signs the composed message with the active device and seals a copy for every target.

        The signer's own device gets no copy. Sealing again gives the same signed message in new
        envelopes. Raises AgentRefused ``NoActiveDevice`` or ``CannotUnseal``.
        """
        sealed, copies, refused = message.sealed, [], []
        for batch in list(batches(targets, lambda target: len(target.certificate_pem) + 512)) or [[]]:
            arguments = {
                "did": did,
                "message": js.sealed_content_json(
                    SealedContent(message.conversation_id, message.message_id, sealed)
                ),
                "targets": [js.target_json(target) for target in batch],
            }
            answer = self._procedure("seal", arguments)
            sealed = js.bytes_value(answer["sealed"])
            copies += [js.copy_value(copy) for copy in answer["copies"]]
            refused += [js.refused_target_value(target) for target in answer["refused"]]
        return SealedMessage(sealed, copies, refused)

    def open(self, did: str, envelopes: Sequence[bytes]) -> list[OpenedEnvelope]:
        """Opens and verifies envelopes, in their order; each one's failure is its own ``error``."""
        opened = []
        for batch in batches(envelopes, len):
            arguments = {"did": did, "envelopes": batch}
            answer = self._procedure("open", arguments)
            opened += [js.opened_envelope_value(item) for item in answer["opened"]]
        return opened

    def read(self, did: str, items: Sequence[SealedContent]) -> list[ReadMessage]:
        """The plaintext of messages for a page, in their order; each one's failure is its own ``error``."""
        read = []
        for batch in batches(items, lambda item: len(item.sealed)):
            arguments = {"did": did, "items": [js.sealed_content_json(item) for item in batch]}
            answer = self._procedure("read", arguments)
            read += [js.read_message_value(item) for item in answer["messages"]]
        return read

    def archive(self, did: str, items: Sequence[ArchiveItem]) -> list[bytes]:
        """Signed messages sealed to the account's archive key, in their order.

        Raises AgentRefused ``CannotUnseal`` or ``NotSigned``, naming the item.
        """
        archived = []
        for batch in batches(items, lambda item: len(item.sealed)):
            arguments = {"did": did, "items": [js.archive_item_json(item) for item in batch]}
            answer = self._procedure("archive", arguments)
            archived += [js.bytes_value(item) for item in answer["archived"]]
        return archived

    def read_archive(self, did: str, items: Sequence[bytes]) -> list[ArchivedMessage]:
        """Opens archived messages and verifies their signatures again; each failure is its own ``error``."""
        messages = []
        for batch in batches(items, len):
            arguments = {"did": did, "items": batch}
            answer = self._procedure("readArchive", arguments)
            messages += [js.archived_message_value(item) for item in answer["messages"]]
        return messages


def _composed(answer: js.Json, draft: bytes = b"") -> Composed:
    return Composed(
        conversation_id=answer["conversationId"],
        message_id=answer["messageId"],
        created_at=js.time_value(answer["createdAt"]),
        sealed=js.bytes_value(answer["sealed"]),
        inline=answer.get("inline", ()),
        draft=draft,
    )
