"""One-shot messages: the reference's 36, and our own from signing to opening."""

import os
from datetime import UTC, datetime

import pytest

from crypto_agent.atsms.content import new_content, text_part
from crypto_agent.atsms.ids import envelope_id
from crypto_agent.atsms.oneshot import (
    MAX_CONTENT_BYTES,
    DeviceKeys,
    Recipient,
    open_message,
    read_signed,
    seal_for_device,
)
from crypto_agent.device_file import FileDevice
from tests.crypto_agent.atsms.reference import (
    ALICE,
    BOB,
    BOBS_OTHER,
    CASES,
    DEVICES,
    envelope_of,
    sealed_for,
    signed_by,
)

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def case_forms() -> list:  # type: ignore[type-arg]
    forms = []
    for case in CASES:
        for field in ("envelopeB64", "bareCmsB64"):
            if field in case:
                forms.append(pytest.param(case, field, id=f"{case['name']}-{field}"))
    return forms


def test_there_are_36_cases_some_of_them_bare() -> None:
    assert len(CASES) == 36
    assert len(case_forms()) == 42


@pytest.mark.parametrize(("case", "field"), case_forms())
def test_the_reference_messages_open_with_exactly_what_is_expected(case: dict, field: str) -> None:
    received = envelope_of({"envelopeB64": case[field]})
    message = open_message(received, DEVICES[case["openWith"]].keys())
    assert {
        "senderDid": message.sender_did,
        "conversationIdHex": message.conversation_id.hex(),
        "messageIdHex": message.message_id.hex(),
        "contentHex": message.content_bytes.hex(),
        "text": message.content.text,
        "renderKinds": list(message.content.render_kinds),
        "applyKinds": list(message.content.apply_kinds),
        "degraded": message.content.degraded,
        "tombstone": message.content.tombstone,
    } == case["expect"]
    assert message.sender_fingerprint == case["sender"]
    assert message.envelope_id == envelope_id(received)
    if field == "envelopeB64":
        assert message.envelope_id.hex() == case["envelopeIdHex"]


def sealed(signed: bytes, device: FileDevice, prekey: bool = True):  # type: ignore[no-untyped-def]
    recipient = Recipient(device.certificate, device.prekey if prekey else None)
    return seal_for_device(signed, recipient, now=NOW, random=os.urandom)


def signed_text(text: str, *recipients: FileDevice) -> bytes:
    dids = [device.certificate.did for device in recipients]
    content = new_content(
        ALICE.certificate.did, dids, [text_part(text)], salt=os.urandom(16), created_at=1_780_000_000_000
    )
    return signed_by(ALICE, content)


def test_one_signature_is_sealed_for_every_device_and_is_one_message() -> None:
    signed = signed_text("hello", BOB)
    copies = [sealed(signed, device) for device in (BOB, BOBS_OTHER, ALICE)]
    messages = [
        open_message(copy.envelope, device.keys())
        for copy, device in zip(copies, (BOB, BOBS_OTHER, ALICE), strict=True)
    ]
    assert {copy.form for copy in copies} == {"sealed"}
    assert [message.content.text for message in messages] == ["hello"] * 3
    assert len({message.message_id for message in messages}) == 1
    assert [message.envelope_id for message in messages] == [copy.envelope_id for copy in copies]
    assert len({copy.envelope_id for copy in copies}) == 3
    assert all(message.signed_data == signed for message in messages)


def test_a_short_message_takes_the_same_envelope_whatever_the_number_of_recipients() -> None:
    few = sealed(signed_text("hello", BOB), BOB)
    many = sealed(signed_text("hello", *DEVICES.values()), BOB)
    assert len(few.envelope) == len(many.envelope) == 2048 + 57


def test_a_device_without_a_prekey_gets_bare_cms() -> None:
    copy = sealed(signed_text("hello", BOB), BOB, prekey=False)
    assert (copy.form, copy.prekey_error, copy.envelope[0]) == ("cms", None, 0x30)
    message = open_message(copy.envelope, BOB.keys())
    assert message.content.text == "hello"
    assert message.envelope_id == copy.envelope_id


@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        ({}, datetime(2036, 8, 20, tzinfo=UTC), "expired-prekey"),
        ({"bundle_sig": bytes(64)}, NOW, "bad-prekey"),
        ({"signed_prekey": bytes(32)}, NOW, "bad-prekey"),
    ],
)
def test_a_bad_prekey_is_not_sealed_to_and_its_code_is_told(changes: dict, now: datetime, code: str) -> None:
    assert BOB.prekey is not None
    recipient = Recipient(BOB.certificate, BOB.prekey._replace(**changes))
    copy = seal_for_device(signed_text("hello", BOB), recipient, now=now, random=os.urandom)
    assert (copy.form, copy.prekey_error) == ("cms", code)
    assert open_message(copy.envelope, BOB.keys()).content.text == "hello"


def test_bare_signed_data_inside_a_seal_is_accepted() -> None:
    message = open_message(sealed_for(BOB, signed_text("hello", BOB)), BOB.keys())
    assert message.content.text == "hello"


def test_either_of_two_prekeys_opens() -> None:
    keys = BOB.keys()
    both = DeviceKeys(keys.did, keys.key, keys.certificate, (b"\x01" * 32, *keys.prekey_secrets))
    assert open_message(sealed(signed_text("hello", BOB), BOB).envelope, both).content.text == "hello"


def test_signed_data_alone_is_the_same_message() -> None:
    signed = signed_text("hello", BOB)
    read = read_signed(signed)
    opened = open_message(sealed(signed, BOB).envelope, BOB.keys())
    for name in ("message_id", "conversation_id", "sender_did", "sender_fingerprint", "content_bytes"):
        assert getattr(read, name) == getattr(opened, name)


def test_a_note_to_oneself_opens() -> None:
    message = open_message(sealed(signed_text("note", ALICE), ALICE).envelope, ALICE.keys())
    assert message.content.recipients == (message.sender_did,) == (ALICE.certificate.did,)


def test_content_of_the_promised_size_always_fits() -> None:
    longest = "did:web:" + "a" * 56
    recipients = [longest, BOB.certificate.did]
    room = MAX_CONTENT_BYTES - 400
    content = new_content(
        ALICE.certificate.did, recipients, [text_part("x" * room)], salt=bytes(16), created_at=1
    )
    signed = signed_by(ALICE, content)
    assert len(sealed(signed, BOB).envelope) <= 65_595


def test_signing_is_deterministic_and_sealing_is_not() -> None:
    """Signing one content twice is one message, sealing it twice is two envelopes."""
    content = new_content(ALICE.certificate.did, [BOB.certificate.did], [], salt=bytes(16), created_at=1)
    first, second = signed_by(ALICE, content), signed_by(ALICE, content)
    assert first == second
    assert sealed(first, BOB).envelope != sealed(second, BOB).envelope
