"""People with a did:web whose keys the tests hold: they sign whatever a PDS could sign in their name."""

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from crypto_agent.atsms.attestations import has_low_s
from crypto_agent.atsms.did_keys import _base58_encode, did_key

Json = dict[str, Any]


@dataclass
class WebPerson:
    """Somebody whose DID document is served on loopback, with ``key`` as their ``#atproto`` key.

    ``dialect`` is "multikey" or "2019", the two forms in which PLC directories write keys.
    """

    port: int
    key: ec.EllipticCurvePrivateKey
    dialect: str = "multikey"
    status: int = 200
    #: How long the document takes to come.
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)

    @property
    def did(self) -> str:
        return f"did:web:localhost%3A{self.port}"

    @property
    def algorithm(self) -> str:
        return "ES256" if isinstance(self.key.curve, ec.SECP256R1) else "ES256K"

    @property
    def document(self) -> Json:
        method = {"controller": self.did, **key_in_document(self.key.public_key(), self.dialect)}
        name = f"{self.did}#atproto" if self.dialect == "multikey" else "#atproto"
        return {"id": self.did, "verificationMethod": [{"id": name, **method}]}

    def token(self, agent_did: str, nsid: str, *, header: Json | None = None, **changed: Any) -> str:
        """An inter-service token; ``changed`` claims go before the right ones, None takes one away."""
        now = int(time.time())
        claims = {
            "iss": self.did,
            "aud": agent_did,
            "lxm": nsid,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_hex(16),
            **changed,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        head = {"typ": "JWT", "alg": self.algorithm, **(header or {})}
        while True:
            token = jwt.encode(head, claims, ECKey.import_key(self.key), algorithms=[head["alg"]])
            if _low_s(token, self.key.curve):
                return token


def key_in_document(key: ec.EllipticCurvePublicKey, dialect: str) -> Json:
    if dialect == "multikey":
        return {"type": "Multikey", "publicKeyMultibase": did_key(key).removeprefix("did:key:")}
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    curve = "r1" if isinstance(key.curve, ec.SECP256R1) else "k1"
    return {
        "type": f"EcdsaSecp256{curve}VerificationKey2019",
        "publicKeyMultibase": "z" + _base58_encode(point),
    }


@contextmanager
def web_person(curve: ec.EllipticCurve, dialect: str = "multikey") -> Iterator[WebPerson]:
    """Serves the person's document until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            person.asked.append(self.path)
            time.sleep(person.seconds)
            body = json.dumps(person.document).encode()
            self.send_response(person.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    person = WebPerson(server.server_address[1], ec.generate_private_key(curve), dialect)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield person
    finally:
        server.shutdown()
        server.server_close()


def _low_s(token: str, curve: ec.EllipticCurve) -> bool:
    signature = token.rpartition(".")[2]
    return has_low_s(base64.urlsafe_b64decode(signature + "=="), curve)
