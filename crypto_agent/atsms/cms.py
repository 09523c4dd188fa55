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

from crypto_agent.atsms import der
from crypto_agent.atsms.certificates import EndpointCertificate, parse_certificate
from crypto_agent.atsms.der import Element
from crypto_agent.atsms.errors import BadCms, BadSignature, CannotOpen, TooLarge, Unsupported

MAX_CMS_BYTES = 128 * 1024
UKM_BYTES = 64


def _oid(dotted: str) -> bytes:
    """An object identifier as a DER element (X.690 §8.19)."""
    first, second, *arcs = (int(arc) for arc in dotted.split("."))
    contents = bytearray((40 * first + second,))
    for arc in arcs:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        contents += bytes(reversed(groups))
    return der.write(der.OBJECT_IDENTIFIER, bytes(contents))


_DATA = _oid("1.2.840.113549.1.7.1")
_SIGNED_DATA = _oid("1.2.840.113549.1.7.2")
_ENVELOPED_DATA = _oid("1.2.840.113549.1.7.3")
_CONTENT_TYPE = _oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = _oid("1.2.840.113549.1.9.4")
_SHA256 = _oid("2.16.840.1.101.3.4.2.1")
_ECDSA_SHA256 = _oid("1.2.840.10045.4.3.2")
_EC_PUBLIC_KEY = _oid("1.2.840.10045.2.1")
_P256 = _oid("1.2.840.10045.3.1.7")
_ECDH_SHA256_KDF = _oid("1.3.132.1.11.1")
_AES256_WRAP = _oid("2.16.840.1.101.3.4.1.45")
_AES256_CBC = _oid("2.16.840.1.101.3.4.1.42")

_NULL = der.write(der.NULL)
_VERSION_1, _VERSION_2, _VERSION_3 = (der.write(der.INTEGER, bytes((n,))) for n in (1, 2, 3))
_SHA256_ALGORITHM = der.write(der.SEQUENCE, _SHA256, _NULL)
_ECDSA_ALGORITHM = der.write(der.SEQUENCE, _ECDSA_SHA256)
_P256_ALGORITHM = der.write(der.SEQUENCE, _EC_PUBLIC_KEY, _P256)
_WRAP_ALGORITHM = der.write(der.SEQUENCE, _AES256_WRAP)
_AGREEMENT_ALGORITHM = der.write(der.SEQUENCE, _ECDH_SHA256_KDF, _WRAP_ALGORITHM)
#: What stands before an originator's point (65 bytes) and before the user keying material (64 bytes).
_ORIGINATOR_HEAD = der.context(
    0, der.context(1, _P256_ALGORITHM, der.write(der.BIT_STRING, b"\x00", bytes(65)))
)[:-65]
_UKM_HEAD = der.context(1, der.write(der.OCTET_STRING, bytes(UKM_BYTES)))[:-UKM_BYTES]
#: Length in bits of the key that the derivation yields, as SharedInfo names it (RFC 5753 §7.2).
_WRAP_KEY_BITS = der.context(2, der.write(der.OCTET_STRING, (256).to_bytes(4, "big")))


@dataclass(frozen=True, slots=True, repr=False)
class VerifiedContent:
    """The exact bytes that were signed and the certificate whose key signed them."""

    content: bytes
    certificate: EndpointCertificate


def sign(content: bytes, key: ec.EllipticCurvePrivateKey, certificate: EndpointCertificate) -> bytes:
    """DER of a ContentInfo with SignedData over ``content``: one signer, no signed attributes.

    ECDSA is deterministic (RFC 6979), so the same content always gives the same bytes.
    """
    signature = key.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    signer = der.write(
        der.SEQUENCE,
        _VERSION_1,
        _issuer_and_serial(certificate),
        _SHA256_ALGORITHM,
        _ECDSA_ALGORITHM,
        der.write(der.OCTET_STRING, signature),
    )
    signed_data = der.write(
        der.SEQUENCE,
        _VERSION_1,
        der.write(der.SET, _SHA256_ALGORITHM),
        der.write(der.SEQUENCE, _DATA, der.context(0, der.write(der.OCTET_STRING, content))),
        der.context(0, certificate.der),
        der.write(der.SET, signer),
    )
    return der.write(der.SEQUENCE, _SIGNED_DATA, der.context(0, signed_data))


