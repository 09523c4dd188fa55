"""Tables of who people are: accounts of this installation, their sessions and devices, and their peers.

Nothing here makes a network call. Tokens are stored encrypted (see token_encryption.py); no ``__str__``
shows one. Private keys of devices are never here: they live in the crypto agent.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.admin_factor_models import AdminPasskey, AdminPasskeyChallenge, AdminRecoveryCode
from accounts.handles import INVALID_HANDLE
from accounts.history_models import PeerEvent, PlcOperation, PublishedEntry
from accounts.named import Named, NamedQuerySet
from accounts.skeletons import LONGEST, skeleton

__all__ = [
    "Account",
    "AdminPasskey",
    "AdminPasskeyChallenge",
    "AdminRecoveryCode",
    "Device",
    "OAuthRequest",
    "OAuthSession",
    "Peer",
    "PeerCertificate",
    "PeerEvent",
    "PlcOperation",
    "PublishedEntry",
]

#: How long a person may take on their own server's sign-in pages.
OAUTH_REQUEST_LIFETIME = timedelta(minutes=10)
#: Sealing keys are replaced every week; one this old was not.
PREKEY_LATE_AFTER = timedelta(days=8)
#: A device whose certificate has been published for so long without any sealing key gets no messages.
FIRST_PREKEY_LATE_AFTER = timedelta(days=1)
#: A device that its PDS does not show so long after it was made can't be written to.
PUBLICATION_LATE_AFTER = timedelta(days=1)
#: Certificates are renewed this long before their end (the agent says the same), and late after half of it.
CERTIFICATE_RENEWAL = timedelta(days=60)
CERTIFICATE_LATE_BEFORE = timedelta(days=30)
#: How long the record of a revoked device stays (protocol §1).
TOMBSTONE_LIFETIME = timedelta(days=30)
#: It should be gone by the day after.
TOMBSTONE_LATE_AFTER = TOMBSTONE_LIFETIME + timedelta(days=1)


class Account(Named):
    """A person who has signed in here. The DID is who they are; the rest follows what their PDS says."""

    class Custody(models.TextChoices):
        MANAGED = "managed", "managed"
        LOCKED = "locked", "locked"

    class ClosingWaits(models.TextChoices):
        """What is not done yet of closing the account, in this order."""

        KEYS = "keys", "keys not destroyed"
        SERVER = "server", "own server not told"
        SIGN_IN = "sign-in", "own server not told, for lack of a session"
        MAILBOX = "mailbox", "mailbox not emptied"

    did = models.CharField("DID", max_length=2048, unique=True)
    handle = models.CharField(max_length=253)
    display_name = models.CharField(max_length=640, blank=True, default="")
    pds_url = models.CharField("PDS", max_length=512)
    created_at = models.DateTimeField(default=timezone.now)
    signed_in_at = models.DateTimeField(null=True, blank=True)
    #: Set once all records were published the first time.
    enrolled_at = models.DateTimeField(null=True, blank=True)
    #: Set once its person has chosen whether to lock their keys, or put that off.
    welcomed_at = models.DateTimeField(null=True, blank=True)
    #: The endpoints that this installation last put into the inbox record.
    published_endpoints = models.JSONField(default=list, blank=True)
    #: What the agent last said of who can open the keys, and when; it decides, this is for showing.
    custody = models.CharField(max_length=16, choices=Custody.choices, default=Custody.MANAGED)
    passkey_required = models.BooleanField(default=False)
    custody_checked_at = models.DateTimeField(null=True, blank=True)
    #: When work last found the keys locked, and when a browser last unlocked them: it waits between the two.
    waits_since = models.DateTimeField(null=True, blank=True)
    unlocked_at = models.DateTimeField(null=True, blank=True)
    #: When what its repository and DID document say was last held against what was published here.
    audited_at = models.DateTimeField(null=True, blank=True)

    #: Since when it is being closed and receives nothing, when that was last tried, what it waits for.
    closing_since = models.DateTimeField(null=True, blank=True)
    closing_tried_at = models.DateTimeField(null=True, blank=True)
    closing_waits_for = models.CharField(max_length=7, choices=ClosingWaits.choices, blank=True, default="")

    #: Whether Enter sends while its person writes, in any browser of theirs; None where they did not choose.
    enter_sends = models.BooleanField(null=True, blank=True)

    #: Whether whoever asks has not unlocked the keys: nothing is opened for them. Set with each request.
    locked_here = False
    #: Why nothing is opened for whoever asks, though their keys are not locked: the agent is "sealed", since
    #: its operator's key is absent, or "away". Set when the agent is asked.
    agent_silence = ""

    objects = NamedQuerySet["Account"].as_manager()

    class Meta:
        ordering = ("handle", "did")
        indexes = (
            models.Index(
                fields=("closing_since",), name="account_closing", condition=Q(closing_since__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.handle} ({self.did})"

    def note_welcomed(self, now: datetime) -> None:
        """Its person has chosen about the lock, wherever they did; the first time counts."""
        Account.objects.filter(pk=self.pk, welcomed_at=None).update(welcomed_at=now)
        self.welcomed_at = self.welcomed_at or now

    @property
    def may_lock(self) -> bool:
        """Whether its keys open only where they were unlocked."""
        return self.custody == Account.Custody.LOCKED

    @property
    def name(self) -> str:
        """What pages call this person."""
        return self.display_name or self.handle


class OAuthRequest(models.Model):
    """A sign-in that was begun and not yet answered. Used once, within OAUTH_REQUEST_LIFETIME."""

    #: SHA-256 in hex of the ``state`` parameter, which only the browser and its server see in clear.
    state_hash = models.CharField(max_length=64, unique=True)
    issuer = models.CharField(max_length=512)
    #: The DID that was asked for; empty when the person named only a server.
    did = models.CharField(max_length=2048, blank=True, default="")
    scope = models.TextField()
    sealed_verifier = models.BinaryField()
    sealed_dpop_key = models.BinaryField()
    #: A path of this installation to return to.
    next_path = models.CharField(max_length=512, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("created_at",)),)
        verbose_name = "OAuth request"

    def __str__(self) -> str:
        return f"sign-in at {self.issuer}"

    def expired(self, now: datetime) -> bool:
        return now >= self.created_at + OAUTH_REQUEST_LIFETIME


class OAuthSession(models.Model):
    """What one signed-in browser was granted at the person's own server; workers use the newest."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="oauth_sessions")
    issuer = models.CharField(max_length=512)
    scope = models.TextField()
    sealed_access_token = models.BinaryField()
    sealed_refresh_token = models.BinaryField()
    sealed_dpop_key = models.BinaryField()
    access_expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    #: Until when one process alone refreshes it; empty where none does.
    refreshing_until = models.DateTimeField(null=True, blank=True)
    #: The key of the browser's own session, by which it can be signed out from another one; empty once that
    #: has ended.
    session_key = models.CharField(max_length=40, blank=True, default="")
    #: What kind of browser it is and on what, as it says itself: "Firefox" and "Windows", without a version.
    browser = models.CharField(max_length=20, blank=True, default="")
    system = models.CharField(max_length=20, blank=True, default="")
    #: When it last asked for something, to the day.
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name = "OAuth session"

    def __str__(self) -> str:
        return f"session {self.pk} at {self.issuer}"


