"""HPKE in base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.

All of it happens inside ``cryptography``, which takes associated data only in two functions that it keeps
for its own tests; putting HPKE together from single calls takes half as long again.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from crypto_agent.atsms.errors import BadPrekey

ENCAPSULATED_BYTES = 32

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def seal(plaintext: bytes, recipient: X25519PublicKey, info: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """The encapsulated key (32 bytes) and the ciphertext with its tag.

    Raises BadPrekey for a public key that gives no shared secret (RFC 9180 §7.1.4).
    """
    try:
        sealed = openssl.hpke._encrypt_with_aad(_SUITE, plaintext, recipient, info, aad)
    except (InvalidTag, ValueError) as error:
        raise BadPrekey("not an X25519 public key that can be sealed to") from error
    return sealed[:ENCAPSULATED_BYTES], sealed[ENCAPSULATED_BYTES:]


def open_sealed(
    encapsulated: bytes, ciphertext: bytes, secret: X25519PrivateKey, info: bytes, aad: bytes
) -> bytes | None:
    """The plaintext, or None where this secret, ``info`` or ``aad`` does not open it."""
    try:
        return openssl.hpke._decrypt_with_aad(_SUITE, encapsulated + ciphertext, secret, info, aad)
    except (InvalidTag, ValueError):
        return None
