"""An account's export: its keys under the user's passphrase, and what else is to be sealed beside them.

The export key that seals the parts goes to the caller wrapped under the account's data key, to seal alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import serialization
from django.db.models import Prefetch

from crypto_agent import account_file, passphrase_turns
from crypto_agent.account_file import (
    AccountSecrets,
    ArchiveSecret,
    AttestationSecret,
    DeviceSecrets,
    PrekeySecrets,
)
from crypto_agent.atsms import cbor
from crypto_agent.atsms.content import decode_content
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client_values import SealedContent
from crypto_agent.content_at_rest import RestingContent, seal_content
from crypto_agent.custody import KEY_BYTES, AccountKeys, Random
from crypto_agent.errors import BadExport, CannotUnseal
from crypto_agent.key_store import account_keys, archive_secret, device_private_key
from crypto_agent.models import ArchiveKey, AttestationKey, DeviceKey, PrekeySecret
from crypto_agent.prekey_secrets import decrypt_prekey
from crypto_agent.purposes import Context, Purpose
from crypto_agent.sealing import composed_content

STATE, UNSENT = "state", "unsent"
_VERSION_BYTES = 4


@dataclass(frozen=True, repr=False)
class Export:
    """``keys.cbor``, and the wrapped export key for what is sealed beside it."""

    keys: bytes
    export_key: bytes


def export_account(did: str, passphrase: str, now: datetime, random: Random) -> Export:
    """All private keys of the account under ``passphrase``. Changes nothing.

    Raises NoSuchAccount, WeakPassphrase, AgentBusy.
    """
    _, keys = account_keys(did)
    secrets = AccountSecrets(
        export_key=random(KEY_BYTES),
        devices=_devices(keys, now),
        archive_keys=[
            ArchiveSecret(row.generation, archive_secret(keys, row), row.created_at)
            for row in ArchiveKey.objects.filter(account__did=did).order_by("generation")
        ],
        attestation_keys=_attestation_keys(keys),
    )
    with passphrase_turns.turn(did):
        sealed = account_file.seal_keys(did, secrets, passphrase, now, random)
    return Export(sealed, wrap_export_key(keys, Purpose.EXPORT_KEY, secrets.export_key, random))


def seal_state(did: str, export_key: bytes, name: str, state: bytes, random: Random) -> bytes:
    """A part of the export with what only the caller's database knows. Raises CannotUnseal."""
    _, keys = account_keys(did)
    key = unwrap_export_key(keys, Purpose.EXPORT_KEY, export_key)
    return account_file.seal_part(key, did, STATE, name, state, random)


def open_state(did: str, import_key: bytes, name: str, part: bytes) -> bytes:
    """What ``seal_state`` was given where the export was made. Raises CannotUnseal, BadExport."""
    _, keys = account_keys(did)
    key = unwrap_export_key(keys, Purpose.IMPORT_KEY, import_key)
    return account_file.open_part(key, did, STATE, name, part)


def seal_unsent(did: str, export_key: bytes, items: Sequence[SealedContent], random: Random) -> list[bytes]:
    """Parts of the export with messages that this account composed. Raises CannotUnseal."""
    _, keys = account_keys(did)
    key = unwrap_export_key(keys, Purpose.EXPORT_KEY, export_key)
    return [_sealed_unsent(keys, key, item, random) for item in items]


def open_unsent(did: str, import_key: bytes, parts: Sequence[bytes], random: Random) -> list[SealedContent]:
    """The messages in such parts, sealed at rest, to be signed here. Raises CannotUnseal, BadExport."""
    _, keys = account_keys(did)
    key = unwrap_export_key(keys, Purpose.IMPORT_KEY, import_key)
    return [_opened_unsent(keys, key, part, random) for part in parts]


def wrap_export_key(keys: AccountKeys, purpose: Purpose, key: bytes, random: Random) -> bytes:
    """The export key for the caller to give back: the data key's version (4 bytes), nonce and ciphertext."""
    head = keys.current_version.to_bytes(_VERSION_BYTES, "big")
    return head + keys.encrypt(Context(purpose, keys.did), key, random)


def unwrap_export_key(keys: AccountKeys, purpose: Purpose, wrapped: bytes) -> bytes:
    """What ``wrap_export_key`` was given for this account and purpose; raises CannotUnseal."""
    version = int.from_bytes(wrapped[:_VERSION_BYTES], "big")
    return keys.decrypt(Context(purpose, keys.did), wrapped[_VERSION_BYTES:], version)


def _sealed_unsent(keys: AccountKeys, key: bytes, item: SealedContent, random: Random) -> bytes:
    content = composed_content(keys, item)
    plaintext = cbor.encode([bytes.fromhex(item.conversation_id), bytes.fromhex(item.message_id), content])
    return account_file.seal_part(key, keys.did, UNSENT, "", plaintext, random)


def _opened_unsent(keys: AccountKeys, key: bytes, part: bytes, random: Random) -> SealedContent:
    opened = account_file.open_part(key, keys.did, UNSENT, "", part)
    try:
        match cbor.decode(opened):
            case [bytes(conversation), bytes(message), bytes(content)]:
                ids = conversation.hex(), message.hex()
                # What rests here was read strictly before, and is not again.
                decode_content(content)
                resting = RestingContent(Purpose.OUTGOING_CONTENT, content, None)
                sealed = SealedContent(*ids, seal_content(keys, *ids, resting, random))
                # The ids are derived again from the content: nothing else may be signed here.
                composed_content(keys, sealed)
                return sealed
    except (AtsmsError, CannotUnseal):
        raise BadExport("the part names another message than it holds") from None
    raise BadExport("not a message")


def _devices(keys: AccountKeys, now: datetime) -> list[DeviceSecrets]:
    live = Prefetch("prekeys", PrekeySecret.objects.filter(destroy_after__gt=now).order_by("generation"))
    rows = DeviceKey.objects.filter(account__did=keys.did).prefetch_related(live).order_by("created_at", "pk")
    return [_device(keys, row) for row in rows]


def _device(keys: AccountKeys, row: DeviceKey) -> DeviceSecrets:
    kept = row.wrapped is not None
    return DeviceSecrets(
        certificate=bytes(row.certificate),
        former_certificate=bytes(row.former_certificate) if row.former_certificate is not None else None,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        private_key=_pkcs8(keys, row) if kept else None,
        prekeys=[_prekey(keys, row.fingerprint, prekey) for prekey in row.prekeys.all()] if kept else [],
    )


def _pkcs8(keys: AccountKeys, row: DeviceKey) -> bytes:
    return device_private_key(keys, row).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _prekey(keys: AccountKeys, fingerprint: str, row: PrekeySecret) -> PrekeySecrets:
    secret, signing_key = (
        decrypt_prekey(keys, purpose, fingerprint, row.generation, bytes(wrapped), row.key_version)
        for purpose, wrapped in (
            (Purpose.PREKEY_SECRET, row.wrapped_secret),
            (Purpose.PREKEY_SIGNING_KEY, row.wrapped_signing_key),
        )
    )
    return PrekeySecrets(
        row.generation,
        secret,
        signing_key,
        bytes(row.bundle_sig),
        row.created_at,
        row.expires_at,
        row.destroy_after,
    )


def _attestation_keys(keys: AccountKeys) -> list[AttestationSecret]:
    found = []
    for row in AttestationKey.objects.filter(account__did=keys.did).order_by("pk"):
        context = Context(Purpose.ATTESTATION_KEY, keys.did, device=row.did_key)
        secret = keys.decrypt(context, bytes(row.wrapped), row.key_version)
        found.append(AttestationSecret(secret, row.created_at))
    return found
