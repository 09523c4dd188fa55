"""Taking an account elsewhere, bringing it here, and erasing it."""

from collections.abc import Callable, Iterable, Sequence

from crypto_agent import client_json as js
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.client.batching import batches
from crypto_agent.client.transport import Transport, asserted
from crypto_agent.client_values import AccountExport, AccountImport, ReadMessage, SealedContent


class LeavingCalls(Transport):
    """Taking an account elsewhere, bringing it here, and erasing it."""

    def export_account(self, did: str, passphrase: str, *, assertion: js.Json | None = None) -> AccountExport:
        """All keys of ``did``, encrypted to a passphrase of at least 12 characters.

        It may need ``assertion``, the passkey's for ``export``. Raises AgentRefused ``WeakPassphrase``,
        ``StepUpRequired``.
        """
        arguments = {"did": did, "passphrase": passphrase, **asserted(assertion)}
        answer = self._procedure("exportAccount", arguments)
        return AccountExport(js.bytes_value(answer["keys"]), js.bytes_value(answer["exportKey"]))

    def begin_readable_export(self, did: str, *, assertion: js.Json | None = None) -> bytes:
        """A permit for an export as plain text, for ``read_for_export`` and ``decrypt_file_for_export``.

        It may need ``assertion``, the passkey's for ``export``. Raises AgentRefused ``StepUpRequired``.
        """
        answer = self._procedure("beginReadableExport", {"did": did, **asserted(assertion)})
        return js.bytes_value(answer["permit"])

    def read_for_export(self, did: str, permit: bytes, items: Sequence[SealedContent]) -> list[ReadMessage]:
        """The plaintext of messages, in their order; each one's failure is its own ``error``.

        Raises AgentRefused ``NoExportBegun``.
        """
        read = []
        for batch in batches(items, lambda item: len(item.sealed)):
            contents = [js.sealed_content_json(item) for item in batch]
            answer = self._procedure("readForExport", {"did": did, "permit": permit, "items": contents})
            read += [js.read_message_value(item) for item in answer["messages"]]
        return read

    def decrypt_file_for_export(
        self,
        did: str,
        permit: bytes,
        message: SealedContent,
        part: int,
        size: int,
        chunks: Iterable[bytes],
        sink: Callable[[bytes], object],
    ) -> int:
        """As ``decrypt_file``, for an export. Raises AgentRefused ``NoExportBegun`` as well."""
        arguments = {
            "did": did,
            "permit": bytes_json(permit),
            "message": js.sealed_content_json(message),
            "part": part,
        }
        found: int = self._carry("decryptFileForExport", arguments, size, chunks, sink)["size"]
        return found

    def seal_export_part(self, did: str, export_key: bytes, name: str, state: bytes) -> bytes:
        """``state`` (at most 512 KiB) as a part of the export, which opens under this name alone."""
        arguments = {
            "did": did,
            "exportKey": bytes_json(export_key),
            "name": name,
            "state": bytes_json(state),
        }
        return js.bytes_value(self._procedure("sealExportPart", arguments)["part"])

    def open_export_part(self, did: str, import_key: bytes, name: str, part: bytes) -> bytes:
        """What ``seal_export_part`` was given elsewhere. Raises AgentRefused ``BadExport``."""
        arguments = {"did": did, "importKey": bytes_json(import_key), "name": name, "part": bytes_json(part)}
        return js.bytes_value(self._procedure("openExportPart", arguments)["state"])

    def seal_unsent(self, did: str, export_key: bytes, items: Sequence[SealedContent]) -> list[bytes]:
        """Composed messages as parts of the export, in their order."""
        parts = []
        for batch in batches(items, lambda item: len(item.sealed)):
            arguments = {
                "did": did,
                "exportKey": bytes_json(export_key),
                "items": [js.sealed_content_json(item) for item in batch],
            }
            parts += [js.bytes_value(part) for part in self._procedure("sealUnsent", arguments)["parts"]]
        return parts

    def open_unsent(self, did: str, import_key: bytes, parts: Sequence[bytes]) -> list[SealedContent]:
        """The messages in such parts, sealed at rest for this agent. Raises AgentRefused ``BadExport``."""
        messages = []
        for batch in batches(parts, len):
            arguments = {
                "did": did,
                "importKey": bytes_json(import_key),
                "parts": [bytes_json(part) for part in batch],
            }
            answer = self._procedure("openUnsent", arguments)
            messages += [js.sealed_content_value(item) for item in answer["messages"]]
        return messages

    def import_account(
        self,
        did: str,
        passphrase: str,
        keys: bytes,
        *,
        revoked: Sequence[str] = (),
        assertion: js.Json | None = None,
    ) -> AccountImport:
        """Takes in exported keys beside those that are here; the export's device becomes the active one.

        It does not where another is active, or where it is among ``revoked`` (fingerprints). Repeating it
        changes nothing more. Raises AgentRefused ``BadExport``, ``UnsupportedExport``, ``ExportOfAnother`` or
        ``WrongExportPassphrase``, and ``StepUpRequired`` where it needs the passkey's for ``import``.
        """
        arguments = {
            "did": did,
            "passphrase": passphrase,
            "keys": bytes_json(keys),
            "revoked": list(revoked),
            **asserted(assertion),
        }
        answer = self._procedure("importAccount", arguments)
        devices = [js.device_value(device) for device in answer["devices"]]
        return AccountImport(js.bytes_value(answer["importKey"]), devices)

    def erase_account(self, did: str, *, assertion: js.Json | None = None) -> bool:
        """Destroys every key of ``did`` for good; whether there were any.

        It may need ``assertion``, the passkey's for ``erase``; else AgentRefused ``StepUpRequired``.
        """
        erased: bool = self._procedure("eraseAccount", {"did": did, **asserted(assertion)})["erased"]
        return erased
