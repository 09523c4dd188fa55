"""An account's device from its making to its end: what is published, kept fresh, and taken back.

Every function can run twice and picks up where an earlier run died: the agent's calls are idempotent, records
are put again, and each step is noted only after the PDS was seen to hold it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import identities, peers, records
from accounts.agent import agent
from accounts.handles import INVALID_HANDLE
from accounts.identities import IdentityError
from accounts.models import Account, Device
from accounts.pds import PdsClient, PdsError
from crypto_agent import client
from crypto_agent.atsms import certificates
from crypto_agent.atsms.prekeys import Prekey

#: The agent replaces a prekey a day before it ends; what is far from that needs no look at the PDS.
PREKEY_DUE_BEFORE = timedelta(days=2)
#: How often a record is merged again when somebody else changed it in between.
MERGE_ATTEMPTS = 3


class PublicationError(Exception):
    """What was written is not what the PDS shows; worth another try. ``code``: "not-confirmed"."""

    code = "not-confirmed"


class HandleUnknown(PublicationError):
    """No handle leads to the account just now, and a certificate would say so for years."""

    code = "handle-unknown"


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
            _("A certificate"),
            _("Proves that a message signed by this device is yours. Stays until you revoke it."),
            (
                _("Your handle %(handle)s") % {"handle": account.handle},
                _("Your DID %(did)s") % {"did": account.did},
                _("The public key of this device"),
            ),
        ),
        PlannedRecord(
            records.PREKEYS,
            rkey,
            _("A sealing key"),
            _("What others use to seal messages to you. Replaced every week."),
            (_("A public key"), _("When it was made, and when it ends")),
        ),
        PlannedRecord(
            records.INBOX,
            records.INBOX_KEY,
            _("Where to hand messages over"),
            _("Tells other servers where to bring what is sealed for you."),
            endpoints,
        ),
    )
    return EnrolmentPlan(account.did, account.handle, account.pds_url, planned, endpoints)


def enrol(account: Account, *, assertion: Mapping[str, Any] | None = None) -> Device:
    """Makes the device in the agent if there is none, and publishes its certificate, prekey and inbox.

    A further one of an account that requires its passkey needs ``assertion``, the passkey's answer.

    A device whose record was marked as revoked from elsewhere is revoked here too, and a new one made. Raises
    AgentError, SignInAgain, PdsError, RepositoryError, PublicationError or RecordError; run it again then.
    """
    pds = PdsClient(account)
    asserted = dict(assertion) if assertion is not None else None
    made = _make_device(account, asserted)
    if _shows_revoked(pds, made.fingerprint):
        revoke(account, made.fingerprint)
        made = _make_device(account, asserted)
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
            raise PublicationError(_("Your server still shows the record of a device revoked long ago."))
        device.tombstone_removed_at = timezone.now()
        device.save(update_fields=["tombstone_removed_at"])


def renew_prekeys(account: Account) -> None:
    """Lets the agent replace prekeys that are due, and publishes the current one of each active device.

    Not for an account that was moved to another installation, where the same device is. Raises as ``enrol``
    does.
    """
    for device in account.devices.active():
        if _is_due_soon(device) and receives_elsewhere(account):
            continue
        renewed = agent().rotate_prekey(account.did, device.fingerprint)
        if renewed.prekey is None:
            continue
        expiry = records.prekey_expiry(renewed.prekey)
        if device.prekey_expires_at != expiry:
            _publish_prekey(PdsClient(account), device, renewed.prekey)
            peers.forget(account.did)


def renew_certificates(account: Account) -> None:
    """Lets the agent renew certificates that end soon, and publishes what it has under the same record key.

    The row follows only after the PDS shows the record, so that whoever dies before begins there again.
    Raises as ``enrol`` does.
    """
    for device in account.devices.renewable():
        if receives_elsewhere(account):
            continue
        renewed = agent().renew_certificate(
            account.did, device.fingerprint, account.handle, settings.MAIL_DOMAIN
        )
        if renewed.certificate_pem == device.certificate_pem:
            continue
        pds = PdsClient(account)
        if _shows_revoked(pds, device.fingerprint):
            continue
        _take_certificate(device, renewed)
        _publish_certificate(pds, device)
        device.save(update_fields=["certificate_pem", "serial", "not_before", "not_after"])
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


def published_as_revoked(account: Account) -> list[str]:
    """The fingerprints of devices whose records in the repository are tombstones. Raises RepositoryError."""
    found = PdsClient(account).list_records(records.CERTIFICATES)
    return [record.rkey for record in found if "revokedAt" in record.value and len(record.rkey) == 64]


def withdraw_everything(account: Account) -> None:
    """Takes back all that was published from here, so that nobody seals to this account here any more.

    Not what another installation publishes by now, to which the account was moved. The agent must have
    destroyed the keys before. Raises SignInAgain, PdsError, RepositoryError or PublicationError; run it again
    then.
    """
    if receives_elsewhere(account):
        return
    pds = PdsClient(account)
    present = pds.get_record(records.INBOX, records.INBOX_KEY)
    listed = records.read_inbox_endpoints(present.value) if present else []
    ours = {*_own_endpoints(account), *account.published_endpoints}
    others = [uri for uri in listed if uri not in ours]
    for device in account.devices.filter(withdrawn_at__isnull=True):
        device.revoked_at = device.revoked_at or timezone.now()
        device.save(update_fields=["revoked_at"])
        _withdraw(pds, device)
    if others and present is not None:
        record = records.inbox_record(others, development=settings.NETWORK == "loopback")
        _put_confirmed(pds, records.INBOX, records.INBOX_KEY, record, instead_of=present.cid)
    elif present is not None:
        pds.delete_record(records.INBOX, records.INBOX_KEY)
    peers.forget(account.did)


def receives_elsewhere(account: Account) -> bool:
    """Whether the inbox record names another installation's pages and not this one's.

    Mail addresses say nothing: several installations may share a domain. Raises RepositoryError.
    """
    present = PdsClient(account).get_record(records.INBOX, records.INBOX_KEY)
    listed = _web_addresses(records.read_inbox_endpoints(present.value)) if present else set()
    return (
        bool(listed) and not _web_addresses([*_own_endpoints(account), *account.published_endpoints]) & listed
    )


def _make_device(account: Account, assertion: dict[str, Any] | None) -> client.Device:
    """The device in the agent, made if there is none. Raises AgentError, and HandleUnknown."""
    if account.handle == INVALID_HANDLE and not account.devices.active().exists():
        _look_for_handle(account)
    return agent().create_device(account.did, account.handle, settings.MAIL_DOMAIN, assertion=assertion)


def _look_for_handle(account: Account) -> None:
    """Asks again for the handle of an account, which may have been out of reach as its owner signed in."""
    try:
        handle = identities.resolve(account.did, fresh=True).handle
    except IdentityError as error:
        raise HandleUnknown(str(error)) from error
    if handle == INVALID_HANDLE:
        raise HandleUnknown(
            _(
                "Your handle does not lead to you just now, and your certificate would name it for years. "
                "Nothing was published; try again in a while."
            )
        )
    account.handle = handle
    account.save(update_fields=["handle"])


def _is_due_soon(device: Device) -> bool:
    expires_at = device.prekey_expires_at
    return expires_at is None or expires_at <= timezone.now() + PREKEY_DUE_BEFORE


def _web_addresses(endpoints: Iterable[str]) -> set[str]:
    return {uri for uri in endpoints if uri.startswith(("https://", "http://"))}


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


def _take_certificate(device: Device, made: client.Device) -> None:
    certificate = certificates.parse_certificate(made.certificate_pem)
    device.certificate_pem, device.serial = made.certificate_pem, made.serial_hex
    device.not_before, device.not_after = certificate.not_before, certificate.not_after


def _publish_certificate(pds: PdsClient, device: Device) -> None:
    record = records.certificate_record(
        device.account.did, device.certificate_pem, created_at=device.created_at, now=timezone.now()
    )
    _put_confirmed(pds, records.CERTIFICATES, device.fingerprint, record)
    device.published_at = timezone.now()
    device.save(update_fields=["published_at"])


def _publish_prekey(pds: PdsClient, device: Device, prekey: Prekey) -> None:
    record = records.prekey_record(prekey, device.certificate_pem, now=timezone.now())
    _put_confirmed(pds, records.PREKEYS, device.fingerprint, record)
    device.prekey_published_at = timezone.now()
    device.prekey_expires_at = records.prekey_expiry(prekey)
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
        raise PublicationError(_("Your server still shows the sealing key of the revoked device."))
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
        raise PublicationError(
            _("Your server does not show the record %(collection)s as it was written.")
            % {"collection": collection}
        )


def _own_endpoints(account: Account) -> list[str]:
    mail_domain = settings.MAIL_DOMAIN if settings.SMTP_PUBLIC_URL else None
    return records.own_endpoints(account.did, settings.PUBLIC_URL, mail_domain)
