"""CMS as AT-SMS uses it: a message signed once, and enveloped for one device (protocol §4, RFC 5652).

Written as DER; BER with indefinite lengths and octet strings in chunks is read as well.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from crypto_agent.atsms import cms_profile as profile
from crypto_agent.atsms import der
from crypto_agent.atsms.certificates import EndpointCertificate, parse_certificate
from crypto_agent.atsms.cms_profile import (
    UKM_BYTES,
    VECTOR_BYTES,
    Enveloped,
    Signed,
    read_enveloped,
    read_signed,
    write_enveloped,
    write_signed,
)
from crypto_agent.atsms.der import Element
from crypto_agent.atsms.errors import BadCertificate, BadCms, BadSignature, CannotOpen, TooLarge, Unsupported

MAX_CMS_BYTES = 128 * 1024

_CONTENT_KEY_BYTES = 32
#: Where the initialisation vector lies in what is drawn for one copy.
_VECTOR = slice(_CONTENT_KEY_BYTES, _CONTENT_KEY_BYTES + VECTOR_BYTES)
_P256, _ECDH, _SHA256 = ec.SECP256R1(), ec.ECDH(), hashes.SHA256()
_X962, _UNCOMPRESSED = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
_BLOCKS = padding.PKCS7(128)
_ECDSA = ec.ECDSA(hashes.SHA256())
_DETERMINISTIC_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


@dataclass(frozen=True, slots=True, repr=False)
class VerifiedContent:
    """The exact bytes that were signed and the certificate whose key signed them."""

    content: bytes
    certificate: EndpointCertificate


def sign(content: bytes, key: ec.EllipticCurvePrivateKey, certificate: EndpointCertificate) -> bytes:
    """DER of a ContentInfo with SignedData over ``content``: one signer, no signed attributes.

    ECDSA is deterministic (RFC 6979), so the same content always gives the same bytes.
    """
    signature = key.sign(content, _DETERMINISTIC_ECDSA)
    parts = Signed(content, certificate.der, signature)
    return write_signed(parts, certificate.issuer_der, certificate.serial_der)


def verify(signed: bytes) -> VerifiedContent:
    """The content of SignedData whose signature holds under the certificate that it carries.

    Whether that certificate is its DID's is for the caller to find out. Raises TooLarge, BadCms,
    Unsupported, BadCertificate, and BadSignature unless exactly one signer signed.
    """
    verified = _read_as_written_here(signed) or _read_any(signed)
    try:
        verified.certificate.public_key.verify(verified.signature, verified.signed, _ECDSA)
    except InvalidSignature as error:
        raise BadSignature("the signature does not hold for the content") from error
    return VerifiedContent(verified.content, verified.certificate)


def envelop(signed: bytes, recipient: EndpointCertificate, random: Callable[[int], bytes]) -> bytes:
    """DER of a ContentInfo with EnvelopedData of ``signed`` for the one ``recipient`` device.

    ``random`` gives so many random bytes: the content key, the initialisation vector and the user
    keying material come from it. A fresh ECDH key is made for every call.
    """
    ephemeral = ec.generate_private_key(_P256)
    drawn = random(_CONTENT_KEY_BYTES + VECTOR_BYTES + UKM_BYTES)
    content_key, vector, ukm = drawn[:_CONTENT_KEY_BYTES], drawn[_VECTOR], drawn[-UKM_BYTES:]
    wrapping_key = _wrapping_key(ephemeral.exchange(_ECDH, recipient.public_key), ukm)
    point = ephemeral.public_key().public_bytes(_X962, _UNCOMPRESSED)
    wrapped_key = keywrap.aes_key_wrap(wrapping_key, content_key)
    parts = Enveloped(point, ukm, wrapped_key, vector, _encrypt(signed, content_key, vector))
    return write_enveloped(parts, recipient.issuer_der, recipient.serial_der)


def open_enveloped(cms: bytes, key: ec.EllipticCurvePrivateKey, certificate: EndpointCertificate) -> bytes:
    """The SignedData inside EnvelopedData for the device of ``key`` and ``certificate``.

    Raises TooLarge, BadCms or Unsupported for a structure that is not of the profile, and CannotOpen
    for everything that goes wrong from the first use of the key on, always the same.
    """
    for parts in _parts_for(cms, certificate):
        content_key = _content_key(parts, key)
        plaintext = None if content_key is None else _decrypt(parts.ciphertext, content_key, parts.vector)
        # CBC tells no altered content from the right one; what is no element was altered.
        if plaintext is not None and _is_element(plaintext):
            return plaintext
    raise CannotOpen("this device's key does not open the CMS")


def is_signed_data(cms: bytes) -> bool:
    """Whether ``cms`` is a ContentInfo that names SignedData.

    Raises BadCms if it is none; where it begins as EnvelopedData, only opening it tells.
    """
    if profile.is_enveloped(cms):
        return False
    return _content_info(cms)[0].encoded == profile.SIGNED_DATA


@dataclass(frozen=True, slots=True, repr=False)
class _Unverified:
    """A content, and the bytes that a signature is to hold for under a certificate's key."""

    content: bytes
    signed: bytes
    signature: bytes
    certificate: EndpointCertificate