class DeviceQuerySet(models.QuerySet["Device"]):
    """Devices by state; see Device.state for what each means."""

    def revoked(self) -> "DeviceQuerySet":
        return self.filter(revoked_at__isnull=False)

    def expired(self, now: datetime | None = None) -> "DeviceQuerySet":
        return self.filter(revoked_at__isnull=True, not_after__lte=now or timezone.now())

    def unpublished(self, now: datetime | None = None) -> "DeviceQuerySet":
        return self.filter(
            revoked_at__isnull=True, not_after__gt=now or timezone.now(), published_at__isnull=True
        )

    def active(self, now: datetime | None = None) -> "DeviceQuerySet":
        return self.filter(
            revoked_at__isnull=True, not_after__gt=now or timezone.now(), published_at__isnull=False
        )

    def late(self, now: datetime | None = None) -> "DeviceQuerySet":
        """Devices for which something should have happened by now; see Device.late_at."""
        now = now or timezone.now()
        kept, revoked = Q(revoked_at__isnull=True), Q(revoked_at__isnull=False)
        valid = kept & Q(not_after__gt=now)
        never_sealed_to = Q(prekey_published_at__isnull=True, published_at__lte=now - FIRST_PREKEY_LATE_AFTER)
        never_shown = Q(published_at__isnull=True, created_at__lte=now - PUBLICATION_LATE_AFTER)
        still_there = Q(withdrawn_at__lte=now - TOMBSTONE_LATE_AFTER, tombstone_removed_at__isnull=True)
        return self.filter(
            (valid & (Q(prekey_published_at__lte=now - PREKEY_LATE_AFTER) | never_sealed_to | never_shown))
            | (kept & Q(not_after__lte=now + CERTIFICATE_LATE_BEFORE))
            | (revoked & (Q(withdrawn_at__isnull=True) | still_there))
        )

    def renewable(self, now: datetime | None = None) -> "DeviceQuerySet":
        """Published devices whose certificate ends soon, or has ended."""
        ends_before = (now or timezone.now()) + CERTIFICATE_RENEWAL
        return self.filter(revoked_at__isnull=True, published_at__isnull=False, not_after__lte=ends_before)

    def with_old_tombstone(self, now: datetime | None = None) -> "DeviceQuerySet":
        """Revoked devices whose record has been there for as long as it has to."""
        withdrawn_before = (now or timezone.now()) - TOMBSTONE_LIFETIME
        return self.revoked().filter(withdrawn_at__lte=withdrawn_before, tombstone_removed_at__isnull=True)


