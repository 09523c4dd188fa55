"""What an account's repository and DID document say of it, held against what was published here.

Whoever can write there can add a device to which everybody would seal, or send messages elsewhere. What turns
up that neither this installation nor the account's owner put there is shown until the owner has looked at it;
an unknown device gets no copies, and has no part in the numbers that people compare.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import did_documents, enrolment, identities, peers, plc_history, records
from accounts.did_documents import DocumentError
from accounts.identities import IdentityError
from accounts.models import Account, Device, Peer, PublishedEntry
from accounts.pds import PdsClient
from accounts.peers import PeerError

#: How often an account's own records are looked at.
AUDIT_GAP = timedelta(hours=24)
#: Databases do not index values that are longer.
LONGEST_VALUE = 512
#: Of what is not there any more, and need not be, the newest are kept; else a server could make rows without
#: end. What comes back after that is told again.
MOST_ABSENT = 500

Kind = PublishedEntry.Kind
Found = set[tuple[PublishedEntry.Kind, str]]


def audit(account: Account, *, now: datetime | None = None) -> list[PublishedEntry]:
    """Reads what the PDS and the directory say of an account, notes it, and returns what its owner should
    see.

    What is there at the first look counts as known. Raises PeerError if it cannot be read.
    """
    now = now or timezone.now()
    peer = peers.refresh(account.did)
    try:
        document = identities.document_of(account.did)
    except IdentityError as error:
        raise PeerError("peer-unreachable", str(error)) from error
    found = _devices(peer, now) | _endpoints(peer.inbox_endpoints)
    found.add((Kind.SERVER, peer.pds_url))
    if peer.smtp_endpoint:
        found.add((Kind.MAIL_SERVER, peer.smtp_endpoint))
    if key := _signing_key(document):
        found.add((Kind.SIGNING_KEY, key))
    rotation_keys = _rotation_keys(account.did, now)
    read = [kind for kind in Kind if kind is not Kind.ROTATION_KEY or rotation_keys is not None]
    _note(account, found | (rotation_keys or set()), read, now)
    account.audited_at = now
    account.save(update_fields=["audited_at"])
    return troubles(account)


def note_devices(account: Account, *, now: datetime | None = None) -> None:
    """The same for the devices alone, from what was last read of the account's own records."""
    now = now or timezone.now()
    peer = Peer.objects.filter(did=account.did).first()
    if peer is not None and account.audited_at is not None:
        _note(account, _devices(peer, now), [Kind.DEVICE], now)


def troubles(account: Account) -> list[PublishedEntry]:
    """What is published of an account that nobody here knows of, or is not there any more."""
    return list(account.published_entries.filter(_TROUBLE))


def all_troubles() -> list[PublishedEntry]:
    """The same of all accounts, for whoever runs the installation."""
    return list(PublishedEntry.objects.filter(_TROUBLE).select_related("account"))


_TROUBLE = Q(present=True, known=False) | Q(present=False, expected=True)


def accept(account: Account, entry_pk: int) -> bool:
    """The owner knows of an entry, or of its absence. False if there is no such entry."""
    entry = account.published_entries.filter(pk=entry_pk).first()
    if entry is None:
        return False
    entry.known, entry.expected = True, entry.expected and entry.present
    entry.save(update_fields=["known", "expected"])
    return True


def take_out(account: Account, entry_pk: int) -> bool:
    """Deletes an unknown device's records from the repository. False if there is no such device.

    Raises SignInAgain, PdsError, RepositoryError or PublicationError.
    """
    entry = account.published_entries.filter(pk=entry_pk, kind=Kind.DEVICE, known=False).first()
    if entry is None:
        return False
    pds = PdsClient(account)
    pds.delete_record(records.PREKEYS, entry.value)
    pds.delete_record(records.CERTIFICATES, entry.value)
    if pds.get_record(records.CERTIFICATES, entry.value) is not None:
        raise enrolment.PublicationError(_("Your server still shows the record of this device."))
    entry.present = False
    entry.save(update_fields=["present"])
    peers.forget(account.did)
    return True


def own_fingerprints(account: Account, *, now: datetime | None = None) -> frozenset[str]:
    """The devices by which others know the account: those of this installation, and others its owner knows
    of. What its server adds by itself is not among them."""
    now = now or timezone.now()
    here = account.devices.active(now).values_list("fingerprint", flat=True)
    return frozenset(here) | {entry.value for entry in other_devices(account)}


