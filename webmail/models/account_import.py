"""Exports of accounts that are being taken in."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.models import Account


class AccountImport(models.Model):
    """An account's export that is being taken in, and how far that has come."""

    class State(models.TextChoices):
        RUNNING = "running", "being taken in"
        DONE = "done", "all here"
        FAILED = "failed", "stopped for good"

    class WaitsFor(models.TextChoices):
        ROOM = "room", "room in the mailbox"
        MAILBOX = "mailbox", "the mailbox, which is away"
        KEYS = "keys", "the keys, which are locked"
        LIMIT = "limit", "the next hour, since the keys were used as often as this one allows"
        AGENT = "agent", "the agent, which is away"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="imports")
    #: The uploaded file in settings.IMPORT_DIR.
    file_name = models.CharField(max_length=64, unique=True)
    #: Opens the parts of the file beside the keys; only the agent can use it.
    import_key = models.BinaryField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    failure_code = models.CharField(max_length=40, blank=True)
    #: Why it did not go on when it was tried last; empty while it does.
    waits_for = models.CharField(max_length=8, choices=WaitsFor.choices, blank=True, default="")
    #: Parts of the file to be taken in, those that were, and those among them that nothing here opens.
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    unreadable = models.PositiveIntegerField(default=0)
    #: Settings of the file that fit nowhere here.
    left_out = models.PositiveIntegerField(default=0)
    #: What the account has here since everything was taken in.
    conversations = models.PositiveIntegerField(default=0)
    messages = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["updated_at"], name="import_running", condition=models.Q(state="running")),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.done}/{self.total}"