class Device(models.Model):
    """The public side of a device whose keys this installation's agent holds, and what of it is published."""

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        REVOKED = "revoked", "revoked"
        EXPIRED = "expired", "expired"
        UNPUBLISHED = "unpublished", "not published"

    class Late(models.TextChoices):
        PREKEY = "prekey", "sealing key not replaced"
        PUBLICATION = "publication", "not published by now"
        FIRST_PREKEY = "first-prekey", "sealing key never published"
        CERTIFICATE = "certificate", "certificate ends soon"
        ENDED = "ended", "certificate has ended"
        WITHDRAWAL = "withdrawal", "revocation pending"
        TOMBSTONE = "tombstone", "record of the revoked device not removed"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="devices")
    fingerprint = models.CharField(max_length=64, unique=True)
    certificate_pem = models.TextField("certificate")
    serial = models.CharField(max_length=40)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    #: Since when the PDS shows each record; empty while it does not.
    published_at = models.DateTimeField(null=True, blank=True)
    prekey_published_at = models.DateTimeField(null=True, blank=True)
    prekey_expires_at = models.DateTimeField(null=True, blank=True)
    inbox_published_at = models.DateTimeField(null=True, blank=True)
    #: From this moment the agent neither signs nor opens for this device.
    revoked_at = models.DateTimeField(null=True, blank=True)
    #: When the PDS was seen to say so too. Until then the revocation waits for the person's session.
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    #: When the record of the revoked device was taken out of the repository.
    tombstone_removed_at = models.DateTimeField(null=True, blank=True)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | Q(revoked_at__isnull=False),
                name="device_withdrawn_only_when_revoked",
            ),
        )

    def __str__(self) -> str:
        return f"device {self.fingerprint[:16]}"

    def state_at(self, now: datetime) -> "Device.State":
        if self.revoked_at is not None:
            return Device.State.REVOKED
        if self.not_after <= now:
            return Device.State.EXPIRED
        if self.published_at is None:
            return Device.State.UNPUBLISHED
        return Device.State.ACTIVE

    @property
    def state(self) -> "Device.State":
        return self.state_at(timezone.now())

    def late_at(self, now: datetime) -> "list[Device.Late]":
        """What should have happened to this device by ``now``."""
        if self.revoked_at is not None:
            return self._late_when_revoked(now)
        if self.not_after <= now:
            return [Device.Late.ENDED]
        late = []
        if self.published_at is None and self.created_at <= now - PUBLICATION_LATE_AFTER:
            late.append(Device.Late.PUBLICATION)
        if self._came_before(self.prekey_published_at, now - PREKEY_LATE_AFTER):
            late.append(Device.Late.PREKEY)
        without_prekey = self.prekey_published_at is None
        if without_prekey and self._came_before(self.published_at, now - FIRST_PREKEY_LATE_AFTER):
            late.append(Device.Late.FIRST_PREKEY)
        if self.not_after <= now + CERTIFICATE_LATE_BEFORE:
            late.append(Device.Late.CERTIFICATE)
        return late

    def _late_when_revoked(self, now: datetime) -> "list[Device.Late]":
        if self.withdrawal_pending:
            return [Device.Late.WITHDRAWAL]
        is_there = self.tombstone_removed_at is None
        if is_there and self._came_before(self.withdrawn_at, now - TOMBSTONE_LATE_AFTER):
            return [Device.Late.TOMBSTONE]
        return []

    @staticmethod
    def _came_before(moment: datetime | None, limit: datetime) -> bool:
        return moment is not None and moment <= limit

    @property
    def late(self) -> "list[Device.Late]":
        return self.late_at(timezone.now())

    @property
    def withdrawal_pending(self) -> bool:
        """Revoked in the agent, but the PDS still shows the device as valid."""
        return self.revoked_at is not None and self.withdrawn_at is None


