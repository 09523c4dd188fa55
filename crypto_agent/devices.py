"""The devices of an account: making one, naming it, renewing its prekey, revoking it."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.db import transaction
from django.db.models import Q, QuerySet

from crypto_agent import step_up
from crypto_agent.atsms.certificates import fingerprint as fingerprint_of
from crypto_agent.atsms.certificates import issue_certificate, parse_certificate
from crypto_agent.atsms.errors import BadCertificate
from crypto_agent.atsms.prekeys import Prekey, sign_prekey
from crypto_agent.client_json import time_json
from crypto_agent.client_values import Device
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import DeviceRevoked, InvalidRequest, NoSuchDevice
from crypto_agent.key_store import (
    device_private_key,
    end_archive_keys,
    held_account_keys,
    new_account,
    signing_keys,
    wrap_device_key,
)
from crypto_agent.models import Account, AccountCustody, DeviceKey, PrekeySecret
from crypto_agent.passkey_challenges import PasskeyPurpose
from crypto_agent.prekey_secrets import prekey_contexts
from crypto_agent.purposes import Purpose

#: About ten years, and a start in the past for readers whose clock is behind.
CERTIFICATE_LIFETIME = timedelta(days=3650)
CERTIFICATE_EARLY_START = timedelta(minutes=10)
#: How long before its end a certificate is renewed, for a worker or a PDS that is away for long.
CERTIFICATE_RENEWAL = timedelta(days=60)
SERIAL_BYTES = 16

#: A domain name, or the address that stands for one where everything runs on one machine.
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

PREKEY_LIFETIME = timedelta(days=7)
#: Renewed a day before it expires, so that there is always a valid one to seal to.
PREKEY_ROTATION_AGE = timedelta(days=6)
#: How long a prekey's secrets outlive its replacement, for mail that is still under way.
PREKEY_GRACE = timedelta(days=7)
#: The same for the newest one of a locked account: until it is replaced, as long as its certificate is valid.
KEPT_WHILE_LOCKED = CERTIFICATE_LIFETIME


def create_device(
    did: str,
    handle: str,
    mail_domain: str,
    now: datetime,
    random: Random,
    *,
    assertion: Mapping[str, Any] | None = None,
) -> Device:
    """The account's active device, made with certificate, prekey and archive key if there is none.

    Runs in the caller's transaction. A further device may need the account's passkey, whose ``assertion``
    this is. Raises InvalidRequest for names that no certificate can hold, StepUpRequired, WrongPasskey.
    """
    _check_domain(mail_domain)
    account, keys = new_account(did, now, random)
    device = _devices().filter(account=account, state=DeviceKey.State.ACTIVE).first()
    if device is None:
        if account.devices.exists():
            step_up.check(did, PasskeyPurpose.CREATE_DEVICE, assertion, now)
        key = ec.generate_private_key(ec.SECP256R1())
        fingerprint = fingerprint_of(key.public_key())
        begins = (now - CERTIFICATE_EARLY_START).replace(microsecond=0)
        certificate = _issued(key, did, handle, mail_domain, begins, now, random)
        device = DeviceKey.objects.create(
            account=account,
            fingerprint=fingerprint,
            certificate=certificate,
            wrapped=wrap_device_key(keys, key, fingerprint, random),
            key_version=keys.current_version,
            created_at=now,
        )
        _new_prekey(device, keys, key, generation=1, now=now, random=random)
    return _described(_devices().get(pk=device.pk))


def list_devices(did: str) -> list[Device]:
    """All devices of the account, oldest first; none for an account without keys."""
    return [_described(device) for device in _devices().filter(account__did=did).order_by("created_at", "pk")]


def revoke_device(did: str, fingerprint: str, now: datetime) -> Device:
    """Destroys the device's private key and prekeys, and ends the account's archive key.

    Runs in the caller's transaction; needs no key. Raises NoSuchDevice.
    """
    account = Account.objects.select_for_update().filter(did=did).first()
    if account is None:
        raise NoSuchDevice("this account has no such device")
    device = _locked_device(did, fingerprint)
    if device.state != DeviceKey.State.REVOKED:
        device.prekeys.all().delete()
        device.state = DeviceKey.State.REVOKED
        device.wrapped = None
        device.key_version = None
        device.revoked_at = device.revoked_at or now
        device.save()
        # Who got at the device's key had the archive's beside it.
        end_archive_keys(account, now)
        transaction.on_commit(partial(signing_keys.drop, did))
    return _described(_devices().get(pk=device.pk))


def renew_certificate(
    did: str, fingerprint: str, handle: str, mail_domain: str, now: datetime, random: Random
) -> Device:
    """Issues the device's certificate anew, for the same key, if it ends within ``CERTIFICATE_RENEWAL``.

    It begins when the first one did, so that what was signed before holds under it too. Runs in the
    caller's transaction; raises NoSuchDevice, DeviceRevoked, and InvalidRequest as ``create_device`` does.
    """
    _, keys = held_account_keys(did)
    device = _locked_device(did, fingerprint)
    if device.state != DeviceKey.State.ACTIVE:
        raise DeviceRevoked("the device is revoked")
    present = parse_certificate(bytes(device.certificate))
    if present.not_after - now <= CERTIFICATE_RENEWAL:
        device.former_certificate = device.certificate
        device.certificate = _issued(
            device_private_key(keys, device), did, handle, mail_domain, present.not_before, now, random
        )
        device.save(update_fields=["certificate", "former_certificate"])
    return _described(_devices().get(pk=device.pk))


def rotate_prekey(did: str, fingerprint: str, now: datetime, random: Random, *, force: bool) -> Device:
    """Replaces the prekey if it is six days old, or forced, and destroys all prekeys whose time is over.

    The one before is kept for ``PREKEY_GRACE``, any older one is destroyed. Runs in the caller's
    transaction; raises NoSuchDevice, DeviceRevoked.
    """
    _, keys = held_account_keys(did)
    device = _locked_device(did, fingerprint)
    if device.state != DeviceKey.State.ACTIVE:
        raise DeviceRevoked("the device is revoked")
    current = device.prekeys.order_by("-generation").first()
    if current is None or force or now - current.created_at >= PREKEY_ROTATION_AGE:
        generation = current.generation + 1 if current else 1
        device.prekeys.filter(generation__lt=generation - 1).delete()
        if current is not None:
            current.destroy_after = min(current.destroy_after, now + PREKEY_GRACE)
            current.save(update_fields=["destroy_after"])
        _new_prekey(device, keys, device_private_key(keys, device), generation, now, random)
    destroy_expired_prekeys(now)
    return _described(_devices().get(pk=device.pk))


def has_lock(account_pk: int) -> bool:
    """Whether the user locked the account, unlocked as it may be for now."""
    return AccountCustody.objects.filter(account_id=account_pk).exclude(lock_id="").exists()


def keep_current_prekeys(account: Account) -> None:
    """Keeps the newest prekey of each device until it is replaced, as a locked account needs it.

    It can't be replaced while nobody unlocks the account, and mail that waits was sealed to it.
    """
    for prekey in _current_prekeys(account):
        prekey.destroy_after = prekey.expires_at + KEPT_WHILE_LOCKED
        prekey.save(update_fields=["destroy_after"])


def end_current_prekeys(account: Account, now: datetime) -> None:
    """Gives the newest prekeys of an account that is locked no more their time again."""
    for prekey in _current_prekeys(account):
        prekey.destroy_after = max(prekey.expires_at, now) + PREKEY_GRACE
        prekey.save(update_fields=["destroy_after"])


def destroy_expired_prekeys(now: datetime) -> int:
    """Deletes the secrets of every account's prekeys whose time is over; how many there were.

    With the last of them goes the private key of a retired device.
    """
    over = Q(destroy_after__lte=now)
    # Where the account was locked before it came here, it may be kept for as long as a locked one needs.
    of_retired = Q(device__state=DeviceKey.State.RETIRED, expires_at__lte=now - PREKEY_GRACE)
    destroyed = PrekeySecret.objects.filter(over | of_retired).delete()[0]
    # A retired device is here for its prekeys alone.
    retired = DeviceKey.objects.filter(state=DeviceKey.State.RETIRED, prekeys=None)
    retired.update(state=DeviceKey.State.REVOKED, wrapped=None, key_version=None)
    return destroyed


def _check_domain(mail_domain: str) -> None:
    if _DOMAIN.fullmatch(mail_domain) is None:
        raise InvalidRequest("mailDomain: not a domain")


def _issued(
    key: ec.EllipticCurvePrivateKey,
    did: str,
    handle: str,
    mail_domain: str,
    begins: datetime,
    now: datetime,
    random: Random,
) -> bytes:
    """The DER of a certificate from ``begins`` to ``CERTIFICATE_LIFETIME`` from now."""
    _check_domain(mail_domain)
    ends = (now + CERTIFICATE_LIFETIME).replace(microsecond=0)
    try:
        return issue_certificate(key, did, handle, mail_domain, random(SERIAL_BYTES), begins, ends)
    except BadCertificate as error:
        raise InvalidRequest(f"no certificate can be made: {error}") from error


def _new_prekey(
    device: DeviceKey,
    keys: AccountKeys,
    device_key: ec.EllipticCurvePrivateKey,
    generation: int,
    now: datetime,
    random: Random,
) -> None:
    secret, signing_key = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    # The signed times have milliseconds; the row must give the same text again.
    created_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    expires_at = created_at + PREKEY_LIFETIME
    bundle = sign_prekey(
        secret.public_key().public_bytes_raw(),
        signing_key.public_key().public_bytes_raw(),
        time_json(created_at),
        time_json(expires_at),
        device_key,
    )
    keep_prekey(
        device,
        keys,
        bundle,
        secret.private_bytes_raw(),
        signing_key.private_bytes_raw(),
        random,
        generation=generation,
        created_at=created_at,
        expires_at=expires_at,
        destroy_after=expires_at + (KEPT_WHILE_LOCKED if has_lock(device.account_id) else PREKEY_GRACE),
    )


def keep_prekey(
    device: DeviceKey,
    keys: AccountKeys,
    bundle: Prekey,
    secret: bytes,
    signing_key: bytes,
    random: Random,
    *,
    generation: int,
    created_at: datetime,
    expires_at: datetime,
    destroy_after: datetime,
) -> None:
    """Stores a device's prekey: its public half as it is published, and both its raw private keys wrapped."""
    whose = keys.did, device.fingerprint, generation
    secret_context, _ = prekey_contexts(Purpose.PREKEY_SECRET, *whose)
    signing_context, _ = prekey_contexts(Purpose.PREKEY_SIGNING_KEY, *whose)
    PrekeySecret.objects.create(
        device=device,
        generation=generation,
        signed_prekey=bundle.signed_prekey,
        signing_pk=bundle.signing_pk,
        bundle_sig=bundle.bundle_sig,
        wrapped_secret=keys.encrypt(secret_context, secret, random),
        wrapped_signing_key=keys.encrypt(signing_context, signing_key, random),
        key_version=keys.current_version,
        created_at=created_at,
        expires_at=expires_at,
        destroy_after=destroy_after,
    )


