"""Signing a composed message once, and sealing a copy of it for every device that may read it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from crypto_agent.atsms import cms
from crypto_agent.atsms.certificates import (
    EndpointCertificate,
    check_validity,
    parse_certificate,
)
from crypto_agent.atsms.content import composed_names
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.ids import between, message_id
from crypto_agent.atsms.oneshot import Recipient, seal_for_device
from crypto_agent.client_values import Copy, RefusedTarget, SealedContent, SealedMessage, Target
from crypto_agent.content_at_rest import RestingContent, seal_content, unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, NoActiveDevice
from crypto_agent.key_store import account_keys_and_signer
from crypto_agent.purposes import Purpose
from crypto_agent.signing_keys import Signer

#: An id is made of the DIDs in its conversation, so these never change; some 100 bytes for each of them.
_participants_by_id: dict[str, frozenset[str]] = {}
_MOST_CONVERSATIONS = 512


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
    keys, signer = account_keys_and_signer(did)
    resting = _composed(keys, message)
    participants = _participants(did, message.conversation_id, resting.content)
    certificate, signed = _signed(signer, resting)
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
    keys, signer = account_keys_and_signer(did)
    return _signed(signer, _composed(keys, message))[1]


def composed_content(keys: AccountKeys, message: SealedContent) -> bytes:
    """The content of a message that this account composed, every id derived again; else CannotUnseal."""
    content = _composed(keys, message).content
    salt, named_conversation, recipients = composed_names(content)
    conversation, _ = between(keys.did, recipients)
    derived = message_id(keys.did, conversation, content, salt)
    if (conversation.hex(), derived.hex()) != (message.conversation_id, message.message_id):
        raise CannotUnseal("it can't be unsealed here")
    if conversation != named_conversation:
        raise CannotUnseal("it can't be unsealed here")
    return content


def _composed(keys: AccountKeys, message: SealedContent) -> RestingContent:
    """What was composed under the ids of ``message``, which are authenticated with it."""
    resting = unseal_content(keys, message)
    if resting.purpose is not Purpose.OUTGOING_CONTENT:
        raise CannotUnseal("it can't be unsealed here")
    return resting


def _participants(did: str, conversation_id: str, content: bytes) -> frozenset[str]:
    """The DIDs in a conversation, read from content that was composed in it where they are not known."""
    participants = _participants_by_id.get(conversation_id)
    if participants is None:
        _, _, recipients = composed_names(content)
        conversation, participants = between(did, recipients)
        if conversation.hex() != conversation_id:
            raise CannotUnseal("it can't be unsealed here")
        if len(_participants_by_id) >= _MOST_CONVERSATIONS:
            _participants_by_id.clear()
        _participants_by_id[conversation_id] = participants
    return participants


def _signed(signer: Signer | None, resting: RestingContent) -> tuple[EndpointCertificate, bytes]:
    if signer is None:
        raise NoActiveDevice("the account has no active device to sign with")
    return signer.certificate, cms.sign(resting.content, signer.key, signer.certificate)


def _copy(signed: bytes, target: Target, participants: frozenset[str], now: datetime, random: Random) -> Copy:
    if target.did not in participants:
        raise _Refused("not-a-participant")
    recipient = _recipient(target)
    check_validity(recipient.certificate, now)
    copy = seal_for_device(signed, recipient, now=now, random=random)
    return Copy(
        target.did, target.fingerprint, copy.form, copy.envelope_id.hex(), copy.envelope, copy.prekey_error
    )


# People write to the same devices again.
@lru_cache(maxsize=4096)
def _recipient(target: Target) -> Recipient:
    certificate = parse_certificate(target.certificate_pem)
    if (certificate.did, certificate.fingerprint) != (target.did, target.fingerprint):
        raise _Refused("bad-certificate")
    return Recipient(certificate, target.prekey)