class Peer(Named):
    """What was last learned about somebody to whom mail goes or from whom it came (a cache)."""

    did = models.CharField("DID", max_length=2048, unique=True)
    handle = models.CharField(max_length=253, blank=True, default="")
    display_name = models.CharField(max_length=640, blank=True, default="")
    #: What both are read as (accounts/skeletons.py), as they were saved; empty where there is none.
    handle_skeleton = models.CharField(max_length=LONGEST, blank=True, default="", editable=False)
    name_skeleton = models.CharField(max_length=LONGEST, blank=True, default="", editable=False)
    #: Content identifier of the profile picture in the person's repository; empty without one.
    avatar = models.CharField(max_length=128, blank=True, default="")
    pds_url = models.CharField("PDS", max_length=512, blank=True, default="")
    #: ``smtp://host[:port]`` of the DID document; empty without one.
    smtp_endpoint = models.CharField(max_length=512, blank=True, default="")
    #: URIs of the at.atsms.inbox record in its order.
    inbox_endpoints = models.JSONField(default=list, blank=True)
    #: Records that were skipped, as ``{"record": ..., "code": ...}``.
    problems = models.JSONField(default=list, blank=True)
    #: When name and picture were last read from the PDS.
    profile_checked_at = models.DateTimeField(null=True, blank=True)
    #: When devices and routes were last read from the PDS.
    checked_at = models.DateTimeField(null=True, blank=True)
    #: When devices and routes were read for the first time; what differs later is a change.
    known_since = models.DateTimeField(null=True, blank=True)
    #: When the PLC directory's log was last asked for, and what was wrong with it, a stable code.
    plc_checked_at = models.DateTimeField(null=True, blank=True)
    plc_problem = models.CharField(max_length=40, blank=True, default="")

    objects = NamedQuerySet["Peer"].as_manager()

    class Meta:
        ordering = ("handle", "did")
        indexes = (
            models.Index(fields=("handle_skeleton",), name="peer_by_handle_skeleton"),
            models.Index(fields=("name_skeleton",), name="peer_by_name_skeleton"),
        )

    def __str__(self) -> str:
        return f"{self.handle or 'unnamed'} ({self.did})"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        self.handle_skeleton, self.name_skeleton = skeletons_of(self.handle, self.display_name)
        if update_fields is not None:
            skeleton_of = {"handle": "handle_skeleton", "display_name": "name_skeleton"}
            changed = set(update_fields)
            update_fields = changed | {skeleton_of[name] for name in changed & skeleton_of.keys()}
        super().save(*args, update_fields=update_fields, **kwargs)


def skeletons_of(handle: str, display_name: str) -> tuple[str, str]:
    """What a peer's handle and name are read as; empty for a handle that does not hold."""
    return skeleton("" if handle == INVALID_HANDLE else handle), skeleton(display_name)


class PeerCertificate(models.Model):
    """A device certificate that a peer publishes or published, as it was last seen."""

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        REVOKED = "revoked", "revoked"
        EXPIRED = "expired", "expired"
        ABSENT = "absent", "not published"
        BROKEN = "broken", "not usable"

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="certificates", db_index=False)
    fingerprint = models.CharField(max_length=64)
    certificate_pem = models.TextField("certificate")
    not_before = models.DateTimeField(null=True, blank=True)
    not_after = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    #: The verified at.atsms.prekey record in atproto JSON, or null.
    prekey = models.JSONField(null=True, blank=True)
    #: Why the prekey record is not used; empty when it is, or when there is none.
    prekey_problem = models.CharField(max_length=64, blank=True, default="")
    #: Why the certificate is not used; empty when it is fine.
    problem = models.CharField(max_length=64, blank=True, default="")
    #: Whether the record was in the repository at ``checked_at``.
    present = models.BooleanField(default=True)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("peer", "fingerprint")
        constraints = (
            models.UniqueConstraint(fields=("peer", "fingerprint"), name="peer_certificate_unique"),
        )

    def __str__(self) -> str:
        return f"certificate {self.fingerprint[:16]}"

    def state_at(self, now: datetime) -> "PeerCertificate.State":
        if not self.present:
            return PeerCertificate.State.ABSENT
        if self.problem:
            return PeerCertificate.State.BROKEN
        if self.revoked_at is not None and self.revoked_at <= now:
            return PeerCertificate.State.REVOKED
        if self.not_after is not None and self.not_after <= now:
            return PeerCertificate.State.EXPIRED
        return PeerCertificate.State.ACTIVE

    @property
    def state(self) -> "PeerCertificate.State":
        return self.state_at(timezone.now())
