"""The ceilings: the bare operations that sealing and opening can't do without, and nothing around them."""

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_KEY, _NONCE, _AAD = bytes(range(32)), bytes(12), b"\x83\x01\x01\x01"
_ECDSA = ec.ECDSA(hashes.SHA256())
_SIGNING = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def sealing(messages: int, devices: int, bucket_bytes: int) -> Callable[[], None]:
    """For each message one ECDSA signature, and for each of its ``devices`` a key and an agreement on X25519
    and on P-256, and the AEAD of a padded bucket."""
    prekey = X25519PrivateKey.generate().public_key()
    signer, content = ec.generate_private_key(ec.SECP256R1()), bytes(range(200))
    certified = ec.generate_private_key(ec.SECP256R1()).public_key()
    padded = bytes(bucket_bytes)

    def run() -> None:
        for _ in range(messages):
            signer.sign(content, _SIGNING)
            for _ in range(devices):
                X25519PrivateKey.generate().exchange(prekey)
                ec.generate_private_key(ec.SECP256R1()).exchange(ec.ECDH(), certified)
                ChaCha20Poly1305(_KEY).encrypt(_NONCE, padded, _AAD)

    return run


def opening(messages: int, bucket_bytes: int) -> Callable[[], None]:
    """For each message: an agreement on X25519 and on P-256, the AEAD of a bucket, and ECDSA's check."""
    prekey, encapsulated = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    device, ephemeral = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    sealed = ChaCha20Poly1305(_KEY).encrypt(_NONCE, bytes(bucket_bytes), _AAD)
    content = bytes(range(200))
    signature, signer = device.sign(content, _ECDSA), device.public_key()

    def run() -> None:
        for _ in range(messages):
            prekey.exchange(encapsulated)
            device.exchange(ec.ECDH(), ephemeral.public_key())
            ChaCha20Poly1305(_KEY).decrypt(_NONCE, sealed, _AAD)
            signer.verify(signature, content, _ECDSA)

    return run
