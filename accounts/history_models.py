"""Tables of what was seen to change: other people's keys, names and servers, and an account's own entries.

All of it is what this installation saw. Elsewhere, and after the loss of the database, looking begins anew.
"""

from django.db import models
from django.utils import timezone


class PeerEvent(models.Model):
    """Something that was seen to change about somebody between two looks at what they publish."""

    class Kind(models.TextChoices):
        DEVICE_NEW = "device-new", "a new device"
        DEVICE_BACK = "device-back", "a device came back"
        DEVICE_GONE = "device-gone", "a device is not published any more"
        DEVICE_REVOKED = "device-revoked", "a device was revoked"
        DEVICE_BROKEN = "device-broken", "the record of a device does not hold its key"
        CERTIFICATE_RENEWED = "renewed", "another certificate of the same key"
        HANDLE = "handle", "another handle"
        SERVER = "server", "another server"
        LOG_GREW = "log-grew", "a new entry in the directory's log"
        LOG_UNDONE = "log-undone", "an entry of the directory's log was undone"
        LOG_REWRITTEN = "log-rewritten", "an entry that was seen is missing from the directory's log"

    #: What makes somebody's keys others than they were.
    NEW_KEYS = (Kind.DEVICE_NEW, Kind.DEVICE_BACK)

    peer = models.ForeignKey("accounts.Peer", on_delete=models.CASCADE, related_name="events", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    #: A fingerprint, handle, server or CID, and what was in its place before.
    subject = models.CharField(max_length=512)
    former = models.CharField(max_length=512, blank=True, default="")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (
            models.Index(fields=("peer", "-at"), name="peer_event_of_peer"),
            models.Index(fields=("former",), name="peer_event_by_former"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject[:16]}"


class PlcOperation(models.Model):
    """An entry of the PLC directory's log about somebody, as it was first seen."""

    peer = models.ForeignKey(
        "accounts.Peer", on_delete=models.CASCADE, related_name="plc_operations", db_index=False
    )
    cid = models.CharField("CID", max_length=80)
    #: Its place in the log, from 0.
    position = models.PositiveIntegerField()
    #: What the directory says.
    created_at = models.DateTimeField()
    handle = models.CharField(max_length=253, blank=True, default="")
    pds_url = models.CharField("PDS", max_length=512, blank=True, default="")
    signing_key = models.CharField(max_length=256, blank=True, default="")
    rotation_keys = models.JSONField(default=list, blank=True)
    tombstone = models.BooleanField(default=False)
    #: Whether a key of higher rank undid it.
    nullified = models.BooleanField(default=False)
    #: When the log was first seen without it.
    missing_since = models.DateTimeField(null=True, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("peer", "position", "pk")
        constraints = (models.UniqueConstraint(fields=("peer", "cid"), name="plc_operation_once"),)
        verbose_name = "PLC operation"

    def __str__(self) -> str:
        return self.cid


class PublishedEntry(models.Model):
    """One thing that an account's repository or DID document says of it.

    ``known``: this installation put it there, or the account's owner knows of it. What was there at the first
    look counts as known. Whoever takes an account along looks for the first time again.
    """

    class Kind(models.TextChoices):
        DEVICE = "device", "device"
        ENDPOINT = "endpoint", "address in the inbox record"
        MAIL_SERVER = "mail-server", "mail server in the DID document"
        SERVER = "server", "server in the DID document"
        SIGNING_KEY = "signing-key", "key that signs the repository"
        ROTATION_KEY = "rotation-key", "key that may change the DID document"

    account = models.ForeignKey(
        "accounts.Account", on_delete=models.CASCADE, related_name="published_entries", db_index=False
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=512)
    known = models.BooleanField(default=False)
    #: Whether this installation published it and has not taken it back.
    expected = models.BooleanField(default=False)
    #: Whether it was there when last looked.
    present = models.BooleanField(default=True)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("account", "kind", "first_seen_at", "pk")
        constraints = (
            models.UniqueConstraint(fields=("account", "kind", "value"), name="published_entry_once"),
        )
        verbose_name_plural = "published entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.value[:40]}"

    @property
    def unknown(self) -> bool:
        """Whether something is published that nobody here knows of."""
        return self.present and not self.known

    @property
    def missing(self) -> bool:
        """Whether what was published here is not there any more."""
        return self.expected and not self.present
