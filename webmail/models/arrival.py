"""Mail that arrived, and how far a mailbox was read."""

from __future__ import annotations

from django.db import models

from accounts.models import Account
from webmail.models.message import Message


class MailboxCursor(models.Model):
    """How far the INBOX of an account was read, and how full its mailbox was."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="mailbox_cursor")
    uid_validity = models.BigIntegerField(default=0)
    last_uid = models.BigIntegerField(default=0)
    #: Octets that the mailbox holds and may hold, where its server says so; and when it was asked.
    held_octets = models.BigIntegerField(null=True, blank=True)
    most_octets = models.BigIntegerField(null=True, blank=True)
    room_asked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.uid_validity}/{self.last_uid}"


class Arrival(models.Model):
    """A mail that arrived in the mailbox, until what it carries rests in the archive."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting to be opened"
        OPENED = "opened", "opened, not archived yet"
        DONE = "done", "archived"
        KEPT_ASIDE = "kept-aside", "kept aside"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="arrivals", db_index=False)
    #: Hex SHA-256 of the envelope; of the whole mail where it carries none.
    envelope_id = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    folder = models.CharField(max_length=20, default="INBOX")
    uid_validity = models.BigIntegerField()
    uid = models.BigIntegerField()
    size = models.PositiveIntegerField()
    arrived_at = models.DateTimeField()
    message = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="arrivals"
    )
    #: Why it is kept aside: a stable code.
    reason = models.CharField(max_length=40, blank=True)
    #: Whom the account asked for another copy, and when. The request itself is in the archive.
    asked_did = models.CharField(max_length=2048, blank=True, default="")
    asked_at = models.DateTimeField(null=True, blank=True)
    #: When the account put away that it is kept aside.
    put_away_at = models.DateTimeField(null=True, blank=True)
    #: Of ordinary mail, what its flags in the mailbox say (webmail.ordinary.marks): that nobody has read it,
    #: that it is spam; and since when it is deleted, as far as that is known here.
    unread = models.BooleanField(default=False)
    spam = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-arrived_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "envelope_id"], name="arrival_once"),
        ]
        indexes = [
            models.Index(
                fields=["account", "state"],
                name="arrival_unfinished",
                condition=models.Q(state__in=["waiting", "opened"]),
            ),
            models.Index(fields=["account"], name="arrival_unread", condition=models.Q(unread=True)),
            models.Index(
                fields=["updated_at"],
                name="arrival_kept_aside",
                condition=models.Q(state="kept-aside"),
            ),
            models.Index(
                fields=["deleted_at"], name="arrival_deleted", condition=models.Q(deleted_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.envelope_id[:12]
