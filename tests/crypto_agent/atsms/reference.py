"""The reference client's vectors, read once, and what tests make from them."""

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

from crypto_agent.atsms import cms, envelope
from crypto_agent.atsms.content import Content, encode_content
from crypto_agent.device_file import FileDevice, parse_devices

VECTORS = Path(__file__).parents[2] / "vectors"
ONE_SHOT_FILE = VECTORS / "oneshot-reference.json"


@cache
def vectors(name: str) -> dict[str, Any]:
    """One of the files in tests/vectors."""
    return json.loads((VECTORS / name).read_text())


CASES: list[dict[str, Any]] = vectors("oneshot-reference.json")["cases"]
DEVICES: dict[str, FileDevice] = parse_devices(ONE_SHOT_FILE.read_text())


def devices_of(did: str) -> list[FileDevice]:
    """The devices of one of the reference's accounts."""
    return [device for device in DEVICES.values() if device.certificate.did == did]


ALICE = devices_of("did:plc:ewvi7nxzyoun6zhxrhs64oiz")[0]
BOB, BOBS_OTHER, _ = devices_of("did:web:bob.example")
CAROL = devices_of("did:web:mail.carol.example")[0]


def envelope_of(case: dict[str, Any]) -> bytes:
    return base64.b64decode(case["envelopeB64"])


def signed_by(device: FileDevice, content: Content | bytes) -> bytes:
    """SignedData over content, which may be bytes that no writer of ours would make."""
    encoded = content if isinstance(content, bytes) else encode_content(content)
    keys = device.keys()
    return cms.sign(encoded, keys.key, keys.certificate)


def sealed_for(device: FileDevice, body: bytes, content_type: int = envelope.CONTENT_CMS) -> bytes:
    """``body`` sealed to the device's prekey, whatever it is."""
    assert device.prekey is not None
    return envelope.seal(content_type, body, device.prekey.signed_prekey)
