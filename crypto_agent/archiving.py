"""Signed messages sealed to an account's archive key, as the mailbox keeps them for good.

An archived message is ``01 ‖ archive key generation (4 bytes) ‖ encapsulated key (32) ‖ ciphertext``:
HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, ``info``
``waxwing-archive:v1``, ``aad`` the DID. The plaintext is the CBOR of ``[1, conversation id, message id,
signed message, received ms, verified ms or null, direction, envelope id or null, [delivered to], zeros]``,
padded to a power of two so that its size tells little.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey, KEMKeyInterface, PyHPKEError

from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError, BadContent, CannotOpen
from crypto_agent.atsms.oneshot import read_signed
from crypto_agent.client_values import ArchivedMessage, ArchiveItem, SealedContent
from crypto_agent.content_at_rest import unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, InvalidRequest, NotSigned
from crypto_agent.key_store import account_keys, archive_secret
from crypto_agent.key_store import archive_key as live_archive_key
from crypto_agent.models import Account, ArchiveKey, DeviceKey
from crypto_agent.opening import resting_message
from crypto_agent.purposes import Purpose

_VERSION = 1
_HEAD_BYTES = 5
_ENCAPSULATED_BYTES = 32
_INFO = b"waxwing-archive:v1"
_SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
_SMALLEST_PADDED = 1024
_LONGEST_PLAINTEXT = 256 * 1024


def archive(did: str, items: Sequence[ArchiveItem], now: datetime, random: Random) -> list[bytes]:
    """The archived forms, in order, under the account's archive key; makes the next one where that was ended.

    Raises CannotUnseal or NotSigned with the index of the item, InvalidRequest for a time before 1970.
    """
    keys, archive_key = live_archive_key(did, now, random)
    # Not the public key in the row: whoever could write there would get every message from then on.
    secret = X25519PrivateKey.from_private_bytes(archive_secret(keys, archive_key))
    recipient = KEMKey.from_pyca_cryptography_key(secret.public_key())
    head = bytes((_VERSION,)) + archive_key.generation.to_bytes(4, "big")
    archived = []
    for index, item in enumerate(items):
        plaintext = _plaintext(keys, item, f"items[{index}]")
        encapsulated, sender = _SUITE.create_sender_context(recipient, info=_INFO)
        archived.append(head + encapsulated + sender.seal(plaintext, aad=did.encode()))
    return archived


def read_archive(did: str, items: Sequence[bytes], random: Random) -> list[ArchivedMessage]:
    """The archived messages, in order, their signatures verified again; a failure is the item's ``error``.

    A message signed by one of the account's own devices may be sealed again, any other only read.
    """
    account, keys = account_keys(did)
    secrets = _secrets(account, keys)
    own_fingerprints = set(DeviceKey.objects.filter(account=account).values_list("fingerprint", flat=True))
    messages = []
    for item in items:
        try:
            messages.append(_read(keys, secrets, own_fingerprints, item, random))
        except AtsmsError as error:
            messages.append(ArchivedMessage(error=error.code))
    return messages


def _plaintext(keys: AccountKeys, item: ArchiveItem, path: str) -> bytes:
    content = SealedContent(item.conversation_id, item.message_id, item.sealed)
    try:
        resting = unseal_content(keys, content)
    except CannotUnseal as error:
        raise CannotUnseal(f"{path}: it can't be unsealed here") from error
    if resting.signed is None:
        raise NotSigned(f"{path}: the message was never signed")
    fields: list[cbor.CborValue] = [
        _VERSION,
        bytes.fromhex(item.conversation_id),
        bytes.fromhex(item.message_id),
        resting.signed,
        _milliseconds(item.received_at, f"{path}.receivedAt"),
        _milliseconds(item.verified_at, f"{path}.verifiedAt") if item.verified_at else None,
        item.direction,
        bytes.fromhex(item.envelope_id) if item.envelope_id is not None else None,
        list(item.delivered_to),
    ]
    return _padded(fields)


def _padded(fields: Sequence[cbor.CborValue]) -> bytes:
    unpadded = len(cbor.encode([*fields, b""]))
    size = max(_SMALLEST_PADDED, 1 << (unpadded - 1).bit_length())
    # The padding's own head grows by up to four bytes; the result is then a few bytes over.
    return cbor.encode([*fields, bytes(size - unpadded)])


def _secrets(account: Account, keys: AccountKeys) -> dict[int, KEMKeyInterface]:
    return {
        row.generation: KEMKey.from_pyca_cryptography_key(
            X25519PrivateKey.from_private_bytes(archive_secret(keys, row))
        )
        for row in ArchiveKey.objects.filter(account=account)
    }


def _read(
    keys: AccountKeys,
    secrets: dict[int, KEMKeyInterface],
    own_fingerprints: Iterable[str],
    archived: bytes,
    random: Random,
) -> ArchivedMessage:
    match cbor.decode(_opened(keys.did, secrets, archived), max_bytes=_LONGEST_PLAINTEXT):
        case [
            1,
            bytes(conversation),
            bytes(message_id),
            bytes(signed),
            int(received_at),
            verified_at,
            "in" | "out" as direction,
            envelope_id,
            list(delivered_to),
            bytes(),
        ]:
            message = read_signed(signed)
            if (message.conversation_id, message.message_id) != (conversation, message_id):
                raise BadContent("the archive names another message than the one that was signed")
            own = message.sender_did == keys.did and message.sender_fingerprint in own_fingerprints
            purpose = Purpose.OUTGOING_CONTENT if own else Purpose.INCOMING_CONTENT
            return ArchivedMessage(
                message=resting_message(keys, message, purpose, random),
                received_at=_moment(received_at),
                verified_at=_moment(verified_at) if isinstance(verified_at, int) else None,
                direction="in" if direction == "in" else "out",
                envelope_id=envelope_id.hex() if isinstance(envelope_id, bytes) else None,
                delivered_to=[name for name in delivered_to if isinstance(name, str)],
            )
    raise BadContent("not an archived message")


def _opened(did: str, secrets: dict[int, KEMKeyInterface], archived: bytes) -> bytes:
    generation = int.from_bytes(archived[1:_HEAD_BYTES], "big")
    body = archived[_HEAD_BYTES:]
    if archived[:1] != bytes((_VERSION,)) or len(body) <= _ENCAPSULATED_BYTES:
        raise CannotOpen("no archive key opens it")
    # Keys that came from another installation may have another generation here than the one in the head.
    for known in sorted(secrets, key=lambda each: each != generation):
        try:
            recipient = _SUITE.create_recipient_context(
                body[:_ENCAPSULATED_BYTES], secrets[known], info=_INFO
            )
            plaintext: bytes = recipient.open(body[_ENCAPSULATED_BYTES:], aad=did.encode())
        except (PyHPKEError, ValueError):
            continue
        return plaintext
    raise CannotOpen("no archive key opens it")


def _milliseconds(moment: datetime, path: str) -> int:
    milliseconds = int(moment.timestamp() * 1000)
    if milliseconds < 0:
        raise InvalidRequest(f"{path}: before 1970")
    return milliseconds


def _moment(milliseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadContent("a time after the year 9999") from error
