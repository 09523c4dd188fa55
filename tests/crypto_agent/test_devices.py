"""Devices over time: certificates, prekeys that rotate and die, revocation that destroys."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent import composing, devices, opening, reading, sealing
from crypto_agent.archiving import archive, read_archive
from crypto_agent.atsms import cms
from crypto_agent.atsms.certificates import issue_certificate, parse_certificate
from crypto_agent.atsms.content import encode_content, new_content, text_part
from crypto_agent.atsms.errors import ExpiredPrekey
from crypto_agent.atsms.oneshot import Recipient, seal_for_device
from crypto_agent.atsms.prekeys import verify_prekey
from crypto_agent.client_values import ArchiveItem, Device, OpenedMessage, SealedContent
from crypto_agent.errors import (
    CannotUnseal,
    DeviceRevoked,
    InvalidRequest,
    NoActiveDevice,
    NoSuchDevice,
)
from crypto_agent.models import DeviceKey, PrekeySecret
from crypto_agent.new_message import NewMessage
from tests.crypto_agent.people import ALICE, BOB, target

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)


def _device(did: str = BOB, handle: str = "bob.test", now: datetime = START) -> Device:
    return devices.create_device(did, handle, "mail.test", now, os.urandom)


def _envelope_for(device: Device, now: datetime) -> bytes:
    """An envelope from alice for the device, as it is published."""
    _device(ALICE, "alice.test", START)
    composed = composing.compose(ALICE, [device.did], NewMessage("Hello"), now, os.urandom)
    (copy,) = sealing.seal(ALICE, composed.content, [target(device)], now, os.urandom).copies
    assert copy.form == "sealed"
    return copy.envelope


def _open(envelope: bytes, now: datetime) -> OpenedMessage | str | None:
    (opened,) = opening.open_envelopes(BOB, [envelope], now, os.urandom)
    return opened.message or opened.error


def test_a_device_has_the_certificate_and_prekey_that_others_expect() -> None:
    device = _device()
    certificate = parse_certificate(device.certificate_pem)
    assert (certificate.did, certificate.handle, certificate.fingerprint) == (
        BOB,
        "bob.test",
        device.fingerprint,
    )
    assert certificate.email == "plc.bobbobbobbobbobbobbobbob@mail.test"
    assert certificate.not_before < START < certificate.not_after == device.valid_until
    assert device.valid_until - START == pytest.approx(timedelta(days=3650), abs=timedelta(seconds=1))
    assert (device.serial_hex, device.revoked_at) == (certificate.serial_hex, None)
    assert device.prekey is not None
    verify_prekey(device.prekey, certificate.public_key, START)
    assert device.prekey.created_at == "2026-11-20T12:00:00.123Z"
    assert device.prekey.expires_at == "2026-11-27T12:00:00.123Z"
    with pytest.raises(ExpiredPrekey):
        verify_prekey(device.prekey, certificate.public_key, START + 7 * DAY)


def test_creating_again_gives_the_same_device() -> None:
    device = _device()
    assert _device(handle="other.test", now=START + DAY) == device
    assert devices.list_devices(BOB) == [device]
    assert devices.list_devices(ALICE) == []


@pytest.mark.parametrize(
    ("did", "handle"),
    [
        ("did:key:zDnaeh9v2RmcMo13Du2d6pjUf5bZwtauYxj3n9dYjw4EZUAR7", "bob.test"),
        (f"did:web:{'x' * 80}", "bob.test"),
    ],
)
def test_names_that_fit_no_certificate_are_refused_and_leave_nothing(did: str, handle: str) -> None:
    with pytest.raises(InvalidRequest):
        _device(did, handle)
    assert not DeviceKey.objects.exists()


def test_a_prekey_is_replaced_after_six_days_and_not_before() -> None:
    device = _device()
    rotate = devices.rotate_prekey
    for early in (timedelta(), 5 * DAY, 6 * DAY - timedelta(seconds=1)):
        assert rotate(BOB, device.fingerprint, START + early, os.urandom, force=False) == device
    rotated = rotate(BOB, device.fingerprint, START + 6 * DAY, os.urandom, force=False)
    assert rotated.prekey is not None
    assert device.prekey is not None
    assert rotated.prekey.signed_prekey != device.prekey.signed_prekey
    verify_prekey(rotated.prekey, parse_certificate(device.certificate_pem).public_key, START + 6 * DAY)
    again = rotate(BOB, device.fingerprint, START + 6 * DAY, os.urandom, force=False)
    assert again == rotated
    forced = rotate(BOB, device.fingerprint, START + 6 * DAY, os.urandom, force=True)
    assert forced.prekey != rotated.prekey


def test_a_replaced_prekey_opens_mail_for_a_week_and_is_then_destroyed() -> None:
    device = _device()
    envelope = _envelope_for(device, START)
    replaced_at = START + 6 * DAY
    devices.rotate_prekey(BOB, device.fingerprint, replaced_at, os.urandom, force=False)
    newer = _envelope_for(devices.list_devices(BOB)[0], replaced_at)

    assert isinstance(_open(envelope, replaced_at + 7 * DAY - timedelta(seconds=1)), OpenedMessage)
    # Past its time it opens nothing, even while nobody has come to destroy it,
    assert _open(envelope, replaced_at + 7 * DAY) == "cannot-open"
    assert isinstance(_open(newer, replaced_at + 7 * DAY), OpenedMessage)
    # and the next one to come for any account destroys it.
    alice = devices.list_devices(ALICE)[0]
    bobs = PrekeySecret.objects.filter(device__account__did=BOB)
    assert bobs.count() == 2
    devices.rotate_prekey(ALICE, alice.fingerprint, replaced_at + 7 * DAY, os.urandom, force=False)
    assert bobs.count() == 1
    assert _open(envelope, START) == "cannot-open"


def test_a_prekey_that_nobody_replaces_dies_all_the_same() -> None:
    device = _device()
    envelope = _envelope_for(device, START)
    assert isinstance(_open(envelope, START + 14 * DAY - timedelta(seconds=1)), OpenedMessage)
    assert _open(envelope, START + 14 * DAY) == "cannot-open"
    assert devices.destroy_expired_prekeys(START + 14 * DAY) == 2
    late = devices.rotate_prekey(BOB, device.fingerprint, START + 15 * DAY, os.urandom, force=False)
    assert late.prekey is not None
    assert late.prekey != device.prekey


def test_a_device_never_has_more_than_two_prekeys() -> None:
    device = _device()
    first = _envelope_for(device, START)
    second_device = devices.rotate_prekey(BOB, device.fingerprint, START + DAY, os.urandom, force=True)
    second = _envelope_for(second_device, START + DAY)
    devices.rotate_prekey(BOB, device.fingerprint, START + 2 * DAY, os.urandom, force=True)
    assert PrekeySecret.objects.filter(device__fingerprint=device.fingerprint).count() == 2
    assert _open(first, START + 2 * DAY) == "cannot-open"
    assert isinstance(_open(second, START + 2 * DAY), OpenedMessage)


def test_a_revoked_device_signs_and_opens_nothing_more_and_its_keys_are_gone() -> None:
    device = _device()
    envelope, waiting = _envelope_for(device, START), _envelope_for(device, START)
    received = _open(envelope, START)
    assert isinstance(received, OpenedMessage)
    composed = composing.compose(BOB, [ALICE], NewMessage("Hello"), START, os.urandom)
    bare = sealing.seal(
        ALICE,
        composing.compose(ALICE, [BOB], NewMessage("Bare"), START, os.urandom).content,
        [target(device, hiding=False)],
        START,
        os.urandom,
    ).copies[0]

    revoked = devices.revoke_device(BOB, device.fingerprint, START + DAY)
    assert (revoked.revoked_at, revoked.prekey) == (START + DAY, None)
    assert revoked.certificate_pem == device.certificate_pem
    row = DeviceKey.objects.get(fingerprint=device.fingerprint)
    assert (row.state, row.wrapped, row.prekeys.count()) == (DeviceKey.State.REVOKED, None, 0)

    assert _open(waiting, START + DAY) == "cannot-open"
    assert _open(bare.envelope, START + DAY) == "cannot-open"
    with pytest.raises(NoActiveDevice):
        sealing.seal(BOB, composed.content, [], START + DAY, os.urandom)
    with pytest.raises(DeviceRevoked):
        devices.rotate_prekey(BOB, device.fingerprint, START + DAY, os.urandom, force=True)
    assert devices.revoke_device(BOB, device.fingerprint, START + 2 * DAY) == revoked

    # What was received before stays readable, in the database and in the archive.
    assert reading.read(BOB, [received.content])[0].text == "Hello"
    item = ArchiveItem(received.conversation_id, received.message_id, received.sealed, START, START, "in")
    assert read_archive(BOB, archive(BOB, [item], START, os.urandom), os.urandom)[0].message is not None


def test_a_revoked_device_is_followed_by_another() -> None:
    first = _device()
    devices.revoke_device(BOB, first.fingerprint, START + DAY)
    second = _device(now=START + DAY)
    assert second.fingerprint != first.fingerprint
    assert [device.fingerprint for device in devices.list_devices(BOB)] == [
        first.fingerprint,
        second.fingerprint,
    ]
    assert isinstance(_open(_envelope_for(second, START + DAY), START + DAY), OpenedMessage)
    composed = composing.compose(BOB, [ALICE], NewMessage("Hello"), START, os.urandom)
    sealing.seal(BOB, composed.content, [], START + DAY, os.urandom)


def test_a_message_keeps_its_id_when_another_device_signs_it() -> None:
    first, alice = _device(), _device(ALICE, "alice.test")
    composed = composing.compose(BOB, [ALICE], NewMessage("Hello"), START, os.urandom)
    sealed = sealing.seal(BOB, composed.content, [target(alice)], START, os.urandom)
    devices.revoke_device(BOB, first.fingerprint, START)
    second = _device()
    content = SealedContent(composed.conversation_id, composed.message_id, sealed.sealed)
    again = sealing.seal(BOB, content, [target(alice)], START, os.urandom)
    (opened,) = opening.open_envelopes(ALICE, [again.copies[0].envelope], START, os.urandom)
    assert opened.message is not None
    assert opened.message.message_id == composed.message_id
    assert opened.message.sender_fingerprint == second.fingerprint


def test_a_device_of_somebody_else_cannot_be_touched() -> None:
    device = _device()
    _device(ALICE, "alice.test")
    for act in (
        lambda: devices.revoke_device(ALICE, device.fingerprint, START),
        lambda: devices.rotate_prekey(ALICE, device.fingerprint, START, os.urandom, force=True),
        lambda: devices.revoke_device(BOB, "00" * 32, START),
    ):
        with pytest.raises(NoSuchDevice):
            act()


def test_a_message_that_an_impostor_signed_as_oneself_is_never_signed_again() -> None:
    """Anybody can make a certificate with bob's DID; only the devices kept here are bob's here."""
    device = _device()
    key = ec.generate_private_key(ec.SECP256R1())
    forged = parse_certificate(
        issue_certificate(
            key, BOB, "bob.test", "mail.test", os.urandom(16), START.replace(microsecond=0), START + DAY
        )
    )
    content = encode_content(
        new_content(BOB, [ALICE], [text_part("I owe you")], salt=os.urandom(16), created_at=1)
    )
    recipient = Recipient(parse_certificate(device.certificate_pem), device.prekey)
    copy = seal_for_device(cms.sign(content, key, forged), recipient, now=START, random=os.urandom)
    received = _open(copy.envelope, START)
    assert isinstance(received, OpenedMessage)
    assert received.sender_did == BOB
    assert received.sender_fingerprint != device.fingerprint
    item = ArchiveItem(received.conversation_id, received.message_id, received.sealed, START, None, "out")
    (restored,) = read_archive(BOB, archive(BOB, [item], START, os.urandom), os.urandom)
    assert restored.message is not None
    for message in (received, restored.message):
        with pytest.raises(CannotUnseal):
            sealing.seal(BOB, message.content, [], START, os.urandom)
