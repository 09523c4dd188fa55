"""Public keys written as ``did:key`` and Multikey text (multibase base58btc of multicodec bytes)."""

from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms.errors import BadAttestation

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CURVES: dict[bytes, type[ec.EllipticCurve]] = {
    bytes.fromhex("8024"): ec.SECP256R1,
    bytes.fromhex("e701"): ec.SECP256K1,
}
_MAX_LENGTH = 256


def public_key(key: str) -> ec.EllipticCurvePublicKey:
    """The P-256 or K-256 key of ``did:key:z…``, with or without a fragment, or of bare ``z…``.

    Raises BadAttestation for other text and other curves.
    """
    multibase = key.removeprefix("did:key:").partition("#")[0]
    if len(multibase) > _MAX_LENGTH or not multibase.startswith("z"):
        raise BadAttestation("not a did:key or Multikey text")
    binary = _base58_decode(multibase[1:])
    curve = _CURVES.get(binary[:2])
    if curve is None:
        raise BadAttestation("a key of another kind than P-256 and K-256")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve(), binary[2:])
    except ValueError as error:
        raise BadAttestation("a key that is no point on its curve") from error


def _base58_decode(text: str) -> bytes:
    number = 0
    for digit in text:
        value = _ALPHABET.find(digit)
        if value < 0:
            raise BadAttestation("a key with a character outside base58")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
