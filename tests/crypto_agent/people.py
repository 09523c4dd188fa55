"""The people in these tests, and how they write to each other."""

from collections.abc import Sequence
from datetime import UTC, datetime

from crypto_agent.client import AgentClient, Composed, Device, OpenedMessage, SealedMessage, Target

ALICE = "did:plc:alicealicealicealicealic"
BOB = "did:plc:bobbobbobbobbobbobbobbob"
CAROL = "did:plc:carolcarolcarolcarolcaro"

WRITTEN_AT = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)


def target(device: Device, *, hiding: bool = True) -> Target:
    """The device as others see it; with ``hiding`` False without its prekey."""
    return Target(device.did, device.fingerprint, device.certificate_pem, device.prekey if hiding else None)


def write(
    web: AgentClient,
    worker: AgentClient,
    sender: str,
    recipients: Sequence[Device],
    text: str = "Good morning",
    *,
    hiding: bool = True,
) -> tuple[Composed, SealedMessage]:
    """A message composed by the web process and sealed by a worker for the recipients' devices."""
    composed = web.compose(sender, [device.did for device in recipients], text, created_at=WRITTEN_AT)
    sealed = worker.seal(sender, composed.content, [target(device, hiding=hiding) for device in recipients])
    assert not sealed.refused
    return composed, sealed


def receive(worker: AgentClient, did: str, envelope: bytes) -> OpenedMessage:
    (opened,) = worker.open(did, [envelope])
    assert opened.error is None
    assert opened.message is not None
    return opened.message