def _read_as_written_here(signed: bytes) -> _Unverified | None:
    """What SignedData holds that ``sign`` wrote, or somebody else in exactly the same form."""
    _check_size(signed)
    parts = read_signed(signed)
    if parts is None:
        return None
    try:
        certificate = parse_certificate(parts.certificate)
    except BadCertificate:
        return None
    if write_signed(parts, certificate.issuer_der, certificate.serial_der) != signed:
        return None
    return _Unverified(parts.content, parts.content, parts.signature, certificate)


def _read_any(signed: bytes) -> _Unverified:
    _, digests, encapsulated, *options, signers = _fields(_content(signed, profile.SIGNED_DATA), 4, 6)
    signer = _only_signer(signers)
    content = _encapsulated_content(encapsulated)
    der.children(digests, der.SET)
    certificate = _certificate_of(signer, options)
    signed_bytes = content
    if signer.signed_attributes is not None:
        _check_attributes(signer.signed_attributes, content)
        signed_bytes = der.write(der.SET, signer.signed_attributes.contents)
    return _Unverified(content, signed_bytes, signer.signature, certificate)


def _content_info(cms: bytes) -> list[Element]:
    _check_size(cms)
    return _fields(der.read(cms), 2, 2)


def _check_size(cms: bytes) -> None:
    if len(cms) > MAX_CMS_BYTES:
        raise TooLarge(f"{len(cms)} bytes of CMS, more than {MAX_CMS_BYTES}")


def _content(cms: bytes, content_type: bytes) -> Element:
    """The content of a ContentInfo that has to be of ``content_type``."""
    actual_type, content = _content_info(cms)
    if actual_type.encoded != content_type:
        raise BadCms("CMS of another content type than expected")
    return der.only_child(content, 0xA0)


def _fields(element: Element, fewest: int, most: int) -> list[Element]:
    fields = der.children(element, der.SEQUENCE)
    if not fewest <= len(fields) <= most:
        raise BadCms("a structure with too few or too many fields")
    return fields


@dataclass(frozen=True, slots=True)
class _Signer:
    issuer_and_serial: Element
    signed_attributes: Element | None
    signature: bytes


def _only_signer(signers: Element) -> _Signer:
    found = der.children(signers, der.SET)
    if len(found) != 1:
        raise BadSignature(f"{len(found)} signers, not one")
    _, identifier, digest, *attributes, algorithm, signature = _signer_fields(found[0])
    _require_algorithm(digest, profile.SHA256)
    _require_algorithm(algorithm, profile.ECDSA_SHA256)
    if len(attributes) > 1 or any(attribute.tag != 0xA0 for attribute in attributes):
        raise BadCms("a signer with fields of another type")
    return _Signer(identifier, attributes[0] if attributes else None, der.octets(signature))


def _signer_fields(signer: Element) -> list[Element]:
    fields = _fields(signer, 5, 7)
    # Unsigned attributes say nothing that is used here.
    return fields[:-1] if fields[-1].tag == 0xA1 else fields


def _encapsulated_content(encapsulated: Element) -> bytes:
    fields = _fields(encapsulated, 1, 2)
    if fields[0].encoded != profile.DATA or len(fields) != 2:
        raise BadCms("SignedData without data inside")
    return der.octets(der.only_child(fields[1], 0xA0))


def _certificate_of(signer: _Signer, options: list[Element]) -> EndpointCertificate:
    """The certificate among SignedData's optional fields that the signer is identified by."""
    included = [child for option in options if option.tag == 0xA0 for child in der.children(option)]
    issuer, serial = _fields(signer.issuer_and_serial, 2, 2)
    for element in included:
        if element.tag != der.SEQUENCE:
            raise BadCms("a certificate of another kind than X.509")
        certificate = parse_certificate(element.encoded)
        if (certificate.issuer_der, certificate.serial_der) == (issuer.encoded, serial.encoded):
            return certificate
    raise BadCms("SignedData does not carry its signer's certificate")


def _check_attributes(attributes: Element, content: bytes) -> None:
    """Signed attributes must name the type and digest of what is signed (RFC 5652 §5.3, §11)."""
    values: dict[bytes, bytes] = {}
    for attribute in der.children(attributes):
        kind, value_set = _fields(attribute, 2, 2)
        value = der.children(value_set, der.SET)
        if kind.encoded in values or len(value) != 1:
            raise BadSignature("a signed attribute that occurs twice or has not one value")
        values[kind.encoded] = value[0].encoded
    digest = der.write(der.OCTET_STRING, sha256(content).digest())
    if values.get(profile.CONTENT_TYPE) != profile.DATA or values.get(profile.MESSAGE_DIGEST) != digest:
        raise BadSignature("the signed attributes are not those of the content")