def verify(signed: bytes) -> VerifiedContent:
    """The content of SignedData whose signature holds under the certificate that it carries.

    Whether that certificate is its DID's is for the caller to find out. Raises TooLarge, BadCms,
    Unsupported, BadCertificate, and BadSignature unless exactly one signer signed.
    """
    _, digests, encapsulated, *options, signers = _fields(_content(signed, _SIGNED_DATA), 4, 6)
    signer = _only_signer(signers)
    content = _encapsulated_content(encapsulated)
    der.children(digests, der.SET)
    certificate = _certificate_of(signer, options)
    signed_bytes = content
    if signer.signed_attributes is not None:
        _check_attributes(signer.signed_attributes, content)
        signed_bytes = der.write(der.SET, signer.signed_attributes.contents)
    try:
        certificate.public_key.verify(signer.signature, signed_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise BadSignature("the signature does not hold for the content") from error
    return VerifiedContent(content, certificate)


def envelop(signed: bytes, recipient: EndpointCertificate, random: Callable[[int], bytes]) -> bytes:
    """DER of a ContentInfo with EnvelopedData of ``signed`` for the one ``recipient`` device.

    ``random`` gives so many random bytes: the content key, the initialisation vector and the user
    keying material come from it. A fresh ECDH key is made for every call.
    """
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    content_key, vector, ukm = random(32), random(16), random(UKM_BYTES)
    wrapping_key = _wrapping_key(ephemeral.exchange(ec.ECDH(), recipient.public_key), ukm)
    point = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    encrypted_key = der.write(
        der.SEQUENCE,
        _issuer_and_serial(recipient),
        der.write(der.OCTET_STRING, keywrap.aes_key_wrap(wrapping_key, content_key)),
    )
    agreement = der.context(
        1,
        _VERSION_3,
        _ORIGINATOR_HEAD + point,
        _UKM_HEAD + ukm,
        _AGREEMENT_ALGORITHM,
        der.write(der.SEQUENCE, encrypted_key),
    )
    encrypted_content = der.write(
        der.SEQUENCE,
        _DATA,
        der.write(der.SEQUENCE, _AES256_CBC, der.write(der.OCTET_STRING, vector)),
        der.context(0, _encrypt(signed, content_key, vector), constructed=False),
    )
    enveloped_data = der.write(der.SEQUENCE, _VERSION_2, der.write(der.SET, agreement), encrypted_content)
    return der.write(der.SEQUENCE, _ENVELOPED_DATA, der.context(0, enveloped_data))


def open_enveloped(cms: bytes, key: ec.EllipticCurvePrivateKey, certificate: EndpointCertificate) -> bytes:
    """The SignedData inside EnvelopedData for the device of ``key`` and ``certificate``.

    Raises TooLarge, BadCms or Unsupported for a structure that is not of the profile, and CannotOpen
    for everything that goes wrong from the first use of the key on, always the same.
    """
    _, recipients, encrypted_content = _fields(_content(cms, _ENVELOPED_DATA), 3, 3)
    vector, ciphertext = _encrypted_content(encrypted_content)
    for agreement, encrypted_key in _recipients_with_serial(recipients, certificate.serial_der):
        content_key = _content_key(agreement, encrypted_key, key)
        plaintext = None if content_key is None else _decrypt(ciphertext, content_key, vector)
        # CBC tells no altered content from the right one; what is no element was altered.
        if plaintext is not None and _is_element(plaintext):
            return plaintext
    raise CannotOpen("this device's key does not open the CMS")


def is_signed_data(cms: bytes) -> bool:
    """Whether ``cms`` is a ContentInfo that names SignedData; BadCms if it is no ContentInfo."""
    return _content_info(cms)[0].encoded == _SIGNED_DATA


def _issuer_and_serial(certificate: EndpointCertificate) -> bytes:
    return der.write(der.SEQUENCE, certificate.issuer_der, certificate.serial_der)


def _content_info(cms: bytes) -> list[Element]:
    if len(cms) > MAX_CMS_BYTES:
        raise TooLarge(f"{len(cms)} bytes of CMS, more than {MAX_CMS_BYTES}")
    return _fields(der.read(cms), 2, 2)


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
    _require_algorithm(digest, _SHA256)
    _require_algorithm(algorithm, _ECDSA_SHA256)
    if len(attributes) > 1 or any(attribute.tag != 0xA0 for attribute in attributes):
        raise BadCms("a signer with fields of another type")
    return _Signer(identifier, attributes[0] if attributes else None, der.octets(signature))


def _signer_fields(signer: Element) -> list[Element]:
    fields = _fields(signer, 5, 7)
    # Unsigned attributes say nothing that is used here.
    return fields[:-1] if fields[-1].tag == 0xA1 else fields


def _encapsulated_content(encapsulated: Element) -> bytes:
    fields = _fields(encapsulated, 1, 2)
    if fields[0].encoded != _DATA or len(fields) != 2:
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
    if values.get(_CONTENT_TYPE) != _DATA or values.get(_MESSAGE_DIGEST) != digest:
        raise BadSignature("the signed attributes are not those of the content")


def _encrypted_content(element: Element) -> tuple[bytes, bytes]:
    content_type, algorithm, content = _fields(element, 3, 3)
    if content_type.encoded != _DATA:
        raise BadCms("encrypted content that is not data")
    parameters = _require_algorithm(algorithm, _AES256_CBC)
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


def _content_key(
    agreement: list[Element], encrypted_key: bytes, key: ec.EllipticCurvePrivateKey
) -> bytes | None:
    if len(agreement) != 5:
        raise BadCms("a key agreement without user keying material")
    version, originator, ukm, algorithm, _ = agreement
    if version.encoded != _VERSION_3:
        raise BadCms("a key agreement of another version than 3")
    wrap = _require_algorithm(algorithm, _ECDH_SHA256_KDF)
    if len(wrap) != 1 or _require_algorithm(wrap[0], _AES256_WRAP) not in ([], [_null_element()]):
        raise BadCms("a key agreement with parameters that are not AES-256 key wrap")
    point = _originator_point(originator)
    keying_material = der.octets(der.only_child(ukm, 0xA1))
    try:
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        wrapping_key = _wrapping_key(key.exchange(ec.ECDH(), peer), keying_material)
        content_key = keywrap.aes_key_unwrap(wrapping_key, encrypted_key)
    except (ValueError, keywrap.InvalidUnwrap):
        return None
    return content_key if len(content_key) == 32 else None


def _originator_point(originator: Element) -> bytes:
    public_key = der.children(der.only_child(originator, 0xA0), 0xA1)
    if len(public_key) != 2 or public_key[0].encoded != _P256_ALGORITHM:
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
    return Element(der.NULL, b"", _NULL)


def _wrapping_key(shared_secret: bytes, ukm: bytes) -> bytes:
    """The key-encryption key: X9.63 with SHA-256 over ECC-CMS-SharedInfo (RFC 5753 §7.2)."""
    keying_material = der.context(0, der.write(der.OCTET_STRING, ukm))
    shared_info = der.write(der.SEQUENCE, _WRAP_ALGORITHM, keying_material, _WRAP_KEY_BITS)
    return X963KDF(hashes.SHA256(), 32, shared_info).derive(shared_secret)


def _encrypt(plaintext: bytes, key: bytes, vector: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    padded = padder.update(plaintext) + padder.finalize()
    return encryptor.update(padded) + encryptor.finalize()


def _decrypt(ciphertext: bytes, key: bytes, vector: bytes) -> bytes | None:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
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