def _current_prekeys(account: Account) -> list[PrekeySecret]:
    devices = account.devices.filter(state=DeviceKey.State.ACTIVE).prefetch_related("prekeys")
    return [
        max(device.prekeys.all(), key=lambda prekey: prekey.generation)
        for device in devices
        if device.prekeys.all()
    ]


def _devices() -> QuerySet[DeviceKey]:
    return DeviceKey.objects.select_related("account").prefetch_related("prekeys")


def _locked_device(did: str, fingerprint: str) -> DeviceKey:
    device = DeviceKey.objects.select_for_update().filter(account__did=did, fingerprint=fingerprint).first()
    if device is None:
        raise NoSuchDevice("this account has no such device")
    return device


def _described(device: DeviceKey) -> Device:
    certificate = parse_certificate(bytes(device.certificate))
    newest = max(device.prekeys.all(), key=lambda prekey: prekey.generation, default=None)
    return Device(
        did=device.account.did,
        fingerprint=device.fingerprint,
        certificate_pem=certificate.pem,
        serial_hex=certificate.serial_hex,
        created_at=device.created_at,
        valid_until=certificate.not_after,
        revoked_at=device.revoked_at,
        prekey=_bundle(newest) if newest is not None else None,
    )


def _bundle(prekey: PrekeySecret) -> Prekey:
    return Prekey(
        signed_prekey=bytes(prekey.signed_prekey),
        signing_pk=bytes(prekey.signing_pk),
        created_at=time_json(prekey.created_at),
        expires_at=time_json(prekey.expires_at),
        bundle_sig=bytes(prekey.bundle_sig),
    )
