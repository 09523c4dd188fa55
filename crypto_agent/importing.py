"""Taking in an account's keys from another installation, beside those that it may have here already.

Nothing that is here is overwritten, and taking in the same again changes nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from crypto_agent import account_file, passphrase_turns
from crypto_agent.account_file import (
    AccountSecrets,
    ArchiveSecret,
    AttestationSecret,
    DeviceSecrets,
    PrekeySecrets,
)
from crypto_agent.atsms.certificates import EndpointCertificate, parse_certificate
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.atsms.prekeys import Prekey, verify_prekey
from crypto_agent.attesting import attestation_curves, keep_attestation_key
from crypto_agent.client_json import time_json
from crypto_agent.client_values import Device
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.devices import PREKEY_GRACE, has_lock, keep_current_prekeys, keep_prekey, list_devices
from crypto_agent.errors import BadExport
from crypto_agent.exporting import wrap_export_key
from crypto_agent.key_store import new_account, wrap_device_key
from crypto_agent.models import Account, ArchiveKey, DeviceKey
from crypto_agent.purposes import Context, Purpose


@dataclass(frozen=True, repr=False)
class Import:
    """The wrapped key for the export's other parts, and all devices that the account has here now."""

    import_key: bytes
    devices: list[Device]


def open_export(did: str, keys_file: bytes, passphrase: str) -> AccountSecrets:
    """The keys in an export.

    Runs outside of transactions: who waits for a turn while they hold the database would keep it from who has
    the turn. Raises BadExport, UnsupportedExport, ExportOfAnother, WrongExportPassphrase, AgentBusy.
    """
    with passphrase_turns.turn(did):
        secrets = account_file.open_keys(did, keys_file, passphrase)
    if sum(device.private_key is not None and device.revoked_at is None for device in secrets.devices) > 1:
        raise BadExport("more than one active device")
    return secrets


def import_account(
    did: str, secrets: AccountSecrets, revoked: Collection[str], now: datetime, random: Random
) -> Import:
    """Takes in the keys of an export, in the caller's transaction.

    The export's active device becomes the active one here. It is retired instead if it is among ``revoked``
    (fingerprints of devices that are published as revoked), or if another device is active here: it then
    opens what was sealed to it, and signs nothing. One that was retired there is retired here.
    Raises BadExport, AccountLocked.
    """
    account, keys = new_account(did, now, random, with_archive_key=False)
    _take_archive_keys(account, keys, secrets.archive_keys, now, random)
    for device in secrets.devices:
        _take_device(account, keys, device, revoked, now, random)
    if has_lock(account.pk):
        keep_current_prekeys(account)
    for attestation_key in secrets.attestation_keys:
        _take_attestation_key(account, keys, attestation_key, random)
    import_key = wrap_export_key(keys, Purpose.IMPORT_KEY, secrets.export_key, random)
    return Import(import_key, list_devices(did))


def _take_archive_keys(
    account: Account, keys: AccountKeys, taken: Iterable[ArchiveSecret], now: datetime, random: Random
) -> None:
    known = {
        row.generation: bytes(row.public_key) for row in ArchiveKey.objects.filter(account=account).iterator()
    }
    last, public_keys = max(known, default=0), set(known.values())
    rows = []
    for each in sorted(taken, key=lambda each: each.generation):
        public_key = X25519PrivateKey.from_private_bytes(each.secret).public_key().public_bytes_raw()
        if public_key in public_keys:
            continue
        # What was sealed to it still opens if it gets another number here.
        generation = each.generation if each.generation not in known else last + 1
        known[generation] = public_key
        last = max(last, generation)
        public_keys.add(public_key)
        context = Context(Purpose.ARCHIVE_KEY, account.did, device=str(generation))
        rows.append(
            ArchiveKey(
                account=account,
                generation=generation,
                public_key=public_key,
                wrapped=keys.encrypt(context, each.secret, random),
                key_version=keys.current_version,
                created_at=each.created_at,
                # Who has the export, or what it was made from, is not to read what is archived here.
                ended_at=now,
            )
        )
    ArchiveKey.objects.bulk_create(rows)


def _take_device(
    account: Account,
    keys: AccountKeys,
    taken: DeviceSecrets,
    revoked: Collection[str],
    now: datetime,
    random: Random,
) -> None:
    certificate, key = _checked(account.did, taken)
    prekeys = [(each, _bundle(each, certificate)) for each in taken.prekeys if each.destroy_after > now]
    row = DeviceKey.objects.filter(fingerprint=certificate.fingerprint).first()
    if row is None:
        row = _new_device(account, keys, taken, certificate, key, revoked, bool(prekeys), now, random)
    if row.state != DeviceKey.State.REVOKED:
        for prekey, bundle in sorted(prekeys, key=lambda each: -each[0].generation):
            _take_prekey(keys, row, prekey, bundle, now, random)


