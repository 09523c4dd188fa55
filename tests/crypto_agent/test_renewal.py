"""Certificates that end soon are issued anew, for the same key; nothing that names the old one is lost."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from crypto_agent import composing, devices, opening, sealing
from crypto_agent.atsms.certificates import parse_certificate
from crypto_agent.client_values import Device
from crypto_agent.errors import DeviceRevoked, InvalidRequest, NoSuchDevice
from crypto_agent.new_message import NewMessage
from tests.crypto_agent.people import ALICE, BOB, target

pytestmark = pytest.mark.django_db

MADE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
END = MADE + devices.CERTIFICATE_LIFETIME
DUE = END - devices.CERTIFICATE_RENEWAL


def _made(did: str = ALICE) -> Device:
    return devices.create_device(did, "alice.test", "mail.test", MADE, os.urandom)


def _renewed(device: Device, now: datetime, handle: str = "alice.test") -> Device:
    return devices.renew_certificate(device.did, device.fingerprint, handle, "mail.test", now, os.urandom)


def _envelope(recipient: Device, now: datetime) -> bytes:
    composed = composing.compose(ALICE, [recipient.did], NewMessage("Hello"), now, os.urandom)
    (copy,) = sealing.seal(ALICE, composed.content, [target(recipient)], now, os.urandom).copies
    assert copy.form == "sealed"
    return copy.envelope


def _fresh_prekey(device: Device, now: datetime) -> Device:
    return devices.rotate_prekey(device.did, device.fingerprint, now, os.urandom, force=True)


@pytest.mark.parametrize("now", [MADE, DUE - timedelta(seconds=1)])
def test_a_certificate_that_is_not_due_stays(now: datetime) -> None:
    device = _made()
    assert _renewed(device, now) == device


@pytest.mark.parametrize("now", [DUE, END - timedelta(days=1), END + timedelta(days=400)])
def test_one_that_is_due_or_over_is_issued_anew_for_the_same_key(now: datetime) -> None:
    device = _made()
    renewed = _renewed(device, now, "alice.elsewhere.test")
    old, new = (parse_certificate(one.certificate_pem) for one in (device, renewed))
    assert renewed.fingerprint == device.fingerprint
    assert new.public_key == old.public_key
    assert new.serial_hex != old.serial_hex
    assert new.handle == "alice.elsewhere.test"
    assert (new.not_before, new.not_after) == (old.not_before, now + devices.CERTIFICATE_LIFETIME)
    assert renewed.prekey == device.prekey


def test_renewing_again_changes_nothing() -> None:
    renewed = _renewed(_made(), DUE)
    assert _renewed(renewed, DUE + timedelta(days=30)) == renewed
    assert devices.list_devices(ALICE) == [renewed]


def test_envelopes_for_the_old_certificate_and_for_the_new_one_open() -> None:
    _made(ALICE)
    device = _fresh_prekey(_made(BOB), DUE)
    under_the_old = _envelope(device, DUE)
    _renewed(device, DUE)
    (renewed,) = devices.list_devices(BOB)
    under_the_new = _envelope(renewed, DUE)
    opened = opening.open_envelopes(BOB, [under_the_old, under_the_new], DUE, os.urandom)
    assert [one.error for one in opened] == [None, None]


def test_what_is_signed_after_it_carries_the_new_certificate() -> None:
    signer = _renewed(_made(ALICE), DUE)
    recipient = _fresh_prekey(_made(BOB), DUE)
    (opened,) = opening.open_envelopes(BOB, [_envelope(recipient, DUE)], DUE, os.urandom)
    assert opened.message is not None
    assert opened.message.sender_certificate_pem == signer.certificate_pem


def test_only_ones_own_active_device_is_renewed() -> None:
    device = _made()
    _made(BOB)
    with pytest.raises(NoSuchDevice):
        devices.renew_certificate(BOB, device.fingerprint, "bob.test", "mail.test", DUE, os.urandom)
    with pytest.raises(InvalidRequest):
        devices.renew_certificate(ALICE, device.fingerprint, "alice.test", "no domain", DUE, os.urandom)
    devices.revoke_device(ALICE, device.fingerprint, DUE)
    with pytest.raises(DeviceRevoked):
        _renewed(device, DUE)
