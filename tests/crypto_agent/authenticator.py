"""An authenticator in software: P-256 passkeys with a PRF, as a browser would hand their answers on.

It makes whole attestation objects and assertions (WebAuthn Level 3, §6), with ``none`` as attestation. What a
test wants to be wrong, it changes here.
"""

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from crypto_agent.client import PasskeyUse
from tests.crypto_agent.running_agent import WEB_ORIGIN

Json = dict[str, Any]

USER_PRESENT, USER_VERIFIED, WITH_CREDENTIAL = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One passkey; ``origin`` is where the browser says to be."""

    origin: str = WEB_ORIGIN
    rp_id: str = ""
    verifies_user: bool = True
    has_prf: bool = True
    counts: bool = True
    sign_count: int = 0
    user_handle: str = ""
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    prf_secret: bytes = field(default_factory=lambda: os.urandom(32))

    @property
    def id(self) -> str:
        return bytes_to_base64url(self.credential_id)

    def create(self, options: Json) -> Json:
        """The RegistrationResponseJSON for options of ``begin_passkey``."""
        self.rp_id = self.rp_id or options["rp"]["id"]
        self.user_handle = options["user"]["id"]
        point = self.key.public_key().public_numbers()
        cose = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        )
        credential = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cose
        data = self._data(WITH_CREDENTIAL) + credential
        client_data = self._client_data("webauthn.create", options["challenge"])
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return {
            **self._named(),
            "response": {
                "clientDataJSON": bytes_to_base64url(client_data),
                "attestationObject": bytes_to_base64url(attestation),
                "transports": ["internal", "a transport of tomorrow"],
            },
            "clientExtensionResults": {"prf": {"enabled": True}} if self.has_prf else {},
        }

    def get(self, options: Json) -> Json:
        """The AuthenticationResponseJSON for options of ``passkey_challenge``."""
        assert self.id in [allowed["id"] for allowed in options["allowCredentials"]]
        assert options["userVerification"] == "required"
        self.rp_id = self.rp_id or options["rpId"]
        data = self._data()
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return {
            **self._named(),
            "response": {
                "clientDataJSON": bytes_to_base64url(client_data),
                "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(signature),
                "userHandle": self.user_handle,
            },
            "clientExtensionResults": {},
        }

    def use(self, options: Json) -> PasskeyUse:
        """The same with the PRF's output for the salt that the options give this credential."""
        salts = options["extensions"]["prf"]["evalByCredential"]
        salt = base64url_to_bytes(salts[self.id]["first"])
        # What a browser makes of a salt before it gives it to the authenticator (WebAuthn Level 3, §10.1.4).
        hashed = hashlib.sha256(b"WebAuthn PRF\x00" + salt).digest()
        output = hmac.digest(self.prf_secret, hashed, "sha256")
        return PasskeyUse(self.get(options), output)

    def _data(self, flags: int = 0) -> bytes:
        self.sign_count += self.counts
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies_user else 0)
        rp_id_hash = hashlib.sha256(self.rp_id.encode()).digest()
        return rp_id_hash + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(data).encode()

    def _named(self) -> Json:
        return {"id": self.id, "rawId": self.id, "type": "public-key"}