def unknown_devices(account: Account) -> frozenset[str]:
    """Devices in the account's repository that nobody here knows of."""
    rows = account.published_entries.filter(kind=Kind.DEVICE, present=True, known=False)
    return frozenset(rows.values_list("value", flat=True))


def due(now: datetime) -> list[int]:
    """Keys of the accounts whose records were not looked at for a day."""
    rows = Account.objects.filter(enrolled_at__isnull=False)
    rows = rows.filter(Q(audited_at__isnull=True) | Q(audited_at__lte=now - AUDIT_GAP))
    return list(rows.values_list("pk", flat=True))


def other_devices(account: Account) -> list[PublishedEntry]:
    """Devices of other apps in the account's repository of which its owner knows."""
    own = account.devices.values("fingerprint")
    rows = account.published_entries.filter(kind=Kind.DEVICE, present=True, known=True)
    return list(rows.exclude(value__in=own))


def _signing_key(document: Mapping[str, Any]) -> str | None:
    """The did:key, or what stands in its place: a key that nobody can read is as strange as another one."""
    try:
        return did_documents.signing_key(document)
    except DocumentError:
        return did_documents.signing_key_as_written(document)[:LONGEST_VALUE]


def _rotation_keys(did: str, now: datetime) -> Found | None:
    """The keys that may change the DID document of a did:plc; None where the log cannot be read."""
    try:
        peer = plc_history.read(did, now=now)
    except IdentityError:
        return None
    if peer is None or peer.plc_problem:
        return None
    head = plc_history.head_of(peer)
    return {(Kind.ROTATION_KEY, key) for key in (head.rotation_keys if head else [])}


def _devices(peer: Peer, now: datetime) -> Found:
    usable = (row for row in peer.certificates.filter(present=True) if peers.is_usable(row, now))
    return {(Kind.DEVICE, row.fingerprint) for row in usable}


def _expected(account: Account, now: datetime) -> Found:
    here = account.devices.active(now).values_list("fingerprint", flat=True)
    return {(Kind.DEVICE, fingerprint) for fingerprint in here} | _endpoints(account.published_endpoints)


def _known(account: Account) -> Found:
    """What was put there from here. A device that was revoked here, and was seen to be, is not."""
    devices = Device.objects.filter(account=account, withdrawn_at__isnull=True)
    here = devices.values_list("fingerprint", flat=True)
    return {(Kind.DEVICE, fingerprint) for fingerprint in here} | _endpoints(account.published_endpoints)


def _endpoints(uris: Iterable[str]) -> Found:
    return {(Kind.ENDPOINT, uri[:LONGEST_VALUE]) for uri in uris}


def _note(account: Account, found: Found, kinds: list[PublishedEntry.Kind], now: datetime) -> None:
    expected = {entry for entry in _expected(account, now) if entry[0] in kinds}
    known = _known(account)
    first_look = account.audited_at is None
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        rows = {(Kind(row.kind), row.value): row for row in account.published_entries.filter(kind__in=kinds)}
        for entry in sorted(found | expected | set(rows)):
            row = rows.get(entry) or PublishedEntry(
                account=account,
                kind=entry[0],
                value=entry[1],
                known=first_look,
                expected=True,
                first_seen_at=now,
            )
            row.known = (row.known or entry in known) and not _revived(account, entry)
            row.present = entry in found
            # An absence that the owner knows of stays known until the entry is back.
            row.expected = entry in expected and (row.present or row.expected)
            row.last_seen_at = now if row.present else row.last_seen_at
            row.save()
        absent = account.published_entries.filter(present=False, expected=False)
        oldest = absent.order_by("-last_seen_at", "-pk").values_list("pk", flat=True)[MOST_ABSENT:]
        account.published_entries.filter(pk__in=list(oldest)).delete()


def _revived(account: Account, entry: tuple[PublishedEntry.Kind, str]) -> bool:
    """Whether it is a device that was revoked here and taken back."""
    kind, value = entry
    revoked = account.devices.filter(fingerprint=value, withdrawn_at__isnull=False)
    return kind is Kind.DEVICE and revoked.exists()
