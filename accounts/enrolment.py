"""An account's device from its making to its end: what is published, kept fresh, and taken back.

Every function can run twice and picks up where an earlier run died: the agent's calls are idempotent, records
are put again, and each step is noted only after the PDS was seen to hold it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from accounts import peers, records
from accounts.agent import agent
from accounts.models import Account, Device
from accounts.pds import PdsClient, PdsError
from crypto_agent import client
from crypto_agent.atsms import certificates
from crypto_agent.atsms.prekeys import Prekey

#: How often a record is merged again when somebody else changed it in between.
MERGE_ATTEMPTS = 3


class PublicationError(Exception):
    """What was written is not what the PDS shows; worth another try. ``code``: "not-confirmed"."""

    code = "not-confirmed"


@dataclass(frozen=True)
class PlannedRecord:
    """One record that will be published; ``rkey`` is "" while the key that it names does not exist yet."""

    collection: str
    rkey: str
    title: str
    why: str
    shows: tuple[str, ...]


@dataclass(frozen=True)
class EnrolmentPlan:
    """What enrolling publishes in the account's repository at ``pds_url``."""

    did: str
    handle: str
    pds_url: str
    records: tuple[PlannedRecord, ...]
    endpoints: tuple[str, ...]


def plan(account: Account) -> EnrolmentPlan:
    """What ``enrol`` will publish, and why. Changes nothing and asks nobody."""
    endpoints = tuple(_own_endpoints(account))
    device = account.devices.filter(revoked_at__isnull=True).first()
    rkey = device.fingerprint if device else ""
    planned = (
        PlannedRecord(
            records.CERTIFICATES,
            rkey,
            "A certificate",
            "Proves that a message signed by this device is yours. Stays until you revoke it.",
            (f"Your handle {account.handle}", f"Your DID {account.did}", "The public key of this device"),
        ),
        PlannedRecord(
            records.PREKEYS,
            rkey,
            "A sealing key",
            "What others use to seal messages to you. Replaced every week.",
            ("A public key", "When it was made, and when it ends"),
        ),
        PlannedRecord(
            records.INBOX,
            records.INBOX_KEY,
            "Where to hand messages over",
            "Tells other servers where to bring what is sealed for you.",
            endpoints,
        ),
    )
    return EnrolmentPlan(account.did, account.handle, account.pds_url, planned, endpoints)


def enrol(account: Account) -> Device:
    """Makes the device in the agent if there is none, and publishes its certificate, prekey and inbox.

    A device whose record was marked as revoked from elsewhere is revoked here too, and a new one made. Raises
    AgentError, SignInAgain, PdsError, RepositoryError, PublicationError or RecordError; run it again then.
    """
    pds = PdsClient(account)
    made = agent().create_device(account.did, account.handle, settings.MAIL_DOMAIN)
    if _shows_revoked(pds, made.fingerprint):
        revoke(account, made.fingerprint)
        made = agent().create_device(account.did, account.handle, settings.MAIL_DOMAIN)
    device = _mirror(account, made)
    _publish_certificate(pds, device)
    if made.prekey is not None:
        _publish_prekey(pds, device, made.prekey)
    _publish_inbox(pds, device)
    if account.enrolled_at is None:
        account.enrolled_at = timezone.now()
        account.save(update_fields=["enrolled_at"])
    peers.forget(account.did)
    return device


def revoke(account: Account, fingerprint: str) -> Device:
    """Ends a device: destroys its keys in the agent at once, then says so in the repository.

    Raises AgentError if the keys could not be destroyed. If the repository cannot be written, the device is
    revoked all the same, ``withdrawal_pending`` stays true for ``finish_withdrawals`` to do the rest, and
    SignInAgain, PdsError, RepositoryError or PublicationError is raised.
    """
    device = destroy_keys(account, fingerprint)
    _withdraw(PdsClient(account), device)
    peers.forget(account.did)
    return device


def destroy_keys(account: Account, fingerprint: str) -> Device:
    """The first half of ``revoke``: the agent signs and opens nothing more for it. Raises AgentError."""
    return _mirror(account, agent().revoke_device(account.did, fingerprint))


def finish_withdrawals(account: Account) -> None:
    """Publishes what revocations are still waiting for the person's session. Raises as ``revoke`` does."""
    for device in account.devices.filter(revoked_at__isnull=False, withdrawn_at__isnull=True):
        _withdraw(PdsClient(account), device)
        peers.forget(account.did)


def remove_tombstones(account: Account) -> None:
    """Takes the records of devices out of the repository that were revoked long enough ago (protocol §1).

    Raises SignInAgain, PdsError, RepositoryError or PublicationError.
    """
    for device in account.devices.with_old_tombstone():
        pds = PdsClient(account)
        pds.delete_record(records.CERTIFICATES, device.fingerprint)
        if pds.get_record(records.CERTIFICATES, device.fingerprint) is not None:
            raise PublicationError("Your server still shows the record of a device revoked long ago.")
        device.tombstone_removed_at = timezone.now()
        device.save(update_fields=["tombstone_removed_at"])


def renew_prekeys(account: Account) -> None:
    """Lets the agent replace prekeys that are due, and publishes the current one of each active device.

    Raises as ``enrol`` does.
    """
    for device in account.devices.active():
        renewed = agent().rotate_prekey(account.did, device.fingerprint)
        if renewed.prekey is None:
            continue
        expiry = records.prekey_expiry(_prekey(renewed.prekey))
        if device.prekey_expires_at != expiry:
            _publish_prekey(PdsClient(account), device, renewed.prekey)
            peers.forget(account.did)


