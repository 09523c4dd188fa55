"""One-shot messages: signed once, sealed for each device, and opened again (protocol §4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms import cms, envelope
from crypto_agent.atsms.certificates import EndpointCertificate
from crypto_agent.atsms.content import Content, decode_content
from crypto_agent.atsms.errors import (
    BadContent,
    BadPrekey,
    ExpiredPrekey,
    NotForYou,
    Unsupported,
    WrongConversation,
)
from crypto_agent.atsms.ids import between, envelope_id, message_id
from crypto_agent.atsms.prekeys import Prekey, key_to_seal_to

#: Content of up to this many bytes always fits an envelope, whatever the names in the certificates.
MAX_CONTENT_BYTES = 63_000

_SEQUENCE = b"\x30"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A device to send to: its certificate, and its prekey where it publishes one."""

    certificate: EndpointCertificate
    prekey: Prekey | None


class SealedCopy(NamedTuple):
    """One device's copy of a message.

    ``form`` is "cms" where the device has no prekey to seal to: the copy then does not hide its
    sender. ``prekey_error`` is the code of what was wrong with a prekey that it does publish.
    """

    envelope: bytes
    envelope_id: bytes
    form: Literal["sealed", "cms"]
    prekey_error: str | None

    def __repr__(self) -> str:
        return f"<SealedCopy {self.envelope_id.hex()}>"


@dataclass(frozen=True, slots=True, repr=False)
class DeviceKeys:
    """What one device opens messages with; ``prekey_secrets`` are X25519 secrets."""

    did: str
    key: ec.EllipticCurvePrivateKey
    certificate: EndpointCertificate
    prekey_secrets: Sequence[envelope.PrekeySecret]


@dataclass(frozen=True, slots=True, repr=False)
class SignedMessage:
    """A message whose signature and conversation hold, from the SignedData alone.

    That the signer's certificate is published and not revoked is still to be asked of its PDS.
    """

    content: Content
    #: The DIDs that the sender addressed.
    recipients: tuple[str, ...]
    content_bytes: bytes
    signed_data: bytes
    sender_did: str
    sender_fingerprint: str
    sender_certificate: EndpointCertificate
    conversation_id: bytes
    message_id: bytes


@dataclass(frozen=True, slots=True, repr=False)
class OpenedMessage(SignedMessage):
    """A message that came in an envelope to a device among its recipients or its sender's."""

    envelope_id: bytes


def seal_for_device(
    signed: bytes, recipient: Recipient, *, now: datetime, random: Callable[[int], bytes]
) -> SealedCopy:
    """The copy of ``signed`` (SignedData from ``cms.sign``) for one device.

    The prekey is verified at ``now`` (aware); without a good one the copy is bare CMS. ``random``
    gives so many random bytes. Raises TooLarge where the message fits no envelope.
    """
    enveloped = cms.envelop(signed, recipient.certificate, random)
    prekey_error = None
    if recipient.prekey is not None:
        try:
            key = key_to_seal_to(recipient.prekey, recipient.certificate.point, now)
            sealed = envelope.seal_to(key, envelope.CONTENT_CMS, enveloped)
        except (BadPrekey, ExpiredPrekey) as error:
            prekey_error = error.code
        else:
            return SealedCopy(sealed, envelope_id(sealed), "sealed", None)
    return SealedCopy(enveloped, envelope_id(enveloped), "cms", prekey_error)


def open_message(received: bytes, device: DeviceKeys) -> OpenedMessage:
    """The message in ``received`` as from ``open_signed``, with the envelope's id."""
    message = open_signed(received, device)
    return OpenedMessage(
        content=message.content,
        recipients=message.recipients,
        content_bytes=message.content_bytes,
        signed_data=message.signed_data,
        sender_did=message.sender_did,
        sender_fingerprint=message.sender_fingerprint,
        sender_certificate=message.sender_certificate,
        conversation_id=message.conversation_id,
        message_id=message.message_id,
        envelope_id=envelope_id(received),
    )


def open_signed(received: bytes, device: DeviceKeys) -> SignedMessage:
    """The message in ``received``, a sealed envelope or bare CMS, for ``device``.

    Raises the typed errors of envelope, CMS, certificate and content; WrongConversation, and
    NotForYou unless the device's DID sent the message or is among its recipients. Nothing changes.
    """
    if received[:1] == _SEQUENCE:
        signed = cms.open_enveloped(received, device.key, device.certificate)
    else:
        signed = _signed_data_in_seal(envelope.open_envelope(received, device.prekey_secrets), device)
    message = read_signed(signed)
    if device.did != message.sender_did and device.did not in message.recipients:
        raise NotForYou("the reader is neither sender nor recipient")
    return message


def read_signed(signed: bytes) -> SignedMessage:
    """The message in SignedData, its signature, recipients and conversation id checked."""
    verified = cms.verify(signed)
    content = decode_content(verified.content)
    recipients = content.recipients
    if recipients is None:
        raise BadContent("a message that names no recipients")
    sender = verified.certificate.did
    if between(sender, recipients)[0] != content.conversation_id:
        raise WrongConversation("the conversation id is not that of the sender and the recipients")
    return SignedMessage(
        content=content,
        recipients=recipients,
        content_bytes=verified.content,
        signed_data=signed,
        sender_did=sender,
        sender_fingerprint=verified.certificate.fingerprint,
        sender_certificate=verified.certificate,
        conversation_id=content.conversation_id,
        message_id=message_id(sender, content.conversation_id, verified.content, content.salt),
    )


def _signed_data_in_seal(opened: envelope.Opened, device: DeviceKeys) -> bytes:
    if opened.content_type != envelope.CONTENT_CMS:
        raise Unsupported("a seal around something other than CMS")
    # The published specification seals SignedData bare; the reference client envelops it as well.
    if cms.is_signed_data(opened.body):
        return opened.body
    return cms.open_enveloped(opened.body, device.key, device.certificate)
