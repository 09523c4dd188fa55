"""Messages that are written and go out later."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account
from webmail.models.conversation import Conversation


class PendingMessage(models.Model):
    """A composed message that is not sent yet: it may be taken back for a moment, or waits for its time.

    It exists in the database alone, until it becomes a Message. An account's export has its text as a draft.
    """

    class Kind(models.TextChoices):
        HELD = "held", "may be taken back for a moment"
        SCHEDULED = "scheduled", "waits for its time"

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="pending_messages", db_index=False
    )
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="pending_messages")
    kind = models.CharField(max_length=9, choices=Kind.choices)
    release_at = models.DateTimeField()
    message_id = models.CharField(max_length=64)
    #: What the message says of when it was written: when it was sent, or is to be.
    content_created_at = models.DateTimeField()
    #: Seconds after reading in which it disappears; 0 for one that stays.
    expires_after = models.PositiveIntegerField(default=0)
    in_reply_to = models.CharField(max_length=64, blank=True)
    #: The topic that it is written in; empty outside of topics.
    topic = models.CharField(max_length=64, blank=True, default="")
    #: The content at rest, as of a Message.
    sealed = models.BinaryField()
    #: Of each of its files, by the order of their keys in `files`, whether the content has it itself.
    inline = models.JSONField(default=list)
    files = models.JSONField(default=list)
    #: The same as a draft, to be given back: its id, and what opens under it.
    draft_id = models.CharField(max_length=32)
    draft = models.BinaryField()
    #: The id of the message that it passes on; empty for what was written.
    forwards = models.CharField(max_length=64, blank=True, default="")
    #: The conversation that goes on with other people by it, which hears of that with it.
    former = models.ForeignKey(
        Conversation, on_delete=models.SET_NULL, null=True, blank=True, related_name="goes_on_by"
    )
    #: The message with which it goes out, or is gone: pages show that one alone.
    goes_with = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="followers"
    )
    #: Whether it gives a group its name.
    names_group = models.BooleanField(default=False)
    token = models.CharField(max_length=36)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["release_at", "id"]
        constraints = [models.UniqueConstraint(fields=["account", "token"], name="pending_once")]
        indexes = [models.Index(fields=["release_at"], name="pending_due")]

    def __str__(self) -> str:
        return self.message_id[:12]