def check_published(account: Account, devices: Iterable[Device]) -> None:
    """Reads at the PDS, as others do, whether devices are published, and notes it. Raises RepositoryError."""
    pds = PdsClient(account)
    now = timezone.now()
    for device in devices:
        found = pds.get_record(records.CERTIFICATES, device.fingerprint)
        shown_revoked = found is not None and "revokedAt" in found.value
        if device.revoked_at is not None:
            device.withdrawn_at = (device.withdrawn_at or now) if found is None or shown_revoked else None
        else:
            device.published_at = None if found is None or shown_revoked else (device.published_at or now)
        device.save(update_fields=["published_at", "withdrawn_at"])


def restore_devices(account: Account) -> None:
    """Makes the rows of all devices that the agent has for an account, as after the loss of the database.

    Whether they are published is noted when it is next looked at. Raises AgentError.
    """
    for made in agent().list_devices(account.did):
        _mirror(account, made)


def _shows_revoked(pds: PdsClient, fingerprint: str) -> bool:
    found = pds.get_record(records.CERTIFICATES, fingerprint)
    return found is not None and "revokedAt" in found.value


def _mirror(account: Account, made: client.Device) -> Device:
    """The row of the agent's device, made or brought up to date."""
    certificate = certificates.parse_certificate(made.certificate_pem)
    device, _ = Device.objects.update_or_create(
        fingerprint=made.fingerprint,
        defaults={"revoked_at": made.revoked_at},
        create_defaults={
            "account": account,
            "certificate_pem": made.certificate_pem,
            "serial": made.serial_hex,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "created_at": made.created_at,
            "revoked_at": made.revoked_at,
        },
    )
    return device


def _publish_certificate(pds: PdsClient, device: Device) -> None:
    record = records.certificate_record(
        device.account.did, device.certificate_pem, created_at=device.created_at, now=timezone.now()
    )
    _put_confirmed(pds, records.CERTIFICATES, device.fingerprint, record)
    device.published_at = timezone.now()
    device.save(update_fields=["published_at"])


def _publish_prekey(pds: PdsClient, device: Device, prekey: client.Prekey) -> None:
    record = records.prekey_record(_prekey(prekey), device.certificate_pem, now=timezone.now())
    _put_confirmed(pds, records.PREKEYS, device.fingerprint, record)
    device.prekey_published_at = timezone.now()
    device.prekey_expires_at = records.prekey_expiry(_prekey(prekey))
    device.save(update_fields=["prekey_published_at", "prekey_expires_at"])


def _publish_inbox(pds: PdsClient, device: Device) -> None:
    account = device.account
    ours = _own_endpoints(account)
    for attempt in range(1, MERGE_ATTEMPTS + 1):
        present = pds.get_record(records.INBOX, records.INBOX_KEY)
        listed = records.read_inbox_endpoints(present.value) if present else []
        endpoints = records.merged_endpoints(ours, listed, account.published_endpoints)
        record = records.inbox_record(endpoints, development=settings.NETWORK == "loopback")
        if present is not None and listed == endpoints:
            break
        try:
            _put_confirmed(
                pds, records.INBOX, records.INBOX_KEY, record, instead_of=present.cid if present else None
            )
            break
        except PdsError as error:
            if error.code != "changed-meanwhile" or attempt == MERGE_ATTEMPTS:
                raise
    account.published_endpoints = ours
    account.save(update_fields=["published_endpoints"])
    device.inbox_published_at = timezone.now()
    device.save(update_fields=["inbox_published_at"])


def _withdraw(pds: PdsClient, device: Device) -> None:
    """Puts the certificate again with ``revokedAt`` and deletes the prekey."""
    assert device.revoked_at is not None
    now = timezone.now()
    record = records.certificate_record(
        device.account.did,
        device.certificate_pem,
        created_at=device.created_at,
        now=now,
        revoked_at=device.revoked_at,
    )
    _put_confirmed(pds, records.CERTIFICATES, device.fingerprint, record)
    pds.delete_record(records.PREKEYS, device.fingerprint)
    if pds.get_record(records.PREKEYS, device.fingerprint) is not None:
        raise PublicationError("Your server still shows the sealing key of the revoked device.")
    device.withdrawn_at = timezone.now()
    device.prekey_published_at = None
    device.save(update_fields=["withdrawn_at", "prekey_published_at"])


def _put_confirmed(
    pds: PdsClient, collection: str, rkey: str, record: dict[str, object], *, instead_of: str | None = None
) -> None:
    """Puts a record and reads it back the way others will."""
    pds.put_record(collection, rkey, record, instead_of=instead_of)
    found = pds.get_record(collection, rkey)
    if found is None or dict(found.value) != record:
        raise PublicationError(f"Your server does not show the record {collection} as it was written.")


def _own_endpoints(account: Account) -> list[str]:
    mail_domain = settings.MAIL_DOMAIN if settings.SMTP_PUBLIC_URL else None
    return records.own_endpoints(account.did, settings.PUBLIC_URL, mail_domain)


def _prekey(prekey: client.Prekey) -> Prekey:
    return Prekey(
        prekey.signed_prekey, prekey.signing_pk, prekey.created_at, prekey.expires_at, prekey.bundle_sig
    )
