"""Public keys written as ``did:key`` and Multikey text (multibase base58btc of multicodec bytes).

DID documents of older PLC directories write the bare point instead, under a type that names its curve.
"""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms.errors import BadAttestation

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CURVES: dict[bytes, type[ec.EllipticCurve]] = {
    bytes.fromhex("8024"): ec.SECP256R1,
    bytes.fromhex("e701"): ec.SECP256K1,
}
_BARE_POINTS: dict[str, type[ec.EllipticCurve]] = {
    "EcdsaSecp256r1VerificationKey2019": ec.SECP256R1,
    "EcdsaSecp256k1VerificationKey2019": ec.SECP256K1,
}
_MAX_LENGTH = 256


def public_key(key: str) -> ec.EllipticCurvePublicKey:
    """The P-256 or K-256 key of ``did:key:z…``, with or without a fragment, or of bare ``z…``.

    Raises BadAttestation for other text and other curves.
    """
    binary = _multibase(key.removeprefix("did:key:").partition("#")[0])
    curve = _CURVES.get(binary[:2])
    if curve is None:
        raise BadAttestation("a key of another kind than P-256 and K-256")
    return _point(curve, binary[2:])


def method_key(kind: str, multibase: str) -> ec.EllipticCurvePublicKey:
    """The key of a DID document's verification method by its ``type`` and ``publicKeyMultibase``.

    Raises BadAttestation for other types and for what holds no key.
    """
    if kind == "Multikey":
        return public_key(multibase)
    curve = _BARE_POINTS.get(kind)
    if curve is None:
        raise BadAttestation("a verification method of another type")
    return _point(curve, _multibase(multibase))


def did_key(key: ec.EllipticCurvePublicKey) -> str:
    """``did:key:z…`` of a P-256 or K-256 key."""
    prefix = next(prefix for prefix, curve in _CURVES.items() if curve().name == key.curve.name)
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    return "did:key:z" + _base58_encode(prefix + point)


def _point(curve: type[ec.EllipticCurve], encoded: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve(), encoded)
    except ValueError as error:
        raise BadAttestation("a key that is no point on its curve") from error


def _multibase(text: str) -> bytes:
    if len(text) > _MAX_LENGTH or not text.startswith("z"):
        raise BadAttestation("not a did:key or Multikey text")
    return _base58_decode(text[1:])


def _base58_encode(binary: bytes) -> str:
    """The base58 of bytes that do not begin with zero, as no multicodec of a key does."""
    number = int.from_bytes(binary, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _base58_decode(text: str) -> bytes:
    number = 0
    for digit in text:
        value = _ALPHABET.find(digit)
        if value < 0:
            raise BadAttestation("a key with a character outside base58")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
