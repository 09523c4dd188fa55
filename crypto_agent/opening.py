"""Opening envelopes with the keys of an account's devices, and sealing what was in them at rest."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from crypto_agent.atsms.certificates import parse_certificate
from crypto_agent.atsms.errors import AtsmsError, BadContent, CannotOpen
from crypto_agent.atsms.ids import envelope_id
from crypto_agent.atsms.oneshot import DeviceKeys, SignedMessage, open_signed
from crypto_agent.client_values import OpenedEnvelope, OpenedMessage
from crypto_agent.content_at_rest import RestingContent, seal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.key_store import account_keys, opening_devices
from crypto_agent.message_values import Expires
from crypto_agent.part_values import (
    copies_wanted,
    group_update_of,
    mentions,
    reactions_of,
    receipt_of,
    topic_of,
)
from crypto_agent.purposes import Purpose

log = logging.getLogger(__name__)


def open_envelopes(
    did: str, envelopes: Sequence[bytes], now: datetime, random: Random
) -> list[OpenedEnvelope]:
    """Each envelope opened by any unrevoked device of the account, in the order given.

    A failure is the envelope's own ``error``, the code of the format's error. Changes nothing.
    """
    _, keys = account_keys(did)
    devices = _device_keys(keys, now)
    return [_opened(keys, devices, envelope, random) for envelope in envelopes]


def resting_message(
    keys: AccountKeys, message: SignedMessage, purpose: Purpose, random: Random
) -> OpenedMessage:
    """What the index needs of a verified message, its content sealed at rest for ``purpose``.

    Raises BadContent for a time that no calendar holds.
    """
    content = message.content
    try:
        created_at = datetime.fromtimestamp(content.created_at / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadContent("createdAt is after the year 9999") from error
    conversation, message_hex = message.conversation_id.hex(), message.message_id.hex()
    applied = content.apply_kinds
    resting = RestingContent(purpose, message.content_bytes, message.signed_data)
    return OpenedMessage(
        conversation_id=conversation,
        message_id=message_hex,
        sender_did=message.sender_did,
        sender_fingerprint=message.sender_fingerprint,
        sender_certificate_pem=message.sender_certificate.pem,
        created_at=created_at,
        recipients=list(message.recipients),
        replaces=content.replaces.hex() if content.replaces is not None else None,
        in_reply_to=content.in_reply_to.hex() if content.in_reply_to is not None else None,
        ephemeral=content.ephemeral,
        render_kinds=list(content.render_kinds),
        apply_kinds=list(applied),
        degraded=content.degraded,
        tombstone=content.tombstone,
        expires=Expires(content.expires.relative, content.expires.time) if content.expires else None,
        sealed=seal_content(keys, conversation, message_hex, resting, random),
        topic_id=topic_of(content),
        mentions_account=mentions(content, keys.did),
        reactions=reactions_of(content) if applied else (),
        receipt=receipt_of(content) if applied else None,
        copies_wanted=copies_wanted(content) if applied else (),
        group_update=group_update_of(content) if applied else None,
    )


def _device_keys(keys: AccountKeys, now: datetime) -> list[DeviceKeys]:
    """Each device, and the same once more under the certificate that it had before it was renewed."""
    return [
        DeviceKeys(keys.did, device.key, parse_certificate(certificate), device.prekey_secrets)
        for device in opening_devices(keys, now)
        for certificate in device.certificates
    ]


def _opened(
    keys: AccountKeys, devices: Sequence[DeviceKeys], envelope: bytes, random: Random
) -> OpenedEnvelope:
    envelope_hex = envelope_id(envelope).hex()
    try:
        message = resting_message(keys, _opened_by_any(devices, envelope), Purpose.INCOMING_CONTENT, random)
    except AtsmsError as error:
        return OpenedEnvelope(envelope_hex, error=error.code)
    except Exception as error:
        # One envelope that trips a reader's fault must not hold up all that wait behind it. The
        # error's text could quote the message, so only its kind is logged.
        log.error("an envelope made the reader fail: %s", type(error).__name__)
        return OpenedEnvelope(envelope_hex, error="reader-failed")
    return OpenedEnvelope(envelope_hex, message=message)


def _opened_by_any(devices: Sequence[DeviceKeys], envelope: bytes) -> SignedMessage:
    for device in devices:
        try:
            return open_signed(envelope, device)
        except CannotOpen:
            continue
    raise CannotOpen("no device of this account opens it")
