"""Conversations, as one account sees them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.loaded_rows import LoadedRows
from accounts.models import Account


class Conversation(LoadedRows):
    """The messages between one set of people, as one account sees them (protocol §6)."""

    class Standing(models.TextChoices):
        """Whether the account agreed to it (see webmail/consent.py for how it is restored)."""

        ACCEPTED = "accepted", "accepted"
        REQUEST = "request", "waits for an answer"
        DECLINED = "declined", "declined"

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="conversations", db_index=False
    )
    #: Hex of the 33-byte conversation id.
    conversation_id = models.CharField(max_length=66)
    #: DIDs of everybody in it, the account's own included, sorted.
    participants = models.JSONField()
    #: The DID of whoever wrote first in it; derived from its messages.
    started_by = models.CharField(max_length=2048, blank=True, default="")
    standing = models.CharField(max_length=8, choices=Standing.choices, default=Standing.ACCEPTED)
    #: Whether it is left out of the list for whom the account blocked; derived from contacts.
    blocked = models.BooleanField(default=False)
    last_message = models.ForeignKey(
        "Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    #: The group updates that gave it its name and its picture, which only the agent reads there.
    named_by = models.ForeignKey(
        "Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    pictured_by = models.ForeignKey(
        "Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    last_activity = models.DateTimeField(default=timezone.now)
    unread_count = models.PositiveIntegerField(default=0)
    #: Of the unread messages of a group those that mention the account.
    unread_mentions = models.PositiveIntegerField(default=0)
    #: Of the account's messages those that somebody did not get, and that it has not seen to be so.
    undelivered = models.PositiveIntegerField(default=0)
    #: Seconds after which what the account writes here asks to disappear; 0 for never. A setting of it.
    expires_after = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    #: How the account wants it shown: settings of the account, which its export carries.
    pinned = models.BooleanField(default=False)
    muted = models.BooleanField(default=False)
    #: Whether mentions of the account are no news either, while it is muted.
    mentions_muted = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    #: When the account left it, a group: what others write there since then is put away.
    left_at = models.DateTimeField(null=True, blank=True)
    #: When the account last changed one of these; of two places that have them, the later one counts.
    settings_changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-last_activity", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "conversation_id"], name="conversation_once"),
        ]
        # One for each way through the list (see webmail/conversation_pages.py), each in its order.
        indexes = [
            models.Index(
                fields=["account", "-pinned", "-last_activity", "-id"],
                name="conversation_list",
                condition=models.Q(archived_at=None),
            ),
            models.Index(
                fields=["account", "-last_activity", "-id"],
                name="conversation_archived",
                condition=models.Q(archived_at__isnull=False),
            ),
            models.Index(
                fields=["account", "-last_activity", "-id"],
                name="conversation_unread",
                condition=models.Q(unread_count__gt=0),
            ),
            models.Index(
                fields=["account"],
                name="conversation_mentioned",
                condition=models.Q(unread_mentions__gt=0),
            ),
            models.Index(
                fields=["account"],
                name="conversation_undelivered",
                condition=models.Q(undelivered__gt=0),
            ),
            # The head of every list counts what these two hold, which says all that is asked of it.
            models.Index(
                fields=["account"],
                name="conversation_waiting",
                condition=models.Q(standing="request"),
            ),
            models.Index(
                fields=["account", "unread_count"],
                name="conversation_news",
                condition=models.Q(
                    standing="accepted", blocked=False, muted=False, archived_at=None, unread_count__gt=0
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.conversation_id[:12]


class ConversationMember(models.Model):
    """One of the others in a conversation, for looking conversations up by people; of notes to oneself it is
    the account. Derived from the conversation's participants, written with them."""

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="members", db_index=False
    )
    did = models.CharField("DID", max_length=2048)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["conversation", "did"], name="conversation_member_once"),
        ]
        indexes = [models.Index(fields=["did"], name="conversation_of_member")]

    def __str__(self) -> str:
        return f"{self.conversation_id}: {self.did}"
