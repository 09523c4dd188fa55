"""Who writes to whom in the benchmarks: three accounts of the agent, and devices of other hosts.

To be imported once Django is set up.
"""

import os
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto_agent import composing, devices, sealing
from crypto_agent.atsms.certificates import issue_certificate, parse_certificate
from crypto_agent.atsms.prekeys import sign_prekey
from crypto_agent.client_values import Composed, Device, Target
from crypto_agent.new_message import NewMessage

ALICE = "did:plc:alicealicealicealicealic"
BOB = "did:plc:bobbobbobbobbobbobbobbob"
CAROL = "did:plc:carolcarolcarolcarolcaro"
#: How many devices each of the people has that a message goes to.
DEVICES_EACH = 10
TEXT = "Good morning! The train leaves at twenty past eight, platform four; see you there. " * 3


def now() -> datetime:
    return datetime.now(UTC)


def enrolled(did: str, handle: str) -> Device:
    """The active device of an account of the agent."""
    return devices.create_device(did, handle, "mail.test", now(), os.urandom)


def target(device: Device) -> Target:
    return Target(device.did, device.fingerprint, device.certificate_pem, device.prekey)


def targets_elsewhere(count: int) -> list[Target]:
    """So many devices of people at other hosts, ten each."""
    return [_target_elsewhere(f"did:plc:{index // DEVICES_EACH:024d}") for index in range(count)]


def composed(did: str, recipients: list[str]) -> Composed:
    return composing.compose(did, recipients, NewMessage(TEXT), now(), os.urandom)


def envelopes_for(device: Device, sender: str, count: int) -> list[bytes]:
    """So many messages of ``sender``, sealed for ``device``."""
    return [_envelope(device, sender) for _ in range(count)]


def _envelope(device: Device, sender: str) -> bytes:
    content = composed(sender, [device.did]).content
    (copy,) = sealing.seal(sender, content, [target(device)], now(), os.urandom).copies
    return copy.envelope


def _target_elsewhere(did: str) -> Target:
    key = ec.generate_private_key(ec.SECP256R1())
    made_at = now()
    certificate = parse_certificate(
        issue_certificate(
            *(key, did, "someone.test", "mail.test", os.urandom(16)),
            *(made_at - timedelta(days=1), made_at + timedelta(days=365)),
        )
    )
    prekey = sign_prekey(
        X25519PrivateKey.generate().public_key().public_bytes_raw(),
        Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
        made_at.isoformat(),
        (made_at + timedelta(days=7)).isoformat(),
        key,
    )
    return Target(did, certificate.fingerprint, certificate.pem, prekey)
