"""Signing a composed message once, and sealing a copy of it for every device that may read it."""

from collections.abc import Sequence
from datetime import datetime

from crypto_agent.atsms import cms
from crypto_agent.atsms.certificates import (
    EndpointCertificate,
    check_validity,
    parse_certificate,
)
from crypto_agent.atsms.content import decode_content
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.ids import conversation_id, message_id
from crypto_agent.atsms.oneshot import Recipient, seal_for_device
from crypto_agent.client_values import Copy, RefusedTarget, SealedContent, SealedMessage, Target
from crypto_agent.content_at_rest import RestingContent, seal_content, unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, NoActiveDevice
from crypto_agent.key_store import account_keys, active_device, device_private_key
from crypto_agent.purposes import Purpose


class _Refused(Exception):
    def __init__(self, code: str) -> None:
        self.code = code


def seal(
    did: str, message: SealedContent, targets: Sequence[Target], now: datetime, random: Random
) -> SealedMessage:
    """The message signed with the account's active device, and a copy for every other target.

    Signing is deterministic, so sealing again gives the same signed message. A target that may not or
    can't have a copy is refused alone. Raises NoActiveDevice, and CannotUnseal for content that this
    account did not compose in this conversation.
    """
    _, keys = account_keys(did)
    resting, participants = _own_content(keys, message)
    certificate, signed = _signed(keys, resting)
    copies, refused = [], []
    for target in targets:
        if target.fingerprint == certificate.fingerprint:
            continue
        try:
            copies.append(_copy(signed, target, participants, now, random))
        except (_Refused, AtsmsError) as error:
            refused.append(RefusedTarget(target.did, target.fingerprint, error.code))
    sealed = seal_content(
        keys,
        message.conversation_id,
        message.message_id,
        RestingContent(Purpose.OUTGOING_CONTENT, resting.content, signed),
        random,
    )
    return SealedMessage(sealed, copies, refused)


def sign(did: str, message: SealedContent) -> bytes:
    """The message as SignedData of the account's active device, sealed for nobody.

    Raises NoActiveDevice, and CannotUnseal for content that this account did not compose in this
    conversation.
    """
    _, keys = account_keys(did)
    resting, _ = _own_content(keys, message)
    return _signed(keys, resting)[1]


def _own_content(keys: AccountKeys, message: SealedContent) -> tuple[RestingContent, frozenset[str]]:
    """The composed content and the DIDs in its conversation, every id derived again."""
    resting = unseal_content(keys, message)
    if resting.purpose is not Purpose.OUTGOING_CONTENT:
        raise CannotUnseal("it can't be unsealed here")
    content = decode_content(resting.content)
    participants = frozenset((keys.did, *(content.recipients or ())))
    conversation = conversation_id(participants)
    derived = message_id(keys.did, conversation, resting.content, content.salt)
    if (conversation.hex(), derived.hex()) != (message.conversation_id, message.message_id):
        raise CannotUnseal("it can't be unsealed here")
    if conversation != content.conversation_id:
        raise CannotUnseal("it can't be unsealed here")
    return resting, participants


def _signed(keys: AccountKeys, resting: RestingContent) -> tuple[EndpointCertificate, bytes]:
    device = active_device(keys.did)
    if device is None:
        raise NoActiveDevice("the account has no active device to sign with")
    certificate = parse_certificate(bytes(device.certificate))
    return certificate, cms.sign(resting.content, device_private_key(keys, device), certificate)


def _copy(signed: bytes, target: Target, participants: frozenset[str], now: datetime, random: Random) -> Copy:
    if target.did not in participants:
        raise _Refused("not-a-participant")
    certificate = parse_certificate(target.certificate_pem)
    if (certificate.did, certificate.fingerprint) != (target.did, target.fingerprint):
        raise _Refused("bad-certificate")
    check_validity(certificate, now)
    copy = seal_for_device(signed, Recipient(certificate, target.prekey), now=now, random=random)
    return Copy(
        did=target.did,
        fingerprint=target.fingerprint,
        form=copy.form,
        envelope_id=copy.envelope_id.hex(),
        envelope=copy.envelope,
        prekey_error=copy.prekey_error,
    )
