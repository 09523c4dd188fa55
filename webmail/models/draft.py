"""What people are writing and have not sent."""

from __future__ import annotations

import secrets

from django.db import models
from django.utils import timezone

from accounts.loaded_rows import LoadedRows
from accounts.models import Account
from webmail.models.arrival import Arrival
from webmail.models.conversation import Conversation
from webmail.models.message import Message


def first_revision() -> int:
    """The revision of a new draft: at random, so that no page knows it of one that stood there before."""
    return secrets.randbelow(10**8) + 1


class Draft(LoadedRows):
    """A text with its files that is not sent yet. No mailbox has it; an account's export carries those that
    are of conversations."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="drafts", db_index=False)
    #: One of these three is set; none for a new conversation, whose people are in the draft itself.
    conversation = models.OneToOneField(
        Conversation, on_delete=models.CASCADE, null=True, blank=True, related_name="draft"
    )
    #: Set where one's own message is being changed.
    edits = models.OneToOneField(
        Message, on_delete=models.CASCADE, null=True, blank=True, related_name="edit_draft"
    )
    #: Set where an ordinary mail is being answered.
    answers = models.OneToOneField(
        Arrival, on_delete=models.CASCADE, null=True, blank=True, related_name="answer_draft"
    )
    #: 128 random bits in hex, under which alone the agent unseals it.
    draft_id = models.CharField(max_length=32)
    #: See webmail.draft_content.DraftContent.
    sealed = models.BinaryField()
    #: What another page had here before the last one overtook it; empty where none did.
    overtaken = models.BinaryField(default=b"", blank=True)
    #: The page that had written that.
    overtaken_writer = models.CharField(max_length=36, blank=True, default="")
    #: Counts what was kept, so that a page knows whether it has seen the newest.
    revision = models.PositiveIntegerField(default=first_revision)
    #: The page that wrote it last, by the random name that it gave itself.
    writer = models.CharField(max_length=36, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-updated_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "draft_id"], name="draft_once")]
        indexes = [models.Index(fields=["account", "-updated_at"], name="draft_of_account")]

    def __str__(self) -> str:
        return self.draft_id[:12]