def _encrypted_content(element: Element) -> tuple[bytes, bytes]:
    content_type, algorithm, content = _fields(element, 3, 3)
    if content_type.encoded != profile.DATA:
        raise BadCms("encrypted content that is not data")
    parameters = _require_algorithm(algorithm, profile.AES256_CBC)
    if len(parameters) != 1:
        raise BadCms("AES-CBC without its initialisation vector")
    vector = der.octets(parameters[0])
    ciphertext = der.octets(content, 0x80)
    if len(vector) != 16:
        raise BadCms("an initialisation vector that is not 16 bytes")
    return vector, ciphertext


def _recipients_with_serial(recipients: Element, serial: bytes) -> Iterator[tuple[list[Element], bytes]]:
    """Key agreements, and the wrapped key, for certificates with ``serial`` (16 random bytes)."""
    for recipient in der.children(recipients, der.SET):
        # Other kinds of recipient, such as key transport, are for others.
        if recipient.tag != 0xA1:
            continue
        agreement = der.children(recipient)
        if not 4 <= len(agreement) <= 5:
            raise BadCms("a key agreement with too few or too many fields")
        for entry in der.children(agreement[-1], der.SEQUENCE):
            identifier, encrypted_key = _fields(entry, 2, 2)
            if identifier.tag == der.SEQUENCE and _fields(identifier, 2, 2)[1].encoded == serial:
                yield agreement, der.octets(encrypted_key)


def _parts_for(cms: bytes, certificate: EndpointCertificate) -> Iterator[Enveloped]:
    """What EnvelopedData holds for the device, once for each recipient that could be it."""
    _check_size(cms)
    as_written_here = read_enveloped(cms, certificate.issuer_der, certificate.serial_der)
    if as_written_here is not None:
        yield as_written_here
        return
    _, recipients, encrypted_content = _fields(_content(cms, profile.ENVELOPED_DATA), 3, 3)
    vector, ciphertext = _encrypted_content(encrypted_content)
    for agreement, wrapped_key in _recipients_with_serial(recipients, certificate.serial_der):
        point, ukm = _agreement(agreement)
        yield Enveloped(point, ukm, wrapped_key, vector, ciphertext)


def _agreement(agreement: list[Element]) -> tuple[bytes, bytes]:
    """The ephemeral point and the user keying material of a key agreement of the profile."""
    if len(agreement) != 5:
        raise BadCms("a key agreement without user keying material")
    version, originator, ukm, algorithm, _ = agreement
    if version.encoded != profile.VERSION_3:
        raise BadCms("a key agreement of another version than 3")
    wrap = _require_algorithm(algorithm, profile.ECDH_SHA256_KDF)
    if len(wrap) != 1 or _require_algorithm(wrap[0], profile.AES256_WRAP) not in ([], [_null_element()]):
        raise BadCms("a key agreement with parameters that are not AES-256 key wrap")
    return _originator_point(originator), der.octets(der.only_child(ukm, 0xA1))


def _content_key(parts: Enveloped, key: ec.EllipticCurvePrivateKey) -> bytes | None:
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(_P256, parts.point)
        wrapping_key = _wrapping_key(key.exchange(_ECDH, peer), parts.ukm)
        content_key = keywrap.aes_key_unwrap(wrapping_key, parts.wrapped_key)
    except (ValueError, keywrap.InvalidUnwrap):
        return None
    return content_key if len(content_key) == 32 else None


def _originator_point(originator: Element) -> bytes:
    public_key = der.children(der.only_child(originator, 0xA0), 0xA1)
    if len(public_key) != 2 or public_key[0].encoded != profile.P256_ALGORITHM:
        raise BadCms("an originator key that is not on P-256, or does not say so")
    bits = public_key[1]
    if bits.tag != der.BIT_STRING or bits.contents[:1] != b"\x00":
        raise BadCms("an originator key that is no bit string")
    return bits.contents[1:]


def _require_algorithm(algorithm: Element, identifier: bytes) -> list[Element]:
    """The parameters of an AlgorithmIdentifier; Unsupported unless it is ``identifier``."""
    actual, *parameters = _fields(algorithm, 1, 2)
    if actual.encoded != identifier:
        raise Unsupported("another algorithm than the profile's")
    return parameters


def _null_element() -> Element:
    return Element(der.NULL, b"", profile.NULL)


def _wrapping_key(shared_secret: bytes, ukm: bytes) -> bytes:
    """The key-encryption key: X9.63 with SHA-256 over ECC-CMS-SharedInfo (RFC 5753 §7.2)."""
    return X963KDF(_SHA256, 32, profile.shared_info(ukm)).derive(shared_secret)


def _encrypt(plaintext: bytes, key: bytes, vector: bytes) -> bytes:
    padder = _BLOCKS.padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    padded = padder.update(plaintext) + padder.finalize()
    return encryptor.update(padded) + encryptor.finalize()


def _decrypt(ciphertext: bytes, key: bytes, vector: bytes) -> bytes | None:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = _BLOCKS.unpadder()
    try:
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def _is_element(plaintext: bytes) -> bool:
    try:
        der.read(plaintext, der.SEQUENCE)
    except BadCms:
        return False
    return True
