"""Files beside messages."""

from collections.abc import Callable, Iterable
from typing import Any

from crypto_agent import client_json as js
from crypto_agent.client.transport import Transport
from crypto_agent.client_values import EncryptedFile, SealedContent


class FileCalls(Transport):
    """Files beside messages."""

    def encrypt_file(
        self,
        did: str,
        file_id: str,
        name: str,
        media_type: str,
        size: int,
        chunks: Iterable[bytes],
        sink: Callable[[bytes], object],
        *,
        pixels: tuple[int, int] | None = None,
    ) -> EncryptedFile:
        """Encrypts the ``size`` bytes of ``chunks`` once for all recipients; ``sink`` gets the result.

        ``file_id`` is the caller's own id of the file: it goes into a message under this id alone.
        ``pixels`` are an image's width and height. What ``sink`` got is of use only when this returns.
        Every call makes another file. Raises ValueError if ``chunks`` have another size.
        """
        arguments: dict[str, Any] = {
            "did": did,
            "fileId": file_id,
            "name": name,
            "mediaType": media_type,
            "size": size,
        }
        if pixels is not None:
            arguments["width"], arguments["height"] = pixels
        answer = self._carry("encryptFile", arguments, size, chunks, sink)
        return EncryptedFile(js.bytes_value(answer["sealed"]), answer["contentHash"], answer["size"])

    def decrypt_file(
        self,
        did: str,
        message: SealedContent,
        part: int,
        size: int,
        chunks: Iterable[bytes],
        sink: Callable[[bytes], object],
    ) -> int:
        """Decrypts the file at the place ``part`` of a message; ``sink`` gets it. Returns how long it is.

        ``size`` is that of the encrypted bytes in ``chunks``; all are checked before the first byte comes
        back. Raises AgentRefused ``FileDamaged``, ``NoSuchFile``, ``CannotUnseal``.
        """
        arguments = {"did": did, "message": js.sealed_content_json(message), "part": part}
        found: int = self._carry("decryptFile", arguments, size, chunks, sink)["size"]
        return found
