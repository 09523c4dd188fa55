"""Files that this installation keeps, encrypted."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account
from webmail.models.draft import Draft
from webmail.models.pending import PendingMessage


class Blob(models.Model):
    """A file that this installation keeps for an account, encrypted; its key is in the message alone."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="blobs", db_index=False)
    #: Hex SHA-256 of the encrypted bytes; empty while they are on their way.
    content_hash = models.CharField(max_length=64, blank=True)
    #: The part of its address that nobody can guess, in hex.
    secret = models.CharField(max_length=40, unique=True)
    #: Octets of the encrypted bytes.
    size = models.PositiveBigIntegerField()
    #: Its description, which only the agent can unseal; empty once it is in a message.
    sealed = models.BinaryField(default=b"", blank=True)
    #: The message that it is in, by its id, since rows of messages can be made anew; empty before.
    message_id = models.CharField(max_length=64, blank=True)
    #: The draft that keeps it from being swept away while it is in no message.
    draft = models.ForeignKey(Draft, on_delete=models.SET_NULL, null=True, blank=True, related_name="blobs")
    #: The message that is to go out with it, which keeps it likewise.
    pending = models.ForeignKey(
        PendingMessage, on_delete=models.SET_NULL, null=True, blank=True, related_name="blobs"
    )
    #: Whether the account passed it on in another message, which names the same file.
    passed_on = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "file"
        indexes = [
            models.Index(fields=["account", "-created_at"], name="blob_of_account"),
            models.Index(fields=["expires_at"], name="blob_kept", condition=models.Q(removed_at=None)),
        ]

    def __str__(self) -> str:
        return self.content_hash[:12] or "on its way"
