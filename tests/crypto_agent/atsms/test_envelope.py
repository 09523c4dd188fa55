"""The sealed envelope: the reference's vectors, padding, and what is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey, KEMKeyInterface, KEMKeyPair

from crypto_agent.atsms import cbor, hpke
from crypto_agent.atsms.envelope import (
    BUCKETS,
    CONTENT_CMS,
    MAX_ENVELOPE_BYTES,
    OVERHEAD_BYTES,
    open_envelope,
    pad,
    seal,
    unpad,
)
from crypto_agent.atsms.errors import AtsmsError, BadPrekey, CannotOpen, TooLarge
from crypto_agent.atsms.ids import envelope_id
from tests.crypto_agent.atsms.reference import vectors

VECTOR = vectors("sealed-asym.json")
SEALED = VECTOR["sealAsym"]
ENVELOPE = bytes.fromhex(SEALED["envelope"])
SECRET = bytes.fromhex(SEALED["recipientSk"])
PUBLIC = bytes.fromhex(SEALED["recipientPk"])
SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
INFO = b"atsms-seal:v1"
OTHER_SECRET = b"\x01" * 32

#: Body lengths at which the padding's own head jumps over the bucket (protocol §3).
GAPS = [761, 994, 1785, 2018, 3833, 4066, 7929, 8162, 16121, 16354, 32505, 32738]
GAPS_WITHOUT_A_NEXT_BUCKET = [65273, 65506]


def test_the_reference_envelope_opens() -> None:
    assert len(ENVELOPE) == SEALED["envelopeLen"]
    assert envelope_id(ENVELOPE).hex() == SEALED["envelopeId"]
    opened = open_envelope(ENVELOPE, [SECRET])
    assert opened.body.hex() == SEALED["opensTo"]


def test_the_reference_hpke_ciphertext_opens() -> None:
    raw = SEALED["hpkeRaw"]
    context = SUITE.create_recipient_context(bytes.fromhex(raw["enc"]), hpke_key(SECRET), info=INFO)
    assert context.open(bytes.fromhex(raw["ct"])).hex() == raw["plaintext"]


def test_the_reference_envelope_is_reproduced_from_its_ephemeral_key() -> None:
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(SEALED["ephemeralSk"]))
    pair = KEMKeyPair(
        KEMKey.from_pyca_cryptography_key(ephemeral),
        KEMKey.from_pyca_cryptography_key(ephemeral.public_key()),
    )
    recipient = KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(PUBLIC))
    encapsulated, context = SUITE.create_sender_context(recipient, info=INFO, eks=pair)
    content_type = open_envelope(ENVELOPE, [SECRET]).content_type
    sealed = context.seal(pad(content_type, bytes.fromhex(SEALED["body"])), aad=bytes.fromhex("83010101"))
    assert cbor.encode([1, 1, 1, encapsulated, sealed]) == ENVELOPE


def test_what_is_sealed_opens_by_another_implementation_of_hpke() -> None:
    match cbor.decode(seal(CONTENT_CMS, b"body", PUBLIC)):
        case [1, 1, 1, bytes(encapsulated), bytes(sealed)]:
            context = SUITE.create_recipient_context(encapsulated, hpke_key(SECRET), info=INFO)
            plaintext = context.open(sealed, aad=bytes.fromhex("83010101"))
            assert unpad(plaintext).body == b"body"
        case other:
            pytest.fail(f"not an envelope: {other}")


@pytest.mark.parametrize("change", [{"info": b"other"}, {"aad": b"other"}, {"encapsulated": bytes(5)}])
def test_hpke_opens_for_its_own_info_aad_and_key(change: dict[str, bytes]) -> None:
    secret = X25519PrivateKey.from_private_bytes(SECRET)
    encapsulated, sealed = hpke.seal(b"plain", secret.public_key(), b"info", b"aad")
    given = {"encapsulated": encapsulated, "info": b"info", "aad": b"aad"}
    assert hpke.open_sealed(ciphertext=sealed, secret=secret, **given) == b"plain"
    assert hpke.open_sealed(ciphertext=sealed, secret=secret, **{**given, **change}) is None


def hpke_key(secret: bytes) -> KEMKeyInterface:
    return KEMKey.from_pyca_cryptography_key(X25519PrivateKey.from_private_bytes(secret))


@pytest.mark.parametrize(("length", "bucket"), VECTOR["padding"].items())
def test_the_reference_padding(length: str, bucket: int) -> None:
    assert len(pad(CONTENT_CMS, bytes(int(length.removeprefix("body"))))) == bucket


@pytest.mark.parametrize("secrets", [[SECRET], [OTHER_SECRET, SECRET], [SECRET, OTHER_SECRET]])
def test_any_secret_of_a_device_opens(secrets: list[bytes]) -> None:
    assert open_envelope(seal(CONTENT_CMS, b"body", PUBLIC), secrets).body == b"body"


@pytest.mark.parametrize("secrets", [[], [OTHER_SECRET], [b"short"]])
def test_other_secrets_do_not_open(secrets: list[bytes]) -> None:
    with pytest.raises(CannotOpen):
        open_envelope(ENVELOPE, secrets)


@pytest.mark.parametrize("length", [0, 1, 100, *GAPS[:-2], *(gap + 1 for gap in GAPS)])
def test_an_envelope_is_a_bucket_and_57_bytes(length: int) -> None:
    envelope = seal(CONTENT_CMS, counting(length), PUBLIC)
    assert len(envelope) - OVERHEAD_BYTES in BUCKETS
    assert open_envelope(envelope, [SECRET]).body == counting(length)


@pytest.mark.parametrize("length", [*GAPS[-2:], 65272, 65274, 65505, 65507, 65530])
def test_the_largest_envelope(length: int) -> None:
    envelope = seal(CONTENT_CMS, counting(length), PUBLIC)
    assert len(envelope) == MAX_ENVELOPE_BYTES
    assert open_envelope(envelope, [SECRET]).body == counting(length)


def counting(length: int) -> bytes:
    return (bytes(range(256)) * (length // 256 + 1))[:length]


@pytest.mark.parametrize("length", GAPS)
def test_a_body_in_a_gap_takes_the_next_bucket(length: int) -> None:
    fitting = min(bucket for bucket in BUCKETS if bucket > length)
    assert len(pad(CONTENT_CMS, bytes(length))) == fitting * 2
    assert len(pad(CONTENT_CMS, bytes(length - 1))) == fitting


@pytest.mark.parametrize("length", [*GAPS_WITHOUT_A_NEXT_BUCKET, 65531, 70_000])
def test_a_body_that_fits_no_bucket_is_too_large(length: int) -> None:
    with pytest.raises(TooLarge):
        seal(CONTENT_CMS, bytes(length), PUBLIC)


def test_only_the_named_lengths_miss_their_bucket() -> None:
    smallest = {
        length: min(b for b in BUCKETS if b >= len(pad(2, b"")) and fits(length, b)) for length in range(9000)
    }
    missed = [length for length, bucket in smallest.items() if len(pad(CONTENT_CMS, bytes(length))) != bucket]
    assert missed == [gap for gap in GAPS if gap < 9000]


def fits(length: int, bucket: int) -> bool:
    """Whether the plaintext with an empty padding is within the bucket."""
    return len(cbor.encode([CONTENT_CMS, bytes(length), b""])) <= bucket


@pytest.mark.parametrize("padding", [0, 1, 5000])
def test_any_length_of_zeros_is_padding(padding: int) -> None:
    assert unpad(cbor.encode([CONTENT_CMS, b"body", bytes(padding)])).body == b"body"


def test_two_seals_of_one_body_have_nothing_in_common() -> None:
    first, second = seal(CONTENT_CMS, b"body", PUBLIC), seal(CONTENT_CMS, b"body", PUBLIC)
    assert first[6:38] != second[6:38]
    assert first[-64:] != second[-64:]


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\x01" + bytes(31)])
def test_keys_that_nobody_can_seal_to(key: bytes) -> None:
    with pytest.raises(BadPrekey):
        seal(CONTENT_CMS, b"body", key)


@given(st.data())
def test_a_changed_envelope_never_opens(data: st.DataObject) -> None:
    changed = bytearray(ENVELOPE)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AtsmsError):
        open_envelope(bytes(changed), [SECRET])
