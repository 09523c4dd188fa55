"""Devices in a JSON file, as the ``open`` and ``seal`` commands read them; test keys, not custody.

The file holds a list of devices, or an object with that list as ``devices``. Each device has ``did``,
``fingerprint`` and ``certificatePem``; ``privateKeyPem`` and ``prekeySecretHex`` to open and sign with;
and ``prekeyRecord`` (``signedPrekeyHex``, ``signingPkHex``, ``createdAt``, ``expiresAt``,
``bundleSigHex``) to be sealed to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from crypto_agent.atsms.certificates import EndpointCertificate, parse_certificate
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.oneshot import DeviceKeys
from crypto_agent.atsms.prekeys import Prekey


class BadDeviceFile(AtsmsError):
    """A file of devices that can't be read; the text says which device and what about it."""

    code = "bad-devices"


class NoPrivateKey(AtsmsError):
    """The device stands in the file without the private key that is needed."""

    code = "no-private-key"


@dataclass(frozen=True, slots=True, repr=False)
class FileDevice:
    """One device of the file, with the keys that the file gives it."""

    certificate: EndpointCertificate
    key: ec.EllipticCurvePrivateKey | None
    prekey_secret: bytes | None
    prekey: Prekey | None

    def keys(self) -> DeviceKeys:
        """What opening and signing need; NoPrivateKey where the file has no key for the device."""
        if self.key is None:
            raise NoPrivateKey("the devices file has no private key for this device")
        secrets = () if self.prekey_secret is None else (self.prekey_secret,)
        return DeviceKeys(self.certificate.did, self.key, self.certificate, secrets)


def parse_devices(text: str | bytes) -> dict[str, FileDevice]:
    """The devices in the JSON ``text`` by fingerprint; BadDeviceFile for anything malformed."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDeviceFile("the devices file is not JSON") from error
    entries = document.get("devices") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise BadDeviceFile("the devices file holds no list of devices")
    devices = {}
    for number, entry in enumerate(entries, start=1):
        try:
            device = _device(entry)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            reason = str(error) if isinstance(error, AtsmsError) else type(error).__name__
            raise BadDeviceFile(f"device {number} of the devices file: {reason}") from error
        devices[device.certificate.fingerprint] = device
    return devices


def _device(entry: Any) -> FileDevice:
    if not isinstance(entry, dict):
        raise BadDeviceFile("not an object")
    certificate = parse_certificate(_text(entry, "certificatePem"))
    if certificate.did != _text(entry, "did"):
        raise BadDeviceFile("its certificate is another DID's")
    if certificate.fingerprint != _text(entry, "fingerprint"):
        raise BadDeviceFile("its certificate has another fingerprint")
    secret = bytes.fromhex(_text(entry, "prekeySecretHex")) if "prekeySecretHex" in entry else None
    if secret is not None and len(secret) != 32:
        raise BadDeviceFile("its prekey secret is not 32 bytes")
    return FileDevice(certificate, _key(entry, certificate), secret, _prekey(entry.get("prekeyRecord")))


def _key(entry: Mapping[str, Any], certificate: EndpointCertificate) -> ec.EllipticCurvePrivateKey | None:
    if "privateKeyPem" not in entry:
        return None
    key = load_pem_private_key(_text(entry, "privateKeyPem").encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key:
        raise BadDeviceFile("its private key is not its certificate's")
    return key


def _prekey(record: Any) -> Prekey | None:
    if record is None:
        return None
    if not isinstance(record, dict):
        raise BadDeviceFile("its prekeyRecord is not an object")
    return Prekey(
        signed_prekey=bytes.fromhex(_text(record, "signedPrekeyHex")),
        signing_pk=bytes.fromhex(_text(record, "signingPkHex")),
        created_at=_text(record, "createdAt"),
        expires_at=_text(record, "expiresAt"),
        bundle_sig=bytes.fromhex(_text(record, "bundleSigHex")),
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str):
        raise BadDeviceFile(f"{name} is missing or not text")
    return value