def _new_device(
    account: Account,
    keys: AccountKeys,
    taken: DeviceSecrets,
    certificate: EndpointCertificate,
    key: ec.EllipticCurvePrivateKey | None,
    revoked: Collection[str],
    opens_mail: bool,
    now: datetime,
    random: Random,
) -> DeviceKey:
    others = DeviceKey.objects.filter(account=account, state=DeviceKey.State.ACTIVE)
    if key is None:
        state = DeviceKey.State.REVOKED
    elif taken.revoked_at is None and certificate.fingerprint not in revoked and not others.exists():
        state = DeviceKey.State.ACTIVE
    else:
        state = DeviceKey.State.RETIRED if opens_mail else DeviceKey.State.REVOKED
    kept = key if state != DeviceKey.State.REVOKED else None
    return DeviceKey.objects.create(
        account=account,
        fingerprint=certificate.fingerprint,
        certificate=taken.certificate,
        former_certificate=taken.former_certificate,
        state=state,
        wrapped=wrap_device_key(keys, kept, certificate.fingerprint, random) if kept else None,
        key_version=keys.current_version if kept else None,
        created_at=taken.created_at,
        revoked_at=None if state == DeviceKey.State.ACTIVE else (taken.revoked_at or now),
    )


def _take_prekey(
    keys: AccountKeys,
    device: DeviceKey,
    taken: PrekeySecrets,
    bundle: Prekey,
    now: datetime,
    random: Random,
) -> None:
    known = {row.generation: bytes(row.signed_prekey) for row in device.prekeys.all().iterator()}
    if bundle.signed_prekey in known.values():
        return
    generation = _free_generation(taken.generation, known)
    if generation is None:
        return
    keep_prekey(
        device,
        keys,
        bundle,
        taken.secret,
        taken.signing_key,
        random,
        generation=generation,
        created_at=taken.created_at,
        expires_at=taken.expires_at,
        # The account may have been locked there, where the newest one is kept until it is unlocked.
        destroy_after=min(taken.destroy_after, max(taken.expires_at, now) + PREKEY_GRACE),
    )


def _free_generation(wanted: int, known: Iterable[int]) -> int | None:
    """Its own, or where another has it the next one below: never one above what is published from here."""
    taken = set(known)
    if wanted not in taken:
        return wanted
    return next((number for number in range(wanted - 1, -1, -1) if number not in taken), None)


def _take_attestation_key(
    account: Account, keys: AccountKeys, taken: AttestationSecret, random: Random
) -> None:
    key = _private_key(taken.private_key, ec.SECP256R1, ec.SECP256K1)
    if key.curve.name not in attestation_curves(account):
        keep_attestation_key(account, keys, key, taken.created_at, random)


def _checked(did: str, taken: DeviceSecrets) -> tuple[EndpointCertificate, ec.EllipticCurvePrivateKey | None]:
    """The device's certificate and key, which belong together and to the account."""
    try:
        certificate = parse_certificate(taken.certificate)
        former = parse_certificate(taken.former_certificate or taken.certificate)
    except AtsmsError as error:
        raise BadExport(f"a device's certificate: {error.code}") from None
    if certificate.did != did:
        raise BadExport("a device of another account")
    if (former.did, former.fingerprint) != (did, certificate.fingerprint):
        raise BadExport("a former certificate of another device")
    if taken.private_key is None:
        return certificate, None
    key = _private_key(taken.private_key, ec.SECP256R1)
    if key.public_key() != certificate.public_key:
        raise BadExport("a device's key is not its certificate's")
    return certificate, key


def _private_key(encoded: bytes, *curves: type[ec.EllipticCurve]) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_der_private_key(encoded, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadExport("not a private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, curves):
        raise BadExport("not a key of the curve that it has to be of")
    return key


def _bundle(taken: PrekeySecrets, certificate: EndpointCertificate) -> Prekey:
    """The prekey as it is published, its signature checked."""
    bundle = Prekey(
        signed_prekey=X25519PrivateKey.from_private_bytes(taken.secret).public_key().public_bytes_raw(),
        signing_pk=Ed25519PrivateKey.from_private_bytes(taken.signing_key).public_key().public_bytes_raw(),
        created_at=time_json(taken.created_at),
        expires_at=time_json(taken.expires_at),
        bundle_sig=taken.bundle_sig,
    )
    try:
        verify_prekey(bundle, certificate.public_key, taken.created_at)
    except AtsmsError as error:
        raise BadExport(f"a prekey: {error.code}") from None
    return bundle
